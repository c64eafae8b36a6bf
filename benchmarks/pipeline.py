#!/usr/bin/env python3
"""Every stage of one scan on one core: bytes of a PointCloud2 in, bytes of the labelled cloud and of the markers out.

    python benchmarks/pipeline.py [--model lidar] [--rounds 5] [--looks -1] [--cpu]

The scans are those of the demo's drive, about 106,000 points each. Bytes are CDR, as DDS carries them, where rclpy is
installed; nothing is sent.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import sys
import time
from pathlib import Path

if hasattr(os, "sched_setaffinity"):
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})

import numpy as np  # noqa: E402

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))
from builtin_interfaces.msg import Time  # noqa: E402
from rclpy.serialization import deserialize_message, serialize_message  # noqa: E402
from sensor_msgs.msg import PointCloud2  # noqa: E402
from std_msgs.msg import Header  # noqa: E402

from bipointnet_ros import dataset  # noqa: E402
from bipointnet_ros.core.classes import colours  # noqa: E402
from bipointnet_ros.core.config import Config  # noqa: E402
from bipointnet_ros.core.pipeline import Pipeline  # noqa: E402
from bipointnet_ros.core.tracking import Tracker  # noqa: E402
from bipointnet_ros.ros.markers import markers  # noqa: E402
from bipointnet_ros.ros.messages import labeled_cloud, make_cloud, read_xyz  # noqa: E402


class Watch:
    """Milliseconds by stage, in the order in which they come."""

    def __init__(self):
        self.stages, self._last = {}, time.perf_counter()

    def __call__(self, stage: str):
        now = time.perf_counter()
        self.stages[stage] = (now - self._last) * 1e3
        self._last = now


def answer(data: bytes, pipe: Pipeline, tracker: Tracker, palette) -> tuple[dict, int]:
    """One scan from bytes to bytes: milliseconds by stage, bytes that came out."""
    watch = Watch()
    msg = deserialize_message(data, PointCloud2)
    watch("deserialize")
    xyz, intensity = read_xyz(msg)
    watch("read")
    result = pipe.process(xyz, intensity)
    watch("process")
    stamp = msg.header.stamp.sec + msg.header.stamp.nanosec / 1e9
    result = tracker.follow(result, stamp, msg.header.frame_id, pipe.config)
    watch("track")
    labelled = labeled_cloud(msg, result, palette)
    watch("label")
    boxes = markers(msg.header, result.objects, palette, pipe.config.marker_lifetime)
    watch("markers")
    out = len(serialize_message(labelled)) + len(serialize_message(boxes))
    watch("serialize")
    before, after = list(watch.stages.items())[:2], list(watch.stages.items())[3:]
    return {**dict(before), **result.stages, **dict(after), "all": sum(watch.stages.values())}, out


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="lidar")
    parser.add_argument("--rounds", type=int, default=5, help="times through the drive (5)")
    parser.add_argument("--looks", type=float, default=Config.further_looks, help="the parameter further_looks")
    parser.add_argument("--cpu", action="store_true", help="time of this thread alone, for a machine that is shared")
    options = parser.parse_args()
    if options.cpu:
        time.perf_counter = time.thread_time  # which the pipeline's own stages read, too
    data = dataset.read(ROOT / "demo" / "drive" / "pandaset_002_44-55.npz")
    pipe, tracker = Pipeline(Config(model=options.model, threads=1, further_looks=options.looks)), Tracker()
    palette, rows, sizes, faults = colours(pipe.model.classes), [], [], []
    for n in range(options.rounds * len(data) + 1):  # the first one pays for first touches
        xyz, intensity, _ = data.scan(n % len(data))
        header = Header(stamp=Time(sec=n // 10, nanosec=n % 10 * 10**8), frame_id="lidar")
        stages, out = answer(serialize_message(make_cloud(header, xyz, intensity)), pipe, tracker, palette)
        rows.append(stages)
        faults.append(resource.getrusage(resource.RUSAGE_SELF).ru_minflt)
        sizes.append((len(xyz), out))
    points, out = np.median(sizes[1:], axis=0)
    clock = "CPU" if options.cpu else "wall"
    told = f"{len(rows) - 1} scans of {points:.0f}, {out / 1e6:.1f} MB, {clock} time"
    print(f"{options.model}, {pipe.backend_name}, one core: {told}")
    print("| stage | median ms | least ms |\n|---|---|---|")
    facts = {}
    for stage in rows[0]:
        each = [row[stage] for row in rows[1:]]
        facts[stage] = {"median": float(np.median(each)), "least": min(each)}
        print(f"| {stage} | {facts[stage]['median']:.2f} | {facts[stage]['least']:.2f} |")
    print(f"{1e3 / facts['all']['median']:.1f} scans a second by the median, {1e3 / facts['all']['least']:.1f} at best")
    print(f"page faults a scan, median: {np.median(np.diff(faults)):.0f}")
    print(json.dumps({"model": options.model, "backend": pipe.backend_name, "points": int(points), "stages": facts}))


if __name__ == "__main__":
    main()
