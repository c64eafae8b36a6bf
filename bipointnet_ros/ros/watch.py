"""Once a second: /diagnostics, and what a user would not notice by himself, said in the log but not again and again."""

from __future__ import annotations

import time

from diagnostic_msgs.msg import DiagnosticArray
from rclpy.clock import Clock, ClockType

from bipointnet_ros.ros import diagnostics, transport

_REPEAT, _SELDOM = 10.0, 600.0  # s between two warnings of the same kind; where once is enough
_LOSS = 0.1  # share of clouds missing over which it is worth a warning


class Watch:
    """Looks after one PerceptionNode."""

    def __init__(self, node, statistics, gaps, mount):
        self._node, self._statistics, self._gaps, self._mount = node, statistics, gaps, mount
        self._said = {}  # kind of warning -> when it was written last
        self._publisher = node.create_publisher(DiagnosticArray, "/diagnostics", 1)
        steady = Clock(clock_type=ClockType.STEADY_TIME)  # the node's own clock stands still with a paused bag
        node.create_timer(1.0, self._tick, clock=steady)

    def say(self, kind: str, sentence: str, every: float = _REPEAT) -> None:
        """Warn, at most once in ``every`` seconds for each kind; from any thread."""
        now = time.monotonic()
        if now - self._said.get(kind, -every) >= every:
            self._said[kind] = now
            self._node.get_logger().warning(sentence)

    def look_at_shared_memory(self) -> None:
        """Warn if /dev/shm is too small for large clouds, as it is in a container unless told otherwise."""
        sentence = transport.small_shared_memory()
        if sentence:
            self.say("shared memory", sentence, _SELDOM)

    def _tick(self):
        node, snapshot = self._node, self._statistics.look()
        level, message = self._health(snapshot)
        values = {**diagnostics.values(snapshot, node.pipeline), "missing_share": f"{self._gaps.missing():.2f}"}
        values["ground_inclination_deg"] = f"{self._mount.inclination(*self._levelled()):.1f}"
        stamp, name = node.get_clock().now().to_msg(), f"{node.get_fully_qualified_name()}: clouds"
        self._publisher.publish(diagnostics.diagnostics(stamp, name, level, message, values))

    def _health(self, snapshot) -> tuple[bytes, str]:
        node = self._node
        if node.subscription is None:
            state = "not configured" if node.pipeline is None else "inactive"
            return (diagnostics.ERROR, node.problem) if node.problem else (diagnostics.OK, state)
        if 0 < node.config.stale_after < snapshot.silent:
            sentence = f"no cloud for {snapshot.silent:.0f} s: {transport.publishers_of(node, node.subscription)}"
            self.say("stale", sentence)
            return diagnostics.WARN, sentence
        if self._gaps.missing() > _LOSS:
            sentence = transport.lost_clouds(node.subscription.topic_name, self._gaps.missing())
            self.say("lost", sentence, _SELDOM)
            return diagnostics.WARN, sentence
        sentence = self._mount.advice(*self._levelled())
        if sentence:
            self.say("mount", sentence, _SELDOM)
            return diagnostics.WARN, sentence
        return diagnostics.OK, "active" if node.outputs.is_heard() else "active, but nobody subscribes to an answer"

    def _levelled(self) -> tuple[float, float]:
        return self._node.config.gravity_roll, self._node.config.gravity_pitch
