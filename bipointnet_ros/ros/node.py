"""The lifecycle node ``bipointnet``: clouds in, labelled clouds and markers out; the work itself is in core.

Subscription callbacks only hand the newest cloud to the worker's thread, which decodes, infers and publishes; native
code runs without the GIL, so services and timers answer meanwhile. Only rclpy calls that Humble has.
"""

from __future__ import annotations

import sys
import threading
import time

import numpy as np
from diagnostic_msgs.msg import DiagnosticArray
from lifecycle_msgs.msg import State
from rclpy.clock import Clock, ClockType
from rclpy.lifecycle import LifecycleNode, TransitionCallbackReturn
from sensor_msgs.msg import PointCloud2

from bipointnet_ros.core.config import ConfigError
from bipointnet_ros.core.pipeline import CloudError, Pipeline
from bipointnet_ros.ros import diagnostics, parameters, process, transport
from bipointnet_ros.ros.messages import MessageError, read_xyz
from bipointnet_ros.ros.outputs import Outputs
from bipointnet_ros.ros.rate import RateLimit
from bipointnet_ros.ros.statistics import Statistics
from bipointnet_ros.ros.worker import Worker

NAME = "bipointnet"
SUCCESS, FAILURE = TransitionCallbackReturn.SUCCESS, TransitionCallbackReturn.FAILURE
_STOP_WITHIN = 1.5  # s that the cloud in work may take when the node is to end
_REPEAT = 10.0  # s between two warnings of the same kind


