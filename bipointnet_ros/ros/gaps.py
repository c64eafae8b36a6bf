"""Clouds that never arrived, told from gaps between the stamps of those that did."""

from __future__ import annotations

from collections import deque

import numpy as np

_FEWEST, _WINDOW = 20, 100  # intervals between clouds before anything is said, and that are looked at
_JUMP = 5.0  # s: a longer interval, or one back in time, is a pause or another recording, not a loss


class Gaps:
    """Share of clouds missing between those that came, by the sensor's own period."""

    def __init__(self):
        self._last = None
        self._intervals = deque(maxlen=_WINDOW)

    def see(self, stamp: float) -> None:
        """A cloud with this stamp [s] has come."""
        interval = None if self._last is None else stamp - self._last
        self._last = stamp
        if interval is None:
            return
        if 0.0 < interval < _JUMP:
            self._intervals.append(interval)
        else:
            self._intervals.clear()

    def missing(self) -> float:
        """0..1, the share of the last clouds that did not come; 0 as long as too few have come to tell."""
        if len(self._intervals) < _FEWEST:
            return 0.0
        intervals = np.array(self._intervals)
        period = np.percentile(intervals, 25)  # one period, though with jitter, even if half of the clouds are lost
        periods = np.maximum(np.round(intervals / period), 1.0)
        return float(1.0 - len(intervals) / periods.sum())
