"""Points that belong together: single linkage in a plane, on cells of 0.1 m, within a radius that grows with range."""

from __future__ import annotations

import numpy as np

from bipointnet_ros.core.cells import starts_of_runs
from bipointnet_ros.core.kernels import MAX_REACH
from bipointnet_ros.core.reference import Reference

CELL = 0.1  # m


def clusters(xy: np.ndarray, radius: float, growth: float = 0.0, backend=None) -> np.ndarray:
    """(N, 2) float32 [m] -> (N,) int32 cluster 0, 1, ...: cells of points that a chain of near ones joins.

    Near is radius + growth * distance from the origin [m], at most 3.1 m: a scan is sparser far away. The backend
    (core/kernels.py) changes the speed only.
    """
    backend = backend or Reference()
    if len(xy) == 0:
        return np.zeros(0, np.int32)
    order, starts, place = _cells(xy, backend)
    reach = np.minimum((radius + growth * CELL * np.hypot(*place.T.astype(np.float32))) / CELL, MAX_REACH)
    near = (reach * reach + 1e-3).astype(np.int32)
    root = np.empty(len(place), np.int32)
    backend.link(place, near, root)
    number = np.cumsum(root == np.arange(len(root)), dtype=np.int32) - 1  # of each root, by the first cell
    out = np.empty(len(xy), np.int32)
    out[order] = np.repeat(number[root], np.diff(starts))
    return out


def _cells(xy, backend):
    """Order (N,) of the points by cell, starts (C + 1,) of the cells in it, places (C, 2) int32 in ascending order."""
    x, y = (np.floor(axis * np.float32(1.0 / CELL)).astype(np.int32) for axis in xy.T)  # axis by axis is fast
    low = y.min()
    key = (x - x.min()).astype(np.uint64) * np.uint64(y.max() - low + 1) + (y - low).astype(np.uint64)
    order = np.empty(len(xy), np.int32)
    backend.argsort(key, order)
    starts = starts_of_runs(key.take(order))
    first = order[starts[:-1]]
    return order, starts, np.stack([x[first], y[first]], 1)


def runs(ids: np.ndarray, backend=None) -> tuple[np.ndarray, np.ndarray]:
    """(N,) ids 0..K-1, each used -> order (N,) that makes equal ids contiguous, starts (K + 1,)."""
    order = np.empty(len(ids), np.int32)
    (backend or Reference()).argsort(ids.astype(np.uint64), order)
    return order, np.concatenate([[0], np.cumsum(np.bincount(ids))]).astype(np.int64)
