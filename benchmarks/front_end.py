#!/usr/bin/env python3
"""Ground and clusters of real scans, ours against Open3D's, on one core, in one run.

    python3 -m venv peers && peers/bin/pip install open3d==0.20.0 && peers/bin/python benchmarks/front_end.py

(Open3D 0.20 also wants Debian's libusb-1.0-0, libgl1, libegl1 and libx11-6.)
Open3D: segment_plane(0.2, 3, 200) on the scan, cluster_dbscan(0.5, 10) on its points off the ground. Ours: the height
over the ground, and the same points clustered within a fixed radius of 0.5 m. Both get the points that lie over 0.3 m
by our ground. Agreement is the adjusted Rand index over all of them; clusters of fewer than 10 points are noise, as
DBSCAN's is, and noise is one cluster.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from pathlib import Path

os.environ["OMP_NUM_THREADS"] = "1"
if hasattr(os, "sched_setaffinity"):
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})  # whatever threads a library starts

import numpy as np  # noqa: E402

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))
from bipointnet_ros import dataset  # noqa: E402
from bipointnet_ros.core import ground, kernels  # noqa: E402
from bipointnet_ros.core.clusters import clusters  # noqa: E402

HEIGHT, RADIUS, FEWEST = 0.3, 0.5, 10  # m, m, points


def adjusted_rand(a: np.ndarray, b: np.ndarray) -> float:
    """Agreement of two partitions (N,) of integers from 0: 1 = the same, 0 = by chance."""
    both = np.unique(a * (int(b.max()) + 1) + b, return_counts=True)[1]
    pairs, of_a, of_b = (float((n * (n - 1) // 2).sum()) for n in (both, np.bincount(a), np.bincount(b)))
    chance = of_a * of_b / (len(a) * (len(a) - 1) / 2.0)
    return (pairs - chance) / ((of_a + of_b) / 2.0 - chance)


def without_specks(found: np.ndarray) -> np.ndarray:
    """Clusters of fewer than FEWEST points become cluster 0, the others follow."""
    large = np.bincount(found) >= FEWEST
    return np.where(large, np.cumsum(large), 0)[found]


def timed(call):
    start = time.perf_counter()
    answer = call()
    return answer, (time.perf_counter() - start) * 1e3


def ours(xyz: np.ndarray, backend):
    """Rows off the ground, their clusters; milliseconds of ground and clusters."""
    height, first = timed(lambda: ground.height(xyz, backend))
    rows = np.flatnonzero(height > HEIGHT)
    found, second = timed(lambda: clusters(xyz[rows, :2], RADIUS, backend=backend))
    return rows, found, (first, second)


def theirs(xyz: np.ndarray, rows: np.ndarray):
    """Clusters of the given rows; milliseconds of plane and clusters."""
    from open3d import geometry, utility

    cloud, standing = (geometry.PointCloud(utility.Vector3dVector(part)) for part in (xyz, xyz[rows]))
    _, first = timed(lambda: cloud.segment_plane(0.2, 3, 200))
    found, second = timed(lambda: standing.cluster_dbscan(0.5, 10))
    return np.asarray(found) + 1, (first, second)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", default=str(ROOT / "demo" / "drive" / "pandaset_002_44-55.npz"), help="scenes")
    parser.add_argument("--scans", type=int, default=6, help="how many, evenly spread (6)")
    options = parser.parse_args()
    data, backend, rows = dataset.read(options.data), kernels.choose(), []
    ours(data.scan(0)[0], backend)
    for f in np.linspace(0, len(data) - 1, options.scans).astype(int):
        xyz = data.scan(f)[0]
        standing, mine, (ground_ms, clusters_ms) = ours(xyz, backend)
        other, (plane_ms, dbscan_ms) = theirs(xyz, standing)
        row = {"scan": int(f), "points": len(xyz), "standing": len(standing)}
        row |= {"ground_ms": ground_ms, "clusters_ms": clusters_ms, "plane_ms": plane_ms, "dbscan_ms": dbscan_ms}
        row["times"] = (plane_ms + dbscan_ms) / (ground_ms + clusters_ms)
        row["rand"] = adjusted_rand(without_specks(mine).astype(np.int64), other.astype(np.int64))
        rows.append(row)
        print("  ".join(f"{k} {v:.3g}" if isinstance(v, float) else f"{k} {v}" for k, v in row.items()), flush=True)
    facts = {key: float(np.median([row[key] for row in rows])) for key in rows[0] if key != "scan"}
    facts["least_rand"] = min(row["rand"] for row in rows)
    print(
        f"median: {facts['times']:.1f} times as fast, Rand index {facts['rand']:.3f} (least {facts['least_rand']:.3f})"
    )
    print(json.dumps({"backend": backend.name, "median": facts, "rows": rows}))


if __name__ == "__main__":
    main()
