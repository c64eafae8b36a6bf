"""The fp32 twin of a shipped segmentation network: real weights, ReLU, maxima over the same cells, rows as given.

Every way takes (weights, features (n, F), offsets by scale, threads) and returns a callable that answers (n, K) logits.
``in_pieces`` gives a way runs of coarse cells whose rows fit a cache, which is what makes it fastest.
"""

from __future__ import annotations

import numpy as np
import onnx
import onnxruntime
import torch
from onnx import TensorProto, helper, numpy_helper
from torch.nn import functional

ROWS = 4096  # of a piece, about; 512 to 8192 were tried


def weights(blueprint) -> list[tuple]:
    """By layer: own (C, K), shared (C, S) or None, bias (C,), float32."""
    rng = np.random.default_rng(0)

    def matrix(outputs, inputs, fan):
        return rng.normal(0, (2 / fan) ** 0.5, (outputs, inputs)).astype(np.float32)

    held = []
    for layer in blueprint.layers:
        fan = layer.inputs + layer.shared
        shared = matrix(layer.outputs, layer.shared, fan) if layer.shared else None
        bias = rng.normal(0, 0.1, layer.outputs).astype(np.float32)
        held.append((matrix(layer.outputs, layer.inputs, fan), shared, bias))
    return held


def logits(weights, features, offsets) -> np.ndarray:
    """What every way must answer, in plain numpy."""
    x, code = features, None
    for i, (own, shared, bias) in enumerate(weights):
        x = x @ own.T + bias
        if shared is not None:
            x += np.repeat(code @ shared.T, np.diff(offsets[i - 1]), 0)
        if i < len(weights) - 1:
            x = np.maximum(x, 0)
        if i < len(offsets):
            code = np.maximum.reduceat(x, offsets[i][:-1])
    return x


def in_pieces(way, weights, features, offsets, threads: int):
    """Cells are nested, so a run of coarsest cells needs no row of another."""
    coarse, cuts = offsets[-1], [0]
    for edge in coarse[1:].tolist():
        if edge - cuts[-1] >= ROWS or edge == coarse[-1]:
            cuts.append(edge)
    calls = []
    for a, b in zip(cuts, cuts[1:]):
        local = [o[np.searchsorted(o, a) : np.searchsorted(o, b) + 1] - a for o in offsets]
        calls.append(way(weights, features[a:b], local, threads))
    return lambda: np.concatenate([call() for call in calls])


def with_torch(weights, features, offsets, threads: int):
    held = [tuple(None if a is None else torch.from_numpy(a) for a in layer) for layer in weights]
    cells = [torch.repeat_interleave(torch.from_numpy(np.diff(o).astype(np.int64))) for o in offsets]
    sizes = [len(o) - 1 for o in offsets]

    def call():
        torch.set_num_threads(threads)
        with torch.inference_mode():
            rows, code = torch.from_numpy(features), None
            for i, (own, shared, bias) in enumerate(held):
                rows = functional.linear(rows, own, bias)
                if shared is not None:
                    rows += functional.linear(code, shared).index_select(0, cells[i - 1])
                if i < len(held) - 1:
                    rows = torch.relu_(rows)
                if i < len(offsets):
                    # sums of ReLU are never negative, so zeros may take part; faster here than segment_reduce
                    code = torch.zeros(sizes[i], rows.shape[1])
                    code.scatter_reduce_(0, cells[i][:, None].expand(-1, rows.shape[1]), rows, "amax")
            return rows.numpy()

    return call


def with_onnxruntime(weights, features, offsets, threads: int):
    nodes, tensors, x, code = [], [], "features", None

    def node(op, *given, **attributes):
        name = f"t{len(nodes)}"
        nodes.append(helper.make_node(op, given, [name], **attributes))
        return name

    def tensor(array):
        tensors.append(numpy_helper.from_array(np.ascontiguousarray(array), f"w{len(tensors)}"))
        return tensors[-1].name

    feeds = {"features": features}
    for i, (own, shared, bias) in enumerate(weights):
        x = node("Gemm", x, tensor(own), tensor(bias), transB=1)
        if shared is not None:
            x = node("Add", x, node("Gather", node("Gemm", code, tensor(shared), transB=1), f"cells{i - 1}"))
        if i < len(weights) - 1:
            x = node("Relu", x)
        if i < len(offsets):
            feeds[f"cells{i}"] = np.repeat(np.arange(len(offsets[i]) - 1), np.diff(offsets[i]))
            feeds[f"zeros{i}"] = np.zeros((len(offsets[i]) - 1, len(bias)), np.float32)
            places = node("Unsqueeze", f"cells{i}", tensor(np.array([1])))
            code = node("ScatterND", f"zeros{i}", places, x, reduction="max")
    session = _session(nodes, tensors, feeds, x, len(weights[-1][2]), threads)
    return lambda: session.run(None, feeds)[0]


def _session(nodes, tensors, feeds, answer, classes, threads):
    kinds = {np.dtype(np.float32): TensorProto.FLOAT, np.dtype(np.int64): TensorProto.INT64}
    given = [helper.make_tensor_value_info(name, kinds[a.dtype], a.shape) for name, a in feeds.items()]
    out = helper.make_tensor_value_info(answer, TensorProto.FLOAT, (len(feeds["features"]), classes))
    graph = helper.make_graph(nodes, "segmenter", given, [out], tensors)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    onnx.checker.check_model(model)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    options.add_session_config_entry("session.force_spinning_stop", "1")
    return onnxruntime.InferenceSession(model.SerializeToString(), options, ["CPUExecutionProvider"])


WAYS = {
    f"torch {torch.__version__.partition('+')[0]} fp32": with_torch,
    f"onnxruntime {onnxruntime.__version__} fp32": with_onnxruntime,
}
