"""The subscription to the clouds, what to say when they do not come, and a gap of rclpy's lifecycle services."""

from __future__ import annotations

import os

from rclpy.qos import QoSProfile, ReliabilityPolicy, qos_policy_name_from_kind
from rclpy.qos_overriding_options import QoSOverridingOptions
from rclpy.utilities import get_rmw_implementation_identifier

try:
    from rclpy.event_handler import SubscriptionEventCallbacks, UnsupportedEventTypeError
except ImportError:  # Humble
    from rclpy.qos_event import SubscriptionEventCallbacks, UnsupportedEventTypeError

_TYPE = "sensor_msgs/msg/PointCloud2"
_SHARED_MEMORY = 200_000_000  # bytes: five processes with a segment of 33 MB each, as the Fast DDS profile has it
_DEPTH = 5  # as SensorDataQoS: the node itself, which counts what it drops, takes the newest, not the middleware


def subscribe(node, kind, topic: str, callback, reliability: str):
    """A sensor-data subscription that warns of publishers whose QoS does not fit; ``qos_overrides`` are honoured."""
    profile = QoSProfile(depth=_DEPTH, reliability=ReliabilityPolicy[reliability.upper()])
    options = {"qos_overriding_options": QoSOverridingOptions.with_default_policies()}
    events = SubscriptionEventCallbacks(incompatible_qos=lambda event: _warn(node, topic, event))
    try:
        return node.create_subscription(kind, topic, callback, profile, event_callbacks=events, **options)
    except UnsupportedEventTypeError:  # this middleware does not tell
        return node.create_subscription(kind, topic, callback, profile, **options)


def publishers_of(node, subscription) -> str:
    """Who publishes on the subscription's topic, and why nothing may come of it, in one sentence."""
    topic = subscription.topic_name
    found = node.get_publishers_info_by_topic(topic)
    if not found:
        return f"'{topic}' has no publisher: check the name ('ros2 topic list') and remap points:=NAME"
    other = sorted({info.topic_type for info in found} - {_TYPE})
    if other:
        return f"'{topic}' carries {', '.join(other)}, not {_TYPE}: remap points:=NAME to a cloud"
    ours = subscription.qos_profile.reliability
    theirs = {info.qos_profile.reliability for info in found}
    if ours == ReliabilityPolicy.RELIABLE and ReliabilityPolicy.BEST_EFFORT in theirs:
        return f"'{topic}' is published best effort, but reliable is asked for: set reliability to best_effort"
    return (
        f"{len(found)} publisher(s) on '{topic}', {_names(theirs)}, ours {_names({ours})}, and still nothing arrives: "
        f"is the sensor sending? Large clouds may be lost in transport: {_remedy()}"
    )


def lost_clouds(topic: str, share: float) -> str:
    """What to do about clouds that are missing between those that come."""
    return f"about {share:.0%} of the clouds on '{topic}' do not arrive (gaps between their stamps): {_remedy()}"


def _remedy() -> str:
    """How the middleware that is used carries large clouds; docs/transport.md has more of it."""
    middleware = get_rmw_implementation_identifier()
    if "cyclonedds" in middleware:
        return "raise net.core.rmem_max and set CYCLONEDDS_URI to config/cyclonedds_large_clouds.xml"
    if "fastrtps" in middleware:
        return "start the driver, too, with the Fast DDS profile config/fastdds_large_clouds.xml"
    return f"see how {middleware} is told to carry messages of megabytes"


def small_shared_memory(folder: str = "/dev/shm") -> str:
    """A sentence if Fast DDS finds a folder too small for several processes with large clouds, else ""."""
    if "fastrtps" not in get_rmw_implementation_identifier():
        return ""
    try:
        facts = os.statvfs(folder)
    except OSError:
        return ""
    size = facts.f_blocks * facts.f_frsize
    if size >= _SHARED_MEMORY:
        return ""
    return (
        f"{folder} has {size / 1e6:.0f} MB, and clouds of megabytes may get lost for want of it: "
        "start the container with --shm-size=512m or --ipc=host"
    )


def answer_impossible_transitions(node) -> None:
    """rclpy lets a transition that the state does not have end the node and answers nothing; answer success=False."""
    service = getattr(node, "_service_change_state", None)
    if service is None:
        return
    change = service.callback

    def safely(request, response):
        try:
            return change(request, response)
        except RuntimeError as error:  # RCLError
            node.get_logger().warning(f"transition refused: {str(error).splitlines()[0]}")
            response.success = False
            return response

    service.callback = safely


def _warn(node, topic, event):
    topic = node.resolve_topic_name(topic)
    policy = qos_policy_name_from_kind(event.last_policy_kind)
    node.get_logger().warning(
        f"a publisher of '{topic}' offers another {policy} than is asked for, so nothing comes from it: "
        "set the parameter reliability to what it offers"
    )


def _names(policies) -> str:
    return " and ".join(sorted(p.name.lower() for p in policies))
