"""Ground by a local height map: slope-limited lower envelopes of the lowest points, refined column by column.

Works for any origin of the sensor, on slopes and over kerbs; needs no seed and no sensor height.
"""

from __future__ import annotations

import numpy as np

from bipointnet_ros.core.blueprint import Grid
from bipointnet_ros.core.cells import Cells, build
from bipointnet_ros.core.reference import Reference
from bipointnet_ros.core.terrain import doubled, halved

# Each pass: the slope that its envelope follows, against the terrain of the pass before; how far over the envelope a
# pillar still is terrain [m]; how often the terrain is then halved and doubled again. Smoothing takes the roofs of cars
# that hide the road under them out of the terrain, so that the next, flatter envelope passes under them.
_PASSES = ((0.3, 0.1, 3), (0.12, 0.15, 2), (0.08, 0.15, 0))
_TOLERANCE = 0.25  # m from the terrain that a column's lowest point may lie
_THICKNESS = 0.2  # m over the lowest point of a column that still is the ground's own noise
_PILLAR = 3  # columns along the edge of a pillar of the height map
_GRID = Grid(0.2, (4, 12))  # columns of 0.8 m where no model says otherwise
_NOISE = 0.5  # m under all neighbours: a reflection, not ground
_SOME, _FEWEST, _AROUND = 1024, 50, 30.0  # points that tell how the ground lies: of so many, at least, within [m]


def height(xyz: np.ndarray, backend=None) -> np.ndarray:
    """(N,) float32 [m] over the ground of finite, levelled points xyz (N, 3) [m], N >= 1."""
    run = build(xyz, _GRID, backend)
    z = xyz[run.order, 2]
    out = np.empty(len(z), np.float32)
    floor = level(z, run, _GRID.voxel * _GRID.cells[0], backend)
    out[run.order] = z - np.repeat(floor, np.diff(run.voxel[run.column]))
    return out


def up(xyz: np.ndarray, height: np.ndarray) -> np.ndarray | None:
    """(3,) unit vector perpendicular to the plane of the ground around, by least squares over some of the points on it.

    xyz (N, 3) [m], height (N,) over the ground; None where too few points tell.
    """
    step = max(1, len(xyz) // _SOME)
    at, over = xyz[::step].T.astype(np.float64), height[::step]
    at = at[:, (np.abs(over) < _TOLERANCE) & (at[0] ** 2 + at[1] ** 2 < _AROUND**2)]
    if at.shape[1] < _FEWEST:
        return None
    at -= at.mean(1, keepdims=True)
    spread = at[:2] @ at[:2].T
    if np.linalg.eigvalsh(spread)[0] < at.shape[1]:  # m2: along one line the ground tells nothing across it
        return None
    normal = np.append(-np.linalg.solve(spread, at[:2] @ at[2]), 1.0)
    return normal / np.linalg.norm(normal)


def level(z: np.ndarray, cells: Cells, edge: float, backend=None) -> np.ndarray:
    """Ground height (C,) float32 [m] of every column; z (N,) in key order, edge of a column in metres."""
    column = cells.voxel[cells.column]
    lowest = np.minimum.reduceat(z, column[:-1])
    pillar = cells.column_xy // _PILLAR
    shape = tuple(pillar.max(0) + 1)
    row = pillar[:, 0] * shape[1] + pillar[:, 1]
    low = without_pits(_second_lowest(lowest, row, shape))
    terrain, rest = np.zeros(shape, np.float32), np.empty(shape, np.float32)
    backend = backend or Reference()
    for slope, tolerance, halvings in _PASSES:
        backend.terrain(low - terrain, slope * edge * _PILLAR, tolerance, rest)
        terrain = smooth(terrain + rest, halvings)
    base = _between(terrain, cells.column_xy)
    found = np.abs(lowest - base) < _TOLERANCE
    return np.where(found, _mean_of_lowest(z, column, lowest), base).astype(np.float32)


def _between(terrain, column_xy) -> np.ndarray:
    """(C,) height of the terrain at columns, along its slope within each pillar."""
    x, y = (column_xy // _PILLAR).T
    off_x, off_y = ((column_xy % _PILLAR - (_PILLAR - 1) / 2.0) / _PILLAR).T
    wide = np.pad(terrain, 1, mode="edge")
    slope_x, slope_y = (wide[2:, 1:-1] - wide[:-2, 1:-1]) / 2.0, (wide[1:-1, 2:] - wide[1:-1, :-2]) / 2.0
    return terrain[x, y] + slope_x[x, y] * off_x + slope_y[x, y] * off_y


def _second_lowest(value, row, shape):
    """(X, Y) map of the second lowest value of each row id, the lowest where it is alone; inf where there is none."""
    order = np.lexsort((value, row))
    value, row = value[order], row[order]
    first = np.flatnonzero(np.r_[True, row[1:] != row[:-1]])
    second = np.minimum(first + 1, np.r_[first[1:], len(row)] - 1)
    grid = np.full(shape, np.inf, np.float32)
    grid.reshape(-1)[row[first]] = value[second]
    return grid


def without_pits(grid: np.ndarray) -> np.ndarray:
    """The map without cells far under their second lowest neighbour (ghosts under the road)."""
    padded = np.pad(grid, 1, constant_values=np.inf)
    x, y = grid.shape
    lowest = second = np.full(grid.shape, np.inf, np.float32)
    for i, j in ((0, 0), (0, 1), (0, 2), (1, 0), (1, 2), (2, 0), (2, 1), (2, 2)):
        near = padded[i : i + x, j : j + y]
        second = np.minimum(second, np.maximum(lowest, near))
        lowest = np.minimum(lowest, near)
    return np.where(grid < second - _NOISE - 2.0 * _TOLERANCE, np.where(np.isfinite(second), second, grid), grid)


def smooth(grid: np.ndarray, halvings: int) -> np.ndarray:
    """The map without what is finer than 2 ** halvings cells; planes stay as they are, up to the edge."""
    if halvings == 0:
        return grid
    (x, y), rim = grid.shape, 2 << halvings
    rims = [(rim, rim + -n % rim) for n in (x, y)]
    wide = np.pad(grid, rims, mode="reflect", reflect_type="odd")
    for _ in range(halvings):
        wide = halved(wide) * np.float32(0.25)
    for _ in range(halvings):
        wide = doubled(wide)
    return wide[rim : rim + x, rim : rim + y]


def _mean_of_lowest(z, column, lowest):
    """(C,) mean of each column's points within the ground's thickness of its lowest."""
    near = z < np.repeat(lowest + _THICKNESS, np.diff(column))
    count = np.add.reduceat(near.astype(np.float32), column[:-1])
    return np.add.reduceat(near * z, column[:-1]) / np.maximum(count, 1.0)
