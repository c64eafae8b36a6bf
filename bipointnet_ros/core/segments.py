"""Objects: connected cells of a 2-D grid over the points that stand on the ground, and a box around each."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

import numpy as np

from bipointnet_ros.core.boxes import boxes
from bipointnet_ros.core.clusters import clusters, runs


@dataclass(frozen=True)
class Object:
    """One thing: instance >= 1, published label and its name, confidence 0..1, box in the cloud's frame [m, rad].

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
    tilt: np.ndarray | None = None  # (3, 3) rotation from level axes, in which yaw turns, to the cloud's; None = level

    def tilted(self, rotation: np.ndarray) -> Object:
        """The same object of a level cloud in axes turned by rotation (3, 3)."""
        return dataclasses.replace(self, centre=rotation @ self.centre, tilt=rotation)

    def quaternion(self) -> tuple[float, float, float, float]:
        """(x, y, z, w) of the box's axes in the cloud's frame."""
        z, w = np.sin(self.yaw / 2.0), np.cos(self.yaw / 2.0)
        if self.tilt is None:
            return 0.0, 0.0, float(z), float(w)
        x, y, u, v = quaternion(self.tilt)
        return x * w + y * z, y * w - x * z, u * w + v * z, v * w - u * z


@dataclass(frozen=True)
class Kind:
    """How points of a class become objects: cell edge [m], fewest points, metres over the ground, diagonal [m]."""

    edge: float
    points: int
    height: float
    shortest: float = 0.0
    longest: float = np.inf


KINDS = {
    "vehicle": Kind(0.35, 12, 0.5, shortest=0.8),  # less of a car is a speck on a hedge; a row of cars may touch
    "person": Kind(0.25, 6, 0.5, longest=3.0),
    "pole": Kind(0.25, 6, 0.8, longest=4.0),
}
ANYTHING = Kind(0.35, 20, 0.3)
_BELOW = -0.5  # m under the ground: not a thing


def objects(xyz, height, label, confidence, names) -> tuple[np.ndarray, tuple[Object, ...]]:
    """Instances (N,) uint32 and the objects among vehicles, persons and poles, the nearest first.

    xyz (N, 3) float32 level [m], height (N,) over the ground, label (N,) published (0 = unknown, else index into
    names + 1), confidence (N,) in 0..1.
    """
    found = []
    for k, name in enumerate(names, 1):
        if name in KINDS:
            rows = np.flatnonzero((label == k) & (height > _BELOW))
            found += [(k, name, part) for part in _things(xyz, height, rows, KINDS[name])]
    return _numbered(xyz, height, confidence, found)


def standing(xyz, height) -> list[np.ndarray]:
    """Rows of every cluster that stands on the ground, whatever it is: what a classifier of clusters is asked about."""
    return _things(xyz, height, np.flatnonzero(height > ANYTHING.height), ANYTHING)


def named(xyz, height, parts, label, confidence, names) -> tuple[np.ndarray, tuple[Object, ...]]:
    """Instances (N,) and objects of clusters (rows each) with one published label and confidence each."""
    found = [(int(k), names[k - 1], part) for k, part in zip(label, parts) if k > 0]
    each = np.zeros(len(xyz), np.float32)
    for part, value in zip(parts, confidence):
        each[part] = value
    return _numbered(xyz, height, each, found)


def _things(xyz, height, rows, kind: Kind) -> list[np.ndarray]:
    cluster = clusters(xyz[rows, :2], kind.edge)
    order, starts = runs(cluster)
    parts = (rows[order[a:b]] for a, b in zip(starts[:-1], starts[1:]) if b - a >= kind.points)
    return [part for part in parts if height[part].max() > kind.height and _fits(xyz[part, :2], kind)]


def _fits(xy, kind: Kind) -> bool:
    return kind.shortest <= np.hypot(*np.ptp(xy, axis=0)) <= kind.longest


def _numbered(xyz, height, confidence, found):
    instance = np.zeros(len(xyz), np.uint32)
    if not found:
        return instance, ()
    rows = np.concatenate([part for _, _, part in found])
    starts = np.concatenate([[0], np.cumsum([len(part) for _, _, part in found])])
    box = boxes(xyz[rows], height[rows], starts)
    things = []
    for i in np.argsort(np.hypot(box[:, 0], box[:, 1]), kind="stable"):
        k, name, part = found[i]
        instance[part] = len(things) + 1
        sure = float(np.clip(confidence[part].mean(), 0.0, 1.0))
        centre, size = box[i, :3].astype(np.float32), box[i, 3:6].astype(np.float32)
        things.append(Object(len(things) + 1, k, name, sure, centre, size, float(box[i, 6]), len(part)))
    return instance, tuple(things)


def quaternion(rotation: np.ndarray) -> tuple[float, float, float, float]:
    """(3, 3) rotation by less than half a turn -> (x, y, z, w)."""
    w = np.sqrt(max(1.0 + float(np.trace(rotation)), 1e-12)) / 2.0
    x, y, z = (float(rotation[i, j] - rotation[j, i]) / (4.0 * w) for i, j in ((2, 1), (0, 2), (1, 0)))
    return x, y, z, float(w)
