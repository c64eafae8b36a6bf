"""onnxruntime, fp32: 1 x 1 convolutions over (B, channels, N, 1), faster here than matrix products."""

from __future__ import annotations

import numpy as np
import onnxruntime

from peers import vanilla

NAME = f"onnxruntime {onnxruntime.__version__} fp32"
SUFFIX = ".onnx"


def save(path, clouds: int, rows: int):
    import onnx  # not needed to run it: its memory is not the runtime's

    onnx.save(model(clouds, rows), path)


def forward(path, clouds, threads: int):
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    options.log_severity_level = 3
    options.add_session_config_entry("session.force_spinning_stop", "1")  # no core is taken from the next in turn
    session = onnxruntime.InferenceSession(str(path), options, ["CPUExecutionProvider"])
    planar = {"x": planes(clouds)}
    return lambda: session.run(None, planar)[0]


def planes(clouds) -> np.ndarray:
    """(B, N, 3) -> (B, 3, N, 1)"""
    return np.ascontiguousarray(clouds.transpose(0, 2, 1)[..., None])


def model(clouds: int, rows: int):
    """The onnx.ModelProto for clouds (B, 3, N, 1)."""
    import onnx
    from onnx import TensorProto, helper

    points, head = vanilla.weights()
    nodes, tensors, last = [], [], "x"
    for i, (weight, bias) in enumerate(points):
        last = _layer("Conv", f"point{i}", last, weight[:, :, None, None], bias, True, nodes, tensors)
    nodes.append(helper.make_node("GlobalMaxPool", [last], ["pooled"]))
    nodes.append(helper.make_node("Flatten", ["pooled"], ["flat"]))
    last = "flat"
    for i, (weight, bias) in enumerate(head):
        last = _layer("Gemm", f"head{i}", last, weight, bias, i < len(head) - 1, nodes, tensors)
    given = [helper.make_tensor_value_info("x", TensorProto.FLOAT, (clouds, 3, rows, 1))]
    answers = [helper.make_tensor_value_info(last, TensorProto.FLOAT, (clouds, len(head[-1][1])))]
    graph = helper.make_graph(nodes, "vanilla", given, answers, tensors)
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    onnx.checker.check_model(made)
    return made


def _layer(op, name, given, weight, bias, activated, nodes, tensors) -> str:
    """Appends the layer; the name of its output."""
    from onnx import helper, numpy_helper

    tensors += [numpy_helper.from_array(weight, f"{name}.w"), numpy_helper.from_array(bias, f"{name}.b")]
    attributes = {"transB": 1} if op == "Gemm" else {}
    nodes.append(helper.make_node(op, [given, f"{name}.w", f"{name}.b"], [name], **attributes))
    if not activated:
        return name
    nodes.append(helper.make_node("Relu", [name], [f"{name}.relu"]))
    return f"{name}.relu"
