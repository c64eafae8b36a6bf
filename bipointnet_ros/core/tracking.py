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
class Track:
    """An object as it was last seen: number, label, centre (2,) [m], velocity (2,) [m/s], stamp [s]; scans since."""

    number: int
    label: int
    centre: np.ndarray
    velocity: np.ndarray
    stamp: float
    missed: int = 0

    def expected(self, stamp: float) -> np.ndarray:
        """(2,) where it would be at a later time [m]."""
        return self.centre + self.velocity * (stamp - self.stamp)

    def seen(self, centre: np.ndarray, stamp: float) -> Track:
        """The track after a scan that shows it."""
        passed, off = stamp - self.stamp, centre - self.expected(stamp)
        velocity = self.velocity + _GAIN * off / passed if passed > 0.0 else self.velocity
        return Track(self.number, self.label, centre, velocity, stamp)

    def unseen(self) -> Track:
        """The track after a scan that does not show it."""
        return dataclasses.replace(self, missed=self.missed + 1)

    def lasts(self, stamp: float) -> bool:
        """Whether it may still be found at a later time."""
        return stamp - self.stamp <= _HIDDEN and self.missed < _MISSED


class Tracker:
    """Numbers of one sensor's objects, from 1. It forgets them when time jumps back or the frame changes.

    Objects are compared in the frame that they come in; what the sensor's own motion adds is taken for theirs.
    One scan at a time: not thread-safe.
    """

    def __init__(self):
        self._tracks: list[Track] = []
        self._born, self._frame, self._stamp = 0, "", -np.inf

    def follow(self, result: Result, stamp: float, frame: str, config) -> Result:
        """The answer to a scan of that stamp [s] and frame, with numbers that last at its points and its objects.

        config: core.config.Config; without ``track`` the answer stays as it is.
        """
        if not config.track:
            self._tracks = []
            return result
        objects = self.numbered(result.objects, stamp, frame, config.track_gate)
        number = np.zeros(1 + max((one.instance for one in result.objects), default=0), np.uint32)
        for before, after in zip(result.objects, objects):
            number[before.instance] = after.instance
        return dataclasses.replace(result, instance=number[result.instance], objects=objects)

    def numbered(self, objects, stamp: float, frame: str, gate: float) -> tuple[Object, ...]:
        """The objects of a scan, in their order, with instances that last; gate [m] from where each was expected."""
        if frame != self._frame or stamp < self._stamp:
            self._tracks = []
        self._frame, self._stamp = frame, stamp
        before = [track for track in self._tracks if track.lasts(stamp)]
        centres = np.array([one.centre[:2] for one in objects], np.float64).reshape(-1, 2)
        taken = dict(_pairs(objects, centres, before, stamp, gate))
        now = [
            before[taken[i]].seen(centre, stamp) if i in taken else self._new(one, centre, stamp)
            for i, (one, centre) in enumerate(zip(objects, centres))
        ]
        hidden = set(range(len(before))) - set(taken.values())
        self._tracks = now + [before[j].unseen() for j in sorted(hidden)]
        return tuple(dataclasses.replace(one, instance=track.number) for one, track in zip(objects, now))

    def _new(self, one: Object, centre: np.ndarray, stamp: float) -> Track:
        self._born += 1
        return Track(self._born, one.label, centre, np.zeros(2), stamp)


def _pairs(objects, centres, tracks, stamp, gate):
    """(object, track) of one label within the gate, the nearest first, each once."""
    expected = np.array([track.expected(stamp) for track in tracks]).reshape(-1, 2)
    far = np.hypot(*(centres[:, None] - expected).transpose(2, 0, 1))
    kinds, labels = (np.array([one.label for one in many], int) for many in (objects, tracks))
    near = np.argwhere((far <= gate) & (kinds[:, None] == labels))
    objects_left, tracks_left = set(range(len(objects))), set(range(len(tracks)))
    for i, j in near[np.argsort(far[tuple(near.T)], kind="stable")].tolist():
        if i in objects_left and j in tracks_left:
            objects_left.remove(i)
            tracks_left.remove(j)
            yield i, j
