#!/usr/bin/env python3
"""What stopping early saves in the pooling layer of a trained classifier on real clouds.

    python benchmarks/early_stop.py MODEL CLOUDS.npz [--clouds 100]

An OR over points needs no point after the first that fires. The reference says which share of the (point, channel)
pairs must be looked at; the engine looks at blocks of points, so at a little more. It is timed against the worst
case, the same points with limits that nothing reaches, in turn. CLOUDS holds points (M, N, 3), of any scale.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from bipointnet_ros.core import kernels, points  # noqa: E402
from bipointnet_ros.core.model_file import Model, read  # noqa: E402
from bipointnet_ros.core.reference import distance  # noqa: E402


def encode(model: Model, backend, cloud: np.ndarray) -> np.ndarray:
    """(n, 3) normalised -> the bits that the pooling layer reads."""
    lift, *binary = [layer for layer in model.blueprint.layers if layer.op in ("lift", "binary")]
    n, tensors = len(cloud), model.tensors
    bits = np.zeros((n, -(-lift.outputs // 64)), np.uint64)
    backend.lift(cloud, tensors[f"{lift.name}.weight"], tensors[f"{lift.name}.limit"], bits, None, None, None, None)
    for layer in binary[: [layer.op for layer in model.blueprint.layers].index("pool") - 1]:
        out = np.zeros((n, -(-layer.outputs // 64)), np.uint64)
        weights = backend.prepare(tensors[f"{layer.name}.weight"], layer.inputs)
        limit = tensors[f"{layer.name}.limit"].astype(np.uint8)[None]
        backend.layer(bits, weights, limit, out, None, None, None)
        bits = out
    return bits


def share(bits: np.ndarray, weight: np.ndarray, limit: np.ndarray) -> float:
    """Share of the pairs up to the first row that fires, by channel."""
    fires = distance(bits, weight) < limit
    first = np.where(fires.any(0), fires.argmax(0) + 1, len(bits))
    return float(first.mean() / len(bits))


def shortest(calls: list, rounds: int = 30) -> list[float]:
    best = [float("inf")] * len(calls)
    for _ in range(rounds):
        for i, call in enumerate(calls):
            start = time.perf_counter()
            call()
            best[i] = min(best[i], time.perf_counter() - start)
    return best


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model")
    parser.add_argument("cloud_file")
    parser.add_argument("--clouds", type=int, default=100)
    parser.add_argument("--backend", default="auto")
    arguments = parser.parse_args()
    model, backend, file = read(arguments.model), kernels.choose(arguments.backend), np.load(arguments.cloud_file)
    clouds = file["points"][:: max(1, len(file["points"]) // arguments.clouds)][: arguments.clouds]
    clouds = points.normalised(clouds.astype(np.float32))  # whatever their scale
    pool = next(layer for layer in model.blueprint.layers if layer.op == "pool")
    weight, limit = model.tensors[f"{pool.name}.weight"], model.tensors[f"{pool.name}.limit"]
    prepared, code = backend.prepare(weight, pool.inputs), np.zeros((1, len(weight) // 64), np.uint64)
    real, never = limit.astype(np.uint8)[None], np.ones((1, len(weight)), np.uint8)
    shares, times = [], []
    for cloud in clouds:
        bits = encode(model, backend, np.ascontiguousarray(cloud, np.float32))
        shares.append(share(bits, weight, limit))
        calls = [backend.bind("layer", bits, prepared, None, None, each, code, None) for each in (real, never)]
        times.append(shortest(calls))
    took, worst = np.mean(times, 0) * 1e6
    print(f"{backend.name}, {model.name}, {len(clouds)} clouds of {clouds.shape[1]} points, {len(weight)} channels")
    print(f"pairs that must be looked at {np.mean(shares):6.3f}")
    print(f"time against the worst case  {took / worst:6.3f}   ({took:.1f} of {worst:.1f} us)")
    print(f"time against that share      {took / worst / np.mean(shares):6.3f}")


if __name__ == "__main__":
    main()
