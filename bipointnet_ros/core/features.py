"""What a segmentation network is told of a point: nothing that betrays the sensor, everything at O(N).

Training and the robot call the same ``scene``: filters and levelling come before it, the network after it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from bipointnet_ros.core import cells, ground
from bipointnet_ros.core.blueprint import Grid

_HIGH = 8.0  # m over the ground: higher is all the same
_EPSILON = np.float32(1e-6)


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
    rows = _Rows(run, x, y, z, height, intensity, grid)
    columns = rows.columns(set(inputs))
    features = np.empty((len(run.voxel) - 1, len(inputs)), np.float32)
    for i, name in enumerate(inputs):
        features[:, i] = columns[name]
    return Scene(features, rows.offsets, run.order[run.voxel[:-1]], rows.answer(), rows.unsorted(height))


class _Rows:
    """The inputs of every voxel of one cloud; arrays are in key order, names as in ``INPUTS``."""

    def __init__(self, run, x, y, z, height, intensity, grid):
        self.run, self.grid = run, grid
        self.size = np.diff(run.voxel).astype(np.float32)
        self.x, self.y, self.z, self.h = (self._voxel_mean(v) for v in (x, y, z, height))
        self.offsets = tuple(np.searchsorted(run.voxel, s).astype(np.int32) for s in run.scales)
        self.column = np.searchsorted(run.voxel, run.column).astype(np.int32)
        self.intensity = intensity

    def _voxel_mean(self, value):
        return np.add.reduceat(value, self.run.voxel[:-1]) / self.size

    def answer(self):
        answer = np.empty(len(self.run.order), np.int32)
        answer[self.run.order] = np.repeat(np.arange(len(self.size), dtype=np.int32), np.diff(self.run.voxel))
        return answer

    def unsorted(self, value):
        out = np.empty_like(value)
        out[self.run.order] = value
        return out

    def columns(self, wanted):
        """name -> (n,) float32, each in about -1..1."""
        out = self._own()
        out.update(self._shape("cube", self.offsets[0]))
        for name, starts in (("column", self.column), ("pillar", self.offsets[1]), ("block", self.offsets[-1])):
            out.update(self._extent(name, starts))
        out.update(self._shape("pillar", self.offsets[1]))
        out.update(self._around())
        return out

    def _own(self):
        distance = np.sqrt(self.x**2 + self.y**2)
        edge = np.float32(self.grid.voxel * self.grid.cells[0])
        inside = [np.floor(v / edge) * -2.0 + v * (2.0 / edge) - 1.0 for v in (self.x, self.y, self.z)]
        return {
            "height": np.clip(self.h, -1.0, _HIGH) / 4.0 - 1.0,
            "height_fine": np.clip(self.h, -0.5, 1.5) - 0.5,
            "range": np.log(np.maximum(distance, 1.0)) / 2.5 - 1.0,
            "inside_x": inside[0],
            "inside_y": inside[1],
            "inside_z": inside[2],
            "intensity": rank(self.intensity, self.run.order[self.run.voxel[:-1]]),
            "density": np.log(self.size) / 2.0 - 0.5,
        }

    def _extent(self, name, starts):
        """Of a cell: its top and bottom over the ground, how far the point lies from both, how many rows it holds."""
        count = np.diff(starts)
        top = np.repeat(np.minimum(np.maximum.reduceat(self.h, starts[:-1]), _HIGH), count)
        bottom = np.repeat(np.maximum(np.minimum.reduceat(self.h, starts[:-1]), -1.0), count)
        return {
            f"{name}_top": top / 4.0 - 1.0,
            f"{name}_above": np.clip(top - self.h, 0.0, _HIGH) / 4.0 - 1.0,
            f"{name}_bottom": np.clip(bottom, -1.0, 3.0) / 2.0 - 0.5,
            f"{name}_count": np.repeat(np.log(count.astype(np.float32)) / 2.5 - 1.0, count),
        }

    def _shape(self, name, starts):
        """Shape of a cell's rows by their covariance; all turn with the scene, none depends on where it looks."""
        count = np.diff(starts)
        first = np.repeat(starts[:-1], count)
        x, y, z = (v - v[first] for v in (self.x, self.y, self.z))
        mean = [np.add.reduceat(v, starts[:-1]) / count for v in (x, y, z)]
        pairs = ((x, x, 0, 0), (y, y, 1, 1), (z, z, 2, 2), (x, y, 0, 1), (x, z, 0, 2), (y, z, 1, 2))
        moments = [np.add.reduceat(a * b, starts[:-1]) / count - mean[i] * mean[j] for a, b, i, j in pairs]
        values = shape(np.stack(moments).astype(np.float32), self.grid.voxel)
        return {f"{name}_{key}": np.repeat(value, count) for key, value in values.items()}

    def _around(self):
        """Of the eight columns around the own one: how many reach over 0.5 m, and the mean of their tops."""
        starts = self.column[:-1]
        top = np.clip(np.maximum.reduceat(self.h, starts), 0.0, _HIGH)
        place = self.run.column_xy + 1
        grid = np.zeros(tuple(place.max(0) + 2), np.float32)
        grid[place[:, 0], place[:, 1]] = top
        near = np.stack([
            grid[place[:, 0] + i, place[:, 1] + j] for i in (-1, 0, 1) for j in (-1, 0, 1) if (i, j) != (0, 0)
        ])
        count = np.diff(self.column)
        return {
            "around_tall": np.repeat((near > 0.5).mean(0, dtype=np.float32) * 2.0 - 1.0, count),
            "around_top": np.repeat(near.mean(0) / 4.0 - 1.0, count),
            "around_step": np.repeat((top - near.min(0)) / 4.0 - 1.0, count),
        }


