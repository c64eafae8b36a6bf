"""Plays recorded clouds to a topic: ``python -m bipointnet_ros.ros.player FILE... [--rate HZ] [--loop]``."""

from __future__ import annotations

import argparse
import sys
import threading
import time
from pathlib import Path

import numpy as np
from diagnostic_msgs.msg import DiagnosticArray
from rclpy.clock import Clock, ClockType
from rclpy.duration import Duration
from rclpy.node import Node
from rclpy.qos import QoSProfile, ReliabilityPolicy
from rclpy.utilities import remove_ros_args
from sensor_msgs.msg import PointCloud2
from std_msgs.msg import Header

from bipointnet_ros.arrays import FileError, read_npz
from bipointnet_ros.files import floats, read_cloud
from bipointnet_ros.ros import diagnostics, process
from bipointnet_ros.ros.messages import make_cloud

NAME = "player"
_DEPTH = 10  # clouds that a reliable publisher keeps for a reader that is late
_LAST_WORDS = Duration(seconds=2)  # that readers have to take the last clouds before the process ends


class Player(Node):
    """Publishes clouds in turn, stamped with the time of sending, once somebody has subscribed.

    clouds: (xyz (N, 3) float32 [m], intensity (N,) or None) each. How many were sent stands in /diagnostics.
    """

    def __init__(self, clouds, options):
        super().__init__(NAME)
        self.finished, self.status, self.sent = threading.Event(), 0, 0
        self._options = options
        self._messages = [make_cloud(Header(frame_id=options.frame), *cloud) for cloud in clouds]
        self._count = options.count or (0 if options.loop else len(clouds))  # 0 = for ever
        reliability = ReliabilityPolicy[options.reliability.upper()]
        self._clouds = self.create_publisher(PointCloud2, "points", QoSProfile(depth=_DEPTH, reliability=reliability))
        self._diagnostics = self.create_publisher(DiagnosticArray, "/diagnostics", 1)
        self._give_up = time.monotonic() + options.wait
        steady = Clock(clock_type=ClockType.STEADY_TIME)
        self.create_timer(1.0 / options.rate, self._play, clock=steady)

    def start(self):
        topic, rate = self._clouds.topic_name, self._options.rate
        self.get_logger().info(f"{len(self._messages)} cloud(s) for '{topic}' at {rate:g} Hz, once somebody subscribes")

    def end(self):
        self._report()
        self._clouds.wait_for_all_acked(_LAST_WORDS)
        self._diagnostics.wait_for_all_acked(_LAST_WORDS)
        print(f"sent {self.sent}", flush=True)

    def _play(self):
        if self.sent == 0 and self._clouds.get_subscription_count() == 0:
            if time.monotonic() > self._give_up:
                self.get_logger().error(f"nobody subscribed to '{self._clouds.topic_name}' in {self._options.wait:g} s")
                self.status = 1
                self.finished.set()
            return
        msg = self._messages[self.sent % len(self._messages)]
        msg.header.stamp = self.get_clock().now().to_msg()
        self._clouds.publish(msg)
        self.sent += 1
        self._report()
        if self.sent == self._count:
            self.finished.set()

    def _report(self):
        stamp, name = self.get_clock().now().to_msg(), f"{self.get_fully_qualified_name()}: clouds"
        values = {"sent": str(self.sent)}
        self._diagnostics.publish(diagnostics.diagnostics(stamp, name, diagnostics.OK, "playing", values))


def read_clouds(path) -> list[tuple[np.ndarray, np.ndarray | None]]:
    """The clouds of a file, or of every file in a folder by name; FileError.

    A .npz with ``offsets`` (F + 1,) holds F clouds: rows offsets[f]:offsets[f + 1] of ``xyz`` [m] or ``xyz_cm`` [cm],
    and of ``intensity`` if there is one. Anything else is one cloud, as files.read_cloud reads it.
    """
    if Path(path).is_dir():
        files = sorted(p for p in Path(path).iterdir() if p.suffix in (".npy", ".npz", ".pcd", ".bin"))
        if not files:
            raise FileError(f"expected clouds (.npy, .npz, .pcd, .bin) in '{path}', found none")
        return [cloud for file in files for cloud in read_clouds(file)]
    held = read_npz(path, ("offsets", "xyz", "xyz_cm", "intensity")) if Path(path).suffix == ".npz" else {}
    return _drive(path, held) if "offsets" in held else [read_cloud(path)]


def _drive(path, held) -> list[tuple[np.ndarray, np.ndarray | None]]:
    if "xyz_cm" in held:
        xyz = floats(path, "xyz_cm", held["xyz_cm"], (-1, 3)) / np.float32(100.0)
    elif "xyz" in held:
        xyz = floats(path, "xyz", held["xyz"], (-1, 3))
    else:
        raise FileError(f"expected xyz or xyz_cm beside offsets in '{path}', found neither")
    intensity = floats(path, "intensity", held["intensity"], (len(xyz),)) if "intensity" in held else None
    offsets = held["offsets"]
    sound = offsets.dtype.kind in "iu" and offsets.ndim == 1 and len(offsets) > 1
    if not (sound and offsets[0] == 0 and offsets[-1] == len(xyz) and (np.diff(offsets.astype(np.int64)) >= 0).all()):
        raise FileError(f"expected offsets that rise from 0 to {len(xyz)} in '{path}', got others: write it again")
    spans = zip(offsets[:-1], offsets[1:])
    return [(xyz[a:b], None if intensity is None else intensity[a:b]) for a, b in spans]


def _options(args):
    parser = argparse.ArgumentParser(prog=NAME, description=__doc__)
    parser.add_argument("files", nargs="+", metavar="FILE", help="clouds: .npy .npz .pcd .bin, or a folder of these")
    parser.add_argument("--rate", type=float, default=10.0, help="clouds per second (10)")
    parser.add_argument("--loop", action="store_true", help="begin again after the last cloud")
    parser.add_argument("--count", type=int, default=0, help="clouds in all; 0 = each once, or for ever with --loop")
    parser.add_argument("--reliability", choices=("reliable", "best_effort"), default="reliable")
    parser.add_argument("--frame", default="lidar", help="frame_id of the header")
    parser.add_argument("--wait", type=float, default=30.0, help="seconds to wait for a subscriber")
    options = parser.parse_args(args)
    if not 0.0 < options.rate <= 1000.0:
        parser.error(f"--rate must be over 0 and at most 1000 Hz, got {options.rate}")
    return options


def main(args=None) -> int:
    args = sys.argv if args is None else args
    options = _options(remove_ros_args(args)[1:])
    try:
        clouds = [cloud for file in options.files for cloud in read_clouds(file)]
    except FileError as error:
        print(f"{NAME}: {error}", file=sys.stderr)
        return 2
    return process.run(NAME, lambda: Player(clouds, options), args)


if __name__ == "__main__":
    sys.exit(main())
