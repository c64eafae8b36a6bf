"""Random but valid models for tests: no training, every tensor seeded."""

from __future__ import annotations

import numpy as np

from bipointnet_ros.core import bits
from bipointnet_ros.core.blueprint import CLASSIFICATION, Blueprint
from bipointnet_ros.core.model_file import Model


def model(blueprint: Blueprint, seed: int = 0, points: int = 64) -> Model:
    """Weights are fair coins and limits lie near half of the inputs, so that bits are neither all 0 nor all 1."""
    rng = np.random.default_rng(seed)
    tensors = {}
    for layer in blueprint.layers:
        for name, (dtype, shape) in layer.tensors().items():
            tensors[name] = _tensor(rng, layer, name.rpartition(".")[2], dtype, shape)
    classification = blueprint.task == CLASSIFICATION
    return Model(
        name="fabricated",
        blueprint=blueprint,
        classes=tuple(f"class{i}" for i in range(blueprint.layers[-1].outputs)),
        points=points,
        sampling="random" if classification else "voxel",
        normalisation="unit_sphere" if classification else "scene",
        tensors=tensors,
        training={"data": "none", "licence": "Apache-2.0"},
    )


def _tensor(rng, layer, kind, dtype, shape):
    if dtype == "F32":
        return rng.normal(0.0, 0.5, shape).astype(np.float32)
    if dtype == "I16":
        total = layer.inputs + layer.shared
        spread = max(1, total // 8)
        limit = total // 2 + rng.integers(-spread, spread + 1, shape)
        return np.clip(limit, 0, total + 1).astype(np.int16)
    inputs = layer.shared if kind == "shared" else layer.inputs
    return bits.pack(rng.integers(0, 2, (shape[0], inputs)) * 2 - 1)
