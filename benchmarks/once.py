#!/usr/bin/env python3
"""ncnn and Larq Compute Engine beside ours, LiteRT and onnxruntime: one thread, one cloud, in turn in one process.

    python3.11 -m venv /tmp/peers
    /tmp/peers/bin/pip install tensorflow-cpu==2.12.1 larq==0.13.3 larq-compute-engine==0.16.0 ncnn==1.0.20261020
    /tmp/peers/bin/pip install onnx==1.18.0 onnxruntime==1.32.0 ai-edge-litert==2.3.0 "numpy<2"
    OMP_NUM_THREADS=1 /tmp/peers/bin/python benchmarks/once.py [--seconds 5]

In the source tree, built for Python 3.11 (``make test``). Larq needs an old TensorFlow, so make bench has neither.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import numpy as np
import versus
from peers import larq_binary, litert_fp32, ncnn_fp32, onnx_fp32, onnx_int8, vanilla

from bipointnet_ros import bench

POINTS = 1024
FP32 = (ncnn_fp32, litert_fp32, onnx_fp32)
LARQ = ({"use_indirect_bgemm": True}, {"use_xnnpack": True}, {"use_reference_bconv": True})


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=5, help="for each engine")
    seconds = parser.parse_args().seconds
    cloud = np.random.default_rng(1).normal(size=(1, POINTS, 3)).astype(np.float32)
    with tempfile.TemporaryDirectory() as folder:
        spent = versus.in_turn(calls(cloud, Path(folder)), seconds, 1)
    print(", ".join(f"{key} {value}" for key, value in bench.machine().items()))
    print("| engine | ms, least | ms, median | least / ours |\n|---|---|---|---|")
    own = next(iter(spent.values()))["ms_min"]
    for name, ms in spent.items():
        print(f"| {name} | {ms['ms_min']:.3g} | {ms['ms_median']:.3g} | {ms['ms_min'] / own:.1f} |")


def calls(cloud, folder: Path) -> dict:
    """Every engine's forward, ours first; logits of the others, but for int8, are checked."""
    modules = {peer.NAME: peer for peer in (*FP32, onnx_int8, larq_binary)}
    paths = versus.saved(modules, folder, 1, POINTS)
    made = {f"ours, {name}": versus.ours.forward(paths["ours"], cloud, 1, name) for name in versus.NATIVE}
    for peer in (*FP32, onnx_int8):
        made[peer.NAME] = peer.forward(paths[peer.NAME], cloud, 1)
    for peer in FP32:
        versus.check(peer.NAME, made[peer.NAME](), vanilla.logits(cloud))
    want = larq_binary.network(1, POINTS)(cloud[:, :, None]).numpy()
    for kernel in LARQ:
        name = f"{larq_binary.NAME}, {next(iter(kernel))}"
        made[name] = larq_binary.forward(paths[larq_binary.NAME], cloud, 1, **kernel)
        versus.check(name, made[name](), want)
    return made


if __name__ == "__main__":
    main()
