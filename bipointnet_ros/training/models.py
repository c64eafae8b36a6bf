"""Networks that train: a blueprint (core/blueprint.py) says which layers follow which."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

from bipointnet_ros.core import object_features
from bipointnet_ros.core.blueprint import CLASSIFICATION, SEGMENTATION, Blueprint, Layer
from bipointnet_ros.core.points import told
from bipointnet_ros.training import full, layers, native
from bipointnet_ros.training.binarizers import METHODS

_DROPOUT = {CLASSIFICATION: 0.3, SEGMENTATION: 0.0}  # before the logits of the full-precision twin


def build(blueprint: Blueprint, method: str = "bipointnet", aggregation: str = "ema-max") -> nn.Module:
    """A network with fresh weights (torch's generator); its ``stages`` have the blueprint's names.

    ``method`` is "full" for the full-precision twin, a yardstick and a teacher, or one of binarizers.METHODS; layers
    over grid cells aggregate by EMA-max only.
    """
    kind = Network
    if blueprint.task == CLASSIFICATION:
        kind = Classifier if blueprint.grid is None else CellClassifier
    return kind(blueprint, method, aggregation)


class Network(nn.Module):
    """Features (n, F) float32 with rows grouped by nested cells -> logits (n, K), or (B, K) of a classifier.

    ``offsets[k]`` (S_k + 1,) int32 bounds the cells of scale k, finest first; every cell holds a row. The last ones of
    a classifier bound its clouds.
    """

    def __init__(self, blueprint: Blueprint, method: str = "bipointnet", aggregation: str = "ema-max"):
        super().__init__()
        self.blueprint = blueprint
        if method == "full":
            stages = {layer.name: full.stage(layer, _DROPOUT[blueprint.task]) for layer in blueprint.layers}
        else:
            stages = {layer.name: _stage(layer, method, aggregation) for layer in blueprint.layers}
        self.stages = nn.ModuleDict(stages)

    def set_progress(self, progress: float):
        """Tell the binarizers that follow a schedule how much of the training is done, 0 to 1."""
        for module in self.modules():
            if hasattr(module, "progress"):
                module.progress = progress

    def set_real(self, real: bool):
        """Step one of two-step training: activations are signs, weights are still real numbers."""
        for module in self.modules():
            if isinstance(module, layers.Binary):
                module.real = real

    def forward(self, features: torch.Tensor, offsets) -> torch.Tensor:
        return self.answer(features, offsets)[0]

    def answer(self, features: torch.Tensor, offsets) -> tuple[torch.Tensor, dict]:
        """Logits, and layer name -> the values whose signs, or in full precision they themselves, go on."""
        x, code, fine, seen = features, None, None, {}
        for layer in self.blueprint.layers:
            stage = self.stages[layer.name]
            coarse = None if layer.cells is None else np.asarray(offsets[layer.cells])
            if layer.op == "lift":
                x, code = stage(x, coarse)
            elif layer.op == "join":
                x, code = stage(x, code, fine, coarse)
            elif layer.op == "pool":
                x = stage(x, np.asarray(offsets[-1]))
            else:
                x = stage(x)
            fine, seen[layer.name] = coarse, x
        return x, seen


class Classifier(Network):
    """Clouds (B, N, 3) float32, normalised -> logits (B, K); of other inputs than coordinates, those (B, N, F)."""

    def forward(self, points: torch.Tensor) -> torch.Tensor:
        return self.answer(points)[0]

    def answer(self, points: torch.Tensor) -> tuple[torch.Tensor, dict]:
        clouds, n, _ = points.shape
        seen = torch.from_numpy(told(points.numpy(), self.blueprint.inputs))
        return super().answer(seen.reshape(clouds * n, -1), [np.arange(clouds + 1, dtype=np.int32) * n])


class CellClassifier(Network):
    """The same over rows that are the clouds' voxels, with local context."""

    def forward(self, points: torch.Tensor) -> torch.Tensor:
        return self.answer(points)[0]

    def answer(self, points: torch.Tensor) -> tuple[torch.Tensor, dict]:
        seen = object_features.rows(points.numpy(), self.blueprint.grid, self.blueprint.inputs, native.argsort)
        return super().answer(torch.from_numpy(seen.features), seen.offsets)


def _stage(layer: Layer, method: str, aggregation: str) -> nn.Module:
    if layer.op == "join":
        return layers.Join(layer.inputs, layer.shared, layer.outputs, method)
    if layer.op == "pool" and layer.cells is not None:
        return layers.CellPool(layer.inputs, layer.outputs, method=method)
    if layer.op == "pool":
        return layers.Pool(layer.inputs, layer.outputs, aggregation, method)
    if layer.op == "binary":
        return layers.Binary(layer.inputs, layer.outputs, method)
    if layer.op == "lift":
        return layers.Lift(layer.inputs, layer.outputs, METHODS[method].threshold)
    return layers.Logits(layer.inputs, layer.outputs)
