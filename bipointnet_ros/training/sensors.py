"""Lidars of simulated scans: which rays they send, how far they see, how noisy they are."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

MOST_RAYS = 60_000  # a scan of more would be cut by the augmentation anyway


@dataclass(frozen=True)
class Sensor:
    """elevation (B,) rising and azimuth (A,) rising [rad], seen from ``eye`` (3,); full: azimuths go all around.

    reach [m] for a black target; noise: standard deviation of the range [m]; lost: share of rays without return;
    halo: share of rays that come back from nothing, near the sensor.
    """

    elevation: np.ndarray
    azimuth: np.ndarray
    eye: np.ndarray
    full: bool
    reach: float
    noise: float
    lost: float
    halo: float = 0.0

    def rays(self) -> np.ndarray:
        """(B, A, 3) unit vectors."""
        up, around = self.elevation[:, None], self.azimuth[None, :]
        flat = np.cos(up)
        return np.stack(np.broadcast_arrays(flat * np.cos(around), flat * np.sin(around), np.sin(up)), 2)

    def towards(self, centre, radius: float) -> tuple[slice, np.ndarray | slice] | None:
        """Beams and azimuths that may meet a ball; None when there are none."""
        x, y, z = centre - self.eye
        far = float(np.sqrt(x * x + y * y + z * z))
        if far <= radius * 1.01:
            return slice(0, len(self.elevation)), slice(0, len(self.azimuth))
        half, up = np.arcsin(radius / far), np.arcsin(z / far)
        a, b = np.searchsorted(self.elevation, (up - half, up + half))
        if a == b:
            return None
        if abs(up) + half > 1.5:
            return slice(a, b), slice(0, len(self.azimuth))
        wide = np.arcsin(min(np.sin(half) / np.cos(up), 1.0))
        columns = self._columns(np.arctan2(y, x), wide)
        return None if columns is None else (slice(a, b), columns)

    def _columns(self, middle: float, wide: float):
        if not self.full:
            a, b = np.searchsorted(self.azimuth, (middle - wide, middle + wide))
            return slice(a, b) if b > a else None
        step = 2.0 * np.pi / len(self.azimuth)
        a = int(np.floor((middle - wide - self.azimuth[0]) / step))
        count = min(int(np.ceil(2.0 * wide / step)) + 2, len(self.azimuth))
        return np.arange(a, a + count) % len(self.azimuth)


def sensor(rng, height: float, reach: float = 120.0) -> Sensor:
    """A random lidar of 16 to 128 beams at ``height`` [m]: spinning ones mostly, some that look ahead only."""
    elevation = np.sort(np.radians(_PATTERNS[rng.choice(len(_PATTERNS), p=_OFTEN)](rng)))
    elevation = elevation + rng.normal(0.0, 2e-4, len(elevation))
    full = rng.random() < 0.75
    wide = 2.0 * np.pi if full else np.radians(rng.uniform(45.0, 120.0))
    step = max(np.radians(rng.uniform(0.12, 0.4)), wide * len(elevation) / MOST_RAYS)
    azimuth = (np.arange(int(wide / step)) - wide / step / 2.0) * step
    lost = rng.choice([0.0, 0.02, 0.1, 0.25], p=[0.3, 0.4, 0.2, 0.1])
    eye = np.array([0.0, 0.0, height])
    halo = rng.choice([0.0, 0.05, 0.4], p=[0.85, 0.08, 0.07])
    reach, noise = reach * rng.uniform(0.4, 1.0), rng.uniform(0.005, 0.03)
    return Sensor(np.sort(elevation), azimuth, eye, full, reach, noise, lost, halo)


def _even(beams, low, high):
    return lambda rng: np.linspace(low, high, beams)


def _dense_middle(beams: int, low: float, high: float):
    """Half of the beams within four degrees about -2, as automotive sensors have them."""

    def pattern(rng):
        inner = np.linspace(-6.0, 2.0, beams // 2)
        below, above = np.linspace(low, -6.5, beams // 4), np.linspace(2.5, high, beams - beams // 2 - beams // 4)
        return np.concatenate([below, inner, above])

    return pattern


def _any(rng):
    beams = int(rng.choice([16, 24, 32, 40, 64, 80, 128]))
    low, high = rng.uniform(-30.0, -12.0), rng.uniform(1.0, 20.0)
    return low + (high - low) * np.linspace(0.0, 1.0, beams) ** rng.uniform(0.7, 1.4)


_PATTERNS = (
    _any,
    _even(16, -15.0, 15.0),
    _even(64, -24.8, 2.0),
    _dense_middle(32, -25.0, 15.0),
    _dense_middle(64, -25.0, 15.0),
    _even(32, -16.0, 15.0),
    _even(64, -22.5, 22.5),
    _even(64, -45.0, 45.0),
    _dense_middle(128, -25.0, 15.0),
    _even(64, -52.0, 52.0),
)
_OFTEN = (0.25, 0.1, 0.2, 0.1, 0.1, 0.08, 0.07, 0.03, 0.04, 0.03)
