"""Batches of scans that mix sensors."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from bipointnet_ros.core import features, kernels
from bipointnet_ros.core.blueprint import Blueprint


@dataclass(frozen=True)
class Batch:
    """Rows of several scans, one after the other: features (n, F) float32, offsets per scale, label (n,) int64."""

    features: np.ndarray
    offsets: tuple[np.ndarray, ...]
    label: np.ndarray


def batch(scans, blueprint: Blueprint) -> Batch:
    """The scans' rows one after the other; cells never reach from one scan into another."""
    backend = kernels.choose()
    parts = [features.scene(s.xyz, s.intensity, blueprint.grid, blueprint.inputs, backend) for s in scans]
    starts = np.cumsum([0, *(len(p.features) for p in parts)])
    offsets = tuple(
        np.concatenate([[0], *(p.offsets[k][1:] + a for p, a in zip(parts, starts))]).astype(np.int32)
        for k in range(len(blueprint.grid.cells))
    )
    label = np.concatenate([s.label[p.index] for s, p in zip(scans, parts)])
    return Batch(np.concatenate([p.features for p in parts]), offsets, label.astype(np.int64))


def mixed(sets, counts, rng):
    """Endless lists of (i, scan): counts[i] scans of every sets[i]; each set is gone through in shuffled order."""
    streams = [_shuffled(scans, rng) for scans in sets]
    while True:
        yield [(i, next(stream)) for i, (stream, count) in enumerate(zip(streams, counts)) for _ in range(count)]


def _shuffled(scans, rng):
    while True:
        for i in rng.permutation(len(scans)):
            yield scans[i]
