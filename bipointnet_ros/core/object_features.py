"""What a classifier over grid cells is told of normalised clouds: places, and shapes of the points around. O(points).

Training and the robot call the same ``rows``. The unit of length is the radius of the unit sphere; every cell is a
cube, and where its edge is an odd number of voxels, the cube in the middle is centred on the cloud.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass

import numpy as np

from bipointnet_ros.core.blueprint import Grid
from bipointnet_ros.core.cells import starts_of_runs
from bipointnet_ros.core.descriptors import eigenvalues

OWN = ("x", "y", "z", "radius", "axis", "inside_x", "inside_y", "inside_z", "count")
SHAPE = (
    *("count", "from_x", "from_y", "from_z", "line", "plane", "thick", "spread"),
    *("normal_xx", "normal_yy", "normal_zz", "normal_xy", "normal_xz", "normal_yz"),
)
_REACH = 1.5  # farther coordinates share the outermost voxels; the sphere reaches to 1
_USUAL = np.float32(np.log(1024.0))  # counts are told as of so many points a cloud
_FLOOR = np.float32(0.002)  # added to variances, of the window's edge squared: flat windows keep a shape
_AROUND = [(i, j, k) for i in (-1, 0, 1) for j in (-1, 0, 1) for k in (-1, 0, 1)]


def names(grid: Grid) -> tuple[str, ...]:
    """Every input that a grid offers: of the row, of the 27 voxels around it, and of its cell of each scale."""
    groups = ("near", *(f"cell{k}" for k in range(len(grid.cells))))
    return (*OWN, *(f"{group}_{key}" for group in groups for key in SHAPE))


@dataclass(frozen=True)
class Rows:
    """B clouds as the network sees them: n rows, one for each occupied voxel of each cloud.

    features (n, F) float32; offsets: per scale (S_k + 1,) int32, nested cells as runs of rows, and last (B + 1,) the
    clouds.
    """

    features: np.ndarray
    offsets: tuple[np.ndarray, ...]


def rows(clouds: np.ndarray, grid: Grid, inputs, argsort=None) -> Rows:
    """Rows of normalised clouds (B, N, 3) float32, N >= 1; argsort(keys (M,) uint64) must be stable.

    inputs: some of ``names(grid)``; ValueError names an unknown one.
    """
    known = names(grid)
    unknown = [name for name in inputs if name not in known]
    if unknown:
        raise ValueError(f"unknown inputs {', '.join(unknown)}: expected some of {', '.join(known)}")
    found = _Voxels(clouds, grid, argsort)
    columns = found.columns()
    features = np.empty((len(found.place), len(inputs)), np.float32)
    for i, name in enumerate(inputs):
        features[:, i] = columns[name]
    return Rows(features, found.offsets)


class _Voxels:
    """The occupied voxels of a batch in key order, and the sums of 1 x y z xx yy zz xy xz yz over their points."""

    def __init__(self, clouds, grid: Grid, argsort):
        self.grid, self.count = grid, clouds.shape[1]
        edge = grid.cells[-1]
        half = int(np.ceil(_REACH / (grid.voxel * edge) - 0.5))  # coarsest cells on each side of the middle one
        self.side, self.middle = edge * (2 * half + 1), edge * half + edge // 2
        points = clouds.reshape(-1, 3)
        index = np.floor(points * np.float32(1.0 / grid.voxel) + np.float32(0.5))
        index = np.clip(index, 1 - self.middle, self.side - 2 - self.middle).astype(np.int32) + self.middle
        tables, radix = _tables(self.side, grid.cells)
        key = np.repeat(np.arange(len(clouds), dtype=np.uint64) * np.uint64(radix[-1]), self.count)
        for table, axis in zip(tables, index.T):
            key += table[axis]
        order = np.argsort(key, kind="stable") if argsort is None else argsort(key)
        key = key[order]
        first = starts_of_runs(key)
        key = key[first[:-1]]
        self.cloud = (key // np.uint64(radix[-1])).astype(np.int64)
        self.place = index[order[first[:-1]]].astype(np.int64)
        self.offsets = tuple(starts_of_runs(key // np.uint64(r)) for r in radix[1:])
        x, y, z = points[order].T
        terms = np.stack([np.ones_like(x), x, y, z, x * x, y * y, z * z, x * y, x * z, y * z])
        self.sums = np.add.reduceat(terms, first[:-1], axis=1)

    def columns(self) -> dict[str, np.ndarray]:
        """name -> (n,) float32, each in about -1..1."""
        at, voxel = self.sums[1:4] / self.sums[0], self.grid.voxel
        x, y, z = at
        flat = x * x + y * y
        out = {"x": x, "y": y, "z": z, "radius": np.sqrt(flat + z * z) * 2.0 - 1.0, "axis": np.sqrt(flat) * 2.0 - 1.0}
        cell = self.grid.cells[0]
        centre = (self.place // cell * cell - self.middle + 0.5 * (cell - 1)).astype(np.float32) * np.float32(voxel)
        inside = (at - centre.T) * np.float32(2.0 / (cell * voxel))
        out |= {f"inside_{axis}": inside[i] for i, axis in enumerate("xyz")}
        out["count"] = np.log(self.sums[0]) - np.float32(np.log(self.count)) + _USUAL - 1.0
        return out | self._shapes(at)

    def _shapes(self, at) -> dict[str, np.ndarray]:
        """SHAPE of the voxels around each row and of its cell of each scale; all windows in one go, they are few."""
        voxel, cells = self.grid.voxel, self.offsets[:-1]
        edges = [3.0 * voxel, *(cell * voxel for cell in self.grid.cells)]
        parts = [self._around(), *(np.add.reduceat(self.sums, starts[:-1], axis=1) for starts in cells)]
        first = np.cumsum([0, *(part.shape[1] for part in parts)])
        sums = np.concatenate(parts, axis=1)
        mean = sums[1:4] / sums[0]
        values = _shape(sums, mean, np.repeat(np.float32([edge * edge for edge in edges]), np.diff(first)))
        values["count"] = np.log(sums[0]) - np.float32(np.log(self.count)) + _USUAL - 3.0
        out, windows = {}, [slice(0, first[1])]  # of each row
        windows += [np.repeat(np.arange(a, b), np.diff(starts)) for a, b, starts in zip(first[1:], first[2:], cells)]
        for k, window in enumerate(windows):
            name, reach = ("near", edges[0] / 3.0) if k == 0 else (f"cell{k - 1}", edges[k])
            offset = (at - mean[:, window]) * np.float32(2.0 / reach)
            out |= {f"{name}_{key}": value[window] for key, value in values.items()}
            out |= {f"{name}_from_{axis}": offset[i] for i, axis in enumerate("xyz")}
        return out

    def _around(self) -> np.ndarray:
        """(10, n) sums over the 27 voxels around each row."""
        rows, side = len(self.place), self.side
        place = ((self.cloud * side + self.place[:, 0]) * side + self.place[:, 1]) * side + self.place[:, 2]
        number = np.full((int(self.cloud[-1]) + 1) * side**3, rows, np.int32)  # rows: the empty voxel
        number[place] = np.arange(rows, dtype=np.int32)
        sums = np.zeros((rows + 1, len(self.sums)), np.float32)
        sums[:-1] = self.sums.T
        total = np.zeros((rows, len(self.sums)), np.float32)
        for i, j, k in _AROUND:
            total += sums[number[place + ((i * side + j) * side + k)]]
        return np.ascontiguousarray(total.T)


@functools.lru_cache(maxsize=4)
def _tables(side: int, cells) -> tuple[list[np.ndarray], list[int]]:
    """Three tables (side,) uint64 whose entries add up to a voxel's key, coarsest cell first; and the radix that
    divides a key to its voxel (1), to its cell of each scale, and to its cloud."""
    index, tables, radix = np.arange(side), [0, 0, 0], [1]
    for inner, outer in zip((1, *cells), (*cells, side)):
        ratio = outer // inner
        digit = index // inner % ratio
        for axis in range(3):
            tables[axis] = tables[axis] + digit * (ratio**axis * radix[-1])
        radix.append(radix[-1] * ratio**3)
    return [table.astype(np.uint64) for table in tables], radix


def _shape(sums, mean, square) -> dict[str, np.ndarray]:
    """From sums (10, S) over windows of squared edges ``square`` (S,): how like a line and a plane (-1..1), extents,
    and the normal's outer product (6 of 9 values), which has no sign to choose; it is 0 beyond its mean where there is
    no clear normal.
    """
    pairs = np.stack([mean[i] * mean[j] for i, j in ((0, 0), (1, 1), (2, 2), (0, 1), (0, 2), (1, 2))])
    moments = (sums[4:] / sums[0] - pairs) / square
    longest, middle, shortest = eigenvalues(moments, _FLOOR)
    moments[:3] += _FLOOR
    out = {
        "line": (longest - middle) / longest * 2.0 - 1.0,
        "plane": (middle - shortest) / longest * 2.0 - 1.0,
        "thick": np.log(np.maximum(shortest, 0.0) + np.float32(1e-3)) / 2.0 + 2.0,
        "spread": np.log(longest + np.float32(1e-3)) / 1.5 + 1.0,
    }
    return out | _normal(moments, longest, middle, shortest)


def _normal(moments, longest, middle, shortest) -> dict[str, np.ndarray]:
    """(A - longest)(A - middle) / ((shortest - longest)(shortest - middle)) is the normal's outer product."""
    xx, yy, zz, xy, xz, yz = moments
    squares = {
        "xx": (xx * xx + xy * xy + xz * xz, xx),
        "yy": (xy * xy + yy * yy + yz * yz, yy),
        "zz": (xz * xz + yz * yz + zz * zz, zz),
        "xy": (xx * xy + xy * yy + xz * yz, xy),
        "xz": (xx * xz + xy * yz + xz * zz, xz),
        "yz": (xy * xz + yy * yz + yz * zz, yz),
    }
    below = (longest - shortest) * (middle - shortest)
    defined = below > np.float32(0.01) * longest * longest
    inverse = np.where(defined, np.float32(1.0), np.float32(0.0)) / np.where(defined, below, np.float32(1.0))
    out = {}
    for key, (square, value) in squares.items():
        third = np.float32(1.0 / 3.0) if key[0] == key[1] else np.float32(0.0)
        product = square - (longest + middle) * value + (longest * middle if third else np.float32(0.0))
        out[f"normal_{key}"] = 2.0 * (np.where(defined, np.clip(product * inverse, -1.0, 1.0), third) - third)
    return out
