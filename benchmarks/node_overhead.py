"""What the node costs besides Pipeline.process: CPU time per output byte, beside a bare rclpy relay in the same run.

Both run in processes of their own, with the same clouds from the same player; the node's pipeline answers at once with
labels that were made before. CPU time is that of the whole process: DDS threads, decoding, encoding, publishing.
Usage: python benchmarks/node_overhead.py [--points 131072] [--clouds 100] [--rounds 3] [--json]
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "test"))
BAR = 1.5


def serve_node():
    """The real node around a pipeline that costs nothing."""
    from bipointnet_ros.core.pipeline import Pipeline, Result
    from bipointnet_ros.ros import node

    made = {}

    def answer(self, xyz, intensity=None):
        n = len(xyz)
        if n not in made:
            rng = np.random.default_rng(0)
            label, confidence = rng.integers(0, 7, n).astype(np.uint16), rng.random(n).astype(np.float32)
            made[n] = Result(label, np.zeros(n, np.uint32), confidence, (), {}, n)
        return made[n]

    Pipeline.process = answer
    sys.exit(node.main())


def serve_relay():
    """Receives and publishes the same message: the least that any rclpy node does."""
    import rclpy
    from rclpy.qos import QoSProfile
    from sensor_msgs.msg import PointCloud2

    rclpy.init()
    relay = rclpy.create_node("bipointnet")
    publisher = relay.create_publisher(PointCloud2, "~/labeled_points", QoSProfile(depth=1))
    relay.create_subscription(PointCloud2, "points", publisher.publish, QoSProfile(depth=5))
    print("listening to", flush=True)
    try:
        rclpy.spin(relay)
    except (KeyboardInterrupt, rclpy.executors.ExternalShutdownException):
        pass


def measure(world, role, model, clouds, count) -> dict:
    """CPU milliseconds per answered cloud and nanoseconds per output byte of one role."""
    from world import Process, Remote

    arguments = ["--ros-args", "-r", f"__ns:=/{role}", "-p", "reliability:=reliable", "-p", f"model:={model}"]
    process = Process(f"benchmarks.{Path(__file__).stem}", f"--serve={role}", *arguments)
    world.processes.append(process)
    world.until(lambda: process.says("listening to"), process)
    remote = Remote(world, f"/{role}/bipointnet", process)
    sizes = []
    remote.hear(lambda msg: sizes.append(len(msg.data)))
    remote.matched()
    world.spin(1.0)
    start = None
    for i in range(count + 10):
        if i == 10:  # the first ones warm up
            start, sizes[:] = process.cpu(), []
        remote.publisher.publish(clouds)
        world.spin(0.1)
    world.spin(0.5)
    spent = process.cpu() - start
    assert process.end()[0] in (0, 1)
    return {"answered": len(sizes), "ms_per_cloud": 1e3 * spent / len(sizes), "ns_per_byte": 1e9 * spent / sum(sizes)}


def run(options) -> dict:
    from std_msgs.msg import Header
    from world import World, write_model

    from bipointnet_ros.ros.messages import make_cloud

    rng = np.random.default_rng(0)
    xyz = rng.normal(0, 20, (options.points, 3)).astype(np.float32)
    msg = make_cloud(Header(frame_id="lidar"), xyz, np.zeros(options.points))
    rounds = {"relay": [], "node": []}
    with tempfile.TemporaryDirectory() as folder:
        model = write_model(Path(folder) / "model.safetensors")
        world = World(1 + os.getpid() % 100)
        try:
            for _ in range(options.rounds):
                for role, results in rounds.items():
                    results.append(measure(world, role, model, msg, options.clouds))
        finally:
            world.close()
    best = {role: min(results, key=lambda r: r["ns_per_byte"]) for role, results in rounds.items()}
    ratio = best["node"]["ns_per_byte"] / best["relay"]["ns_per_byte"]
    return {"points": options.points, **best, "ratio_per_byte": round(ratio, 2), "bar": BAR, "rounds": rounds}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--points", type=int, default=131_072)
    parser.add_argument("--clouds", type=int, default=100)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--serve", choices=("node", "relay"), help=argparse.SUPPRESS)
    options, _ = parser.parse_known_args()
    if options.serve:
        return serve_node() if options.serve == "node" else serve_relay()
    report = run(options)
    if options.json:
        print(json.dumps(report))
    else:
        for role in ("relay", "node"):
            cost = report[role]
            print(f"{role:6} {cost['ms_per_cloud']:6.2f} ms a cloud, {cost['ns_per_byte']:5.2f} ns per output byte")
        print(f"ratio per output byte {report['ratio_per_byte']} (at most {BAR})")
    return 0


if __name__ == "__main__":
    sys.exit(main())