class PerceptionNode(LifecycleNode):
    """unconfigured -configure-> inactive (model loaded and warm) -activate-> active (subscribed).

    ConfigError at construction if a parameter's value is wrong.
    """

    def __init__(self):
        super().__init__(NAME)
        self.config = parameters.declare(self)
        self.finished, self.status = threading.Event(), 0
        self._pipeline = self._outputs = self._worker = self._subscription = None
        self._statistics, self._limit = Statistics(), RateLimit()
        self._problem = ""  # why configuring failed
        self._said = {}  # kind of warning -> when it was written last
        for sentence in parameters.unknown(self):
            self.get_logger().warning(sentence)
        parameters.follow(self, self._changed, self._apply)
        transport.answer_impossible_transitions(self)
        self._diagnostics = self.create_publisher(DiagnosticArray, "/diagnostics", 1)
        steady = Clock(clock_type=ClockType.STEADY_TIME)  # the node's own clock stands still with a paused bag
        self.create_timer(1.0, self._tick, clock=steady)

    # ---------------------------------------------------------------------------------------------------- lifecycle

    def on_configure(self, state):
        try:
            self._pipeline = Pipeline(self.config)
            _warm(self._pipeline)
        except Exception as error:  # rclpy would hide it
            self._pipeline, self._problem = None, _sentence(error)
            self.get_logger().error(f"cannot configure: {self._problem}")
            return FAILURE
        self._problem = ""
        self._outputs = Outputs(self)
        p = self._pipeline
        self.get_logger().info(f"model '{p.config.model}', backend {p.backend_name}, {p.threads} thread(s)")
        return super().on_configure(state)

    def on_activate(self, state):
        result = super().on_activate(state)  # first: until then publishers drop silently
        drop = self._statistics.drop
        self._worker = Worker(self._answer, lambda _: drop("superseded"), lambda _: drop("stopped"))
        self._statistics.listen()
        self._subscription = transport.subscribe(self, PointCloud2, "points", self._on_cloud, self.config.reliability)
        self.get_logger().info(f"listening to '{self._subscription.topic_name}'")
        return result

    def on_deactivate(self, state):
        self._stop()
        return super().on_deactivate(state)

    def on_cleanup(self, state):
        self._release()
        return super().on_cleanup(state)

    def on_shutdown(self, state):
        self._release()
        return super().on_shutdown(state)

    def on_error(self, state):
        self._release()
        return super().on_error(state)

    def _stop(self):
        """No cloud comes in any more; the one in work is answered."""
        if self._subscription is not None:
            self.destroy_subscription(self._subscription)
            self._subscription = None
        if self._worker is not None and not self._worker.stop(_STOP_WITHIN):
            self.get_logger().warning(f"the cloud in work takes longer than {_STOP_WITHIN} s: left without an answer")
        self._worker = None

    def _release(self):
        self._stop()
        if self._outputs is not None:
            self._outputs.destroy()
        self._outputs = self._pipeline = None

    def start(self):
        """Configure and activate if ``autostart``; a failure leaves the node alive in the state it reached."""
        if not self.config.autostart:
            return
        if self.trigger_configure() == SUCCESS:
            self.trigger_activate()
        else:
            name = self.get_fully_qualified_name()
            self.get_logger().error(f"waiting unconfigured: mend it, then call 'ros2 lifecycle set {name} configure'")

    def end(self):
        """Answer the cloud in work and finalize, unless a service call has already done so."""
        if self._state_machine.current_state[0] != State.PRIMARY_STATE_FINALIZED:
            self.trigger_shutdown()

    # ------------------------------------------------------------------------------------------------------- clouds

    def _on_cloud(self, msg):
        self._statistics.receive()
        if not self._outputs.is_heard():
            self._statistics.drop("no_listener")
        elif not self._limit.allows(self.config.max_rate, time.monotonic()):
            self._statistics.drop("max_rate")
        else:
            self._worker.put((msg, time.monotonic()))

    def _answer(self, item):
        """In the worker's thread: one cloud, from message to messages; whatever happens, it is counted once."""
        msg, received = item
        pipeline = self._pipeline  # parameters may change it meanwhile
        try:
            result = pipeline.process(*read_xyz(msg))
            self._outputs.publish(msg, result, pipeline)
        except (MessageError, CloudError) as error:
            self._statistics.drop("bad_cloud")
            self._say("bad_cloud", f"a cloud was dropped: {error}")
        except Exception as error:  # the node outlives whatever one cloud does to it
            self._statistics.drop("failed")
            self._say("failed", f"a cloud was dropped: {_sentence(error)}")
        else:
            self._statistics.answer(time.monotonic() - received, self._age(msg.header.stamp), result)

    def _age(self, stamp) -> float:
        """Seconds since a stamp, by the node's clock; of no meaning if the sensor's clock is another."""
        return (self.get_clock().now().nanoseconds - stamp.sec * 10**9 - stamp.nanosec) / 1e9

    def _say(self, kind: str, sentence: str):
        """Warn, each kind at most once in a while."""
        now = time.monotonic()
        if now - self._said.get(kind, -_REPEAT) >= _REPEAT:
            self._said[kind] = now
            self.get_logger().warning(sentence)

    # --------------------------------------------------------------------------------------------------- parameters

    def _changed(self, values) -> tuple:
        """What the node would run with after a change of parameters; ValueError, and nothing changes, if it cannot."""
        config = self.config.replace(**values)
        if self._pipeline is None:
            return config, None
        for name in parameters.FIXED:
            if getattr(config, name) != getattr(self.config, name):
                raise ConfigError(f"{name} is read at configure: deactivate and clean up the node first")
        return config, self._pipeline.reconfigured(config)

    def _apply(self, changed):
        self.config, self._pipeline = changed

    # -------------------------------------------------------------------------------------------------- diagnostics

    def _tick(self):
        snapshot = self._statistics.look()
        level, message = self._health(snapshot.silent)
        stamp, name = self.get_clock().now().to_msg(), f"{self.get_fully_qualified_name()}: clouds"
        values = diagnostics.values(snapshot, self._pipeline)
        self._diagnostics.publish(diagnostics.diagnostics(stamp, name, level, message, values))

    def _health(self, silent: float) -> tuple[bytes, str]:
        if self._pipeline is None:
            return (diagnostics.ERROR, self._problem) if self._problem else (diagnostics.OK, "not configured")
        if self._subscription is None:
            return diagnostics.OK, "inactive"
        if 0 < self.config.stale_after < silent:
            sentence = f"no cloud for {silent:.0f} s: {transport.publishers_of(self, self._subscription)}"
            self._say("stale", sentence)
            return diagnostics.WARN, sentence
        return diagnostics.OK, "active" if self._outputs.is_heard() else "active, but nobody subscribes to an answer"


def _sentence(error: Exception) -> str:
    """Ours are sentences already; of any other error the kind is told, too."""
    return str(error) if isinstance(error, ValueError) else f"{type(error).__name__}: {error}"


def _warm(pipeline):
    """One answer to a made-up cloud, so that the first real one does not pay for first touches."""
    xyz = np.random.default_rng(0).uniform((-20, -20, -2), (20, 20, 1), (4096, 3)).astype(np.float32)
    pipeline.process(xyz, np.zeros(len(xyz), np.float32))


def main(args=None) -> int:
    return process.run(NAME, PerceptionNode, args)


if __name__ == "__main__":
    sys.exit(main())
