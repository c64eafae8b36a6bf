"""Losses are told from the stamps, and only losses."""

from __future__ import annotations

import numpy as np
import pytest

from bipointnet_ros.ros.gaps import Gaps


def missing(stamps):
    gaps = Gaps()
    for stamp in stamps:
        gaps.see(float(stamp))
    return gaps.missing()


@pytest.mark.parametrize("share", (0.0, 0.1, 0.3, 0.6))
@pytest.mark.parametrize("rate", (5.0, 10.0, 20.0))
def test_the_share_that_is_missing(share, rate):
    rng = np.random.default_rng(3)
    stamps = np.arange(400) / rate + rng.normal(0, 0.05 / rate, 400)
    came = stamps[rng.random(400) >= share][:101]
    lost = 1.0 - 100 / np.round((came[-1] - came[0]) * rate)
    assert missing(came) == pytest.approx(lost, abs=0.03)


def test_few_clouds_pauses_and_jumps_are_no_loss():
    steady = np.arange(60) / 10.0
    assert missing(np.arange(10) / 10.0 * 3.0) == 0.0  # too few to tell
    assert missing(np.concatenate([steady, steady + 3600.0])) == 0.0
    assert missing(np.concatenate([steady, steady])) == 0.0  # a bag that is looped: back in time
    assert missing(np.zeros(50)) == 0.0  # a driver without stamps
