"""The node's end of a bond with nav2's lifecycle manager, which acts when the node's heartbeats stop.

As with nav2's own servers the node does not act when the manager dies, so nothing needs to be heard of it.
"""

from __future__ import annotations

import uuid

from rclpy.clock import Clock, ClockType

try:
    from bond.msg import Status
except ImportError:  # no bond_core here, so no manager that would ask for a bond
    Status = None

_TOPIC = "bond"
_TIMEOUT = 4.0  # s, told to the other end, which decides by its own bond_timeout


class Bond:
    """Says that the node lives every ``period`` seconds from its construction until ``end``."""

    def __init__(self, node, period: float):
        self._node, self._period, self._instance = node, period, str(uuid.uuid4())
        self._publisher = node.create_publisher(Status, _TOPIC, 10)
        steady = Clock(clock_type=ClockType.STEADY_TIME)
        self._timer = node.create_timer(period, lambda: self._say(True), clock=steady)
        self._say(True)

    def end(self) -> None:
        """The bond is broken on purpose."""
        self._node.destroy_timer(self._timer)
        self._say(False)
        self._node.destroy_publisher(self._publisher)

    def _say(self, active: bool):
        status = Status(id=self._node.get_name(), instance_id=self._instance, active=active)
        status.header.stamp = self._node.get_clock().now().to_msg()
        status.heartbeat_timeout, status.heartbeat_period = _TIMEOUT, self._period
        self._publisher.publish(status)


def tied(node, period: float) -> Bond | None:
    """A bond, or None without a period or without the package ``bond``."""
    return Bond(node, period) if period and Status is not None else None
