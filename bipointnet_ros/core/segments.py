"""Objects: clusters seen from above of the points that stand on the ground, and a box around each."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass

import numpy as np

from bipointnet_ros.core.boxes import boxes, completed
from bipointnet_ros.core.clusters import clusters, runs
from bipointnet_ros.core.descriptors import total


@dataclass(frozen=True)
class Object:
    """One thing: instance >= 1, published label, confidence 0..1, box in the cloud's frame [m, rad].

    name: of the label's class, or what a classifier of objects takes it for.
    centre (3,) and size (3,) float32: length >= width along yaw in [-pi/2, pi/2), height along z.
    """

    instance: int
    label: int
    name: str
    confidence: float
    centre: np.ndarray
    size: np.ndarray
    yaw: float
    points: int
    tilt: np.ndarray | None = None  # (3, 3) rotation from level axes, in which yaw turns, to the frame's; None = level

    def moved(self, rotation: np.ndarray, translation=0.0) -> Object:
        """The same object in other axes: rotation (3, 3), then translation (3,) [m]."""
        tilt = rotation if self.tilt is None else rotation @ self.tilt
        return dataclasses.replace(self, centre=rotation @ self.centre + translation, tilt=tilt)

    def quaternion(self) -> tuple[float, float, float, float]:
        """(x, y, z, w) of the box's axes in the frame of its centre."""
        z, w = math.sin(self.yaw / 2.0), math.cos(self.yaw / 2.0)
        if self.tilt is None:
            return 0.0, 0.0, z, w
        x, y, u, v = quaternion(self.tilt)
        return x * w + y * z, y * w - x * z, u * w + v * z, v * w - u * z


@dataclass(frozen=True)
class Kind:
    """How points of a class become objects.

    Points within radius + growth * range [m] of one another belong together. Things have at least so many points, begin
    under bottom and end within top (2,) [m] over the ground, and their diagonal is shortest to longest [m]. sure: what
    the confidence of a thing's points is at least, in the mean. least: length and width [m] of the smallest such thing,
    of which a scan sees a part.
    """

    radius: float
    points: int
    top: tuple[float, float]
    bottom: float = np.inf
    growth: float = 0.0
    shortest: float = 0.0
    longest: float = np.inf
    sure: float = 0.0
    least: tuple[float, float] = (0.0, 0.0)


KINDS = {
    "vehicle": Kind(0.3, 12, (0.5, np.inf), growth=0.007, shortest=0.8, least=(4.2, 1.8)),
    "person": Kind(0.4, 6, (1.0, 2.2), bottom=0.8, longest=2.5, sure=0.5, least=(0.6, 0.6)),
    "pole": Kind(0.4, 6, (0.8, np.inf), longest=4.0),
}
ANYTHING = Kind(0.5, 20, (0.3, np.inf))
MOST = 500  # objects of a scan, the nearest: noise must not become a million of them
FITTING = {"vehicle": ("car", "large", "cycle"), "person": ("pedestrian", "cycle"), "pole": ("pole",)}
DOUBT = 0.3  # a cluster that is less likely than this what its points are taken for is no object
_BELOW = -0.5  # m under the ground: not a thing
_OWN = 4.0  # m: a thing that reaches no farther and surrounds the sensor carries it


