"""One training step of the vanilla network: packed-speed layers against the same layers as plain torch writes them.

    python benchmarks/training_step.py [--points 1024 --batch 64 --repeat 5]

Both run in turn in one process on one thread; the shortest of the repetitions counts. docs/training.md,
"Why it is fast, and still exact".
"""

from __future__ import annotations

import argparse
import time

import numpy as np
import torch
from torch.nn import functional

from bipointnet_ros.core.aggregation import delta
from bipointnet_ros.core.blueprint import vanilla
from bipointnet_ros.training import models
from bipointnet_ros.training.binarizers import sign
from bipointnet_ros.training.train import keep_freed_memory


def plain_logits(net, points):
    """The forward pass with every (rows, channels) product in memory, BatchNorm by torch, maximum by torch."""
    clouds, n, _ = points.shape
    x = points.reshape(clouds * n, -1)
    for layer in net.blueprint.layers[:-1]:
        stage = net.stages[layer.name]
        if layer.op == "lift":
            y = x @ stage.weight
        else:
            y = stage.linear.alpha() * (sign(x) @ stage.linear.signs().T)
        x = functional.batch_norm(y, None, None, stage.norm.gain, stage.norm.bias, True, 0.0, stage.norm.eps)
        if layer.op == "pool":
            x = x.reshape(clouds, n, -1).max(1).values + delta(n)
    return net.stages[net.blueprint.layers[-1].name](x)


def step(logits, labels, net) -> float:
    """Seconds of forward, loss and backward."""
    net.zero_grad()
    began = time.perf_counter()
    functional.cross_entropy(logits(), labels).backward()
    return time.perf_counter() - began


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--points", type=int, default=1024)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--repeat", type=int, default=5)
    options = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    keep_freed_memory()
    net = models.build(vanilla(40))
    points, labels = torch.randn(options.batch, options.points, 3), torch.randint(0, 40, (options.batch,))
    ways = {"packed": lambda: net(points), "plain": lambda: plain_logits(net, points)}
    shortest = dict.fromkeys(ways, np.inf)
    for _ in range(options.repeat + 1):
        for name, logits in ways.items():
            shortest[name] = min(shortest[name], step(logits, labels, net))
    for name, seconds in shortest.items():
        print(f"{name:7} {1e3 * seconds:8.1f} ms a step")
    print(f"ratio   {shortest['plain'] / shortest['packed']:8.2f}")


if __name__ == "__main__":
    main()
