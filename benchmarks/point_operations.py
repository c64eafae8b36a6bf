#!/usr/bin/env python3
"""Operations on the points of a scan, numpy against native, in turn; least milliseconds of each.

python benchmarks/point_operations.py [--scans demo/drive/pandaset_002_44-55.npz] [--scan 3]
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))
from bipointnet_ros import dataset  # noqa: E402
from bipointnet_ros.core import features, kernels, points  # noqa: E402
from bipointnet_ros.core.blueprint import Grid  # noqa: E402

GRID = Grid(0.2, (4, 12, 36))


def operations(xyz, backend) -> dict:
    """Name -> call; what a pipeline does with a scan of these points, by its parameters."""
    seen = points.sample(xyz, 20000, "random")
    cluster = xyz[np.argsort(np.hypot(xyz[:, 0] - 10.0, xyz[:, 1]), kind="stable")[:4000]]
    return {
        "sampling voxel, 20,000 of the scan": lambda: points.sample(xyz, 20000, "voxel", backend=backend),
        "sampling farthest, 2,000 of the scan": lambda: points.sample(xyz, 2000, "farthest", backend=backend),
        "sampling farthest, 1,024 of 4,000": lambda: points.sample(cluster, 1024, "farthest", backend=backend),
        "answers of 20,000 samples": lambda: points.answers(xyz, seen, GRID.voxel, backend=backend),
        "inputs of the segmenter": lambda: features.scene(xyz, None, GRID, features.BLIND, backend),
    }


def least(calls, rounds: int) -> list[float]:
    """Milliseconds of each call, one of each in turn."""
    best = [float("inf")] * len(calls)
    for _ in range(rounds):
        for i, call in enumerate(calls):
            start = time.perf_counter()
            call()
            best[i] = min(best[i], (time.perf_counter() - start) * 1e3)
    return best


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--scans", default=str(ROOT / "demo" / "drive" / "pandaset_002_44-55.npz"))
    parser.add_argument("--scan", type=int, default=3)
    parser.add_argument("--rounds", type=int, default=7)
    arguments = parser.parse_args()
    xyz = np.ascontiguousarray(dataset.read(arguments.scans).scan(arguments.scan)[0])
    backends = [kernels.choose("numpy"), kernels.choose()]
    print(f"{len(xyz)} points; milliseconds by {' and by '.join(b.name for b in backends)}")
    both = [operations(xyz, backend) for backend in backends]
    for name in both[0]:
        slow, fast = least([calls[name] for calls in both], arguments.rounds)
        print(f"{name:40} {slow:9.2f} {fast:9.2f} {slow / fast:7.1f} x")


if __name__ == "__main__":
    main()
