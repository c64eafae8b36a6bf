"""Things of some scans set down in others of the same sensor: rare classes become less rare, places more varied.

A thing keeps its distance from the sensor and turns about it, so its density and beam pattern stay true. A piece of a
tree's crown may come nearer and down to the ground: bushes and hedges are what the training sets lack.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from bipointnet_ros.core import clusters, ground
from bipointnet_ros.training.scan import Scan

FEWEST, MOST = 15, 4000  # points of a thing
LONGEST = 9.0  # m along x or y
_EDGE = 0.4  # m: cells of the clusters
_PIECE = 3.0  # m: vegetation is cut into pieces of this edge
_CLEAR = 0.15  # share of other points where a thing may be set down


@dataclass(frozen=True)
class Thing:
    """points: xy from the sensor, z over the ground; ``falls``: may come nearer and down to the ground."""

    points: Scan
    falls: bool


def things(scans, classes, names=("vehicle", "person", "pole", "vegetation"), most: int = 400, seed: int = 0):
    """Things of the named classes, at most ``most`` a class, taken evenly from the scans: one list per class found."""
    rng = np.random.default_rng(seed)
    heights = [ground.height(scan.xyz) for scan in scans]
    banks = []
    for name in names:
        found = [t for scan, height in zip(scans, heights) for t in _of(scan, height, classes.index(name), name)]
        if found:
            banks.append([found[i] for i in rng.permutation(len(found))[:most]])
    return banks


def _of(scan: Scan, height, label: int, name: str):
    rows = np.flatnonzero(scan.label == label)
    if len(rows) < FEWEST:
        return
    order, starts = clusters.runs(_pieces(scan.xyz[rows, :2], name))
    for a, b in zip(starts[:-1], starts[1:]):
        part = rows[order[a:b]]
        if FEWEST <= len(part) <= MOST and np.ptp(scan.xyz[part, :2], axis=0).max() < LONGEST:
            xyz = np.c_[scan.xyz[part, :2], height[part]].astype(np.float32)
            yield Thing(Scan(xyz, scan[part].intensity, scan.label[part]), name == "vegetation")


def _pieces(xy, name: str):
    if name != "vegetation":
        return clusters.clusters(xy, _EDGE)
    return np.unique(np.floor(xy / _PIECE), axis=0, return_inverse=True)[1].reshape(-1)


def pasted(scan: Scan, banks, rng, most: int) -> Scan:
    """The scan with up to ``most`` things, of random classes, standing on free ground; what they hide is gone."""
    if not banks or len(scan.xyz) < FEWEST:
        return scan
    for _ in range(rng.integers(0, most + 1)):
        bank = banks[rng.integers(len(banks))]
        scan = _set_down(scan, bank[rng.integers(len(bank))], rng)
    return scan


def _set_down(scan: Scan, thing: Thing, rng) -> Scan:
    """Where its distance from the sensor meets the ground; as it was, when no such place turns out to be free."""
    xyz = _fallen(thing.points.xyz, rng) if thing.falls else thing.points.xyz
    xyz = _turned(xyz, _azimuth_of_ground(scan, xyz, rng))
    floor = _free_ground(scan, xyz)
    if floor is None:
        return scan
    xyz[:, 2] += floor
    rest = scan[~_hidden(scan.xyz, xyz, floor + 1.8)]
    dark = rest.intensity is None or thing.points.intensity is None
    intensity = None if dark else np.concatenate([rest.intensity, thing.points.intensity])
    return Scan(np.concatenate([rest.xyz, xyz]), intensity, np.concatenate([rest.label, thing.points.label]))


def _fallen(xyz, rng):
    """A piece of a crown nearer to the sensor: smaller, of the same density by angle; mostly on the ground."""
    xyz = xyz * np.float32(rng.uniform(0.3, 1.0))
    if rng.random() < 0.8:
        xyz[:, 2] -= xyz[:, 2].min()
    return xyz


def _azimuth_of_ground(scan: Scan, xyz, rng) -> float:
    """The turn that takes the thing over a random ground point about as far away."""
    x, y = xyz[:, :2].mean(0)
    distance = np.hypot(scan.xyz[:, 0], scan.xyz[:, 1])
    as_far = np.flatnonzero((scan.label == 0) & (np.abs(distance - np.hypot(x, y)) < 1.0))
    if len(as_far) == 0:
        return 0.0
    there = scan.xyz[as_far[rng.integers(len(as_far))]]
    return np.arctan2(there[1], there[0]) - np.arctan2(y, x)


def _turned(xyz, angle):
    c, s = np.cos(angle), np.sin(angle)
    x, y, z = xyz.T
    return np.stack([x * c - y * s, x * s + y * c, z], 1).astype(np.float32)


def _free_ground(scan: Scan, xyz) -> float | None:
    """Height of the ground under a thing, None where there is none or where something else stands."""
    low, high = xyz[:, :2].min(0) - 0.5, xyz[:, :2].max(0) + 0.5
    x, y, _ = scan.xyz.T
    near = (x > low[0]) & (x < high[0]) & (y > low[1]) & (y < high[1])
    flat = near & (scan.label == 0)
    if flat.sum() < 3 or (near & ~flat).sum() > _CLEAR * near.sum():
        return None
    return float(np.median(scan.xyz[flat, 2]))


def _hidden(xyz, thing, eye: float):
    """(N,) bool: behind the thing as seen from (0, 0, eye), by its outline in azimuth and elevation."""

    def seen(points, middle):
        azimuth = np.arctan2(points[:, 1], points[:, 0]) - middle
        azimuth -= 2.0 * np.pi * np.round(azimuth / (2.0 * np.pi))
        distance = np.hypot(points[:, 0], points[:, 1])
        return azimuth, np.arctan2(points[:, 2] - eye, distance), distance

    centre = thing[:, :2].mean(0)
    middle = np.arctan2(centre[1], centre[0])
    azimuth, elevation, distance = seen(thing, middle)
    a, e, d = seen(xyz, middle)
    within = (a > azimuth.min()) & (a < azimuth.max()) & (e > elevation.min()) & (e < elevation.max())
    return within & (d > np.median(distance))