def shape(moments: np.ndarray, voxel: float) -> dict[str, np.ndarray]:
    """Covariances (6, S) float32 [m2] xx yy zz xy xz yz -> line, plane, upright, flat (0..1), spread, thick (-1..1).

    line and plane say how like a line or a plane the points are, upright how vertical their longest axis is, flat how
    vertical their normal is, spread and thick how far they reach along their longest and their shortest axis.
    Eigenvalues by the trigonometric formula, squared z of an eigenvector by the minors.
    """
    xx, yy, zz, xy, xz, yz = moments
    xx, yy, zz = (v + np.float32(0.01 * voxel * voxel) for v in (xx, yy, zz))
    q = (xx + yy + zz) / 3.0
    p = np.sqrt(((xx - q) ** 2 + (yy - q) ** 2 + (zz - q) ** 2 + 2.0 * (xy**2 + xz**2 + yz**2)) / 6.0) + _EPSILON
    a, b, c = xx - q, yy - q, zz - q
    determinant = a * (b * c - yz * yz) - xy * (xy * c - yz * xz) + xz * (xy * yz - b * xz)
    angle = np.arccos(np.clip(determinant / (2.0 * p**3), -1.0, 1.0)) / 3.0
    longest = q + 2.0 * p * np.cos(angle)
    shortest = q + 2.0 * p * np.cos(angle + np.float32(2.0 * np.pi / 3.0))
    middle = 3.0 * q - longest - shortest
    trace, minor = xx + yy, xx * yy - xy * xy
    return {
        "line": (longest - middle) / longest,
        "plane": (middle - shortest) / longest,
        "upright": _squared_z(longest, middle, shortest, trace, minor),
        "flat": _squared_z(shortest, longest, middle, trace, minor),
        "spread": np.log(longest / np.float32(voxel * voxel) + 1.0) / 2.0 - 1.0,
        "thick": np.log(np.maximum(shortest, 0.0) / np.float32(voxel * voxel) + 0.01) / 3.0 + 0.5,
    }


def _squared_z(value, other, third, trace, minor):
    """Squared z component of the unit eigenvector of ``value``; 1/3 where it is not defined."""
    below = (value - other) * (value - third)
    z2 = (value * value - trace * value + minor) / np.where(np.abs(below) < 1e-12, np.inf, below)
    return np.where(np.abs(below) < 1e-12, np.float32(1.0 / 3.0), np.clip(z2, 0.0, 1.0))


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


_SHAPE = ("line", "plane", "upright", "flat", "spread", "thick")
_EXTENT = ("top", "above", "bottom", "count")
INPUTS = (
    *("height", "height_fine", "range", "inside_x", "inside_y", "inside_z", "intensity", "density"),
    *(f"{cell}_{key}" for cell in ("cube", "pillar") for key in _SHAPE),
    *(f"{cell}_{key}" for cell in ("column", "pillar", "block") for key in _EXTENT),
    *("around_tall", "around_top", "around_step"),
)
BLIND = tuple(name for name in INPUTS if name not in ("range", "density"))  # these two betray the sensor
