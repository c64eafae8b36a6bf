"""Class colours: one constant colour per class, the same in the cloud, the markers, the files and the pictures."""

from __future__ import annotations

import numpy as np

UNKNOWN = "unknown"
_GREY = (120, 120, 120)
_COLOURS = {
    "ground": (140, 108, 78),
    "vegetation": (70, 160, 70),
    "structure": (110, 140, 190),
    "vehicle": (235, 80, 60),
    "person": (250, 200, 30),
    "pole": (200, 90, 210),
}


def colours(names) -> np.ndarray:
    """(K + 1, 3) uint8 RGB by published label: row 0 is unknown, row i + 1 is ``names[i]``.

    The LiDAR classes have fixed colours; others get hues a golden angle apart, which depend only on their position.
    """
    rows = [_GREY] + [_COLOURS.get(name, _hue(i)) for i, name in enumerate(names)]
    return np.array(rows, np.uint8)


def _hue(i: int) -> tuple[int, int, int]:
    h = (i * 0.61803398875) % 1.0 * 6.0
    ramp = [abs(h - 3.0) - 1.0, 2.0 - abs(h - 2.0), 2.0 - abs(h - 4.0)]
    return tuple(int(60 + 180 * min(max(v, 0.0), 1.0)) for v in ramp)
