"""Points that belong together: connected cells of a 2-D grid, in O(N log N) without a loop over points."""

from __future__ import annotations

import numpy as np


def clusters(xy: np.ndarray, edge: float) -> np.ndarray:
    """(N, 2) [m] -> (N,) cluster 0, 1, ...: points are together when a chain of touching cells joins them."""
    if len(xy) == 0:
        return np.zeros(0, np.int64)
    place = np.floor(xy / np.float32(edge)).astype(np.int64)
    place -= place.min(0) - 1
    width = place[:, 1].max() + 2
    cell, of = np.unique(place[:, 0] * width + place[:, 1], return_inverse=True)
    return components(len(cell), *_touching(cell, width))[of.reshape(-1)]


def _touching(cell, width):
    """Pairs of indices of sorted cell ids that touch."""
    pairs = []
    for step in (1, width - 1, width, width + 1):
        place = np.minimum(np.searchsorted(cell, cell + step), len(cell) - 1)
        hit = np.flatnonzero(cell[place] == cell + step)
        pairs.append((hit, place[hit]))
    return (np.concatenate(side) for side in zip(*pairs))


def components(count: int, a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """(count,) component 0, 1, ... of a graph with edges a-b, by hooking to the smaller root and halving paths."""
    root = np.arange(count)
    while True:
        low, high = np.minimum(root[a], root[b]), np.maximum(root[a], root[b])
        if (low == high).all():
            return np.unique(root, return_inverse=True)[1].reshape(-1)
        np.minimum.at(root, high, low)
        while (root != root[root]).any():
            root = root[root]


def runs(ids: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(N,) ids 0..K-1, each used -> order (N,) that makes equal ids contiguous, starts (K + 1,)."""
    return np.argsort(ids, kind="stable"), np.concatenate([[0], np.cumsum(np.bincount(ids))]).astype(np.int64)
