"""Layers of the full-precision twin: same blueprint, real weights, ReLU, plain maxima over cells and clouds."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from bipointnet_ros.core.blueprint import Layer
from bipointnet_ros.training import packed
from bipointnet_ros.training.norm import BatchNorm, product_moments


def stage(layer: Layer, dropout: float) -> nn.Module:
    """The twin of a layer, called like the 1-bit one of training/layers.py; ``dropout`` stands before the logits."""
    if layer.op == "logits":
        return nn.Sequential(nn.Dropout(dropout), nn.Linear(layer.inputs, layer.outputs))
    if layer.op == "join":
        return FullJoin(layer.inputs, layer.shared, layer.outputs)
    return (FullLift if layer.op == "lift" else FullLayer)(layer.inputs, layer.outputs)


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


class FullLift(FullLayer):
    """First layer: (n, F) -> (n, C), and over cells (S, C)."""

    def forward(self, x: torch.Tensor, offsets: np.ndarray | None = None):
        return _with_cells(super().forward(x), offsets)


class FullJoin(FullLayer):
    """Layer over [own K | code of the row's cell, S_in]: (n, K), (S, S_in) -> (n, C), and over coarser cells."""

    def __init__(self, inputs: int, shared: int, outputs: int):
        super().__init__(inputs + shared, outputs)
        self.inputs = inputs

    def forward(self, x, code, fine, coarse=None):
        """x (n, K), code (S, S_in) of the cells with offsets ``fine``; pooled over ``coarse`` offsets if given."""
        own, shared = self.weight[:, : self.inputs], self.weight[:, self.inputs :]
        product = x @ own.T + packed.spread(code @ shared.T, fine)
        if self.training:
            return _with_cells(functional.relu(self.norm.normalise(product, torch.ones(()))), coarse)
        scale, shift = self.norm.frozen()
        return _with_cells(functional.relu(product * scale + shift), coarse)


def _with_cells(values, offsets):
    return values, None if offsets is None else packed.segment_max(values, offsets)
