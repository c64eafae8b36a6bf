"""What a robot may do to a cloud that a network was never trained on: turned, noisy, sparse, half seen, resampled."""

from __future__ import annotations

import numpy as np

from bipointnet_ros.training import views

CELL = 0.12  # edge of the depth buffer's cells and how far behind its nearest point a cell still shows; radius = 1


def turned(points: np.ndarray, rng) -> np.ndarray:
    """(S, N, 3) about z by any angle."""
    return views.Motion(1.0, 0.0, 180.0, 0.0)(points, rng)


def tumbled(points: np.ndarray, rng) -> np.ndarray:
    """(S, N, 3) by any rotation, all equally likely."""
    w, x, y, z = np.moveaxis(_unit(rng.standard_normal((len(points), 4))), 1, 0)
    rotation = np.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
            [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
            [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
        ]
    )
    return points @ np.moveaxis(rotation, 2, 0).astype(np.float32)


def noisy(points: np.ndarray, rng, deviation: float) -> np.ndarray:
    """Every coordinate with Gaussian noise."""
    return points + rng.standard_normal(points.shape, np.float32) * np.float32(deviation)


def thinned(points: np.ndarray, rng, count: int) -> np.ndarray:
    """(S, count, 3): a random part of the points."""
    return points[:, rng.permutation(points.shape[1])[:count]]


def seen_from_one_side(points: np.ndarray, rng, elevation: float = 15.0) -> list[np.ndarray]:
    """S clouds (n, 3) of what a far sensor sees: any azimuth, at most ``elevation`` degrees above or below."""
    azimuth, height = (
        rng.uniform(0.0, 2 * np.pi, len(points)),
        np.radians(rng.uniform(-elevation, elevation, len(points))),
    )
    flat = np.cos(height)
    towards = np.stack([flat * np.cos(azimuth), flat * np.sin(azimuth), np.sin(height)], 1)
    return [cloud[visible(cloud, direction)] for cloud, direction in zip(points, towards)]


def visible(cloud: np.ndarray, towards: np.ndarray) -> np.ndarray:
    """(N,) bool by a depth buffer of CELL: not more than CELL behind the point of its cell nearest to the sensor.

    ``towards``: the unit vector to the far sensor.
    """
    aside = _unit(np.cross([0.0, 0.0, 1.0], towards)[None])[0]
    cell = np.floor(cloud @ np.stack([aside, np.cross(towards, aside)], 1) / CELL).astype(np.int64)
    _, cell = np.unique(cell, axis=0, return_inverse=True)
    depth = cloud @ towards
    nearest = np.full(cell.max() + 1, -np.inf)
    np.maximum.at(nearest, cell.ravel(), depth)
    return depth >= nearest[cell.ravel()] - CELL


def _unit(vectors: np.ndarray) -> np.ndarray:
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
