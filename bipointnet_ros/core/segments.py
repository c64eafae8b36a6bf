"""Objects: clusters seen from above of the points that stand on the ground, and a box around each."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

import numpy as np

from bipointnet_ros.core.boxes import boxes, completed
from bipointnet_ros.core.clusters import clusters, runs


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
        z, w = np.sin(self.yaw / 2.0), np.cos(self.yaw / 2.0)
        if self.tilt is None:
            return 0.0, 0.0, float(z), float(w)
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
    found = []
    for k, name in enumerate(names, 1):
        if name in KINDS:
            rows = np.flatnonzero((label == k) & (height > _BELOW))
            parts = _things(xyz, height, rows, KINDS[name], backend)
            found += [(k, name, part) for part in parts if confidence[part].mean() >= KINDS[name].sure]
    if chances is None or not found:
        return _numbered(xyz, height, confidence, found)
    found = [found[i] for i in _nearest(xyz, [part for _, _, part in found])]
    seen = zip(found, chances([xyz[part] for _, _, part in found]))
    told = [(thing, *_told(thing[1], chance)) for thing, chance in seen]
    told = [row for row in told if row[2] >= DOUBT]
    return _numbered(xyz, height, confidence, *([row[i] for row in told] for i in range(3)))


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
    parts = _things(xyz, height, np.flatnonzero(height > ANYTHING.top[0]), ANYTHING, backend)
    return [parts[i] for i in _nearest(xyz, parts)]


def named(xyz, height, parts, label, confidence, names) -> tuple[np.ndarray, tuple[Object, ...]]:
    """Instances (N,) and objects of clusters (rows each) with one published label and confidence each."""
    found = [(int(k), names[k - 1], part) for k, part in zip(label, parts) if k > 0]
    each = np.zeros(len(xyz), np.float32)
    for part, value in zip(parts, confidence):
        each[part] = value
    return _numbered(xyz, height, each, found)


def _things(xyz, height, rows, kind: Kind, backend) -> list[np.ndarray]:
    """Rows of each cluster of the given rows that may be a thing of that kind."""
    if len(rows) == 0:
        return []
    near = xyz[rows, :2]
    order, starts = runs(clusters(near, kind.radius, kind.growth, backend), backend)
    first, near, over = starts[:-1], near[order], height[rows[order]]
    low, high = np.minimum.reduceat(near, first), np.maximum.reduceat(near, first)
    diagonal = np.hypot(*(high - low).T)
    fits = (np.diff(starts) >= kind.points) & (diagonal >= kind.shortest) & (diagonal <= kind.longest)
    top = np.maximum.reduceat(over, first)
    fits &= (np.minimum.reduceat(over, first) < kind.bottom) & (top > kind.top[0]) & (top < kind.top[1])
    fits &= ~_own(low, high)
    return [rows[order[starts[i] : starts[i + 1]]] for i in np.flatnonzero(fits)]


def _nearest(xyz, parts):
    """Indices of the MOST nearest parts; of all of them, as they come, where they are not more."""
    if len(parts) <= MOST:
        return range(len(parts))
    return np.argsort([np.hypot(*xyz[part, :2].mean(0)) for part in parts], kind="stable")[:MOST]


def _own(low, high):
    """(K,) whether a thing of extent low to high (K, 2) [m] is the vehicle or the robot that carries the sensor."""
    around = ((low < 0.0) & (high > 0.0)).all(1)
    return around & (np.maximum(-low, high).max(1) < _OWN)


def _numbered(xyz, height, confidence, found, told=None, sure=None):
    """Instances and objects of (label, class, rows) each; ``told``, ``sure``: their names and confidences, if given."""
    instance = np.zeros(len(xyz), np.uint32)
    if not found:
        return instance, ()
    found = [found[i] for i in _nearest(xyz, [part for _, _, part in found])]
    rows = np.concatenate([part for _, _, part in found])
    starts = np.concatenate([[0], np.cumsum([len(part) for _, _, part in found])])
    least = np.array([KINDS[name].least if name in KINDS else (0.0, 0.0) for _, name, _ in found])
    box = completed(boxes(xyz[rows], height[rows], starts), least)
    things = []
    for i in np.argsort(np.hypot(box[:, 0], box[:, 1]), kind="stable"):
        k, name, part = found[i]
        instance[part] = len(things) + 1
        score = float(np.clip(confidence[part].mean() if sure is None else sure[i], 0.0, 1.0))
        name = name if told is None else told[i]
        centre, size = box[i, :3].astype(np.float32), box[i, 3:6].astype(np.float32)
        things.append(Object(len(things) + 1, k, name, score, centre, size, float(box[i, 6]), len(part)))
    return instance, tuple(things)


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
