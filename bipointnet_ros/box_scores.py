"""Boxes against human ones: bird's-eye IoU, precision and recall by class, range and IoU, numbers that last."""

from __future__ import annotations

import numpy as np

RANGES = ((0.0, 10.0), (10.0, 25.0), (0.0, 25.0), (25.0, 50.0), (50.0, 100.0))  # m from the sensor, in the plane
OVERLAPS = (0.25, 0.5)
FEWEST = {"vehicle": 20, "person": 10}  # points of a true box that must be found; one of fewer is neither hit nor miss


class BoxScores:
    """Counts over scans. A true box is found by at most one box of its class, the pairs of highest IoU first."""

    def __init__(self, classes=tuple(FEWEST)):
        self.classes = tuple(classes)
        shape = (len(self.classes), len(OVERLAPS), len(RANGES))
        self.true, self.found, self.given, self.right = (np.zeros(shape, int) for _ in range(4))

    def add(self, xyz, boxes, names, truth, true_names) -> None:
        """One scan: xyz (N, 3) [m]; boxes (B, 7) and truth (T, 7): x y z length width height yaw; a name each."""
        for c, name in enumerate(self.classes):
            ours, theirs = (_of(values, which, name) for values, which in ((boxes, names), (truth, true_names)))
            counted = points_inside(xyz, theirs) >= FEWEST[name]
            overlap = overlaps(ours, theirs)
            for o, least in enumerate(OVERLAPS):
                hit, taken = _matched(overlap, least, counted)
                self.true[c, o] += _by_range(theirs[counted])
                self.found[c, o] += _by_range(theirs[counted & taken])
                self.given[c, o] += _by_range(ours[hit >= 0])
                self.right[c, o] += _by_range(ours[hit == 1])

    def rows(self) -> list[dict]:
        """One dict a class, IoU and range; precision and recall are None where there is nothing to share."""
        return [
            {
                "class": name,
                "iou": least,
                "range": list(RANGES[r]),
                "true": int(self.true[c, o, r]),
                "found": int(self.found[c, o, r]),
                "recall": _share(self.found[c, o, r], self.true[c, o, r]),
                "given": int(self.given[c, o, r]),
                "precision": _share(self.right[c, o, r], self.given[c, o, r]),
            }
            for c, name in enumerate(self.classes)
            for o, least in enumerate(OVERLAPS)
            for r in range(len(RANGES))
        ]


class TrackScores:
    """Whether the boxes of a thing keep one number from scan to scan. A true box that no box meets says nothing."""

    def __init__(self):
        self._number: dict[int, int] = {}  # of each true track, where it was last met
        self._used: set[int] = set()
        self.seen = self.kept = 0

    def add(self, boxes, names, numbers, truth, true_names, tracks) -> None:
        """One scan: as for BoxScores, and the number of each box and of each true one."""
        for name in FEWEST:
            ours, theirs = (_of(values, which, name) for values, which in ((boxes, names), (truth, true_names)))
            number, track = (
                np.asarray(values)[np.asarray(which, dtype=object) == name].tolist()
                for values, which in ((numbers, names), (tracks, true_names))
            )
            for i, j in _pairs(overlaps(ours, theirs), OVERLAPS[0], np.ones(len(theirs), bool)):
                if track[j] in self._number:
                    self.seen += 1
                    self.kept += self._number[track[j]] == number[i]
                self._number[track[j]] = number[i]
                self._used.add(number[i])

    def summary(self) -> dict:
        """tracks: things met at least once; numbers: that their boxes bore; kept: of their meetings after the first."""
        return {
            "tracks": len(self._number),
            "numbers": len(self._used),
            "seen_again": self.seen,
            "switches": self.seen - self.kept,
            "kept": _share(self.kept, self.seen),
        }


