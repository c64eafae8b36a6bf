"""Clusters of a scan as the network that names objects sees them: in metres, about their own middle, along their axes.

Training and the robot call the same ``rows``.
"""

from __future__ import annotations

import numpy as np

NAMES = ("car", "large", "pedestrian", "cycle", "pole", "vegetation", "other")
BANDS = 6  # of height, from the lowest point up; the last has no end
PLAIN = ("x", "y", "z", "length", "width", "height")
INPUTS = (*PLAIN, *(f"{axis}{band}" for axis in ("along", "across") for band in range(BANDS)))

_SCALE = 2.5  # m: what 1 means along x, y and z
_FARTHEST = 3.0  # times that
_LONGEST = 12.0  # m: larger is all the same
_BAND = 0.5  # m
_WIDEST = 2.0  # m


def rows(clouds, count: int, inputs=INPUTS) -> np.ndarray:
    """Clusters (n_i, 3) float32 level [m], n_i >= 1 -> (B, count, F) float32, each in about -1..1.

    inputs: ``PLAIN`` or all ``INPUTS``. x, y from the middle of the cluster along and across its longest axis,
    z from its lowest point. The others are the same in every row: the logarithms of its length, width and height, and
    how far its points spread along and across in each band of height. Of each cluster ``count`` points, evenly over
    their order.
    """
    size = np.array([len(cloud) for cloud in clouds])
    start = np.cumsum(size) - size
    axes = np.concatenate(clouds).T.copy()
    low, high = _aligned(axes, start, size)
    drawn = start[:, None] + np.arange(count) * size[:, None] // count
    middle = (low + high) / np.float32(2.0)
    middle[2] = low[2]
    out = np.empty((len(size), count, len(inputs)), np.float32)
    for k, axis in enumerate(axes):
        out[..., k] = np.clip((axis[drawn] - middle[k, :, None]) / np.float32(_SCALE), -_FARTHEST, _FARTHEST)
    out[..., 3:6] = np.log(np.clip(high - low, 0.05, _LONGEST)).T[:, None] / np.float32(2.0)
    if inputs == INPUTS:
        out[..., 6:] = _profile(axes, low[2], size)[:, None]
    return out


def turned(rows: np.ndarray) -> np.ndarray:
    """The same clusters with the other end of their axis ahead."""
    rows = rows.copy()
    rows[..., :2] *= -1.0
    return rows


def _aligned(axes, start, size) -> tuple[np.ndarray, np.ndarray]:
    """Turn the clusters (3, M) in place, longest axis along x; their lowest and highest corners (3, B) [m]."""
    x, y = (axis - np.repeat(np.add.reduceat(axis, start) / size.astype(np.float32), size) for axis in axes[:2])
    xx, yy, xy = (np.add.reduceat(value, start) for value in (x * x, y * y, x * y))
    angle = 0.5 * np.arctan2(2.0 * xy, xx - yy)
    c, s = (np.repeat(f(angle).astype(np.float32), size) for f in (np.cos, np.sin))
    axes[0], axes[1] = x * c + y * s, y * c - x * s
    return tuple(np.stack([end.reduceat(axis, start) for axis in axes]) for end in (np.minimum, np.maximum))


def _profile(axes, bottom, size) -> np.ndarray:
    """(B, 2 BANDS) standard deviations [m] of x and then of y in each band of height; 0 where a band has no points."""
    clusters = len(size)
    band = np.minimum((axes[2] - np.repeat(bottom, size)) * np.float32(1.0 / _BAND), BANDS - 1).astype(np.int64)
    cell = band + np.repeat(np.arange(clusters) * BANDS, size)
    count = np.maximum(np.bincount(cell, minlength=clusters * BANDS), 1)
    out = np.empty((2, clusters * BANDS))
    for k, value in enumerate(axes[:2]):
        mean, square = (np.bincount(cell, v, clusters * BANDS) / count for v in (value, value * value))
        out[k] = np.sqrt(np.maximum(square - mean * mean, 0.0))
    return np.minimum(out.reshape(2, clusters, BANDS).swapaxes(0, 1).reshape(clusters, -1), _WIDEST)
