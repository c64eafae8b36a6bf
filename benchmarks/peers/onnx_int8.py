"""onnxruntime, int8 by static quantisation (QDQ, four random clouds): the fastest of eight settings here."""

from __future__ import annotations

import logging
import tempfile
from pathlib import Path

import numpy as np
import onnxruntime

from peers import onnx_fp32
from peers.onnx_fp32 import SUFFIX, forward  # noqa: F401

NAME = f"onnxruntime {onnxruntime.__version__} int8"
CALIBRATION = 1024  # points


def save(path, clouds: int, rows: int):
    """Calibrated on single clouds, and given the wanted shape afterwards."""
    import onnx
    from onnxruntime import quantization

    logging.disable(logging.WARNING)
    with tempfile.TemporaryDirectory() as folder:
        plain, packed = Path(folder) / "plain.onnx", Path(folder) / "packed.onnx"
        onnx.save(onnx_fp32.model(1, CALIBRATION), plain)
        quantization.quantize_static(plain, packed, _reader(quantization.CalibrationDataReader))
        made = onnx.load(packed)
    for value in (*made.graph.input, *made.graph.output):
        value.type.tensor_type.shape.dim[0].dim_value = clouds
    made.graph.input[0].type.tensor_type.shape.dim[2].dim_value = rows
    del made.graph.value_info[:]
    onnx.save(made, path)


def _reader(base):
    random = (np.random.default_rng(seed).normal(size=(1, CALIBRATION, 3)).astype(np.float32) for seed in range(4))
    feeds = ({"x": onnx_fp32.planes(cloud)} for cloud in random)

    class Reader(base):
        def get_next(self):
            return next(feeds, None)

    return Reader()
