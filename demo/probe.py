"""The demo's third role: subscribes to the answers and to /diagnostics, and measures how long each answer took."""

from __future__ import annotations

import math

import numpy as np
import rclpy
from diagnostic_msgs.msg import DiagnosticArray
from rclpy.executors import SingleThreadedExecutor
from rclpy.qos import QoSProfile
from rclpy.signals import SignalHandlerOptions
from sensor_msgs.msg import PointCloud2
from visualization_msgs.msg import Marker, MarkerArray

from bipointnet_ros.core.segments import Object
from bipointnet_ros.ros.messages import read_xyz

_QOS = QoSProfile(depth=10)  # reliable


class Probe:
    """Counts answers and keeps the last cloud with its markers."""

    def __init__(self, node_name: str):
        rclpy.init(signal_handler_options=SignalHandlerOptions.NO)  # run.py has its own
        self._node = rclpy.create_node("probe")
        self._executor = SingleThreadedExecutor()
        self._executor.add_node(self._node)
        self._name = node_name
        self.latencies = []  # ms, header stamp to receipt
        self.points = 0
        self.status = {}  # name -> (message, values by key)
        self._cloud = self._markers = self._both = None
        self._node.create_subscription(PointCloud2, f"{node_name}/labeled_points", self._on_cloud, _QOS)
        self._node.create_subscription(DiagnosticArray, "/diagnostics", self._on_status, _QOS)

    def watch_markers(self):
        """Later than the clouds: the node answers as soon as one listener is there, and that must be the cloud's."""
        self._node.create_subscription(MarkerArray, f"{self._name}/markers", self._on_markers, _QOS)

    def spin(self, seconds: float):
        self._executor.spin_once(timeout_sec=seconds)

    def close(self):
        self._executor.shutdown()
        self._node.destroy_node()
        rclpy.try_shutdown()

    def said(self, name: str) -> tuple[str, dict]:
        """The last status of a node: message and values."""
        return self.status.get(f"{name}: clouds", ("", {}))

    def percentiles(self) -> tuple[float, float, float]:
        """p50, p95 and p99 [ms] of all answers so far."""
        values = np.percentile(self.latencies, (50, 95, 99)) if self.latencies else (math.nan,) * 3
        return tuple(float(v) for v in values)

    def picture(self) -> tuple[np.ndarray, np.ndarray, list[Object]]:
        """xyz (N, 3), label (N,) and objects of the last answer that came with its markers (or came at all)."""
        cloud, markers = self._both or (self._cloud, [])
        label, instance = _column(cloud, "label", "<u2"), _column(cloud, "instance", "<u4")
        boxes = {m.id: m for m in markers if m.ns == "boxes" and m.action == Marker.ADD}
        names = {m.id: m.text for m in markers if m.ns == "names" and m.action == Marker.ADD}
        first = dict(
            zip(*np.unique(instance, return_index=True))
        )  # an object has its points' label; its name may differ
        objects = [_object(box, names[i], int(label[first[i]])) for i, box in boxes.items() if i in first]
        return read_xyz(cloud)[0], label, objects

    def _on_cloud(self, msg):
        stamp = msg.header.stamp
        now = self._node.get_clock().now().nanoseconds
        self.latencies.append((now - stamp.sec * 10**9 - stamp.nanosec) / 1e6)
        self.points += msg.width * msg.height
        self._cloud = msg
        self._pair()

    def _on_markers(self, msg):
        if msg.markers:
            self._markers = msg.markers
            self._pair()

    def _pair(self):
        """Remember a cloud and the markers of the same stamp, whichever of the two came first."""
        if self._cloud and self._markers and self._cloud.header.stamp == self._markers[0].header.stamp:
            self._both = self._cloud, self._markers

    def _on_status(self, msg):
        for s in msg.status:
            self.status[s.name] = s.message, {pair.key: pair.value for pair in s.values}


def _column(cloud, name: str, kind: str) -> np.ndarray:
    """(N,) of one field of a little-endian cloud."""
    field = next(f for f in cloud.fields if f.name == name)
    one = np.dtype({"names": ["v"], "formats": [kind], "offsets": [field.offset], "itemsize": cloud.point_step})
    return np.frombuffer(cloud.data, one)["v"]


def _object(box, text: str, label: int) -> Object:
    name, sure = text.rsplit(" ", 1)
    p, s, q = box.pose.position, box.scale, box.pose.orientation
    return Object(
        instance=box.id,
        label=label,
        name=name,
        confidence=float(sure.rstrip("%")) / 100,
        centre=np.array([p.x, p.y, p.z]),
        size=np.array([s.x, s.y, s.z]),
        yaw=2.0 * math.atan2(q.z, q.w),
        points=0,
    )
