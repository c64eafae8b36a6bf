"""The fp32 vanilla PointNet that every peer runs: 3-64-128-1024, max over the points, 1024-512-256-40, ReLU.

BatchNorm is folded into the weights, which are random: time does not depend on them.
"""

from __future__ import annotations

import numpy as np

POINT_LAYERS, HEAD = ((3, 64), (64, 128), (128, 1024)), ((1024, 512), (512, 256), (256, 40))


def weights() -> tuple[list, list]:
    """Point layers and head, each a list of (weight (C, K), bias (C,)) float32."""
    rng = np.random.default_rng(0)

    def layers(sizes):
        for k, c in sizes:
            yield rng.normal(0, (2 / k) ** 0.5, (c, k)).astype(np.float32), rng.normal(0, 0.1, c).astype(np.float32)

    return list(layers(POINT_LAYERS)), list(layers(HEAD))


def logits(clouds: np.ndarray) -> np.ndarray:
    """What every fp32 peer must answer to clouds (B, N, 3), in plain numpy."""
    points, head = weights()
    x = clouds
    for weight, bias in points:
        x = np.maximum(x @ weight.T + bias, 0)
    x = x.max(1)
    for weight, bias in head[:-1]:
        x = np.maximum(x @ weight.T + bias, 0)
    return x @ head[-1][0].T + head[-1][1]


def macs(points: int) -> dict[str, int]:
    """Multiply-accumulates of each layer for one cloud."""
    named = {f"{k}-{c}": points * k * c for k, c in POINT_LAYERS}
    return named | {f"{k}-{c}": k * c for k, c in HEAD}