def objects(xyz, height, label, confidence, names, backend=None, chances=None):
    """Instances (N,) uint32 and the objects among vehicles, persons and poles, the nearest first.

    xyz (N, 3) float32 level [m], height (N,) over the ground, label (N,) published (0 = unknown, else index into
    names + 1), confidence (N,) in 0..1. The backend changes the speed only. chances(clouds (n, 3) each) gives for every
    cluster {name: probability}: the likeliest name that fits the class is the object's, the sum over those that fit its
    confidence, and a cluster under DOUBT is none.
    """
    kinds = {k: KINDS[name] for k, name in enumerate(names, 1) if name in KINDS}
    rows = {k: np.flatnonzero((label == k) & (height > _BELOW)) for k in kinds}
    things = _Things.joined([_things(xyz, height, rows[k], kind, backend, k) for k, kind in kinds.items()])
    things = things.chosen(things.means(confidence) >= [kinds[k].sure for k in things.label.tolist()])
    things = _nearest(xyz, things)
    called, sure = [names[k - 1] for k in things.label.tolist()], things.means(confidence)
    if chances is not None and len(things):
        clouds = things.split(xyz.take(things.rows, axis=0))
        told = [_told(name, chance) for name, chance in zip(called, chances(clouds))]
        likely = [i for i, (_, chance) in enumerate(told) if chance >= DOUBT]
        things, called, sure = things.chosen(likely), [told[i][0] for i in likely], [told[i][1] for i in likely]
    return _numbered(xyz, height, things, called, sure, [kinds[k].least for k in things.label.tolist()], backend)


def names(model) -> tuple[str, ...]:
    """The names that objects of a packed model may have: of its classes, or what its classifier of objects tells."""
    if model.objects is None:
        return tuple(name for name in model.classes if name in KINDS) or model.classes
    fitting = {other for name in model.classes for other in FITTING.get(name, ())}
    return tuple(name for name in model.objects.classes if name in fitting)


def _told(name: str, chance: dict[str, float]) -> tuple[str, float]:
    """The likeliest name of a thing of a class, and how likely any of those is that fit the class."""
    fitting = [other for other in FITTING[name] if other in chance]
    if not fitting:
        return name, 1.0
    return max(fitting, key=chance.get), min(sum(chance[other] for other in fitting), 1.0)


def standing(xyz, height, backend=None) -> list[np.ndarray]:
    """Rows of every cluster that stands on the ground, whatever it is: what a classifier of clusters is asked about."""
    things = _nearest(xyz, _things(xyz, height, np.flatnonzero(height > ANYTHING.top[0]), ANYTHING, backend))
    return things.split(things.rows)


def named(xyz, height, parts, label, confidence, names, backend=None) -> tuple[np.ndarray, tuple[Object, ...]]:
    """Instances (N,) and objects of clusters (rows each) with one published label and confidence each."""
    known = np.flatnonzero(label > 0)
    things = _Things.joined([_Things(parts[i], np.array([0, len(parts[i])]), label[[i]]) for i in known])
    called = [names[k - 1] for k in things.label.tolist()]
    least = [KINDS[name].least if name in KINDS else (0.0, 0.0) for name in called]
    return _numbered(xyz, height, things, called, confidence[known], least, backend)


@dataclass(frozen=True)
class _Things:
    """Clusters of a cloud: thing i is its points rows[starts[i]:starts[i + 1]], rows (M,), none empty; label (K,)."""

    rows: np.ndarray
    starts: np.ndarray
    label: np.ndarray

    @staticmethod
    def joined(some) -> _Things:
        """The things of several such."""
        none = np.zeros(0, np.int64)
        rows, size, label = ([none, *(getattr(one, part) for one in some)] for part in ("rows", "size", "label"))
        return _Things(np.concatenate(rows), _starts(np.concatenate(size)), np.concatenate(label))

    def __len__(self) -> int:
        return len(self.label)

    @property
    def size(self) -> np.ndarray:
        """(K,) points of each."""
        return np.diff(self.starts)

    def chosen(self, which) -> _Things:
        """Some of them, by truth (K,) or by index."""
        first, size = self.starts[:-1][which], self.size[which]
        starts = _starts(size)
        rows = self.rows[np.arange(starts[-1]) + np.repeat(first - starts[:-1], size)]
        return _Things(rows, starts, self.label[which])

    def split(self, values) -> list[np.ndarray]:
        """What of values (M, ...), in the order of the rows, is of each thing."""
        return np.split(values, self.starts[1:-1]) if len(self) else []

    def means(self, values) -> np.ndarray:
        """(K,) float64: the mean of each thing's of values (N,), one a point."""
        return total(values.take(self.rows), self.starts) / self.size


