#!/usr/bin/env python3
"""Writes benchmarks/vanilla.tflite: the network of peers/vanilla.py for LiteRT.

    python benchmarks/write_tflite.py

Fully connected layers over (B, N, 1, channels) and REDUCE_MAX are the fastest of four forms in LiteRT 2.3 on x86-64.
Needs ai-edge-litert, whose schema it uses, and no TensorFlow.
"""

from __future__ import annotations

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema
from peers import vanilla
from peers.litert_fp32 import FILE

POINTS = 1024  # of the file; other sizes are set when it is read


class _Graph:
    """A .tflite model, tensor by tensor and operator by operator."""

    def __init__(self):
        self.model, self.graph = schema.ModelT(), schema.SubGraphT()
        self.model.version, self.model.description = 3, "vanilla PointNet, random weights"
        self.model.buffers, self.model.operatorCodes, self.model.subgraphs = [schema.BufferT()], [], [self.graph]
        self.graph.name, self.graph.tensors, self.graph.operators = "main", [], []

    def tensor(self, name: str, shape, data: np.ndarray | None = None) -> int:
        held = schema.TensorT()
        held.name, held.shape, held.buffer = name, list(shape), 0
        held.type = schema.TensorType.FLOAT32 if data is None or data.dtype == np.float32 else schema.TensorType.INT32
        if data is not None:
            buffer = schema.BufferT()
            buffer.data = np.frombuffer(data.tobytes(), np.uint8)
            self.model.buffers.append(buffer)
            held.buffer = len(self.model.buffers) - 1
        self.graph.tensors.append(held)
        return len(self.graph.tensors) - 1

    def operator(self, kind: str, options_kind: str, inputs, output: int, **options):
        code, held, given = schema.OperatorCodeT(), schema.OperatorT(), getattr(schema, f"{options_kind}T")()
        code.builtinCode = code.deprecatedBuiltinCode = getattr(schema.BuiltinOperator, kind)
        code.version = 1
        self.model.operatorCodes.append(code)
        for name, value in options.items():
            setattr(given, name, value)
        held.opcodeIndex, held.inputs, held.outputs = len(self.model.operatorCodes) - 1, list(inputs), [output]
        held.builtinOptions, held.builtinOptionsType = given, getattr(schema.BuiltinOptions, options_kind)
        self.graph.operators.append(held)

    def connected(self, name: str, given: int, shape, weight, bias, activated: bool) -> int:
        kinds = schema.ActivationFunctionType
        tensors = self.tensor(f"{name}.w", weight.shape, weight), self.tensor(f"{name}.b", bias.shape, bias)
        out = self.tensor(name, shape)
        self.operator("FULLY_CONNECTED", "FullyConnectedOptions", [given, *tensors], out,
                      fusedActivationFunction=kinds.RELU if activated else kinds.NONE,
                      keepNumDims=len(shape) > 2)  # fmt: skip
        return out

    def serialised(self) -> bytes:
        builder = flatbuffers.Builder(1 << 22)
        builder.Finish(self.model.Pack(builder), b"TFL3")
        return bytes(builder.Output())


def written() -> bytes:
    """The network for one cloud of ``POINTS`` points."""
    graph, (points, head) = _Graph(), vanilla.weights()
    last = graph.tensor("points", (1, POINTS, 1, 3))
    graph.graph.inputs = [last]
    for i, (weight, bias) in enumerate(points):
        last = graph.connected(f"point{i}", last, (1, POINTS, 1, len(bias)), weight, bias, True)
    axes, pooled = graph.tensor("axes", (2,), np.array([1, 2], np.int32)), graph.tensor("pooled", (1, len(bias)))
    graph.operator("REDUCE_MAX", "ReducerOptions", [last, axes], pooled, keepDims=False)
    last = pooled
    for i, (weight, bias) in enumerate(head):
        last = graph.connected(f"head{i}", last, (1, len(bias)), weight, bias, i < len(head) - 1)
    graph.graph.outputs = [last]
    return graph.serialised()


if __name__ == "__main__":
    FILE.write_bytes(written())
    print(f"{FILE}: {FILE.stat().st_size} bytes")
