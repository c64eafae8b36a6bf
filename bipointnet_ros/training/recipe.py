"""The numbers of a training run, each default written once."""

from __future__ import annotations

import math
from dataclasses import dataclass

from bipointnet_ros.core import object_features
from bipointnet_ros.core.blueprint import Blueprint, Grid, cell_classifier, vanilla
from bipointnet_ros.core.points import COORDINATES, SECOND_ORDER


def one_cycle(rate: float, warm_up: float, progress: float) -> float:
    """Learning rate: a linear rise over ``warm_up``, then half a cosine from ``rate`` to 0; progress in 0..1."""
    if progress < warm_up:
        return rate * progress / warm_up
    return rate * 0.5 * (1.0 + math.cos(math.pi * (progress - warm_up) / (1.0 - warm_up)))


@dataclass(frozen=True)
class Recipe:
    """Everything that decides the result of a run besides the data and the code (docs/training.md)."""

    epochs: int = 200
    batch: int = 64
    rate: float = 2e-3
    warm_up: float = 0.05
    smoothing: float = 0.1
    decay: float = 0.0
    decay_until: float = 0.75
    average: float = 0.0
    points: int = 1024
    stages: tuple[tuple[int, float], ...] = ((512, 0.75), (1024, 0.25))
    drop: float = 0.0
    scale: float = 1.25
    shift: float = 0.05
    turn: float = 10.0
    jitter: float = 0.01
    resample: float = 0.0
    mix: float = 0.0
    shape: str = "vanilla"
    order: int = 1
    widths: tuple[int, ...] = (64, 128, 1024, 512, 256)
    voxel: float = 0.14
    cells: tuple[int, ...] = (3,)
    method: str = "bipointnet"
    aggregation: str = "ema-max"
    start: str = ""
    real_weights: float = 0.0
    teacher: str = ""
    teacher_points: int = 1024
    distil: float = 0.5
    temperature: float = 2.0
    feature: float = 0.0
    attention: float = 0.0
    seed: int = 0

    def blueprint(self, classes: int) -> Blueprint:
        """``shape`` vanilla, of products of up to ``order`` coordinates, or cells: with local context, by ``voxel`` and
        ``cells`` (core/object_features.py)."""
        if self.shape == "vanilla":
            return vanilla(classes, self.widths, SECOND_ORDER if self.order == 2 else COORDINATES)
        grid = Grid(self.voxel, tuple(self.cells))
        return cell_classifier(object_features.names(grid), classes, grid, self.widths)

    def points_of(self, epoch: int) -> int:
        """Points a cloud of an epoch, drawn anew for each batch: of the stage that the epoch falls in."""
        points, shares = zip(*self.stages)
        ends = [sum(shares[: i + 1]) / sum(shares) * self.epochs for i in range(len(shares))]
        stage = sum(epoch > end - 1e-9 for end in ends[:-1])
        return min(points[stage], self.points)

    def points_given(self, epoch: int) -> int:
        """Points of a cloud that are drawn in an epoch: what the network sees, and what its teacher may see besides."""
        return max(self.points_of(epoch), min(self.teacher_points, self.points) if self.teacher else 0)

    def real_at(self, progress: float) -> bool:
        """Is this the first of two steps, in which activations are signs and weights still real numbers?"""
        return progress < self.real_weights

    def rate_of(self, progress: float) -> float:
        """One cycle a step: a linear rise over ``warm_up``, then half a cosine to 0; progress in 0..1 of both steps."""
        if self.real_at(progress):
            progress /= self.real_weights
        else:
            progress = (progress - self.real_weights) / max(1.0 - self.real_weights, 1e-9)
        return one_cycle(self.rate, self.warm_up, progress)

    def decay_of(self, progress: float) -> float:
        """AdamW's decay of the weight matrices: ``decay``, and 0 after ``decay_until`` of the training."""
        return self.decay if progress < self.decay_until else 0.0
