"""Networks that train: a blueprint (core/blueprint.py) says which layers follow which."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

from bipointnet_ros.core.blueprint import SEGMENTATION, Blueprint, Layer
from bipointnet_ros.training import layers
from bipointnet_ros.training.full import FullClassifier


def build(blueprint: Blueprint, method: str = "bipointnet", aggregation: str = "ema-max") -> nn.Module:
    """Classifier or Segmenter with fresh weights (torch's generator); its ``stages`` have the blueprint's names.

    A classifier's ``method`` is one of binarizers.METHODS, or "full": the full-precision twin, a yardstick and a
    teacher. A segmenter is always built of BiPointNet's layers and EMA-max.
    """
    if blueprint.task == SEGMENTATION:
        return Segmenter(blueprint)
    return FullClassifier(blueprint) if method == "full" else Classifier(blueprint, method, aggregation)


class Network(nn.Module):
    """The layers of a blueprint by name."""

    def __init__(self, blueprint: Blueprint, method: str = "bipointnet", aggregation: str = "ema-max"):
        super().__init__()
        self.blueprint = blueprint
        self.stages = nn.ModuleDict({layer.name: _layer(layer, method, aggregation) for layer in blueprint.layers})

    def set_progress(self, progress: float):
        """Tell the binarizers that follow a schedule how much of the training is done, 0 to 1."""
        for module in self.modules():
            if hasattr(module, "progress"):
                module.progress = progress


def _layer(layer: Layer, method: str, aggregation: str) -> nn.Module:
    if layer.op == "join":
        return layers.Join(layer.inputs, layer.shared, layer.outputs)
    if layer.op == "pool":
        return layers.Pool(layer.inputs, layer.outputs, aggregation, method)
    if layer.op == "binary":
        return layers.Binary(layer.inputs, layer.outputs, method)
    kinds = {"lift": layers.Lift, "logits": layers.Logits}
    return kinds[layer.op](layer.inputs, layer.outputs)


class Classifier(Network):
    """Clouds (B, N, 3) float32, normalised -> logits (B, K)."""

    def forward(self, points: torch.Tensor) -> torch.Tensor:
        clouds, n, width = points.shape
        x = points.reshape(clouds * n, width)
        offsets = np.arange(clouds + 1, dtype=np.int32) * n
        for layer in self.blueprint.layers:
            stage = self.stages[layer.name]
            if layer.op == "lift":
                x, _ = stage(x)
            else:
                x = stage(x, offsets) if layer.op == "pool" else stage(x)
        return x


class Segmenter(Network):
    """Features (n, F) float32 with rows grouped by nested cells -> logits (n, K).

    ``offsets[k]`` (S_k + 1,) int32 bounds the cells of scale k, finest first; every cell holds a row.
    """

    def forward(self, features: torch.Tensor, offsets) -> torch.Tensor:
        x, code, fine = features, None, None
        for layer in self.blueprint.layers:
            stage = self.stages[layer.name]
            coarse = None if layer.cells is None else np.asarray(offsets[layer.cells])
            if layer.op == "lift":
                x, code = stage(x, coarse)
            elif layer.op == "join":
                x, code = stage(x, code, fine, coarse)
            else:
                x = stage(x)
            fine = coarse
        return x
