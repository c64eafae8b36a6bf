"""Entropy-maximizing aggregation (BiPointNet, section 3.2): a shift that leaves the sign of a maximum one full bit."""

from __future__ import annotations

from statistics import NormalDist

import numpy as np

BUCKETS = 16  # groups of 2**15 points and more share the last row of a limit table


def delta(n: int) -> float:
    """Shift added to the maximum of n standard-normal values: -Phi^-1(0.5^(1/n)) <= 0, so P(max + delta < 0) = 1/2.

    Equation 8 of the paper. ValueError if n < 1.
    """
    if n < 1:
        raise ValueError(f"a group must hold at least one point, got {n}")
    return -NormalDist().inv_cdf(0.5 ** (1.0 / n))


def bucket(counts: np.ndarray) -> np.ndarray:
    """(S,) number of points of each group -> (S,) uint8 row of a limit table: floor(log2 n), at most BUCKETS - 1."""
    exponent = np.frexp(np.asarray(counts, np.float64))[1] - 1  # n = m * 2**e with m in [0.5, 1)
    return np.clip(exponent, 0, BUCKETS - 1).astype(np.uint8)


def bucket_deltas() -> np.ndarray:
    """(BUCKETS,) float32: delta of the smallest group of each bucket."""
    return np.array([delta(2**b) for b in range(BUCKETS)], np.float32)
