"""ncnn, fp32: the two files that it reads are written here, so no converter is needed.

1 x 1 convolutions over (3, 1, N); of ncnn's forms of the layers (convolution, inner product) the fastest here.
"""

from __future__ import annotations

from importlib.metadata import version

import ncnn
import numpy as np

from peers import vanilla

NAME = f"ncnn {version('ncnn')} fp32"
SUFFIX = ".param"
MAGIC, RELU, FLOAT32 = 7767517, 1, bytes(4)


def save(path, clouds: int, rows: int):
    """PATH.param, the layers as text, and PATH.bin, their weights; one cloud of any size at a time."""
    points, head = vanilla.weights()
    lines, last = ["Input x 0 1 x"], "x"
    for i, (weight, bias) in enumerate(points):
        lines.append(f"Convolution p{i} 1 1 {last} p{i} 0={len(bias)} 1=1 5=1 6={weight.size} 9={RELU}")
        last = f"p{i}"
    lines.append(f"Pooling pooled 1 1 {last} pooled 0=0 4=1")
    last = "pooled"
    for i, (weight, bias) in enumerate(head):
        activation = RELU if i < len(head) - 1 else 0
        lines.append(f"InnerProduct h{i} 1 1 {last} h{i} 0={len(bias)} 1=1 2={weight.size} 9={activation}")
        last = f"h{i}"
    path.write_text("\n".join([str(MAGIC), f"{len(lines)} {len(lines)}", *lines]) + "\n")
    data = (FLOAT32 + weight.tobytes() + bias.tobytes() for weight, bias in points + head)
    path.with_suffix(".bin").write_bytes(b"".join(data))


def forward(path, clouds, threads: int):
    net = ncnn.Net()
    net.opt.num_threads = threads
    net.opt.use_fp16_packed = net.opt.use_fp16_storage = net.opt.use_fp16_arithmetic = False
    net.load_param(str(path))
    net.load_model(str(path.with_suffix(".bin")))
    planes = [np.ascontiguousarray(cloud.T[:, None]) for cloud in clouds]
    last = f"h{len(vanilla.HEAD) - 1}"

    def answer(cloud) -> np.ndarray:
        extractor = net.create_extractor()
        extractor.input("x", ncnn.Mat(cloud))
        return np.array(extractor.extract(last)[1])

    return lambda: np.stack([answer(cloud) for cloud in planes])
