"""Endurance: clouds of 131,072 points at 20 Hz for minutes, two subscribers, real processes, real DDS.

Asks that received = answered + dropped, exactly; that at least 5 clouds a second are answered; that p99 of the age of
an answer (header stamp to receipt) is under 400 ms; that resident memory grows by at most 5 % after the first fifth of
the time; and that Ctrl-C ends the node in under 2 seconds with status 0. Exit status 1 if any of these is missed.
Usage: python benchmarks/soak.py [--minutes 10] [--model lidar] [--json]
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "test"))
POINTS, RATE = 131_072, 20.0


def drive() -> np.ndarray:
    """One real scan, with some of its points again a little beside them: 131,072 of them."""
    with np.load(ROOT / "demo/drive/pandaset_002_44-55.npz") as data:
        xyz = data["xyz_cm"][: data["offsets"][1]].astype(np.float32) / 100.0
    rng = np.random.default_rng(0)
    more = xyz[rng.integers(0, len(xyz), POINTS - len(xyz))]
    return np.concatenate([xyz, more + rng.normal(0, 0.02, more.shape).astype(np.float32)])


def resident(process) -> int:
    """Bytes of memory that a process holds."""
    return int(Path(f"/proc/{process.process.pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def run(world, folder, options) -> dict:
    from world import Process

    remote = world.start_node("/soak", model=options.model)
    ages, memory = [], []

    def hear(msg):
        now = world.node.get_clock().now().nanoseconds
        ages.append((now - msg.header.stamp.sec * 10**9 - msg.header.stamp.nanosec) / 1e6)

    remote.hear(hear)
    remote.hear(lambda msg: None)
    world.spin(2.0)
    seconds = options.minutes * 60.0
    count = round(seconds * RATE)
    playing = ("--rate", str(RATE), "--loop", "--count", str(count), "--ros-args", "-r", "__ns:=/soak")
    player = Process("bipointnet_ros.ros.player", str(folder / "cloud.npy"), *playing)
    world.processes.append(player)
    start = time.monotonic()
    while player.process.poll() is None:
        world.spin(1.0)
        memory.append((time.monotonic() - start, resident(remote.process)))
    playing_time = time.monotonic() - start
    sent = int(player.lines[-1].split()[1])
    counts = remote.counts()
    world.spin(1.0)
    status, ending = remote.process.end()
    warm = [size for when, size in memory if when > seconds / 5]
    return {
        "minutes": options.minutes,
        "sent": sent,
        "sent_per_second": round(sent / playing_time, 2),
        **{name: counts[name] for name in ("received", "answered", "dropped")},
        "lost": sent - counts["received"],
        "back": len(ages),
        "answered_per_second": round(counts["answered"] / playing_time, 2),
        "age_ms": {f"p{q}": round(float(np.percentile(ages, q)), 1) for q in (50, 95, 99)},
        "memory_mb": [round(warm[0] / 1e6, 1), round(warm[-1] / 1e6, 1)],
        "memory_growth": round(warm[-1] / warm[0] - 1.0, 4),
        "end_seconds": round(ending, 2),
        "status": status,
    }


def bars(report) -> dict[str, bool]:
    return {
        "received = answered + dropped": report["received"] == report["answered"] + report["dropped"],
        "at least 5 clouds a second answered": report["answered_per_second"] >= 5.0,
        "p99 age under 400 ms": report["age_ms"]["p99"] < 400.0,
        "memory grows at most 5 %": report["memory_growth"] <= 0.05,
        "ends in under 2 s with status 0": report["end_seconds"] < 2.0 and report["status"] == 0,
    }


def main() -> int:
    from world import World

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--model", default="lidar")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    world = World(1 + os.getpid() % 100)
    try:
        with tempfile.TemporaryDirectory() as folder:
            np.save(Path(folder) / "cloud.npy", drive())
            report = run(world, Path(folder), options)
    finally:
        world.close()
    held = bars(report)
    print(json.dumps({**report, "held": held}) if options.json else "\n".join(f"{k}: {v}" for k, v in report.items()))
    if not options.json:
        print(*(f"  {'yes' if ok else 'NO ':4} {bar}" for bar, ok in held.items()), sep="\n")
    return 0 if all(held.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
