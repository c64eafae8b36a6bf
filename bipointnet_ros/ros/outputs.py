"""What the node publishes of an answer: one entry per topic, filled only when somebody subscribes to it."""

from __future__ import annotations

from rclpy.qos import QoSProfile
from rclpy.qos_overriding_options import QoSOverridingOptions
from sensor_msgs.msg import PointCloud2
from visualization_msgs.msg import MarkerArray

from bipointnet_ros.core.classes import colours
from bipointnet_ros.ros.markers import markers
from bipointnet_ros.ros.messages import labeled_cloud


class Outputs:
    """Lifecycle publishers, reliable and keep-last 1: a reliable reader would see nothing of a best-effort one."""

    def __init__(self, node):
        self._node = node
        self._clouds = self._publisher(PointCloud2, "~/labeled_points")
        self._markers = self._publisher(MarkerArray, "~/markers")
        self._shown = set()  # instances that have a marker in RViz

    def _publisher(self, kind, topic):
        options = QoSOverridingOptions.with_default_policies()
        return self._node.create_lifecycle_publisher(kind, topic, QoSProfile(depth=1), qos_overriding_options=options)

    def is_heard(self) -> bool:
        """Whether anybody subscribes to any of them."""
        return self._clouds.get_subscription_count() + self._markers.get_subscription_count() > 0

    def publish(self, msg, result, pipeline) -> None:
        """The answer to the cloud msg, in its frame and with its stamp."""
        palette = colours(pipeline.model.classes)
        if self._clouds.get_subscription_count():
            self._clouds.publish(labeled_cloud(msg, result, palette))
        if self._markers.get_subscription_count():
            now = {int(one.instance) for one in result.objects}
            gone, lifetime = sorted(self._shown - now), pipeline.config.marker_lifetime
            self._markers.publish(markers(msg.header, result.objects, palette, lifetime, gone))
            self._shown = now

    def destroy(self) -> None:
        for publisher in (self._clouds, self._markers):
            self._node.destroy_lifecycle_publisher(publisher)
