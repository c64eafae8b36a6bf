"""Plays recorded clouds to a topic: ``python -m bipointnet_ros.ros.player FILE... [--rate HZ] [--loop]``.

Clouds of files are stamped with the time of sending. A bag's keep their header, and come at their own mean rate.
"""

from __future__ import annotations

import argparse
import sys
import threading
import time

from diagnostic_msgs.msg import DiagnosticArray
from rclpy.clock import Clock, ClockType
from rclpy.duration import Duration
from rclpy.node import Node
from rclpy.qos import QoSProfile, ReliabilityPolicy
from rclpy.utilities import remove_ros_args
from sensor_msgs.msg import PointCloud2
from std_msgs.msg import Header

from bipointnet_ros.arrays import FileError
from bipointnet_ros.bags import Bag, is_bag
from bipointnet_ros.files import SUFFIXES
from bipointnet_ros.recordings import clouds
from bipointnet_ros.ros import diagnostics, process
from bipointnet_ros.ros.messages import as_message, make_cloud

NAME = "player"
_DEPTH = 10  # clouds that a reliable publisher keeps for a reader that is late
_LAST_WORDS = Duration(seconds=2)  # that readers have to take the last clouds before the process ends


class FromFiles:
    """Messages of every cloud of files, folders and drives, all read before the first is played."""

    rate = 10.0

    def __init__(self, paths, frame: str):
        self._messages = [make_cloud(Header(frame_id=frame), c.xyz, c.intensity) for p in paths for c in clouds(p)]

    def __len__(self) -> int:
        return len(self._messages)

    def __iter__(self):
        return iter(self._messages)


class FromBag:
    """Messages of a bag, read as they are played; ``frame`` replaces theirs, unless it is empty."""

    def __init__(self, bag: Bag, frame: str):
        self._bag, self._frame, self.rate = bag, frame, bag.rate or FromFiles.rate

    def __len__(self) -> int:
        return len(self._bag)

    def __iter__(self):
        for _, recorded in self._bag:
            msg = as_message(recorded)
            msg.header.frame_id = self._frame or msg.header.frame_id
            yield msg


class Player(Node):
    """Publishes clouds in turn once somebody has subscribed. How many were sent stands in /diagnostics.

    source: iterated again for every round. now: stamp each cloud with the time of sending.
    """

    def __init__(self, source, options, now: bool):
        super().__init__(NAME)
        self.finished, self.status, self.sent = threading.Event(), 0, 0
        self._source, self._options, self._now = source, options, now
        self._rate = options.rate or source.rate
        self._turn = self._rounds()
        reliability = ReliabilityPolicy[options.reliability.upper()]
        self._clouds = self.create_publisher(PointCloud2, "points", QoSProfile(depth=_DEPTH, reliability=reliability))
        self._diagnostics = self.create_publisher(DiagnosticArray, "/diagnostics", 1)
        self._give_up = time.monotonic() + options.wait
        steady = Clock(clock_type=ClockType.STEADY_TIME)
        self.create_timer(1.0 / self._rate, self._play, clock=steady)

    def start(self):
        topic = self._clouds.topic_name
        self.get_logger().info(
            f"{len(self._source)} cloud(s) for '{topic}' at {self._rate:.3g} Hz, once somebody subscribes"
        )

    def end(self):
        self._report()
        self._clouds.wait_for_all_acked(_LAST_WORDS)
        self._diagnostics.wait_for_all_acked(_LAST_WORDS)
        print(f"sent {self.sent}", flush=True)

    def _rounds(self):
        """Each cloud once, or with --loop again and again."""
        again = True
        while again:
            before = self.sent
            yield from self._source
            again = self._options.loop and self.sent > before

    def _play(self):
        if self.finished.is_set():
            return
        if self.sent == 0 and self._clouds.get_subscription_count() == 0:
            if time.monotonic() > self._give_up:
                self._fail(f"nobody subscribed to '{self._clouds.topic_name}' in {self._options.wait:g} s")
            return
        try:
            msg = next(self._turn, None)
        except FileError as error:  # of a bag that is broken further on
            self._fail(str(error))
            return
        if msg is None:
            self.finished.set()
            return
        if self._now:
            msg.header.stamp = self.get_clock().now().to_msg()
        self._clouds.publish(msg)
        self.sent += 1
        self._report()
        if self.sent == self._options.count:
            self.finished.set()

    def _fail(self, sentence: str):
        self.get_logger().error(sentence)
        self.status = 1
        self.finished.set()

    def _report(self):
        stamp, name = self.get_clock().now().to_msg(), f"{self.get_fully_qualified_name()}: clouds"
        values = {"sent": str(self.sent)}
        self._diagnostics.publish(diagnostics.diagnostics(stamp, name, diagnostics.OK, "playing", values))


def source_of(options):
    """What the arguments name; FileError."""
    bags = [path for path in options.files if is_bag(path)]
    if bags and len(options.files) > 1:
        raise FileError(f"expected one bag, or files, got '{bags[0]}' among {len(options.files)} inputs: play it alone")
    if bags:
        return FromBag(Bag(bags[0], options.topic), options.frame)
    return FromFiles(options.files, options.frame or "lidar")


def _options(args):
    parser = argparse.ArgumentParser(prog=NAME, description=__doc__)
    kinds = f"clouds: {' '.join(SUFFIXES)}, a folder of these, or one rosbag2"
    parser.add_argument("files", nargs="+", metavar="FILE", help=kinds)
    parser.add_argument("--topic", default="", help="of the clouds in a bag, if it has several")
    parser.add_argument("--rate", type=float, help="clouds per second (of a bag its own, else 10)")
    parser.add_argument("--now", action="store_true", help="stamp a bag's clouds, too, with the time of sending")
    parser.add_argument("--loop", action="store_true", help="begin again after the last cloud")
    parser.add_argument("--count", type=int, default=0, help="clouds in all; 0 = each once, or for ever with --loop")
    parser.add_argument("--reliability", choices=("reliable", "best_effort"), default="reliable")
    parser.add_argument("--frame", default="", help="frame_id of the header (of a bag its own, else lidar)")
    parser.add_argument("--wait", type=float, default=30.0, help="seconds to wait for a subscriber")
    options = parser.parse_args(args)
    if options.rate is not None and not 0.0 < options.rate <= 1000.0:
        parser.error(f"--rate must be over 0 and at most 1000 Hz, got {options.rate}")
    return options


def main(args=None) -> int:
    args = sys.argv if args is None else args
    options = _options(remove_ros_args(args)[1:])
    try:
        source = source_of(options)
    except FileError as error:
        print(f"{NAME}: {error}", file=sys.stderr)
        return 2
    now = options.now or isinstance(source, FromFiles)
    return process.run(NAME, lambda: Player(source, options, now), args)


if __name__ == "__main__":
    sys.exit(main())
