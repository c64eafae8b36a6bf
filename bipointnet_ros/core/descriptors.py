"""What the cells of a scan say of the rows in them: extents, shapes by covariance, and the cells around. O(rows).

Rows are in key order; ``starts`` (S + 1,) bound the runs of rows that are cells; results are one float32 a cell. Every
sum runs in float64 over the rows in their order, and nothing but + - * / and the square root is used, so that
native/describe.c, which does the same, gives the same bits on every machine.
"""

from __future__ import annotations

import numpy as np

SHAPE = ("line", "plane", "upright", "flat", "spread", "thick")
EXTENT = ("top", "bottom", "count")
BESIDE = ("tall", "near", "step")
# Inputs by the cell whose rows all have the same, the coarsest first, and at last each row's own.
LEVELS = (
    (*(f"block_{key}" for key in (*EXTENT, *SHAPE)), *(f"blocks_{key}" for key in (*BESIDE, *SHAPE, "count"))),
    (*(f"pillar_{key}" for key in (*SHAPE, *EXTENT, *BESIDE)), *(f"pillars_{key}" for key in (*SHAPE, "count"))),
    (*(f"column_{key}" for key in EXTENT), *(f"around_{key}" for key in (*BESIDE, *SHAPE, "count"))),
    tuple(f"cube_{key}" for key in SHAPE),
    (
        *("height", "height_fine", "range", "inside_x", "inside_y", "inside_z", "density"),
        *("block_above", "pillar_above", "column_above"),
    ),
)
DESCRIBED = tuple(name for level in LEVELS for name in level)
HIGH = 8.0  # m over the ground: higher is all the same

_TALL = 0.5  # m over the ground
_EPSILON = 1e-6
PAIRS = ((0, 0), (1, 1), (2, 2), (0, 1), (0, 2), (1, 2))  # xx yy zz xy xz yz
_EIGHT = tuple((i, j) for i in (-1, 0, 1) for j in (-1, 0, 1) if (i, j) != (0, 0))
_THIRD = (  # cos(2 acos(h) / 3) for h in 0..1 by powers of h, off by less than 1e-10
    *(0.5000000000703143, 0.5773502515590472, -0.11111037576037625, 0.053446268922836465, -0.032818302594058116),
    *(0.022339287924836297, -0.015323456043181591, 0.009438584367862358, -0.004536175431423679),
    *(0.0014262240895230175, -0.00021230715735685035),
)


def describe(mean, size, levels, place, ratios, sizes) -> dict[str, np.ndarray]:
    """``DESCRIBED`` of rows mean (n, 4) float32, x y z and height over the ground [m], each of size (n,) points.

    levels: starts of blocks, pillars, columns, cubes; place (C, 2): of columns, ``ratios`` of which are as wide as a
    block and a pillar; sizes: edge of a voxel and of a column, x and y of the columns' place 0, 0 and of the corner of
    a column next to the origin [m].
    """
    x, y, z, height = mean.T
    block, pillar, column, cube = levels
    voxel, edge, *low = (float(np.float32(v)) for v in sizes[:4])
    of_block, of_pillar = (
        place[np.searchsorted(column, starts[:-1], "right") - 1] // ratio for starts, ratio in zip(levels, ratios)
    )

    def near(starts, place, ratio):
        return around(x, y, height, starts, place, edge * ratio, low, voxel)

    cells = {
        "block": extent(height, block) | shape((x, y, z), block, voxel),
        "blocks": beside(height, block, of_block) | near(block, of_block, ratios[0]),
        "pillar": shape((x, y, z), pillar, voxel) | extent(height, pillar) | beside(height, pillar, of_pillar),
        "pillars": near(pillar, of_pillar, ratios[1]),
        "column": extent(height, column),
        "around": beside(height, column, place) | near(column, place, 1),
        "cube": shape((x, y, z), cube, voxel),
    }
    out = {f"{cell}_{key}": value for cell, values in cells.items() for key, value in values.items()}
    out |= {f"{cell}_above": above(height, starts) for cell, starts in zip(("block", "pillar", "column"), levels)}
    return out | _of_rows(x, y, z, height, np.float32(edge), sizes[4:], size)


