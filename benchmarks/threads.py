#!/usr/bin/env python3
"""A batch of clouds on several threads against one, and against as many independent processes of one thread each.

    python benchmarks/threads.py [--threads 2] [--clouds 32] [--points 1024]

The processes show what the machine gives: they share nothing. All take turns; the best turn of each counts.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import sys
import time
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from bipointnet_ros.core import kernels, model_file, points  # noqa: E402
from bipointnet_ros.core.network import Network  # noqa: E402


def network(arguments, threads: int):
    """A function that classifies the batch once."""
    rng = np.random.default_rng(0)
    clouds = points.normalised(rng.normal(size=(arguments.clouds, arguments.points, 3)).astype(np.float32))
    held = Network(model_file.read(model_file.find(arguments.model)), kernels.choose(arguments.backend), threads)
    held.classify(clouds)
    return lambda: held.classify(clouds)


def rate(call, seconds: float) -> float:
    """Calls a second."""
    start, count = time.perf_counter(), 0
    while time.perf_counter() < start + seconds:
        call()
        count += 1
    return count / (time.perf_counter() - start)


def process(arguments, pipe, together):
    """One that is alone on its thread; it runs whenever all are told to."""
    call = network(arguments, 1)
    pipe.send(None)
    while pipe.recv():
        together.wait()
        pipe.send(rate(call, arguments.seconds))


class Processes:
    def __init__(self, arguments):
        context = multiprocessing.get_context("spawn")
        together, self.pipes = context.Barrier(arguments.threads), []
        for _ in range(arguments.threads):
            ours, theirs = context.Pipe()
            context.Process(target=process, args=(arguments, theirs, together), daemon=True).start()
            self.pipes.append(ours)
        for pipe in self.pipes:
            pipe.recv()

    def rate(self) -> float:
        for pipe in self.pipes:
            pipe.send(True)
        return sum(pipe.recv() for pipe in self.pipes)

    def end(self):
        for pipe in self.pipes:
            pipe.send(False)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--clouds", type=int, default=32)
    parser.add_argument("--points", type=int, default=1024)
    parser.add_argument("--model", default="modelnet40")
    parser.add_argument("--backend", default="auto")
    parser.add_argument("--rounds", type=int, default=60)
    parser.add_argument("--seconds", type=float, default=0.05, help="of a turn")
    parser.add_argument("--json", help="write the figures to this file")
    arguments = parser.parse_args()
    one, several, processes = network(arguments, 1), network(arguments, arguments.threads), Processes(arguments)
    turns = [
        (rate(one, arguments.seconds), rate(several, arguments.seconds), processes.rate())
        for _ in range(arguments.rounds)
    ]
    processes.end()
    best = arguments.clouds * np.max(turns, 0)
    names = ("one thread", f"{arguments.threads} threads", f"{arguments.threads} processes of one thread")
    what = f"{arguments.model}, {arguments.clouds} x {arguments.points} points"
    print(f"{what}, clouds a second, best of {len(turns)} turns")
    for name, clouds in zip(names, best):
        print(f"{name:28} {clouds:8.0f}")
    print(f"threads against one          {best[1] / best[0]:8.2f}")
    print(f"threads against processes    {best[1] / best[2]:8.2f}")
    if arguments.json:
        Path(arguments.json).write_text(json.dumps(dict(zip(names, best.tolist())), indent=2) + "\n")


if __name__ == "__main__":
    main()
