#!/usr/bin/env python3
"""The front end by itself on labelled scenes: ground against labelled ground, boxes made from human labels.

    python benchmarks/front_end_quality.py DATA.npz [--every 4]

What ground, clusters and boxes could reach if every point were labelled right; constants of core/ were chosen with
it on PandaSet's training frames. Scenes as of training/prepare.py; boxes where they have some.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from bipointnet_ros import dataset  # noqa: E402
from bipointnet_ros.box_scores import BoxScores  # noqa: E402
from bipointnet_ros.core import ground, kernels, segments  # noqa: E402
from bipointnet_ros.evaluation import given_boxes  # noqa: E402

FEWEST = 10  # points near the middle of a car, so that its roof or bonnet is seen
HIGH = 0.3  # m over the bottom of a car's box: no ground


def under_cars(xyz, height, boxes, names):
    """How far the ground lies over the bottom of each vehicle's box [m]."""
    for (x, y, z, length, width, tall, _), name in zip(boxes, names):
        near = np.hypot(xyz[:, 0] - x, xyz[:, 1] - y) < min(length, width) / 2.0
        near &= np.abs(xyz[:, 2] - z) < tall / 2.0
        if name == "vehicle" and near.sum() >= FEWEST:
            yield np.median(xyz[near, 2] - height[near]) - (z - tall / 2.0)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data")
    parser.add_argument("--every", type=int, default=1, help="take every n-th scan (1)")
    options = parser.parse_args()
    data, backend, scores = dataset.read(options.data), kernels.choose(), BoxScores()
    floor, cars = [], []
    for f in range(0, len(data), options.every):
        xyz, _, label = data.scan(f)
        height = ground.height(xyz)
        if "ground" in data.classes:
            floor.append(np.abs(height[label == data.classes.index("ground")]))
        if data.boxes is None:
            continue
        truth, names, _ = data.boxes_of(f)
        cars += under_cars(xyz, height, truth, names)
        published = np.where(label == dataset.IGNORED, 0, label + 1)
        sure = np.ones(len(xyz), np.float32)
        _, objects = segments.objects(xyz, height, published, sure, data.classes, backend)
        scores.add(xyz, *given_boxes(objects, data.classes), truth, names)
    if sum(map(len, floor)):
        print("height of labelled ground p50 {:.3f}, p95 {:.3f}, p99 {:.3f} m".format(*_percentiles(floor)))
    if cars:
        print(f"ground over {HIGH} m too high under {np.mean(np.array(cars) > HIGH):.1%} of {len(cars)} cars")
    for row in scores.rows():
        if row["true"]:
            low, high = row["range"]
            shares = "  ".join(f"{key} {row[key] or 0.0:.2f}" for key in ("recall", "precision"))
            print(f"{row['class']:8} {low:3.0f}-{high:3.0f} m  IoU {row['iou']:.2f}  {shares}  of {row['true']}")


def _percentiles(parts):
    return np.percentile(np.concatenate(parts), (50, 95, 99))


if __name__ == "__main__":
    main()