def _of_rows(x, y, z, height, edge, corner, size) -> dict[str, np.ndarray]:
    distance = np.sqrt(x.astype(np.float64) ** 2 + y.astype(np.float64) ** 2)
    out = {
        "height": np.clip(height, -1.0, HIGH) / 4.0 - 1.0,
        "height_fine": np.clip(height, -0.5, 1.5) - 0.5,
        "range": log(np.maximum(distance, 1.0)).astype(np.float32) / 2.5 - 1.0,
        "density": log(size).astype(np.float32) / 2.0 - 0.5,
    }
    for axis, v in zip("xyz", (x - corner[0], y - corner[1], z)):
        out[f"inside_{axis}"] = np.floor(v / edge) * -2.0 + v * (2.0 / edge) - 1.0
    return out


def extent(height, starts) -> dict[str, np.ndarray]:
    """Of a cell: its top and bottom over the ground, how many rows it holds."""
    top = np.minimum(np.maximum.reduceat(height, starts[:-1]), HIGH)
    bottom = np.clip(np.minimum.reduceat(height, starts[:-1]), -1.0, 3.0)
    return {"top": top / 4.0 - 1.0, "bottom": bottom / 2.0 - 0.5, "count": log_count(np.diff(starts))}


def above(height, starts) -> np.ndarray:
    """(n,) how far a row lies under the top of its cell."""
    top = np.repeat(np.minimum(np.maximum.reduceat(height, starts[:-1]), HIGH), np.diff(starts))
    return np.clip(top - height, 0.0, HIGH) / 4.0 - 1.0


def shape(xyz, starts, voxel: float) -> dict[str, np.ndarray]:
    """Shape of a cell's rows by their covariance; xyz: three arrays (n,) float32 [m]."""
    first = np.repeat(starts[:-1], np.diff(starts))
    return _of_sums(_sums([v - v[first] for v in xyz], starts), voxel)


def beside(height, starts, place) -> dict[str, np.ndarray]:
    """Of the eight cells around the own one at place (S, 2): how many are tall, their mean top, how far it rises."""
    top = np.clip(np.maximum.reduceat(height, starts[:-1]), 0.0, HIGH)
    grid = np.zeros(tuple(place.max(0) + 3), np.float32)
    x, y = place.T + 1
    grid[x, y] = top
    near = [grid[x + i, y + j] for i, j in _EIGHT]
    tall, least = sum(v > _TALL for v in near), np.minimum.reduce(near)
    return {
        "tall": tall.astype(np.float32) / 8.0 * 2.0 - 1.0,
        "near": sum(near[1:], near[0]) / 8.0 / 4.0 - 1.0,
        "step": (top - least) / 4.0 - 1.0,
    }


def around(x, y, height, starts, place, edge: float, low, voxel: float) -> dict[str, np.ndarray]:
    """Shape of the rows of the three by three cells around each cell, with heights over the ground.

    place (S, 2): of each cell, of the given edge [m]; low: x and y of place 0, 0. Rows count from their cell's corner,
    so that far from the origin nothing is lost.
    """
    count, corner = np.diff(starts), (np.float64(place) * edge + low).astype(np.float32)
    x, y = (v - np.repeat(c, count) for v, c in zip((x, y), corner.T))
    sums = _sums((x, y, np.minimum(height, np.float32(HIGH))), starts)
    sums = np.concatenate([sums, np.zeros((len(sums), 1))], axis=1)  # the last one is an empty cell
    number = np.full(tuple(place.max(0) + 3), len(count))
    number[place[:, 0] + 1, place[:, 1] + 1] = np.arange(len(count))
    total = np.zeros((len(sums), len(count)))
    for i, j in _EIGHT:
        near = sums[:, number[place[:, 0] + 1 + i, place[:, 1] + 1 + j]]
        total += _moved(near, i * edge, j * edge)
    total += sums[:, :-1]
    return _of_sums(total, voxel) | {"count": log_count(total[0])}


def log_count(count) -> np.ndarray:
    """Numbers of rows, from 1, as inputs in about -1..1."""
    return log(count).astype(np.float32) / 2.5 - 1.0


def total(values, starts) -> np.ndarray:
    """(S,) float64 sums of each cell's rows."""
    cell = np.repeat(np.arange(len(starts) - 1), np.diff(starts))
    return np.bincount(cell, values, len(starts) - 1)  # in float64, one after the other


def _sums(xyz, starts) -> np.ndarray:
    """(10, S) float64 sums of 1 x y z xx yy zz xy xz yz."""
    x, y, z = (v.astype(np.float64) for v in xyz)
    terms = (np.ones_like(x), x, y, z, x * x, y * y, z * z, x * y, x * z, y * z)
    return np.stack([total(term, starts) for term in terms])


