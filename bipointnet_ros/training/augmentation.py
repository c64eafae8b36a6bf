"""Scans as other sensors, at other places, might have seen them."""

from __future__ import annotations

import numpy as np

from bipointnet_ros.training.paste import pasted
from bipointnet_ros.training.scan import Scan

_FEW = 1000  # points: smaller scans are not thinned further
_LARGE = 20_000  # points: larger scans are cut to a sector


def augmented(scan: Scan, rng, banks=(), things: int = 0) -> Scan:
    """Another scan of the same place: turned, mirrored, scaled, cut to a sector, thinned, noisy, perhaps dark.

    Up to ``things`` things out of ``banks`` (paste.py) are set down in it.
    """
    scan = pasted(sector(scan, rng), banks, rng, things)
    scan = thinned(opened(scan, rng), rng)
    xyz = moved(scan.xyz, rng)
    xyz += rng.normal(0.0, rng.choice([0.0, 0.01, 0.02]), xyz.shape).astype(np.float32)
    dark = scan.intensity is None or rng.random() < 0.5
    return Scan(xyz, None if dark else scan.intensity, scan.label)


def elevation(scan: Scan, rng) -> np.ndarray:
    """(N,) radians over the horizon of a sensor 1.5 to 2.1 m over the lowest points near it (origins differ by set)."""
    x, y, z = scan.xyz.T
    distance = np.hypot(x, y)
    near = z[distance < np.quantile(distance, 0.3)]
    return np.arctan2(z - np.quantile(near, 0.05) - rng.uniform(1.5, 2.1), distance)


def opened(scan: Scan, rng) -> Scan:
    """In half of the cases cut to another vertical field of view: sensors end at +2 degrees as well as at +25."""
    if rng.random() < 0.5 or len(scan.xyz) < _FEW:
        return scan
    angle = np.degrees(elevation(scan, rng))
    kept = scan[(angle < rng.uniform(0.0, 12.0)) & (angle > rng.uniform(-40.0, -15.0))]
    return kept if len(kept.xyz) > _FEW // 2 else scan


def sector(scan: Scan, rng, most_rows: int = 40_000) -> Scan:
    """A large scan's random sector of about 0.3 to 1 of its points, at most ``most_rows``."""
    if len(scan.xyz) < _LARGE:
        return scan
    share = min(1.0, rng.uniform(0.3, 1.0) * most_rows / len(scan.xyz))
    azimuth = np.arctan2(scan.xyz[:, 1], scan.xyz[:, 0]) / (2.0 * np.pi) + rng.random()
    azimuth -= np.floor(azimuth)
    return scan[azimuth < np.quantile(azimuth, share)]


def thinned(scan: Scan, rng) -> Scan:
    """In half of the cases as it is; else points or whole beams (rings of equal elevation) are dropped."""
    kind = rng.random()
    if kind < 0.5 or len(scan.xyz) < _FEW:
        return scan
    if kind < 0.75:
        return scan[rng.random(len(scan.xyz)) < rng.uniform(0.4, 1.0)]
    ring = np.floor(elevation(scan, rng) / np.radians(rng.uniform(0.2, 0.6))).astype(np.int64)
    kept = scan[(rng.random(4096) < rng.uniform(0.4, 0.9))[ring % 4096]]
    return kept if len(kept.xyz) > _FEW // 2 else scan


def moved(xyz, rng) -> np.ndarray:
    """Turned about z, mirrored, scaled by 0.9 to 1.1, tilted by at most 2 degrees, lifted by up to a metre."""
    angle = rng.uniform(0.0, 2.0 * np.pi)
    turn = np.array([[np.cos(angle), -np.sin(angle), 0.0], [np.sin(angle), np.cos(angle), 0.0], [0.0, 0.0, 1.0]])
    turn[:, 1] *= rng.choice([-1.0, 1.0])
    turn[2, :2] = rng.uniform(-0.035, 0.035, 2) * (rng.random() < 0.5)
    turn *= rng.uniform(0.9, 1.1)
    return (xyz @ turn.T).astype(np.float32) + np.float32([0.0, 0.0, rng.uniform(-1.0, 1.0)])
