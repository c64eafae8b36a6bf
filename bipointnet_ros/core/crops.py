"""Clusters of a scan as the network that names objects sees them: in metres, about their own middle, along their axes.

Training and the robot call the same ``rows``.
"""

from __future__ import annotations

import numpy as np

INPUTS = ("x", "y", "z", "length", "width", "height")
NAMES = ("car", "large", "pedestrian", "cycle", "pole", "vegetation", "other")

_SCALE = 2.5  # m: what 1 means along x, y and z
_FARTHEST = 3.0  # times that
_LONGEST = 12.0  # m: larger is all the same


def rows(clouds, count: int, seed: int = 0) -> np.ndarray:
    """Clusters (n_i, 3) float32 level [m], n_i >= 1 -> (B, count, 6) float32, each in about -1..1.

    x, y from the middle of the cluster along and across its longest axis, z from its lowest point; the logarithms of
    its length, width and height, the same in every row. ``count`` points are drawn, repeatable by seed.
    """
    out = np.empty((len(clouds), count, len(INPUTS)), np.float32)
    for i, cloud in enumerate(clouds):
        rng = np.random.default_rng(seed)
        local, extent = _aligned(cloud)
        some = rng.permutation(len(local))[:count]
        drawn = np.concatenate([some, rng.integers(0, len(local), count - len(some))])
        out[i, :, :3] = np.clip(local[drawn] / _SCALE, -_FARTHEST, _FARTHEST)
        out[i, :, 3:] = np.log(np.clip(extent, 0.05, _LONGEST)) / 2.0
    return out


def _aligned(cloud) -> tuple[np.ndarray, np.ndarray]:
    """(n, 3) in the cluster's axes, and its length, width and height (3,) [m]."""
    flat = cloud[:, :2] - cloud[:, :2].mean(0)
    (xx, xy), (_, yy) = flat.T @ flat
    angle = 0.5 * np.arctan2(2.0 * xy, xx - yy)
    c, s = np.float32(np.cos(angle)), np.float32(np.sin(angle))
    turned = np.stack([flat[:, 0] * c + flat[:, 1] * s, flat[:, 1] * c - flat[:, 0] * s, cloud[:, 2]], 1)
    low, high = turned.min(0), turned.max(0)
    middle = (low + high) / np.float32(2.0)
    middle[2] = low[2]
    return turned - middle, high - low
