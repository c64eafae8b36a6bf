"""Objects that keep their number from scan to scan: each goes on from the nearest one that was expected near it."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

import numpy as np

from bipointnet_ros.core.pipeline import Result
from bipointnet_ros.core.segments import Object

_HIDDEN = 1.0  # s that an object may be unseen and keep its number
_MISSED = 10  # scans, likewise: stamps may all be 0
_GAIN = 0.2  # of what the prediction missed goes into the velocity


@dataclass(frozen=True)
class Tracks:
    """T objects as they were last seen: number, label (T,), centre (T, 2) [m], velocity (T, 2) [m/s], stamp (T,) [s].

    missed (T,): scans since.
    """

    number: np.ndarray
    label: np.ndarray
    centre: np.ndarray
    velocity: np.ndarray
    stamp: np.ndarray
    missed: np.ndarray

    @staticmethod
    def none() -> Tracks:
        """No object."""
        none, places = np.zeros(0, int), np.zeros((0, 2))
        return Tracks(none, none, places, places, np.zeros(0), none)

    def chosen(self, which) -> Tracks:
        """Some of them, by truth (T,) or by index."""
        return Tracks(*(values[which] for values in vars(self).values()))

    def and_those(self, others: Tracks) -> Tracks:
        """These, then the others."""
        return Tracks(*(np.concatenate(pair) for pair in zip(vars(self).values(), vars(others).values())))

    def expected(self, stamp: float) -> np.ndarray:
        """(T, 2) where they would be at a later time [m]."""
        return self.centre + self.velocity * (stamp - self.stamp)[:, None]

    def last(self, stamp: float) -> np.ndarray:
        """(T,) whether they may still be found at a later time."""
        return (stamp - self.stamp <= _HIDDEN) & (self.missed < _MISSED)


class Tracker:
    """Numbers of one sensor's objects, from 1. It forgets them when time jumps back or the frame changes.

    Objects are compared in the frame that they come in; what the sensor's own motion adds is taken for theirs.
    One scan at a time: not thread-safe.
    """

    def __init__(self):
        self._tracks = Tracks.none()
        self._born, self._frame, self._stamp = 0, "", -np.inf

    def follow(self, result: Result, stamp: float, frame: str, config) -> Result:
        """The answer to a scan of that stamp [s] and frame, with numbers that last at its points and its objects.

        config: core.config.Config; without ``track`` the answer stays as it is.
        """
        if not config.track:
            self._tracks = Tracks.none()
            return result
        objects = self.numbered(result.objects, stamp, frame, config.track_gate)
        number = np.zeros(1 + max((one.instance for one in result.objects), default=0), np.uint32)
        for before, after in zip(result.objects, objects):
            number[before.instance] = after.instance
        return dataclasses.replace(result, instance=number[result.instance], objects=objects)

    def numbered(self, objects, stamp: float, frame: str, gate: float) -> tuple[Object, ...]:
        """The objects of a scan, in their order, with instances that last; gate [m] from where each was expected."""
        if frame != self._frame or stamp < self._stamp:
            self._tracks = Tracks.none()
        self._frame, self._stamp = frame, stamp
        before = self._tracks.chosen(self._tracks.last(stamp))
        centre = np.array([one.centre[:2] for one in objects], np.float64).reshape(-1, 2)
        label, expected = np.array([one.label for one in objects], int), before.expected(stamp)
        pairs = _pairs(np.hypot(*(centre[:, None] - expected).transpose(2, 0, 1)), label[:, None] == before.label, gate)
        known, track = np.array(list(pairs), int).reshape(-1, 2).T
        passed, off = stamp - before.stamp[track], centre[known] - expected[track]
        velocity = np.zeros_like(centre)
        velocity[known] = before.velocity[track] + _GAIN * off / np.where(passed > 0.0, passed, np.inf)[:, None]
        number = self._numbers(len(centre), known, before.number[track])
        now = Tracks(number, label, centre, velocity, np.full(len(centre), stamp), np.zeros(len(centre), int))
        hidden = before.chosen(np.delete(np.arange(len(before.number)), track))
        self._tracks = now.and_those(dataclasses.replace(hidden, missed=hidden.missed + 1))
        return tuple(dataclasses.replace(one, instance=i) for one, i in zip(objects, number.tolist()))

    def _numbers(self, count: int, known, number) -> np.ndarray:
        """(count,) numbers of objects: those of the known ones, for the others new ones, in their order."""
        new = np.ones(count, bool)
        new[known] = False
        out = self._born + np.cumsum(new)
        self._born += int(new.sum())
        out[known] = number
        return out


def _pairs(far, alike, gate):
    """(object, track) that are alike and at most the gate apart, far (K, T) [m], the nearest first, each once."""
    near = np.argwhere((far <= gate) & alike)
    objects_left, tracks_left = (set(range(n)) for n in far.shape)
    for i, j in near[np.argsort(far[tuple(near.T)], kind="stable")].tolist():
        if i in objects_left and j in tracks_left:
            objects_left.remove(i)
            tracks_left.remove(j)
            yield i, j
