"""Height maps (X, Y) float32 [m]: lower envelopes, and what is not known from coarser maps; also native/terrain.c."""

from __future__ import annotations

import numpy as np


def through(low: np.ndarray, rise: float, tolerance: float) -> np.ndarray:
    """Map through the cells that lie within tolerance [m] of the lower envelope of slope rise per cell."""
    on = np.isfinite(low)
    on &= low <= envelope(low, rise) + tolerance
    return filled(np.where(on, low, 0.0), on.astype(np.float32))


def envelope(grid: np.ndarray, rise: float) -> np.ndarray:
    """min over all cells of (their value + rise * city-block distance), exactly, in four sweeps."""
    for axis in (0, 1):
        ramp = rise * np.arange(grid.shape[axis], dtype=np.float32)
        ramp = ramp[:, None] if axis == 0 else ramp[None, :]
        ahead = np.minimum.accumulate(grid - ramp, axis) + ramp
        behind = np.flip(np.minimum.accumulate(np.flip(grid + ramp, axis), axis), axis) - ramp
        grid = np.minimum(ahead, behind)
    return grid


def filled(value: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """Where weight is 0 the value is drawn from the nearest pyramid level that knows one (pull, then push)."""
    if min(value.shape) == 0 or max(value.shape) == 1:
        return value
    x, y = value.shape
    total = halved(value * weight)
    mass = halved(weight)
    coarse = filled(total / np.maximum(mass, 1e-6), np.minimum(mass, 1.0))
    wide = doubled(coarse)[:x, :y]
    return value * weight + wide * (1.0 - weight)


def halved(grid):
    """Half the cells along each axis: the sum of four, cells beyond the edge counting 0."""
    x, y = grid.shape
    even = np.zeros((x + x % 2, y + y % 2), np.float32)
    even[:x, :y] = grid
    pairs = even[0::2] + even[1::2]
    return pairs[:, 0::2] + pairs[:, 1::2]


def doubled(grid):
    """Twice the cells, bilinear (3/4 own, 1/4 of the nearer neighbour along each axis)."""
    for _ in range(2):
        own, other = np.float32(0.75) * grid, np.float32(0.25) * grid
        twice = np.empty((2 * len(grid), grid.shape[1]), np.float32)
        np.add(own[1:], other[:-1], out=twice[2::2])
        np.add(own[:-1], other[1:], out=twice[1:-1:2])
        twice[0], twice[-1] = grid[0], grid[-1]
        grid = twice.T
    return grid
