"""max_rate holds on average and follows the parameter."""

from __future__ import annotations

import numpy as np

from bipointnet_ros.ros.rate import RateLimit


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
