"""The full-precision twin of a classifier: same blueprint, real weights, ReLU, a plain maximum (vanilla PointNet)."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from bipointnet_ros.core.blueprint import Blueprint
from bipointnet_ros.training import packed
from bipointnet_ros.training.norm import BatchNorm, product_moments


class FullLayer(nn.Module):
    """Linear without bias and BatchNorm; with ``offsets`` the maximum over each group, whose (n, C) is never stored."""

    def __init__(self, inputs: int, outputs: int):
        super().__init__()
        self.weight, self.norm = nn.Parameter(torch.empty(outputs, inputs)), BatchNorm(outputs)
        nn.init.kaiming_uniform_(self.weight, nonlinearity="relu")

    def forward(self, x: torch.Tensor, offsets: np.ndarray | None = None) -> torch.Tensor:
        """(n, K) -> (n, C), or (S, C)."""
        scale, shift = self._affine(x)
        weight = self.weight * scale[:, None]
        if offsets is None:
            return functional.relu(torch.addmm(shift, x, weight.T))
        return functional.relu(packed.largest_product(x, weight, offsets) + shift)

    def _affine(self, x):
        if not self.training:
            return self.norm.frozen()
        return self.norm.batch(*product_moments(x, self.weight), len(x))


class FullClassifier(nn.Module):
    """Clouds (B, N, 3) float32, normalised -> logits (B, K)."""

    def __init__(self, blueprint: Blueprint, dropout: float = 0.3):
        super().__init__()
        self.blueprint = blueprint
        *inner, last = blueprint.layers
        self.stages = nn.ModuleDict({layer.name: FullLayer(layer.inputs, layer.outputs) for layer in inner})
        self.stages[last.name] = nn.Sequential(nn.Dropout(dropout), nn.Linear(last.inputs, last.outputs))

    def set_progress(self, progress: float):
        """Nothing here follows a schedule."""

    def forward(self, points: torch.Tensor) -> torch.Tensor:
        clouds, n, width = points.shape
        x = points.reshape(clouds * n, width)
        offsets = np.arange(clouds + 1, dtype=np.int32) * n
        for layer in self.blueprint.layers:
            stage = self.stages[layer.name]
            x = stage(x, offsets) if layer.op == "pool" else stage(x)
        return x
