"""LiteRT (XNNPACK), with the committed benchmarks/vanilla.tflite, which benchmarks/write_tflite.py makes."""

from __future__ import annotations

from importlib.metadata import version
from pathlib import Path

import numpy as np
from ai_edge_litert.interpreter import Interpreter

NAME = f"LiteRT {version('ai-edge-litert')} fp32"
SUFFIX = ".tflite"
FILE = Path(__file__).resolve().parents[1] / "vanilla.tflite"


def save(path, clouds: int, rows: int):
    """The committed file, for any size: sizes are set when it is read."""
    path.write_bytes(FILE.read_bytes())


def forward(path, clouds, threads: int):
    interpreter = Interpreter(str(path), num_threads=threads)
    given, answer = interpreter.get_input_details()[0]["index"], interpreter.get_output_details()[0]["index"]
    wide = np.ascontiguousarray(clouds[:, :, None])
    interpreter.resize_tensor_input(given, wide.shape)
    interpreter.allocate_tensors()

    def call():
        interpreter.set_tensor(given, wide)
        interpreter.invoke()
        return interpreter.get_tensor(answer)

    return call
