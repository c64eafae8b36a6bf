"""Upright boxes around runs of points, all runs at once."""

from __future__ import annotations

import numpy as np

_ON_GROUND = 0.6  # m: a thing whose lowest point is nearer to the ground stands on it
_ANGLES = np.radians(np.arange(0.0, 90.0, 3.0)).astype(np.float32)
_YAW_POINTS = 128  # of an object tell its yaw
_NEAREST = 0.05  # m: closer to an edge of the box counts no more
_FACE = 1.25  # widths: what is no longer than this may be the front of a thing, not its side


def boxes(xyz: np.ndarray, height: np.ndarray, starts: np.ndarray) -> np.ndarray:
    """(K, 7) float64 x y z length width height yaw of each run of points, yaw by closeness of the points to the edges.

    Zhang et al., "Efficient L-shape fitting for vehicle detection", IV 2017: seen sides lie on the box.
    """
    count, first = np.diff(starts), starts[:-1]
    origin = xyz[first, :2].astype(np.float64)
    xy = (xyz[:, :2] - np.repeat(origin, count, 0)).astype(np.float32)
    some, some_starts = _thinned(starts)
    yaw = _closest(xy[some], some_starts)
    (low_u, high_u), (low_v, high_v) = _extents(xy, yaw, starts)
    along, across = (low_u + high_u) / 2.0, (low_v + high_v) / 2.0
    x, y = along * np.cos(yaw) - across * np.sin(yaw), along * np.sin(yaw) + across * np.cos(yaw)
    length, width = high_u - low_u, high_v - low_v
    turned = width > length
    yaw = np.where(turned, yaw + np.pi / 2.0, yaw)
    yaw = (yaw + np.pi / 2.0) % np.pi - np.pi / 2.0
    length, width = np.maximum(length, width), np.minimum(length, width)
    bottom, top = _bottom(xyz[:, 2], height, first), np.maximum.reduceat(xyz[:, 2], first)
    size = np.maximum(np.stack([length, width, top - bottom], 1), _NEAREST)
    return np.column_stack([origin[:, 0] + x, origin[:, 1] + y, (bottom + top) / 2.0, size, yaw])


def completed(box: np.ndarray, least: np.ndarray) -> np.ndarray:
    """Boxes (K, 7) of what is seen from the origin, at least of length and width least (K, 2) [m].

    They grow away from the origin: what is not seen lies behind. The length of a thing of which a face is seen is along
    the ray.
    """
    x, y, z, length, width, height, yaw = box.T
    ray = np.arctan2(y, x) - yaw
    turned = (length < _FACE * least[:, 1]) & (least[:, 0] > least[:, 1]) & (np.abs(np.cos(ray)) < np.abs(np.sin(ray)))
    yaw = np.where(turned, yaw + np.pi / 2.0, yaw)
    length, width = np.where(turned, width, length), np.where(turned, length, width)
    c, s = np.cos(yaw), np.sin(yaw)
    along, across = x * c + y * s, y * c - x * s
    more = np.maximum(least - np.stack([length, width], 1), 0.0).T
    along, across = along + np.sign(along) * more[0] / 2.0, across + np.sign(across) * more[1] / 2.0
    yaw = (yaw + np.pi / 2.0) % np.pi - np.pi / 2.0
    return np.column_stack(
        [along * c - across * s, along * s + across * c, z, length + more[0], width + more[1], height, yaw]
    )


def _bottom(z, height, first):
    """The lowest point, or the ground under it where the thing stands on it."""
    low = np.minimum.reduceat(z, first)
    over = np.minimum.reduceat(height, first)
    return np.where(over < _ON_GROUND, low - over, low)


def _thinned(starts):
    """Rows of at most _YAW_POINTS of each run, evenly spaced, and where the runs start among them."""
    count = np.diff(starts)
    step = -(-count // _YAW_POINTS)
    within = np.arange(starts[-1]) - np.repeat(starts[:-1], count)
    kept = within % np.repeat(step, count) == 0
    return np.flatnonzero(kept), np.concatenate([[0], np.cumsum(-(-count // step))])


def _extents(xy, yaw, starts):
    count, first = np.diff(starts), starts[:-1]
    c, s = (np.repeat(f(yaw), count).astype(np.float32) for f in (np.cos, np.sin))
    sides = (xy[:, 0] * c + xy[:, 1] * s, xy[:, 1] * c - xy[:, 0] * s)
    return [(np.minimum.reduceat(u, first), np.maximum.reduceat(u, first)) for u in sides]


def _closest(xy, starts):
    """(K,) angle in [0, pi/2) whose box edges the points are closest to."""
    best, yaw = np.full(len(starts) - 1, -np.inf), np.zeros(len(starts) - 1)
    for angle in _ANGLES:
        score = _closeness(xy, angle, starts)
        yaw[score > best] = angle
        best = np.maximum(best, score)
    return yaw


def _closeness(xy, angle, starts):
    count, first = np.diff(starts), starts[:-1]
    gaps = []
    for u in (xy[:, 0] * np.cos(angle) + xy[:, 1] * np.sin(angle), xy[:, 1] * np.cos(angle) - xy[:, 0] * np.sin(angle)):
        low, high = np.minimum.reduceat(u, first), np.maximum.reduceat(u, first)
        gaps.append(np.minimum(u - np.repeat(low, count), np.repeat(high, count) - u))
    return np.add.reduceat(1.0 / np.maximum(np.minimum(*gaps), _NEAREST), first)
