"""How the sensor is mounted, told from how the ground lies in scan after scan."""

from __future__ import annotations

from collections import deque

import numpy as np

from bipointnet_ros.core import points

_FEWEST, _WINDOW = 50, 100  # clouds before anything is said, and that are looked at
_MUCH = 8.0  # degrees: a hill tilts the vehicle with it, so that its ground stays level for the sensor


class Mount:
    """Where up is for the sensor: in the mean over the last clouds, since a bump or a swing is no mount."""

    def __init__(self):
        self._ups = deque(maxlen=_WINDOW)

    def see(self, up: np.ndarray | None) -> None:
        """What a ``Result`` says: a unit vector (3,) in the cloud's frame, or None."""
        if up is not None:
            self._ups.append(up)

    def inclination(self, roll: float, pitch: float) -> float:
        """Degrees of the ground from what is level by gravity_roll and gravity_pitch [rad]; 0 if few clouds tell."""
        up = self._up()
        return 0.0 if up is None else float(np.degrees(np.arccos(min(1.0, points.levelling(roll, pitch)[2] @ up))))

    def advice(self, roll: float, pitch: float) -> str:
        """A sentence where the ground lies far from level, else empty."""
        degrees = self.inclination(roll, pitch)
        if degrees <= _MUCH:
            return ""
        x, y, z = self._up()
        roll, pitch = np.arctan2(y, z), np.arctan2(-x, np.hypot(y, z))
        return (
            f"the ground lies {degrees:.0f} degrees from level, cloud after cloud: if the sensor is mounted tilted, "
            f"set gravity_roll to {roll:.3f} and gravity_pitch to {pitch:.3f}"
        )

    def _up(self) -> np.ndarray | None:
        ups = list(self._ups)
        return None if len(ups) < _FEWEST else np.sum(ups, 0) / np.linalg.norm(np.sum(ups, 0))
