"""Upright boxes around runs of points, all runs at once."""

from __future__ import annotations

import numpy as np

from bipointnet_ros.core.reference import Reference

_ON_GROUND = 0.6  # m: a thing whose lowest point is nearer to the ground stands on it
_ANGLES = np.radians(np.arange(0.0, 90.0, 3.0))
_TURNS = np.stack([np.cos(_ANGLES), np.sin(_ANGLES)], 1).astype(np.float32)
_THINNEST = 0.05  # m
_FACE = 1.25  # widths: what is no longer than this may be the front of a thing, not its side


def boxes(xyz: np.ndarray, height: np.ndarray, starts: np.ndarray, backend=None) -> np.ndarray:
    """(K, 7) float64 x y z length width height yaw of each run of points.

    xyz (M, 3) float32 [m], height (M,) over the ground; run k is starts[k]:starts[k + 1], (K + 1,), none empty. Yaw by
    closeness of the points to the edges (core/rectangles.py). The backend changes the speed only.
    """
    first, z = starts[:-1], np.ascontiguousarray(xyz[:, 2])
    turn, extents = np.empty(len(first), np.int32), np.empty((len(first), 4), np.float32)
    (backend or Reference()).rectangles(xyz, starts.astype(np.int32), _TURNS, turn, extents)
    origin, yaw, (low_u, high_u, low_v, high_v) = xyz[first, :2].astype(np.float64), _ANGLES[turn], extents.T
    along, across = (low_u + high_u) / 2.0, (low_v + high_v) / 2.0
    x, y = along * np.cos(yaw) - across * np.sin(yaw), along * np.sin(yaw) + across * np.cos(yaw)
    length, width = high_u - low_u, high_v - low_v
    turned = width > length
    yaw = np.where(turned, yaw + np.pi / 2.0, yaw)
    yaw = (yaw + np.pi / 2.0) % np.pi - np.pi / 2.0
    length, width = np.maximum(length, width), np.minimum(length, width)
    bottom, top = _bottom(z, height, first), np.maximum.reduceat(z, first)
    size = np.maximum(np.stack([length, width, top - bottom], 1), _THINNEST)
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
