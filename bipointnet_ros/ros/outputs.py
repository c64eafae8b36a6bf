"""What the node publishes of an answer. A new output is one more line in ``Outputs.__init__`` and a function."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace

import numpy as np
from rclpy.qos import DurabilityPolicy, QoSProfile
from rclpy.qos_overriding_options import QoSOverridingOptions
from sensor_msgs.msg import PointCloud2
from std_msgs.msg import String
from visualization_msgs.msg import MarkerArray

from bipointnet_ros.core import points, segments
from bipointnet_ros.core.classes import UNKNOWN, colours
from bipointnet_ros.core.pipeline import Pipeline, Result
from bipointnet_ros.core.tracking import Tracker
from bipointnet_ros.ros.frames import Move
from bipointnet_ros.ros.markers import markers
from bipointnet_ros.ros.messages import labeled_cloud, moved, subset

try:
    from bipointnet_ros.ros.detections import Detection3DArray, detections
except ImportError:  # vision_msgs is not installed
    Detection3DArray = None


@dataclass(frozen=True)
class Answer:
    """A cloud, its coordinates xyz (N, 3) in the sensor's frame, in which the filters are, and what is said of them."""

    msg: PointCloud2
    xyz: np.ndarray
    result: Result
    pipeline: Pipeline

    def moved(self, move: Move | None) -> Answer:
        """The same in another frame: the cloud's and the objects' coordinates; None = as it is."""
        if move is None:
            return self
        msg = moved(self.msg, move.header, move.rotation, move.translation)
        objects = tuple(one.moved(move.rotation, move.translation) for one in self.result.objects)
        return replace(self, msg=msg, result=replace(self.result, objects=objects))

    def followed(self, tracker: Tracker) -> Answer:
        """The same with numbers of objects that last, in the frame of the answer."""
        header = self.msg.header
        stamp = header.stamp.sec + header.stamp.nanosec / 1e9
        return replace(self, result=tracker.follow(self.result, stamp, header.frame_id, self.pipeline.config))

    @property
    def colours(self) -> np.ndarray:
        """(K + 1, 3) uint8 by label."""
        return colours(self.pipeline.model.classes)


class Outputs:
    """Publishers, and for each the function that fills its message, called only when somebody subscribes.

    Lifecycle publishers, reliable and keep-last 1: a reliable reader would see nothing of a best-effort one.
    """

    def __init__(self, node):
        self._node = node
        self._shown = set()  # instances that have a marker in RViz
        self._entries = [
            (self._publisher(PointCloud2, "~/labeled_points"), _labeled_points),
            (self._publisher(MarkerArray, "~/markers"), self._marker_array),
            (self._publisher(PointCloud2, "~/obstacles"), _obstacles),
        ]
        if Detection3DArray is not None:
            self._entries.append((self._publisher(Detection3DArray, "~/detections"), _detections))
        latched = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
        self._classes = node.create_publisher(String, "~/classes", latched)

    def _publisher(self, kind, topic):
        options = QoSOverridingOptions.with_default_policies()
        return self._node.create_lifecycle_publisher(kind, topic, QoSProfile(depth=1), qos_overriding_options=options)

    def is_heard(self) -> bool:
        """Whether anybody subscribes to any answer."""
        return any(publisher.get_subscription_count() for publisher, _ in self._entries)

    def publish(self, answer: Answer) -> None:
        """Each message with the header of the answer's cloud."""
        for publisher, make in self._entries:
            if publisher.get_subscription_count():
                publisher.publish(make(answer))

    def publish_classes(self, model) -> None:
        """The table of labels, and the names that objects may have, as JSON, kept for whoever subscribes later."""
        classes = model.classes
        table = zip((UNKNOWN, *classes), colours(classes).tolist())
        rows = [{"label": label, "name": name, "rgb": rgb} for label, (name, rgb) in enumerate(table)]
        self._classes.publish(String(data=json.dumps({"classes": rows, "objects": list(segments.names(model))})))

    def destroy(self) -> None:
        for publisher, _ in self._entries:
            self._node.destroy_lifecycle_publisher(publisher)
        self._node.destroy_publisher(self._classes)

    def _marker_array(self, answer: Answer) -> MarkerArray:
        objects, lifetime = answer.result.objects, answer.pipeline.config.marker_lifetime
        before, self._shown = self._shown, {int(one.instance) for one in objects}
        return markers(answer.msg.header, objects, answer.colours, lifetime, sorted(before - self._shown))


def _labeled_points(answer: Answer) -> PointCloud2:
    return labeled_cloud(answer.msg, answer.result, answer.colours)


def _obstacles(answer: Answer) -> PointCloud2:
    """What a costmap should know of: points that pass the filters and are not ground, known or unknown."""
    classes = answer.pipeline.model.classes
    ground = classes.index("ground") + 1 if "ground" in classes else -1
    return subset(answer.msg, points.keep(answer.xyz, answer.pipeline.config) & (answer.result.label != ground))


def _detections(answer: Answer):
    return detections(answer.msg.header, answer.result.objects)