def _moved(sums, dx, dy):
    """Sums for rows moved by (dx, dy)."""
    n, x, y, z, xx, yy, zz, xy, xz, yz = sums
    xx, yy, xy = xx + 2.0 * dx * x + n * dx * dx, yy + 2.0 * dy * y + n * dy * dy, xy + dx * y + dy * x + n * dx * dy
    return np.stack([n, x + n * dx, y + n * dy, z, xx, yy, zz, xy, xz + dx * z, yz + dy * z])


def _of_sums(sums, voxel: float) -> dict[str, np.ndarray]:
    share = 1.0 / sums[0]
    mean = sums[1:4] * share
    return of_covariance(sums[4:] * share - np.stack([mean[i] * mean[j] for i, j in PAIRS]), voxel)


def of_covariance(moments: np.ndarray, voxel: float) -> dict[str, np.ndarray]:
    """Covariances (6, S) [m2] xx yy zz xy xz yz -> line, plane, upright, flat (0..1), spread, thick (-1..1).

    line and plane say how like a line or a plane the points are, upright how vertical their longest axis is, flat how
    vertical their normal is, spread and thick how far they reach along their longest and their shortest axis.
    None changes when the scan turns about z.
    """
    xx, yy, _, xy, _, _ = moments
    inverse, floor = 1.0 / (voxel * voxel), 0.01 * voxel * voxel
    longest, middle, shortest = eigenvalues(moments, floor)
    trace, minor = (xx + floor) + (yy + floor), (xx + floor) * (yy + floor) - xy * xy
    part = 1.0 / longest
    values = {
        "line": (longest - middle) * part,
        "plane": (middle - shortest) * part,
        "upright": _squared_z(longest, middle, shortest, trace, minor),
        "flat": _squared_z(shortest, longest, middle, trace, minor),
        "spread": log(longest * inverse + 1.0) * 0.5 - 1.0,
        "thick": log(np.maximum(shortest, 0.0) * inverse + 0.01) * (1.0 / 3.0) + 0.5,
    }
    return {name: value.astype(np.float32) for name, value in values.items()}


def eigenvalues(moments, floor):
    """Largest, middle and smallest eigenvalue by the trigonometric formula; floor is added to the diagonal."""
    xx, yy, zz, xy, xz, yz = moments
    xx, yy, zz = xx + floor, yy + floor, zz + floor
    q = (xx + yy + zz) * (1.0 / 3.0)
    a, b, c = xx - q, yy - q, zz - q
    p = np.sqrt((a * a + b * b + c * c + 2.0 * (xy * xy + xz * xz + yz * yz)) * (1.0 / 6.0)) + _EPSILON
    determinant = a * (b * c - yz * yz) - xy * (xy * c - yz * xz) + xz * (xy * yz - b * xz)
    ratio = np.clip(determinant / (2.0 * (p * p * p)), -1.0, 1.0)
    longest, shortest = q + 2.0 * p * _cosine_of_third(ratio), q - 2.0 * p * _cosine_of_third(-ratio)
    return longest, 3.0 * q - longest - shortest, shortest


def _cosine_of_third(ratio):
    """cos(acos(ratio) / 3)."""
    half, out = np.sqrt((1.0 + ratio) * 0.5), _THIRD[-1]
    for power in _THIRD[-2::-1]:
        out = out * half + power
    return out


def log(value) -> np.ndarray:
    """Natural logarithm of positive finite values, float64, off by less than 1e-11."""
    part, exponent = np.frexp(np.asarray(value, np.float64))
    small = part < 0.70710678118654752
    part, exponent = np.where(small, part * 2.0, part), np.where(small, exponent - 1, exponent)
    s = (part - 1.0) / (part + 1.0)
    z, series = s * s, 1.0 / 13.0
    for k in range(11, 0, -2):
        series = series * z + 1.0 / k
    return exponent * 0.69314718055994531 + 2.0 * s * series


def _squared_z(value, other, third, trace, minor):
    """Squared z component of the unit eigenvector of ``value``, by the matrix's minors; 1/3 where it is not defined."""
    below = (value - other) * (value - third)
    z2 = (value * value - trace * value + minor) / np.where(np.abs(below) < 1e-12, np.inf, below)
    return np.where(np.abs(below) < 1e-12, 1.0 / 3.0, np.clip(z2, 0.0, 1.0))
