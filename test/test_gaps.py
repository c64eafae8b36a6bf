"""Losses are told from the stamps, and only losses."""

from __future__ import annotations

import os

import numpy as np
import pytest

from bipointnet_ros.ros.gaps import Gaps
from bipointnet_ros.ros.rate import RateLimit


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


def test_max_rate_is_kept_on_average_and_jitter_does_not_halve_it():
    rng = np.random.default_rng(0)
    times = np.sort(np.arange(1000) * 0.1 + rng.uniform(-0.004, 0.004, 1000))
    for rate, expected in ((0.0, 1000), (5.0, 500), (10.0, 1000), (3.0, 300), (50.0, 1000)):
        limit = RateLimit()
        passed = sum(limit.allows(rate, now) for now in times)
        assert passed <= expected + 2 and passed >= 0.82 * expected, (rate, passed)


def test_a_raised_rate_holds_at_once():
    limit = RateLimit()
    assert limit.allows(0.01, 100.0) and not limit.allows(0.01, 101.0)
    assert limit.allows(10.0, 101.2)


def test_a_small_shared_memory_is_told(monkeypatch):
    pytest.importorskip("rclpy", reason="needs ROS 2")
    from bipointnet_ros.ros.transport import small_shared_memory

    sizes = {"/dev/shm": 64 * 2**20}
    monkeypatch.setattr(os, "statvfs", lambda folder: os.statvfs_result((4096, 4096, sizes[folder] // 4096, *[0] * 7)))
    assert "/dev/shm has 67 MB" in small_shared_memory() and "--shm-size" in small_shared_memory()
    sizes["/dev/shm"] = 2**30
    assert small_shared_memory() == ""