def overlaps(boxes: np.ndarray, others: np.ndarray) -> np.ndarray:
    """(B, 7), (T, 7) -> (B, T) intersection over union seen from above."""
    out = np.zeros((len(boxes), len(others)))
    radius = [np.hypot(b[:, 3], b[:, 4]) / 2.0 for b in (boxes, others)]
    far = np.hypot(*(boxes[:, None, i] - others[None, :, i] for i in (0, 1)))
    corners = [[_corners(one) for one in b] for b in (boxes, others)]
    for i, j in np.argwhere(far < radius[0][:, None] + radius[1]):
        shared = _area(_clipped(corners[0][i], corners[1][j]))
        out[i, j] = shared / max(boxes[i, 3] * boxes[i, 4] + others[j, 3] * others[j, 4] - shared, 1e-9)
    return out


def points_inside(xyz, boxes) -> np.ndarray:
    """(B,) points of xyz (N, 3) in each box (B, 7)."""
    out = np.zeros(len(boxes), int)
    for i, (x, y, z, length, width, height, yaw) in enumerate(boxes):
        near = xyz[np.abs(xyz[:, 0] - x) < (length + width) / 2.0] - np.array([x, y, z])
        along = near[:, 0] * np.cos(yaw) + near[:, 1] * np.sin(yaw)
        across = near[:, 1] * np.cos(yaw) - near[:, 0] * np.sin(yaw)
        within = (np.abs(along) <= length / 2) & (np.abs(across) <= width / 2) & (np.abs(near[:, 2]) <= height / 2)
        out[i] = within.sum()
    return out


def _matched(overlap, least, counted):
    """(B,) 1 = found a counted box, 0 = found none, -1 = found one that does not count; (T,) whether it was found."""
    hit, taken = np.zeros(overlap.shape[0], int), np.zeros(overlap.shape[1], bool)
    for i, j in _pairs(overlap, least, counted):
        taken[j], hit[i] = True, 1 if counted[j] else -1
    return hit, taken


def _pairs(overlap, least, counted):
    """(box, true box) of at least that IoU, each once, the highest first; those that count choose before the others."""
    used, taken = np.zeros(overlap.shape[0], bool), np.zeros(overlap.shape[1], bool)
    pairs = np.argwhere(overlap >= least)
    for i, j in pairs[np.lexsort((-overlap[tuple(pairs.T)], ~counted[pairs[:, 1]]))].tolist():
        if not used[i] and (not taken[j] or not counted[j]):
            used[i] = taken[j] = True
            yield i, j


def _of(boxes, names, name):
    return np.asarray(boxes, np.float64).reshape(-1, 7)[np.asarray(names, dtype=object) == name]


def _by_range(boxes):
    distance = np.hypot(boxes[:, 0], boxes[:, 1])
    return np.array([((distance >= low) & (distance < high)).sum() for low, high in RANGES])


def _share(part, whole) -> float | None:
    return float(part / whole) if whole else None


def _corners(box) -> list[tuple[float, float]]:
    """Four corners from above, anticlockwise."""
    (x, y), (length, width), (c, s) = box[:2], box[3:5] / 2.0, (np.cos(box[6]), np.sin(box[6]))
    return [
        (float(x + a * length * c - b * width * s), float(y + a * length * s + b * width * c))
        for a, b in ((1, 1), (-1, 1), (-1, -1), (1, -1))
    ]


def _clipped(polygon, window):
    """The part of a convex polygon within another, both anticlockwise (Sutherland and Hodgman, 1974)."""
    for (ax, ay), (bx, by) in zip(window, window[1:] + window[:1]):
        side = [(bx - ax) * (y - ay) - (by - ay) * (x - ax) for x, y in polygon]
        kept = []
        for i, (x, y) in enumerate(polygon):
            (u, v), before = polygon[i - 1], side[i - 1]
            if (side[i] >= 0.0) != (before >= 0.0):
                t = before / (before - side[i])
                kept.append((u + t * (x - u), v + t * (y - v)))
            if side[i] >= 0.0:
                kept.append((x, y))
        polygon = kept
    return polygon


def _area(polygon) -> float:
    return abs(sum(x * v - u * y for (x, y), (u, v) in zip(polygon, polygon[1:] + polygon[:1]))) / 2.0
