"""Scores from one confusion matrix, summed over everything that was judged."""

from __future__ import annotations

import numpy as np

from bipointnet_ros.dataset import IGNORED


class Confusion:
    """counts (K, K + 1) int64: row = true class, column = predicted class, the last one = unknown or none of these."""

    def __init__(self, classes):
        self.classes = tuple(classes)
        self.counts = np.zeros((len(self.classes), len(self.classes) + 1), np.int64)

    def add(self, truth, predicted) -> None:
        """truth (N,) index of the class or IGNORED; predicted (N,) index of the class, K = unknown or none of these."""
        judged = np.asarray(truth) != IGNORED
        k = len(self.classes)
        cell = np.asarray(truth, np.int64)[judged] * (k + 1) + np.asarray(predicted, np.int64)[judged]
        self.counts += np.bincount(cell, minlength=k * (k + 1)).reshape(k, k + 1)

    @property
    def true(self) -> np.ndarray:
        """(K,) number of true items of each class."""
        return self.counts.sum(1)

    def overall(self) -> float:
        """Share of the items that are right."""
        return _share(np.trace(self.counts), self.counts.sum())

    def recall(self) -> np.ndarray:
        """(K,) share of each class's items that are right; NaN for a class without any."""
        return _shares(np.diagonal(self.counts), self.true)

    def iou(self) -> np.ndarray:
        """(K,) intersection over union; NaN for a class that neither occurs nor is predicted."""
        hit, predicted = np.diagonal(self.counts), self.counts.sum(0)[:-1]
        return _shares(hit, self.true + predicted - hit)

    def mean(self, values: np.ndarray, fewest: int = 1) -> float:
        """Mean of a score (K,) over the classes with at least so many true items; NaN if there are none."""
        enough = self.true >= max(fewest, 1)
        return float(values[enough].mean()) if enough.any() else float("nan")


def _share(part, whole) -> float:
    return float(part / whole) if whole else float("nan")


def _shares(part, whole) -> np.ndarray:
    return np.where(whole > 0, part / np.maximum(whole, 1), np.nan)
