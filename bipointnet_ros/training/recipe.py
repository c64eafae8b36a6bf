"""The numbers of a training run, each default written once."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class Recipe:
    """Everything that decides the result of a run besides the data and the code."""

    epochs: int = 200
    batch: int = 64
    rate: float = 2e-3
    warm_up: float = 0.05
    smoothing: float = 0.1
    points: int = 1024
    early_points: int = 512
    early: float = 0.75
    scale: float = 1.25
    shift: float = 0.05
    turn: float = 10.0
    jitter: float = 0.01
    widths: tuple[int, ...] = (64, 128, 1024, 512, 256)
    method: str = "bipointnet"
    aggregation: str = "ema-max"
    teacher: str = ""
    distil: float = 0.5
    temperature: float = 2.0
    seed: int = 0

    def points_of(self, epoch: int) -> int:
        """The first ``early`` part of the epochs sees fewer points, anew at random for each batch."""
        return self.early_points if epoch < self.early * self.epochs else self.points

    def rate_of(self, progress: float) -> float:
        """One cycle: a linear rise over ``warm_up``, then half a cosine to 0; progress in 0..1."""
        if progress < self.warm_up:
            return self.rate * progress / self.warm_up
        return self.rate * 0.5 * (1.0 + math.cos(math.pi * (progress - self.warm_up) / (1.0 - self.warm_up)))
