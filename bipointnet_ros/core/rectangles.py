"""Rectangles around runs of points seen from above, turned so that the points lie close to the edges.

Zhang et al., "Efficient L-shape fitting for vehicle detection", IV 2017: seen sides lie on the box. native/rectangles.c
does the same, bit for bit: sums run in float64 over the points in their order.
"""

from __future__ import annotations

import numpy as np

from bipointnet_ros.core.descriptors import total

_POINTS = 128  # of a run tell its turn
_NEAREST = np.float32(0.05)  # m: closer to an edge of the rectangle counts no more


def around(xyz: np.ndarray, starts: np.ndarray, turns: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Of each run starts[k]:starts[k + 1] of xyz (M, 3) float32 [m] the index (K,) into turns (A, 2), cosine and sine,
    and there its extents (K, 4) float32 [m]: lowest and highest along, then across, from its first point."""
    x, y = (axis - np.repeat(axis[starts[:-1]], np.diff(starts)) for axis in (xyz[:, 0], xyz[:, 1]))
    some, some_starts = _thinned(starts)
    best, turn = np.full(len(starts) - 1, -np.inf), np.zeros(len(starts) - 1, np.int32)
    for k, (c, s) in enumerate(turns):
        score = _closeness(x[some], y[some], c, s, some_starts)
        turn[score > best] = k
        best = np.maximum(best, score)
    c, s = np.repeat(turns[turn], np.diff(starts), axis=0).T
    return turn, np.stack(_extents(x, y, c, s, starts)[2:], 1)


def _thinned(starts):
    """Rows of at most _POINTS of each run, evenly spaced, and where the runs start among them."""
    count = np.diff(starts)
    step = -(-count // _POINTS)
    within = np.arange(starts[-1]) - np.repeat(starts[:-1], count)
    kept = within % np.repeat(step, count) == 0
    return np.flatnonzero(kept), np.concatenate([[0], np.cumsum(-(-count // step))])


def _extents(x, y, c, s, starts):
    """Along u (M,) and across v (M,), then the lowest and the highest (K,) of u and of v in each run."""
    u, v = x * c + y * s, y * c - x * s
    return u, v, *(end.reduceat(side, starts[:-1]) for side in (u, v) for end in (np.minimum, np.maximum))


def _closeness(x, y, c, s, starts):
    u, v, low_u, high_u, low_v, high_v = _extents(x, y, c, s, starts)
    count = np.diff(starts)
    gaps = (u - np.repeat(low_u, count), np.repeat(high_u, count) - u)
    gaps += (v - np.repeat(low_v, count), np.repeat(high_v, count) - v)
    return total(np.float32(1.0) / np.maximum(np.minimum.reduce(gaps), _NEAREST), starts)
