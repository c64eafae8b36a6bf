"""torch, eager: 1 x 1 convolutions over (B, channels, N). torch.compile and torch.jit were no better here."""

from __future__ import annotations

import numpy as np
import torch
from torch.nn import functional

from peers import vanilla

NAME = f"torch {torch.__version__.partition('+')[0]} fp32"
SUFFIX = ".npz"


def save(path, clouds: int, rows: int):
    points, head = vanilla.weights()
    np.savez(path, *(array for layer in (*points, *head) for array in layer))


def forward(path, clouds, threads: int):
    with np.load(path) as held:
        arrays = [torch.from_numpy(held[name]) for name in held.files]
    layers = list(zip(arrays[::2], arrays[1::2]))
    deep = len(vanilla.POINT_LAYERS)
    points, head = [(weight[:, :, None], bias) for weight, bias in layers[:deep]], layers[deep:]
    planar = torch.from_numpy(clouds).transpose(1, 2).contiguous()

    def call():
        torch.set_num_threads(threads)
        with torch.inference_mode():
            x = planar
            for weight, bias in points:
                x = torch.relu_(functional.conv1d(x, weight, bias))
            x = x.amax(2)
            for weight, bias in head[:-1]:
                x = torch.relu_(functional.linear(x, weight, bias))
            return functional.linear(x, *head[-1]).numpy()

    return call