def _starts(size) -> np.ndarray:
    return np.concatenate([[0], np.cumsum(size)])


def _things(xyz, height, rows, kind: Kind, backend, label: int = 0) -> _Things:
    """The clusters of the given rows that may be a thing of that kind."""
    near = xyz.take(rows, axis=0)
    order, starts = runs(clusters(near[:, :2], kind.radius, kind.growth, backend), backend)
    things = _Things(rows.take(order), starts, np.full(len(starts) - 1, label))
    if len(rows) == 0:
        return things
    x, y, over = near[:, 0].take(order), near[:, 1].take(order), height.take(things.rows)
    low, high = (np.stack([end.reduceat(v, starts[:-1]) for v in (x, y, over)], 1) for end in (np.minimum, np.maximum))
    diagonal = np.hypot(*(high - low)[:, :2].T)
    fits = (things.size >= kind.points) & (diagonal >= kind.shortest) & (diagonal <= kind.longest)
    bottom, top = low[:, 2], high[:, 2]
    fits &= (bottom < kind.bottom) & (top > kind.top[0]) & (top < kind.top[1]) & ~_own(low[:, :2], high[:, :2])
    return things.chosen(fits)


def _nearest(xyz, things: _Things) -> _Things:
    """The MOST nearest things; all of them, as they come, where they are not more."""
    if len(things) <= MOST:
        return things
    far = np.hypot(things.means(xyz[:, 0]), things.means(xyz[:, 1]))
    return things.chosen(np.argsort(far, kind="stable")[:MOST])


def _own(low, high):
    """(K,) whether a thing of extent low to high (K, 2) [m] is the vehicle or the robot that carries the sensor."""
    around = ((low < 0.0) & (high > 0.0)).all(1)
    return around & (np.maximum(-low, high).max(1) < _OWN)


def _numbered(xyz, height, things: _Things, names, sure, least, backend):
    """Instances and objects of things of those names and confidences, at least of the given length and width (K, 2)."""
    instance = np.zeros(len(xyz), np.uint32)
    if len(things) == 0:
        return instance, ()
    box = boxes(xyz.take(things.rows, axis=0), height.take(things.rows), things.starts, backend)
    box = completed(box, np.array(least))
    order = np.argsort(np.hypot(box[:, 0], box[:, 1]), kind="stable")
    number = np.empty(len(order), np.uint32)
    number[order] = np.arange(1, len(order) + 1)
    instance[things.rows] = np.repeat(number, things.size)
    centre, size, yaw = box[:, :3].astype(np.float32), box[:, 3:6].astype(np.float32), box[:, 6].tolist()
    score, points, label = np.clip(sure, 0.0, 1.0).tolist(), things.size.tolist(), things.label.tolist()
    return instance, tuple(
        Object(n, label[i], names[i], score[i], centre[i], size[i], yaw[i], points[i])
        for n, i in enumerate(order.tolist(), 1)
    )


def quaternion(rotation: np.ndarray) -> tuple[float, float, float, float]:
    """(3, 3) rotation -> (x, y, z, w) of unit length, w >= 0."""
    (a, b, c), (d, e, f), (g, h, i) = np.asarray(rotation, np.float64)
    products = np.array(  # of q with itself, times 4
        [
            [1.0 + a - e - i, b + d, c + g, h - f],
            [b + d, 1.0 - a + e - i, f + h, c - g],
            [c + g, f + h, 1.0 - a - e + i, d - b],
            [h - f, c - g, d - b, 1.0 + a + e + i],
        ]
    )
    row = products[np.diagonal(products).argmax()]  # by its largest component, never by one near 0
    x, y, z, w = row / np.linalg.norm(row) * (-1.0 if row[3] < 0.0 else 1.0)
    return float(x), float(y), float(z), float(w)
