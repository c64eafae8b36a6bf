#!/usr/bin/env python3
"""One forward of vanilla BiPointNet, batch 1, one thread: this engine against onnxruntime in fp32, interleaved.

Both run 3-64-128-1024, max over the points, 1024-512-256-40. The fp32 network has BatchNorm folded into its weights
and random values (time does not depend on them). Ours has limits that no point reaches in the pooling layer, so that
nothing stops early: its worst case. ``--real MODEL CLOUDS`` adds a trained model on real clouds. Needs numpy, onnx and
onnxruntime.
"""

from __future__ import annotations

import argparse
import json
import platform
import sys
import time
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from bipointnet_ros.core import bits, kernels, points  # noqa: E402
from bipointnet_ros.core.blueprint import vanilla  # noqa: E402
from bipointnet_ros.core.model_file import Model, read  # noqa: E402
from bipointnet_ros.core.network import Network  # noqa: E402

PEER = f"onnxruntime {onnxruntime.__version__} fp32"
POINT_LAYERS, HEAD = ((3, 64), (64, 128), (128, 1024)), ((1024, 512), (512, 256), (256, 40))


def onnx_model(rows: int, clouds: int) -> bytes:
    """Point layers as 1 x 1 convolutions over (B, channels, N), which onnxruntime runs faster than matrix products."""
    rng = np.random.default_rng(0)
    nodes, tensors, last = [], [], "x"

    def layer(op, name, shape, activation):
        nonlocal last
        weight = rng.normal(0, shape[1] ** -0.5, shape).astype(np.float32)
        tensors.extend([numpy_helper.from_array(weight, f"{name}.w"),
                        numpy_helper.from_array(np.zeros(shape[0], np.float32), f"{name}.b")])  # fmt: skip
        attributes = {"transB": 1} if op == "Gemm" else {}
        nodes.append(helper.make_node(op, [last, f"{name}.w", f"{name}.b"], [name], **attributes))
        last = name
        if activation:
            nodes.append(helper.make_node("Relu", [name], [f"{name}.a"]))
            last = f"{name}.a"

    for i, (inputs, outputs) in enumerate(POINT_LAYERS):
        layer("Conv", f"point{i}", (outputs, inputs, 1), True)
    nodes.append(helper.make_node("GlobalMaxPool", [last], ["pooled"]))
    nodes.append(helper.make_node("Flatten", ["pooled"], ["flat"]))
    last = "flat"
    for i, (inputs, outputs) in enumerate(HEAD):
        layer("Gemm", f"head{i}", (outputs, inputs), i < len(HEAD) - 1)
    graph = helper.make_graph(
        nodes, "vanilla", [helper.make_tensor_value_info("x", TensorProto.FLOAT, (clouds, 3, rows))],
        [helper.make_tensor_value_info(last, TensorProto.FLOAT, (clouds, HEAD[-1][1]))], tensors)  # fmt: skip
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    onnx.checker.check_model(model)
    return model.SerializeToString()


def worst_case(rows: int) -> Model:
    """Random bits; the pooling layer's limits are so low that every point must be looked at for every channel."""
    rng = np.random.default_rng(0)
    blueprint, tensors = vanilla(HEAD[-1][1]), {}
    for layer in blueprint.layers:
        for name, (dtype, shape) in layer.tensors().items():
            if name.endswith("limit") and dtype == "I16":
                limit = 1 if layer.op == "pool" else layer.inputs // 2
                tensors[name] = np.full(shape, limit, np.int16)
            elif dtype == "U64":
                tensors[name] = bits.pack_bits(rng.random((shape[0], layer.inputs)) < 0.5)
            else:
                tensors[name] = rng.normal(0, 0.5, shape).astype(np.float32)
    names = tuple(f"class{i}" for i in range(HEAD[-1][1]))
    return Model("worst", blueprint, names, rows, "random", "unit_sphere", tensors)


def interleaved(calls: dict, rounds: int) -> dict[str, float]:
    """Smallest milliseconds of each call; one of each in turn, so that a busy moment hits all alike."""
    best = dict.fromkeys(calls, float("inf"))
    for _ in range(rounds):
        for name, call in calls.items():
            start = time.perf_counter()
            call()
            best[name] = min(best[name], (time.perf_counter() - start) * 1e3)
    return best


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--points", type=int, default=1024)
    parser.add_argument("--clouds", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=100)
    parser.add_argument("--backends", nargs="+", default=[n for n in kernels.available() if n != "numpy"])
    parser.add_argument("--real", nargs=2, metavar=("MODEL", "CLOUDS"), help="packed model, .npz of points (M, N, 3)")
    parser.add_argument("--json", help="write the figures to this file")
    arguments = parser.parse_args()
    calls = {PEER: peer(arguments.points, arguments.clouds), **ours(arguments)}
    best = interleaved(calls, arguments.rounds)
    print(f"{arguments.clouds} x {arguments.points} points, one thread, numpy {np.__version__}, {platform.machine()}")
    for name, ms in best.items():
        print(f"{name:40} {ms:8.3f} ms {best[PEER] / ms:7.1f} x")
    if arguments.json:
        row = {"points": arguments.points, "clouds": arguments.clouds, "milliseconds": best}
        Path(arguments.json).write_text(json.dumps(row, indent=2) + "\n")


def peer(rows: int, clouds: int):
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(onnx_model(rows, clouds), options, ["CPUExecutionProvider"])
    planar = np.random.default_rng(1).normal(size=(clouds, 3, rows)).astype(np.float32)
    return lambda: session.run(None, {"x": planar})


def ours(arguments) -> dict:
    cloud = np.random.default_rng(1).normal(size=(arguments.clouds, arguments.points, 3)).astype(np.float32)
    model, calls = worst_case(arguments.points), {}
    for name in arguments.backends:
        network = Network(model, kernels.choose(name))
        calls[f"{name}, worst case"] = lambda network=network: network.classify(cloud)
    if arguments.real:
        path, clouds = arguments.real
        network = Network(read(path), kernels.choose())
        real = points.normalised(np.load(clouds)["points"][: arguments.clouds, : arguments.points].astype(np.float32))
        calls[f"{network.backend.name}, {network.model.name}"] = lambda: network.classify(real)
    return calls


if __name__ == "__main__":
    main()
