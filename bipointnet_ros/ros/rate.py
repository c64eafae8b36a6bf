"""max_rate: which clouds are answered when not all shall be."""

from __future__ import annotations

import math

_SLACK = 0.1  # of a period: a cloud that comes a little early counts as due, or jitter would halve the rate


class RateLimit:
    """Lets through at most so many a second on average, as evenly as they come."""

    def __init__(self):
        self._slot = -math.inf  # when the last one that passed was due

    def allows(self, rate: float, now: float) -> bool:
        """Whether a cloud at ``now`` [s, monotonic] may pass; rate in Hz, 0 = every one."""
        if rate == 0.0:
            return True
        due = self._slot + 1.0 / rate
        if now < due - _SLACK / rate:
            return False
        self._slot = max(due, now)
        return True
