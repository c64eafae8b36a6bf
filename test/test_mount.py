"""A tilted mount is told from many clouds, with the parameters that mend it; a level one, or a swinging one, is not."""

from __future__ import annotations

import numpy as np
import pytest

from bipointnet_ros.core import points
from bipointnet_ros.ros.mount import Mount


def seen(ups):
    mount = Mount()
    for up in ups:
        mount.see(up)
    return mount


@pytest.mark.parametrize("roll, pitch", [(0.3, 0.0), (0.0, -0.2), (-0.2, 0.25)])
def test_the_advice_is_the_mount(roll, pitch):
    rng = np.random.default_rng(0)
    swings = [points.levelling(roll + a, pitch + b)[2] for a, b in rng.normal(0.0, 0.02, (80, 2))]
    mount = seen(swings)
    words = mount.advice(0.0, 0.0).split()
    told = float(words[words.index("gravity_roll") + 2]), float(words[words.index("gravity_pitch") + 2])
    assert told == pytest.approx((roll, pitch), abs=0.01)
    assert mount.inclination(*told) < 0.5 and mount.advice(*told) == ""
    assert mount.inclination(0.0, 0.0) == pytest.approx(np.degrees(np.arccos(np.cos(roll) * np.cos(pitch))), abs=0.5)


def test_what_is_level_swings_or_is_little_seen_says_nothing():
    tilted = points.levelling(0.0, 0.3)[2]
    assert seen([tilted] * 49).advice(0.0, 0.0) == "" and seen([None] * 90).inclination(0.0, 0.0) == 0.0
    assert seen([tilted] * 50).advice(0.0, 0.0)
    assert seen([points.levelling(0.0, 0.3 * (-1) ** i)[2] for i in range(80)]).advice(0.0, 0.0) == ""
    assert seen([tilted] * 50 + [points.levelling(0.0, 0.1)[2]] * 100).advice(0.0, 0.0) == "", "it was straightened"
