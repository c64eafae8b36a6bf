"""Batches of scans that mix sensors."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import torch

from bipointnet_ros.core import features, kernels, looks
from bipointnet_ros.core.blueprint import Blueprint


@dataclass(frozen=True)
class View:
    """Rows of several scans as a network sees them, one scan after the other: features (n, F) float32, offsets per
    scale; row (n,) int64: which row of the batch each of them is.
    """

    features: np.ndarray
    offsets: tuple[np.ndarray, ...]
    row: np.ndarray


@dataclass(frozen=True)
class Batch:
    """label (n,) int64 of the rows; first: how the network that learns sees them; again: the same rows in cells whose
    borders lie elsewhere, for its teacher.
    """

    label: np.ndarray
    first: View
    again: tuple[View, ...] = ()


def batch(scans, blueprint: Blueprint, rng=None, blur: float = 0.0, views: int = 1) -> Batch:
    """The scans' rows one after the other; cells never reach from one scan into another.

    blur: of ``blurred``, the same in all ``views`` of the rows; ``rng`` chooses it and the views.
    """
    backend, grid, inputs = kernels.choose(), blueprint.grid, blueprint.inputs
    parts = [features.scene(s.xyz, s.intensity, grid, inputs, backend) for s in scans]
    noise = [blurred(part.features, blur, rng) if blur else np.float32([[0.0]]) for part in parts]

    def view(shift) -> View:
        every = [np.arange(len(part.own)) for part in parts]
        if shift is None:
            return _joined(parts, noise, every)
        moved = [looks.again(p, s.xyz, r, grid, inputs, shift, backend) for p, s, r in zip(parts, scans, every)]
        return _joined(moved, noise, [look.row for look in moved])

    shifts = [shift for shift, _ in looks.further(looks.MOST, grid)]
    some = [shifts[k] for k in rng.permutation(len(shifts))[: views - 1]] if views > 1 else []
    label = np.concatenate([s.label[part.index] for s, part in zip(scans, parts)]).astype(np.int64)
    return Batch(label, view(None), tuple(map(view, some)))


def blurred(values, blur: float, rng) -> np.ndarray:
    """(n, F) float32 to add to the inputs of a scan: nothing in half of the scans; else each input is moved, by a share
    of its standard deviation drawn with one of up to ``blur``, and each row's by half as much again.

    What another city, season or sensor does to the inputs is not known; this takes a step in every direction.
    """
    if rng.random() < 0.5:
        return np.zeros_like(values)
    moved = rng.normal(size=values.shape[1]) + 0.5 * rng.normal(size=values.shape)
    return (rng.uniform(0.0, blur) * values.std(0) * moved).astype(np.float32)


def _joined(parts, noise, rows) -> View:
    """One view of the scans' parts (features.Scene or looks.Look), whose rows are ``rows`` of the scans."""
    starts = np.cumsum([0, *map(len, rows)])
    runs = tuple(
        np.concatenate([[0], *(own[1:] + a for own, a in zip(scale, starts))]).astype(np.int32)
        for scale in zip(*(part.offsets for part in parts))
    )
    values = [part.features + (d if len(d) == 1 else d[row]) for part, d, row in zip(parts, noise, rows)]
    return View(np.concatenate(values), runs, np.concatenate([row + a for row, a in zip(rows, starts)]))


def ahead(batches):
    """What the generator yields; another thread makes the next while one is used."""
    with ThreadPoolExecutor(1, initializer=torch.set_num_threads, initargs=(torch.get_num_threads(),)) as maker:
        coming = maker.submit(next, batches, None)
        while (ready := coming.result()) is not None:
            coming = maker.submit(next, batches, None)
            yield ready


def mixed(sets, counts, rng):
    """Endless lists of (i, scan): counts[i] scans of every sets[i]; each set is gone through in shuffled order."""
    streams = [_shuffled(scans, rng) for scans in sets]
    while True:
        yield [(i, next(stream)) for i, (stream, count) in enumerate(zip(streams, counts)) for _ in range(count)]


def _shuffled(scans, rng):
    while True:
        for i in rng.permutation(len(scans)):
            yield scans[i]
