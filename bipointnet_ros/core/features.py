"""What a segmentation network is told of a point: nothing that betrays the sensor, everything at O(N).

Training and the robot call the same ``scene``: filters and levelling come before it, the network after it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from bipointnet_ros.core import cells, descriptors, ground
from bipointnet_ros.core.blueprint import Grid
from bipointnet_ros.core.descriptors import BESIDE, EXTENT, HIGH, SHAPE

INPUTS = (
    *("height", "height_fine", "range", "inside_x", "inside_y", "inside_z", "intensity", "density"),
    *(f"{cell}_{key}" for cell in ("cube", "pillar") for key in SHAPE),
    *(f"{cell}_{key}" for cell in ("column", "pillar", "block") for key in EXTENT),
    *(f"{cell}_{key}" for cell in ("around", "pillar") for key in BESIDE),
    *(f"around_{key}" for key in (*SHAPE, "count")),
)
BLIND = tuple(name for name in INPUTS if name not in ("range", "density"))  # these two betray the sensor


@dataclass(frozen=True)
class Scene:
    """One cloud of N points as the network sees it: n rows, one per sampling voxel.

    features (n, F) float32; offsets: per scale (S_k + 1,) int32, nested cells as runs of rows; index (n,) int32: a
    point of each row; answer (N,) int32: the row that answers each point; height (N,) float32 [m] over the ground.
    """

    features: np.ndarray
    offsets: tuple[np.ndarray, ...]
    index: np.ndarray
    answer: np.ndarray
    height: np.ndarray


def scene(xyz: np.ndarray, intensity, grid: Grid, inputs, argsort=None) -> Scene:
    """Scene of finite, levelled points xyz (N, 3) float32 [m], N >= 1, intensity (N,) float32 of any scale or None.

    inputs: names out of ``INPUTS``; ValueError names an unknown one. argsort as for ``cells.build``.
    """
    unknown = [name for name in inputs if name not in INPUTS]
    if unknown:
        raise ValueError(f"unknown inputs {', '.join(unknown)}: expected some of {', '.join(INPUTS)}")
    run = cells.build(xyz, grid, argsort)
    x, y, z = xyz[run.order].T.copy()
    floor = ground.level(z, run, grid.voxel * grid.cells[0])
    height = z - np.repeat(floor, np.diff(run.column))
    rows = _Rows(run, x, y, z, height, grid)
    columns = rows.columns(intensity)
    features = np.ascontiguousarray(
        np.stack([columns[name] for name in inputs]).T, np.float32
    )  # twice as fast as by column
    return Scene(features, rows.offsets, run.order[run.voxel[:-1]], rows.answer(), rows.unsorted(height))


class _Rows:
    """The inputs of every voxel of one cloud; a voxel's place and height are the means of its points'."""

    def __init__(self, run: cells.Cells, x, y, z, height, grid: Grid):
        self.run, self.grid = run, grid
        self.size = np.diff(run.voxel).astype(np.float32)
        self.x, self.y, self.z, self.h = (
            np.add.reduceat(value, run.voxel[:-1]) / self.size for value in (x, y, z, height)
        )
        self.offsets = tuple(np.searchsorted(run.voxel, starts).astype(np.int32) for starts in run.scales)
        self.column = np.searchsorted(run.voxel, run.column).astype(np.int32)

    def answer(self) -> np.ndarray:
        answer = np.empty(len(self.run.order), np.int32)
        answer[self.run.order] = np.repeat(np.arange(len(self.size), dtype=np.int32), np.diff(self.run.voxel))
        return answer

    def unsorted(self, value) -> np.ndarray:
        out = np.empty_like(value)
        out[self.run.order] = value
        return out

    def columns(self, intensity) -> dict[str, np.ndarray]:
        """name -> (n,) float32, each in about -1..1."""
        cube, pillar, block = (self.offsets[min(k, len(self.offsets) - 1)] for k in range(3))
        out = self._own(intensity)
        for name, starts in (("cube", cube), ("pillar", pillar)):
            out |= descriptors.shape(name, (self.x, self.y, self.z), starts, self.grid.voxel)
        for name, starts in (("column", self.column), ("pillar", pillar), ("block", block)):
            out |= descriptors.extent(name, self.h, starts)
        return out | self._neighbours(pillar)

    def _own(self, intensity):
        distance = np.sqrt(self.x**2 + self.y**2)
        edge = np.float32(self.grid.voxel * self.grid.cells[0])
        inside = [np.floor(v / edge) * -2.0 + v * (2.0 / edge) - 1.0 for v in (self.x, self.y, self.z)]
        return {
            "height": np.clip(self.h, -1.0, HIGH) / 4.0 - 1.0,
            "height_fine": np.clip(self.h, -0.5, 1.5) - 0.5,
            "range": np.log(np.maximum(distance, 1.0)) / 2.5 - 1.0,
            "inside_x": inside[0],
            "inside_y": inside[1],
            "inside_z": inside[2],
            "intensity": rank(intensity, self.run.order[self.run.voxel[:-1]]),
            "density": np.log(self.size) / 2.0 - 0.5,
        }

    def _neighbours(self, pillar):
        place, edge = self.run.column_xy, self.grid.voxel * self.grid.cells[0]
        ratio = self.grid.cells[min(1, len(self.grid.cells) - 1)] // self.grid.cells[0]
        of_pillar = place[np.searchsorted(self.column, pillar[:-1], "right") - 1] // ratio
        out = descriptors.beside("around", self.h, self.column, place)
        out |= descriptors.beside("pillar", self.h, pillar, of_pillar)
        return out | descriptors.around("around", self.x, self.y, self.h, self.column, place, edge, self.grid.voxel)


def rank(intensity, rows) -> np.ndarray:
    """Rank of some rows' intensity within the scan, -1..1; 0 where there is no intensity or only one value."""
    if intensity is None:
        return np.zeros(len(rows), np.float32)
    some, count = np.unique(intensity[:: max(1, len(intensity) // 4096)], return_counts=True)
    upto = np.concatenate([[0], np.cumsum(count)])
    value = intensity[rows]
    place = np.searchsorted(some, value)  # one search of the distinct values answers how many lie below and up to
    known = some[np.minimum(place, len(some) - 1)] == value
    return ((upto[place] + upto[place + known]) / np.float32(upto[-1]) - 1.0).astype(np.float32)
