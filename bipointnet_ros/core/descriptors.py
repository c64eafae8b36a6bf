"""What the cells of a scan say of the points in them: extents, shapes by covariance, and the cells around. O(rows).

Rows are in key order; ``starts`` (S + 1,) bound the runs of rows that are cells. Every result is one value a row.
"""

from __future__ import annotations

import numpy as np

SHAPE = ("line", "plane", "upright", "flat", "spread", "thick")
EXTENT = ("top", "above", "bottom", "count")
BESIDE = ("tall", "near", "step")
HIGH = 8.0  # m over the ground: higher is all the same

_TALL = 0.5  # m over the ground
_EPSILON = np.float32(1e-6)
_PAIRS = ((0, 0), (1, 1), (2, 2), (0, 1), (0, 2), (1, 2))  # xx yy zz xy xz yz
_EIGHT = tuple((i, j) for i in (-1, 0, 1) for j in (-1, 0, 1) if (i, j) != (0, 0))


def extent(name: str, height, starts) -> dict[str, np.ndarray]:
    """Of a cell: its top and bottom over the ground, how far the row lies under the top, how many rows it holds."""
    count = np.diff(starts)
    top = np.repeat(np.minimum(np.maximum.reduceat(height, starts[:-1]), HIGH), count)
    bottom = np.repeat(np.maximum(np.minimum.reduceat(height, starts[:-1]), -1.0), count)
    return {
        f"{name}_top": top / 4.0 - 1.0,
        f"{name}_above": np.clip(top - height, 0.0, HIGH) / 4.0 - 1.0,
        f"{name}_bottom": np.clip(bottom, -1.0, 3.0) / 2.0 - 0.5,
        f"{name}_count": np.repeat(np.log(count.astype(np.float32)) / 2.5 - 1.0, count),
    }


def shape(name: str, xyz, starts, voxel: float) -> dict[str, np.ndarray]:
    """Shape of a cell's rows by their covariance; xyz: three arrays (n,) [m]."""
    count = np.diff(starts)
    first = np.repeat(starts[:-1], count)
    local = [v - v[first] for v in xyz]
    mean = [np.add.reduceat(v, starts[:-1]) / count for v in local]
    moments = [np.add.reduceat(local[i] * local[j], starts[:-1]) / count - mean[i] * mean[j] for i, j in _PAIRS]
    values = of_covariance(np.stack(moments).astype(np.float32), voxel)
    return {f"{name}_{key}": np.repeat(value, count) for key, value in values.items()}


def beside(name: str, height, starts, place) -> dict[str, np.ndarray]:
    """Of the eight cells around the own one at place (S, 2): how many are tall, their mean top, how far it rises."""
    top = np.clip(np.maximum.reduceat(height, starts[:-1]), 0.0, HIGH)
    grid = np.zeros(tuple(place.max(0) + 3), np.float32)
    x, y = place.T + 1
    grid[x, y] = top
    near = np.stack([grid[x + i, y + j] for i, j in _EIGHT])
    count = np.diff(starts)
    return {
        f"{name}_tall": np.repeat((near > _TALL).mean(0, dtype=np.float32) * 2.0 - 1.0, count),
        f"{name}_near": np.repeat(near.mean(0) / 4.0 - 1.0, count),
        f"{name}_step": np.repeat((top - near.min(0)) / 4.0 - 1.0, count),
    }


