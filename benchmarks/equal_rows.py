#!/usr/bin/env python3
"""How many rows differ after each layer: what doing equal rows once can save, and what it saves a classifier.

    python benchmarks/equal_rows.py --model modelnet40 --clouds CLOUDS.npz     points (M, N, 3), of any scale
    python benchmarks/equal_rows.py --model lidar --scans SCENES.npz

Rows of a classifier are equal within a cloud; rows of a segmenter within a finest cell, as only there they stay equal.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from bipointnet_ros import dataset  # noqa: E402
from bipointnet_ros.core import features, kernels, network, points  # noqa: E402
from bipointnet_ros.core.model_file import find, read  # noqa: E402


def different(bits: np.ndarray, group: np.ndarray) -> float:
    """Share of the rows that are the first of their kind in their group."""
    return len(np.unique(np.column_stack([group.astype(np.uint64), bits]), axis=0)) / len(bits)


def of_classifier(model, backend, clouds) -> dict[str, float]:
    shares, tensors, bits = {}, model.tensors, None
    group = np.repeat(np.arange(len(clouds)), clouds.shape[1])
    for layer in model.blueprint.layers:
        if layer.op == "pool":
            return shares
        rows = clouds.reshape(-1, clouds.shape[2]) if bits is None else bits
        out = np.zeros((len(rows), -(-layer.outputs // 64)), np.uint64)
        weight, limit = tensors[f"{layer.name}.weight"], tensors[f"{layer.name}.limit"]
        if layer.op == "lift":
            backend.lift(rows, weight, limit, out, None, None, None, None)
        else:
            prepared = backend.prepare(weight, layer.inputs)
            backend.layer(rows, prepared, limit.astype(np.uint8)[None], out, None, None, None)
        bits = out
        shares[layer.name] = different(bits, group)
    return shares


def of_segmenter(held: network.Network, scene) -> dict[str, float]:
    lift, *joins, _ = held.model.blueprint.layers
    group, shares, calls = np.repeat(np.arange(len(scene.offsets[0]) - 1), np.diff(scene.offsets[0])), {}, []
    rows, codes = held._lift(calls, lift, scene.own, scene.offsets[0], scene.shared)
    for k, layer in enumerate([lift, *joins]):
        if k:
            coarser = scene.offsets[k] if layer.cells is not None else None
            rows, codes = held._join(calls, k, layer, rows, codes, scene.offsets[k - 1], coarser)
        while calls:
            calls.pop(0)[0]()
        shares[layer.name] = different(rows, group)
    return shares


def saved(model, backend, clouds) -> tuple[float, float]:
    """Microseconds a cloud, least of 30 in turn: without and with equal rows done once."""
    usual, nets = network._LANES, []
    for lanes in (1 << 30, usual):  # of fewer points nothing is looked for
        network._LANES = lanes
        nets.append(network.Network(model, backend))
        nets[-1].classify(clouds[:1])
    network._LANES = usual
    spent = np.full((len(clouds), 2), np.inf)
    for _ in range(30):
        for i, cloud in enumerate(clouds):
            for j, held in enumerate(nets):
                start = time.perf_counter()
                held.classify(cloud[None])
                spent[i, j] = min(spent[i, j], (time.perf_counter() - start) * 1e6)
    return tuple(spent.mean(0))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", required=True)
    parser.add_argument("--clouds")
    parser.add_argument("--scans")
    parser.add_argument("--count", type=int, default=40, help="clouds or scans to look at")
    arguments = parser.parse_args()
    model, backend = read(find(arguments.model)), kernels.choose()
    if arguments.clouds:
        clouds = np.load(arguments.clouds)["points"].astype(np.float32)
        clouds = np.ascontiguousarray(points.normalised(clouds[:: max(1, len(clouds) // arguments.count)]))
        shares = of_classifier(model, backend, clouds)
    else:
        held, scenes, grid = network.Network(model, backend), dataset.read(arguments.scans), model.blueprint.grid
        each = []
        for f in range(0, len(scenes), max(1, len(scenes) // arguments.count)):
            xyz, intensity, _ = scenes.scan(f)
            scene = features.scene(np.ascontiguousarray(xyz), intensity, grid, model.blueprint.inputs)
            each.append(of_segmenter(held, scene))
        shares = {name: float(np.mean([one[name] for one in each])) for name in each[0]}
    for name, value in shares.items():
        print(f"rows that differ after {name:10} {value:6.3f}")
    if arguments.clouds:
        without, with_it = saved(model, backend, clouds)
        print(f"{backend.name}: {without:.1f} us a cloud, {with_it:.1f} with equal rows once")


if __name__ == "__main__":
    main()
