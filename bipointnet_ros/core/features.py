"""What a segmentation network is told of a point: nothing that betrays the sensor, everything at O(N).

Training and the robot call the same ``scene``: filters and levelling come before it, the network after it.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass

import numpy as np

from bipointnet_ros.core import cells, ground
from bipointnet_ros.core.blueprint import Grid
from bipointnet_ros.core.descriptors import DESCRIBED, LEVELS
from bipointnet_ros.core.reference import Reference

INPUTS = (*DESCRIBED, "intensity")  # by level: those that most rows share come first
BLIND = tuple(name for name in INPUTS if name not in ("range", "density"))  # these two betray the sensor


@dataclass(frozen=True)
class Shared:
    """Inputs that all rows of a finest cell share: values (S, G) float32 by levels, which end at ends (L,) int32.

    kept (S,) uint8: so many levels are those of the cell before.
    """

    values: np.ndarray
    kept: np.ndarray
    ends: np.ndarray


@dataclass(frozen=True)
class Scene:
    """One cloud of N points as the network sees it: n rows, one per sampling voxel.

    shared: the first inputs, by finest cell, or None; own (n, F) float32: the others, by row; offsets: per scale
    (S_k + 1,) int32, nested cells as runs of rows; index (n,) int32: a point of each row; answer (N,) int32: the row
    that answers each point; height (N,) float32 [m] over the ground.
    """

    shared: Shared | None
    own: np.ndarray
    offsets: tuple[np.ndarray, ...]
    index: np.ndarray
    answer: np.ndarray
    height: np.ndarray

    @property
    def features(self) -> np.ndarray:
        """(n, F) float32, all inputs of each row."""
        if self.shared is None:
            return self.own
        return np.concatenate([np.repeat(self.shared.values, np.diff(self.offsets[0]), axis=0), self.own], axis=1)


@functools.cache
def level(name: str) -> int:
    """The index into ``LEVELS`` of an input; the last one for a name that is none."""
    return next((k for k, names in enumerate(LEVELS) if name in names), len(LEVELS) - 1)


def ordered(inputs) -> tuple[str, ...]:
    """The inputs by level: a network that takes them in this order adds what rows share only once."""
    return tuple(sorted(inputs, key=level))


def scene(xyz: np.ndarray, intensity, grid: Grid, inputs, backend=None) -> Scene:
    """Scene of finite, levelled points xyz (N, 3) float32 [m], N >= 1, intensity (N,) float32 of any scale or None.

    inputs: names out of ``INPUTS``; ValueError names an unknown one. The backend (core/kernels.py) changes the speed
    only.
    """
    unknown = [name for name in inputs if name not in INPUTS]
    if unknown:
        raise ValueError(f"unknown inputs {', '.join(unknown)}: expected some of {', '.join(INPUTS)}")
    backend = backend or Reference()
    run = cells.build(xyz, grid, backend)
    floor = ground.level(xyz[:, 2].take(run.order), run, grid.voxel * grid.cells[0], backend)
    n, order = len(run.voxel) - 1, run.order
    height, answer = np.empty(len(xyz), np.float32), np.empty(len(xyz), np.int32)
    mean = np.empty((n, 4), np.float32)
    backend.means(np.ascontiguousarray(xyz), order, floor, run.voxel[run.column], run.voxel, height, answer, mean)
    index = order[run.voxel[:-1]]
    rows = _Rows(run, mean, grid)
    shared, own = rows.inputs(ordered(inputs), intensity, index, backend)
    found = Scene(shared, own, rows.offsets, index, answer, height)
    if ordered(inputs) == tuple(inputs):
        return found
    place = [ordered(inputs).index(name) for name in inputs]
    return Scene(None, np.ascontiguousarray(found.features[:, place]), rows.offsets, index, answer, height)


class _Rows:
    """The inputs of every voxel of one cloud; a voxel's place and height, mean (n, 4), are the means of its points'."""

    def __init__(self, run: cells.Cells, mean: np.ndarray, grid: Grid):
        self.run, self.mean, self.grid = run, mean, grid
        self.offsets = run.scales
        cube, pillar, block = (run.scales[min(k, len(run.scales) - 1)] for k in range(3))
        self.levels = block, pillar, run.column, cube

    def inputs(self, names, intensity, index, backend):
        """The inputs of that order by level: what rows share, or None, and their own (n, F)."""
        own = [name for name in names if level(name) == len(LEVELS) - 1]
        wide = names[: len(names) - len(own)]
        values = np.empty((len(self.offsets[0]) - 1, len(wide)), np.float32)
        rows = np.empty((len(self.mean), len(own)), np.float32)
        wanted = [wide.index(name) if name in wide else own.index(name) if name in own else -1 for name in DESCRIBED]
        voxel, edge = self.grid.voxel, self.grid.voxel * self.grid.cells[0]
        sizes = np.array([voxel, edge, *(self.run.low * voxel)], np.float32)
        scales = self.grid.cells
        ratios = np.array([scales[min(k, len(scales) - 1)] // scales[0] for k in (2, 1)], np.int32)
        where = (self.run.voxel, *self.levels, self.run.column_xy, ratios)
        backend.describe(self.mean, *where, sizes, np.array(wanted, np.int32), values, rows)
        if "intensity" in own:
            rows[:, own.index("intensity")] = rank(intensity, index, backend)
        return (self._shared(wide, values) if wide else None), rows

    def _shared(self, names, values) -> Shared:
        used = sorted({level(name) for name in names})
        kept = np.full(len(values), len(used) - 1, np.uint8)
        cube = self.offsets[0]
        for k in reversed(used[:-1]):
            kept[np.searchsorted(cube, self.levels[k][:-1])] = used.index(k)
        return Shared(values, kept, np.cumsum([sum(level(n) == k for n in names) for k in used]).astype(np.int32))


def rank(intensity, rows, backend=None) -> np.ndarray:
    """Rank of some rows' intensity within the scan, -1..1; 0 where there is no intensity or only one value."""
    if intensity is None:
        return np.zeros(len(rows), np.float32)
    some, count = np.unique(intensity[:: max(1, len(intensity) // 4096)], return_counts=True)
    upto = np.concatenate([[0], np.cumsum(count)])
    value, place = intensity[rows], np.empty(len(rows), np.int32)
    (backend or Reference()).search(some, value, place)  # one search tells how many lie below and up to
    known = some[np.minimum(place, len(some) - 1)] == value
    return ((upto[place] + upto[place + known]) / np.float32(upto[-1]) - 1.0).astype(np.float32)