def around(name: str, x, y, height, starts, place, edge: float, voxel: float) -> dict[str, np.ndarray]:
    """Shape of the rows of the three by three cells around each cell of the given edge [m], heights over the ground."""
    edge, count = np.float32(edge), np.diff(starts)
    x, y = (v - np.repeat(np.floor(v[starts[:-1]] / edge) * edge, count) for v in (x, y))  # from the cell's corner
    z = np.minimum(height, HIGH)
    terms = (np.ones_like(x), x, y, z, x * x, y * y, z * z, x * y, x * z, y * z)
    sums = np.zeros((len(terms), len(count) + 1), np.float32)  # the last one is an empty cell
    for k, term in enumerate(terms):
        sums[k, :-1] = np.add.reduceat(term, starts[:-1])
    number = np.full(tuple(place.max(0) + 3), len(count))
    number[place[:, 0] + 1, place[:, 1] + 1] = np.arange(len(count))
    total = np.zeros((len(terms), len(count)), np.float32)
    for i, j in (*_EIGHT, (0, 0)):
        total += _moved(sums[:, number[place[:, 0] + 1 + i, place[:, 1] + 1 + j]], i * edge, j * edge)
    n, mean = total[0], total[1:4] / total[0]
    values = of_covariance(total[4:] / n - np.stack([mean[i] * mean[j] for i, j in _PAIRS]), voxel)
    values["count"] = np.log(n) / 2.5 - 1.0
    return {f"{name}_{key}": np.repeat(value, count) for key, value in values.items()}


def _moved(sums, dx, dy):
    """Sums (10, S) of 1 x y z xx yy zz xy xz yz, for rows moved by (dx, dy)."""
    n, x, y, z, xx, yy, zz, xy, xz, yz = sums
    xx, yy, xy = xx + 2.0 * dx * x + n * dx * dx, yy + 2.0 * dy * y + n * dy * dy, xy + dx * y + dy * x + n * dx * dy
    return np.stack([n, x + n * dx, y + n * dy, z, xx, yy, zz, xy, xz + dx * z, yz + dy * z])


def of_covariance(moments: np.ndarray, voxel: float) -> dict[str, np.ndarray]:
    """Covariances (6, S) float32 [m2] xx yy zz xy xz yz -> line, plane, upright, flat (0..1), spread, thick (-1..1).

    line and plane say how like a line or a plane the points are, upright how vertical their longest axis is, flat how
    vertical their normal is, spread and thick how far they reach along their longest and their shortest axis.
    None changes when the scan turns about z.
    """
    xx, yy, zz, xy, _, _ = moments
    floor = np.float32(0.01 * voxel * voxel)
    longest, middle, shortest = eigenvalues(moments, floor)
    trace, minor = xx + yy + 2.0 * floor, (xx + floor) * (yy + floor) - xy * xy
    return {
        "line": (longest - middle) / longest,
        "plane": (middle - shortest) / longest,
        "upright": _squared_z(longest, middle, shortest, trace, minor),
        "flat": _squared_z(shortest, longest, middle, trace, minor),
        "spread": np.log(longest / np.float32(voxel * voxel) + 1.0) / 2.0 - 1.0,
        "thick": np.log(np.maximum(shortest, 0.0) / np.float32(voxel * voxel) + 0.01) / 3.0 + 0.5,
    }


def eigenvalues(moments, floor):
    """Largest, middle and smallest eigenvalue by the trigonometric formula; floor is added to the diagonal."""
    xx, yy, zz, xy, xz, yz = moments
    xx, yy, zz = xx + floor, yy + floor, zz + floor
    q = (xx + yy + zz) / 3.0
    a, b, c = xx - q, yy - q, zz - q
    p = np.sqrt((a**2 + b**2 + c**2 + 2.0 * (xy**2 + xz**2 + yz**2)) / 6.0) + _EPSILON
    determinant = a * (b * c - yz * yz) - xy * (xy * c - yz * xz) + xz * (xy * yz - b * xz)
    angle = np.arccos(np.clip(determinant / (2.0 * p**3), -1.0, 1.0)) / 3.0
    longest = q + 2.0 * p * np.cos(angle)
    shortest = q + 2.0 * p * np.cos(angle + np.float32(2.0 * np.pi / 3.0))
    return longest, 3.0 * q - longest - shortest, shortest


def _squared_z(value, other, third, trace, minor):
    """Squared z component of the unit eigenvector of ``value``, by the matrix's minors; 1/3 where it is not defined."""
    below = (value - other) * (value - third)
    z2 = (value * value - trace * value + minor) / np.where(np.abs(below) < 1e-12, np.inf, below)
    return np.where(np.abs(below) < 1e-12, np.float32(1.0 / 3.0), np.clip(z2, 0.0, 1.0))
