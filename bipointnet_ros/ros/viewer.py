"""A live topic in a viewer: ``bipointnet view /bipointnet/labeled_points``; markers and classes are taken beside it.

A topic of clouds without labels is labelled here, with a pipeline of its own.
"""

from __future__ import annotations

import json
import threading
import time

from rclpy.clock import Clock, ClockType
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import PointCloud2
from std_msgs.msg import String
from visualization_msgs.msg import Marker, MarkerArray

from bipointnet_ros.pointcloud2 import MessageError, read_label, read_xyz
from bipointnet_ros.ros import process
from bipointnet_ros.view import Box, View, boxes

NAME = "bipointnet_view"
_PATIENCE = 5.0  # s between two complaints that nothing comes


class Viewer(Node):
    """Shows the clouds of a topic in a View, and how old they were when they came.

    make_pipeline() is called at the first cloud that has no labels. most: clouds to show before it ends, 0 = no end.
    """

    def __init__(self, topic: str, view: View, make_pipeline, most: int = 0):
        super().__init__(NAME)
        self.finished, self.status, self.shown = threading.Event(), 0, 0
        self._topic, self._view, self._most = topic, view, most
        self._make_pipeline, self._pipeline = make_pipeline, None
        self._complained = time.monotonic()
        base = topic.rpartition("/")[0]
        latched = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
        self.create_subscription(String, f"{base}/classes", self._on_classes, latched)
        self.create_subscription(MarkerArray, f"{base}/markers", self._on_markers, 2)
        self._labels = {}  # rgb -> the label of that colour: an object's name need not be a class
        self._search = self.create_timer(0.3, self._look, clock=Clock(clock_type=ClockType.STEADY_TIME))

    def start(self):
        self.get_logger().info(f"waiting for clouds on '{self._topic}'; Ctrl-C ends")

    def end(self):
        self._view.close()

    def _look(self):
        """Subscribe as soon as there is a publisher, as it publishes; else say now and then that there is none."""
        found = self.get_publishers_info_by_topic(self._topic)
        if found:
            self._search.cancel()
            theirs = {info.qos_profile.reliability for info in found}
            ours = theirs.pop() if len(theirs) == 1 else ReliabilityPolicy.BEST_EFFORT
            self.create_subscription(PointCloud2, self._topic, self._on_cloud, QoSProfile(depth=1, reliability=ours))
        elif time.monotonic() > self._complained + _PATIENCE:
            self._complained = time.monotonic()
            self.get_logger().warning(f"'{self._topic}' has no publisher: check the name ('ros2 topic list')")

    def _on_cloud(self, msg):
        stamp = msg.header.stamp.sec + msg.header.stamp.nanosec / 1e9
        try:
            xyz, intensity = read_xyz(msg)
            label = read_label(msg)
        except MessageError as error:
            self.get_logger().warning(f"a cloud is not shown: {error}")
            return
        if label is None:
            self._answer(xyz, intensity, stamp)
        else:
            self._view.show(xyz, label, stamp)
            self._view.times({"age": self.get_clock().now().nanoseconds / 1e6 - stamp * 1e3})
        self.shown += 1
        if self.shown == self._most:
            self.finished.set()

    def _answer(self, xyz, intensity, stamp: float):
        if self._pipeline is None:
            self._pipeline = self._make_pipeline()
            self._view.classes(self._pipeline.model.classes)
        start = time.perf_counter()
        result = self._pipeline.process(xyz, intensity)
        self._view.show(xyz, result.label, stamp)
        self._view.objects(boxes(result.objects))
        self._view.times({"all": (time.perf_counter() - start) * 1e3, **result.stages})

    def _on_classes(self, msg):
        table = json.loads(msg.data)["classes"]
        self._labels = {tuple(row["rgb"]): row["label"] for row in table}
        self._view.classes(tuple(row["name"] for row in table[1:]))

    def _on_markers(self, msg):
        shown = [m for m in msg.markers if m.action == Marker.ADD]
        names = {m.id: m.text for m in shown if m.ns == "names"}
        self._view.objects([self._box(m, names.get(m.id, "")) for m in shown if m.ns == "boxes"])

    def _box(self, marker, name: str) -> Box:
        p, q, s, c = marker.pose.position, marker.pose.orientation, marker.scale, marker.color
        label = self._labels.get(tuple(round(255 * v) for v in (c.r, c.g, c.b)), 0)
        return Box((p.x, p.y, p.z), (s.x, s.y, s.z), (q.x, q.y, q.z, q.w), label, name)


def run(topic: str, view: View, make_pipeline, most: int = 0) -> int:
    """Show a topic until Ctrl-C, or until ``most`` clouds; the exit status."""
    return process.run(NAME, lambda: Viewer(topic, view, make_pipeline, most), [NAME])
