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
class Rows:
    """What is known of n rows wherever the cells lie: mean (n, 4) float32 of each row's points, x y z and height over
    the ground [m]; size (n,) int32, how many they are; strength (n,) float32, the rank of its intensity, or None.
    """

    mean: np.ndarray
    size: np.ndarray
    strength: np.ndarray | None

    def take(self, order) -> Rows:
        strength = None if self.strength is None else self.strength.take(order)
        return Rows(self.mean.take(order, axis=0), self.size.take(order), strength)


@dataclass(frozen=True)
class Scene:
    """One cloud of N points as the network sees it: n rows, one per sampling voxel.

    shared: the first inputs, by finest cell, or None; own (n, F) float32: the others, by row; offsets: per scale
    (S_k + 1,) int32, nested cells as runs of rows; rows: the rows themselves; index (n,) int32: a point of each row;
    answer (N,) int32: the row that answers each point; height (N,) float32 [m] over the ground.
    """

    shared: Shared | None
    own: np.ndarray
    offsets: tuple[np.ndarray, ...]
    rows: Rows
    index: np.ndarray
    answer: np.ndarray
    height: np.ndarray

    @property
    def features(self) -> np.ndarray:
        """(n, F) float32, all inputs of each row."""
        return whole(self.shared, self.own, self.offsets[0])


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
    strength = rank(intensity, index, backend) if "intensity" in inputs else None
    rows = Rows(mean, np.diff(run.voxel), strength)
    return Scene(*described(rows, run, grid, inputs, backend), run.scales, rows, index, answer, height)


def described(rows: Rows, run: cells.Cells, grid: Grid, inputs, backend) -> tuple[Shared | None, np.ndarray]:
    """Inputs of rows that are the voxels of ``run``, in its order: what they share, or None, and their own (n, F)."""
    names = ordered(inputs)
    own = [name for name in names if level(name) == len(LEVELS) - 1]
    wide = names[: len(names) - len(own)]
    cube, pillar, block = (run.scales[min(k, len(run.scales) - 1)] for k in range(3))
    levels = block, pillar, run.column, cube
    values = np.empty((len(cube) - 1, len(wide)), np.float32)
    alone = np.empty((len(rows.mean), len(own)), np.float32)
    wanted = [wide.index(name) if name in wide else own.index(name) if name in own else -1 for name in DESCRIBED]
    scales, corner = grid.cells, run.low % grid.cells[0]
    sizes = np.array([1, scales[0], *run.low, *corner]) * grid.voxel
    ratios = np.array([scales[min(k, len(scales) - 1)] // scales[0] for k in (2, 1)], np.int32)
    starts = np.concatenate([[0], np.cumsum(rows.size)]).astype(np.int32)
    where = (starts, *levels, run.column_xy, ratios)
    backend.describe(rows.mean, *where, sizes.astype(np.float32), np.array(wanted, np.int32), values, alone)
    if "intensity" in own:
        alone[:, own.index("intensity")] = rows.strength
    shared = _shared(wide, values, levels) if wide else None
    if names == tuple(inputs):
        return shared, alone
    return None, np.ascontiguousarray(whole(shared, alone, cube)[:, [names.index(name) for name in inputs]])


def whole(shared, own, cube) -> np.ndarray:
    """(n, F): what the rows of a finest cell share, and their own."""
    return own if shared is None else np.concatenate([np.repeat(shared.values, np.diff(cube), axis=0), own], axis=1)


def _shared(names, values, levels) -> Shared:
    used = sorted({level(name) for name in names})
    kept = np.full(len(values), len(used) - 1, np.uint8)
    for k in reversed(used[:-1]):
        kept[np.searchsorted(levels[-1], levels[k][:-1])] = used.index(k)
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
