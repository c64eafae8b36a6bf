"""Objects: connected cells of a 2-D grid over the points that stand on the ground, and a box around each."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

import numpy as np


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
    """How points of a class become objects: cell edge [m], fewest points, fewest metres over the ground."""

    edge: float
    points: int
    height: float


KINDS = {
    "vehicle": Kind(0.35, 12, 0.5),
    "person": Kind(0.25, 6, 0.5),
    "pole": Kind(0.25, 6, 0.8),
}
ANYTHING = Kind(0.35, 20, 0.3)
_ON_GROUND = 0.6  # m: a thing whose lowest point is nearer to the ground stands on it
_ANGLES = np.radians(np.arange(0.0, 90.0, 3.0)).astype(np.float32)
_YAW_POINTS = 128  # of an object tell its yaw
_NEAREST = 0.05  # m: closer to an edge of the box counts no more
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
    return [part for part in parts if height[part].max() > kind.height]


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


# ----------------------------------------------------------------------------------------------------------- clusters


def clusters(xy: np.ndarray, edge: float) -> np.ndarray:
    """(N, 2) [m] -> (N,) cluster 0, 1, ...: points are together when a chain of touching cells joins them."""
    if len(xy) == 0:
        return np.zeros(0, np.int64)
    place = np.floor(xy / np.float32(edge)).astype(np.int64)
    place -= place.min(0) - 1
    width = place[:, 1].max() + 2
    cell, of = np.unique(place[:, 0] * width + place[:, 1], return_inverse=True)
    return components(len(cell), *_touching(cell, width))[of.reshape(-1)]


def _touching(cell, width):
    """Pairs of indices of sorted cell ids that touch."""
    pairs = []
    for step in (1, width - 1, width, width + 1):
        place = np.minimum(np.searchsorted(cell, cell + step), len(cell) - 1)
        hit = np.flatnonzero(cell[place] == cell + step)
        pairs.append((hit, place[hit]))
    return (np.concatenate(side) for side in zip(*pairs))


def components(count: int, a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """(count,) component 0, 1, ... of a graph with edges a-b, by hooking to the smaller root and halving paths."""
    root = np.arange(count)
    while True:
        low, high = np.minimum(root[a], root[b]), np.maximum(root[a], root[b])
        if (low == high).all():
            return np.unique(root, return_inverse=True)[1].reshape(-1)
        np.minimum.at(root, high, low)
        while (root != root[root]).any():
            root = root[root]


def runs(ids: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(N,) ids 0..K-1, each used -> order (N,) that makes equal ids contiguous, starts (K + 1,)."""
    return np.argsort(ids, kind="stable"), np.concatenate([[0], np.cumsum(np.bincount(ids))]).astype(np.int64)


# -------------------------------------------------------------------------------------------------------------- boxes


def boxes(xyz: np.ndarray, height: np.ndarray, starts: np.ndarray) -> np.ndarray:
    """(K, 7) float64 x y z length width height yaw of each run of points, yaw by closeness of the points to the edges.

    Zhang et al., "Efficient L-shape fitting for vehicle detection", IV 2017: seen sides lie on the box.
    """
    count, first = np.diff(starts), starts[:-1]
    origin = xyz[first, :2].astype(np.float64)
    xy = (xyz[:, :2] - np.repeat(origin, count, 0)).astype(np.float32)
    some, some_starts = _thinned(starts)
    yaw = _closest(xy[some], some_starts)
    (low_u, high_u), (low_v, high_v) = _extents(xy, yaw, starts)
    along, across = (low_u + high_u) / 2.0, (low_v + high_v) / 2.0
    x, y = along * np.cos(yaw) - across * np.sin(yaw), along * np.sin(yaw) + across * np.cos(yaw)
    length, width = high_u - low_u, high_v - low_v
    turned = width > length
    yaw = np.where(turned, yaw + np.pi / 2.0, yaw)
    yaw = (yaw + np.pi / 2.0) % np.pi - np.pi / 2.0
    length, width = np.maximum(length, width), np.minimum(length, width)
    bottom, top = _bottom(xyz[:, 2], height, first), np.maximum.reduceat(xyz[:, 2], first)
    size = np.maximum(np.stack([length, width, top - bottom], 1), _NEAREST)
    return np.column_stack([origin[:, 0] + x, origin[:, 1] + y, (bottom + top) / 2.0, size, yaw])


def _bottom(z, height, first):
    """The lowest point, or the ground under it where the thing stands on it."""
    low = np.minimum.reduceat(z, first)
    over = np.minimum.reduceat(height, first)
    return np.where(over < _ON_GROUND, low - over, low)


def _thinned(starts):
    """Rows of at most _YAW_POINTS of each run, evenly spaced, and where the runs start among them."""
    count = np.diff(starts)
    step = -(-count // _YAW_POINTS)
    within = np.arange(starts[-1]) - np.repeat(starts[:-1], count)
    kept = within % np.repeat(step, count) == 0
    return np.flatnonzero(kept), np.concatenate([[0], np.cumsum(-(-count // step))])


def _extents(xy, yaw, starts):
    count, first = np.diff(starts), starts[:-1]
    c, s = (np.repeat(f(yaw), count).astype(np.float32) for f in (np.cos, np.sin))
    sides = (xy[:, 0] * c + xy[:, 1] * s, xy[:, 1] * c - xy[:, 0] * s)
    return [(np.minimum.reduceat(u, first), np.maximum.reduceat(u, first)) for u in sides]


def _closest(xy, starts):
    """(K,) angle in [0, pi/2) whose box edges the points are closest to."""
    best, yaw = np.full(len(starts) - 1, -np.inf), np.zeros(len(starts) - 1)
    for angle in _ANGLES:
        score = _closeness(xy, angle, starts)
        yaw[score > best] = angle
        best = np.maximum(best, score)
    return yaw


def _closeness(xy, angle, starts):
    count, first = np.diff(starts), starts[:-1]
    gaps = []
    for u in (xy[:, 0] * np.cos(angle) + xy[:, 1] * np.sin(angle), xy[:, 1] * np.cos(angle) - xy[:, 0] * np.sin(angle)):
        low, high = np.minimum.reduceat(u, first), np.maximum.reduceat(u, first)
        gaps.append(np.minimum(u - np.repeat(low, count), np.repeat(high, count) - u))
    return np.add.reduceat(1.0 / np.maximum(np.minimum(*gaps), _NEAREST), first)
