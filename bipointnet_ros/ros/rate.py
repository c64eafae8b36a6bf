"""max_rate: which clouds are answered when not all shall be."""

from __future__ import annotations

_SLACK = 0.1  # of a period: a cloud that comes a little early counts as due, or jitter would halve the rate


class RateLimit:
    """Lets through at most so many a second on average, as evenly as they come."""

    def __init__(self):
        self._due = 0.0

    def allows(self, rate: float, now: float) -> bool:
        """Whether a cloud at ``now`` [s, monotonic] may pass; rate in Hz, 0 = every one."""
        if rate == 0.0:
            return True
        period = 1.0 / rate
        due = min(self._due, now + period)  # the rate may have been raised since
        if now < due - _SLACK * period:
            return False
        self._due = max(due, now) + period
        return True
