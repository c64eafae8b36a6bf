"""What became of every cloud: received = answered + dropped + in work, at any moment and without exception."""

from __future__ import annotations

import threading
import time
from collections import Counter, deque
from dataclasses import dataclass

import numpy as np

REASONS = {
    "superseded": "a newer cloud came before this one's turn",
    "no_listener": "nobody subscribes to an answer",
    "max_rate": "more clouds than max_rate allows",
    "bad_cloud": "the message contradicts itself or lacks x, y or z",
    "no_transform": "tf does not know the way from its frame to output_frame",
    "failed": "an error in the node itself: the log has it",
    "stopped": "it waited when the node was deactivated",
}
_WINDOW = 100  # answers of which the percentiles are taken


@dataclass(frozen=True)
class Snapshot:
    """Counts since the node started and figures of the last answers; latencies from receipt to publication, ages from
    header stamp to publication, both [ms] and NaN before the first answer."""

    received: int
    answered: int
    dropped: dict[str, int]
    in_work: int
    rate: float
    latency: tuple[float, float]
    age: tuple[float, float]
    points: int
    objects: int
    stages: dict[str, float]
    silent: float


class Statistics:
    """Counts from any thread; the clock is monotonic seconds."""

    def __init__(self, clock=time.monotonic):
        self._clock = clock
        self._lock = threading.Lock()
        self._received = self._answered = 0
        self._dropped = Counter(dict.fromkeys(REASONS, 0))
        self._latencies, self._ages = deque(maxlen=_WINDOW), deque(maxlen=_WINDOW)
        self._last_cloud = self._last_look = clock()
        self._answered_then = 0
        self._last = (0, 0, {})

    def receive(self) -> None:
        with self._lock:
            self._received += 1
            self._last_cloud = self._clock()

    def drop(self, reason: str) -> None:
        """Count a received cloud that gets no answer; reason is one of REASONS."""
        with self._lock:
            self._dropped[reason] += 1

    def answer(self, latency: float, age: float, result) -> None:
        """Count an answered cloud; latency and age in seconds."""
        with self._lock:
            self._answered += 1
            self._latencies.append(latency * 1e3)
            self._ages.append(age * 1e3)
            self._last = (len(result.label), len(result.objects), dict(result.stages))

    def listen(self) -> None:
        """Forget the silence so far: the node has just begun to listen."""
        with self._lock:
            self._last_cloud = self._clock()

    def look(self) -> Snapshot:
        """Everything at one moment; the rate is that of the answers since the last look."""
        with self._lock:
            now = self._clock()
            rate = (self._answered - self._answered_then) / max(now - self._last_look, 1e-9)
            self._last_look, self._answered_then = now, self._answered
            points, objects, stages = self._last
            return Snapshot(
                received=self._received,
                answered=self._answered,
                dropped=dict(self._dropped),
                in_work=self._received - self._answered - sum(self._dropped.values()),
                rate=rate,
                latency=_percentiles(self._latencies),
                age=_percentiles(self._ages),
                points=points,
                objects=objects,
                stages=stages,
                silent=now - self._last_cloud,
            )


def _percentiles(values) -> tuple[float, float]:
    """p50 and p95."""
    if not values:
        return float("nan"), float("nan")
    p50, p95 = np.percentile(values, (50, 95))
    return float(p50), float(p95)
