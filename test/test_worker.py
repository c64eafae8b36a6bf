"""The newest cloud wins, what has begun is finished, and every cloud is somebody's."""

from __future__ import annotations

import threading
import time

from bipointnet_ros.ros.statistics import Statistics
from bipointnet_ros.ros.worker import Worker


class Desk:
    """A worker whose work waits until it is let go."""

    def __init__(self):
        self.done, self.superseded, self.left = [], [], []
        self.begun, self.go = threading.Semaphore(0), threading.Semaphore(0)
        self.worker = Worker(self._work, self.superseded.append, self.left.append)

    def _work(self, item):
        self.begun.release()
        self.go.acquire()
        self.done.append(item)


def test_the_newest_wins_and_the_one_in_work_is_finished():
    desk = Desk()
    desk.worker.put(1)
    assert desk.begun.acquire(timeout=5)
    for item in (2, 3, 4):
        desk.worker.put(item)
    desk.go.release()
    assert desk.begun.acquire(timeout=5)
    desk.worker.put(5)
    desk.go.release(2)
    assert desk.worker.stop(5)
    assert desk.done == [1, 4] and desk.superseded == [2, 3] and desk.left == [5]


def test_stopping_waits_no_longer_than_it_may():
    desk = Desk()
    desk.worker.put(1)
    assert desk.begun.acquire(timeout=5)
    start = time.monotonic()
    assert not desk.worker.stop(0.2) and time.monotonic() - start < 2.0
    desk.go.release()
    assert desk.worker.stop(5) and desk.done == [1]


def test_an_idle_worker_stops_at_once():
    assert Desk().worker.stop(5)


def test_many_clouds_from_one_thread_are_all_accounted_for():
    desk = Desk()
    desk.go.release(10_000)
    for item in range(2000):
        desk.worker.put(item)
    desk.worker.stop(10)
    assert sorted(desk.done + desk.superseded + desk.left) == list(range(2000))
    assert desk.done == sorted(desk.done)


def test_counts_add_up_at_any_moment():
    now = [0.0]
    statistics = Statistics(clock=lambda: now[0])
    for _ in range(10):
        statistics.receive()
    statistics.drop("superseded")
    statistics.drop("bad_cloud")
    now[0] = 4.0
    look = statistics.look()
    assert (look.received, look.answered, sum(look.dropped.values()), look.in_work) == (10, 0, 2, 8)
    assert look.silent == 4.0 and look.rate == 0.0
