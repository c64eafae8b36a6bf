"""The lifecycle node ``bipointnet``: clouds in, labelled clouds and markers out; the work itself is in core.

Subscription callbacks only hand the newest cloud to the worker's thread, which decodes, infers and publishes; native
code runs without the GIL, so services and timers answer meanwhile. Only rclpy calls that Humble has.
"""

from __future__ import annotations

import sys
import threading
import time

import numpy as np
from lifecycle_msgs.msg import State
from rclpy.lifecycle import LifecycleNode, TransitionCallbackReturn
from sensor_msgs.msg import PointCloud2

from bipointnet_ros.core.config import ConfigError
from bipointnet_ros.core.pipeline import CloudError, Pipeline
from bipointnet_ros.core.tracking import Tracker
from bipointnet_ros.ros import bond, parameters, process, transport
from bipointnet_ros.ros.frames import FrameError, Frames
from bipointnet_ros.ros.gaps import Gaps
from bipointnet_ros.ros.messages import MessageError, read_xyz
from bipointnet_ros.ros.mount import Mount
from bipointnet_ros.ros.outputs import Answer, Outputs
from bipointnet_ros.ros.rate import RateLimit
from bipointnet_ros.ros.statistics import Statistics
from bipointnet_ros.ros.watch import Watch
from bipointnet_ros.ros.worker import Worker

NAME = "bipointnet"
SUCCESS, FAILURE = TransitionCallbackReturn.SUCCESS, TransitionCallbackReturn.FAILURE
_STOP_WITHIN = 1.5  # s that the cloud in work may take when the process is to end; otherwise it is waited for


class PerceptionNode(LifecycleNode):
    """unconfigured -configure-> inactive (model loaded and warm) -activate-> active (subscribed).

    ConfigError at construction if a parameter's value is wrong.
    """

    def __init__(self):
        super().__init__(NAME)
        self.config = parameters.declare(self)
        self.finished, self.status = threading.Event(), 0
        self.pipeline = self.outputs = self.subscription = self._worker = self._frames = self._bond = None
        self._tracker = None
        self.problem = ""  # why configuring failed
        self._patience = None  # s to wait for the cloud in work; None = as long as it takes
        self._statistics, self._gaps, self._limit = Statistics(), Gaps(), RateLimit()
        self._mount = Mount()
        self._watch = Watch(self, self._statistics, self._gaps, self._mount)
        for sentence in parameters.unknown(self):
            self.get_logger().warning(sentence)
        parameters.follow(self, self._changed, self._apply)
        transport.answer_impossible_transitions(self)

    # ---------------------------------------------------------------------------------------------------- lifecycle

    def on_configure(self, state):
        return self._attempt("configure", self._configure, self._release)

    def on_activate(self, state):
        super().on_activate(state)  # first: until then publishers drop silently
        return self._attempt("activate", self._listen, lambda: self.on_deactivate(state))

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

    def _attempt(self, what: str, act, undo):
        """SUCCESS, or a sentence and FAILURE, which leads back to the state before; rclpy would hide what is raised."""
        try:
            act()
        except Exception as error:
            undo()
            self.problem = _sentence(error)
            self.get_logger().error(f"cannot {what}: {self.problem}")
            return FAILURE
        self.problem = ""
        return SUCCESS

    def _configure(self):
        p = self.pipeline = Pipeline(self.config)
        _warm(p)
        if self.config.output_frame:
            self._frames = Frames(self, self.config.output_frame)
        self._tracker = Tracker()
        self.outputs = Outputs(self)
        self.outputs.publish_classes(p.model)
        self._watch.look_at_shared_memory()
        self.get_logger().info(f"model '{p.config.model}', backend {p.backend_name}, {p.threads} thread(s)")

    def _listen(self):
        drop = self._statistics.drop
        self._worker = Worker(self._answer, lambda _: drop("superseded"), lambda _: drop("stopped"))
        self._statistics.listen()
        self.subscription = transport.subscribe(self, PointCloud2, "points", self._on_cloud, self.config.reliability)
        if not self.config.autostart:  # then a manager does it, perhaps nav2's
            self._bond = bond.tied(self, self.config.bond_heartbeat_period)
        self.get_logger().info(f"listening to '{self.subscription.topic_name}'")

    def _stop(self):
        """No cloud comes in any more; the one in work is answered."""
        if self.subscription is not None:
            self.destroy_subscription(self.subscription)
            self.subscription = None
        if self._worker is not None and not self._worker.stop(self._patience):
            self.get_logger().warning(f"the cloud in work takes longer than {self._patience} s: left without an answer")
        if self._bond is not None:
            self._bond.end()
        self._worker = self._bond = None

    def _release(self):
        self._stop()
        for part in filter(None, (self.outputs, self._frames)):
            part.destroy()
        self.outputs = self._frames = self.pipeline = None

    def start(self):
        """Configure and activate if ``autostart``; a failure leaves the node alive in the state it reached."""
        if not self.config.autostart:
            return
        if self.trigger_configure() != SUCCESS:
            self._wait_for_help("unconfigured", "configure")
        elif self.trigger_activate() != SUCCESS:
            self._wait_for_help("inactive", "activate")

    def _wait_for_help(self, state: str, transition: str):
        name = self.get_fully_qualified_name()
        self.get_logger().error(f"waiting {state}: mend it, then call 'ros2 lifecycle set {name} {transition}'")

    def end(self):
        """Answer the cloud in work and finalize, unless a service call has already done so."""
        self._patience = _STOP_WITHIN
        if self._state_machine.current_state[0] != State.PRIMARY_STATE_FINALIZED:
            self.trigger_shutdown()

    # ------------------------------------------------------------------------------------------------------- clouds

    def _on_cloud(self, msg):
        self._statistics.receive()
        self._gaps.see(msg.header.stamp.sec + msg.header.stamp.nanosec / 1e9)
        if not self.outputs.is_heard():
            self._statistics.drop("no_listener")
        elif not self._limit.allows(self.config.max_rate, time.monotonic()):
            self._statistics.drop("max_rate")
        else:
            self._worker.put((msg, time.monotonic()))

    def _answer(self, item):
        """In the worker's thread: one cloud, from message to messages; whatever happens, it is counted once."""
        msg, received = item
        pipeline = self.pipeline  # parameters may change it meanwhile
        try:
            xyz, intensity = read_xyz(msg)
            result = pipeline.process(xyz, intensity)
            self._mount.see(result.up)
            move = self._frames and self._frames.move(msg.header)
            self.outputs.publish(Answer(msg, xyz, result, pipeline).moved(move).followed(self._tracker))
        except (MessageError, CloudError) as error:
            self._statistics.drop("bad_cloud")
            self._watch.say("bad_cloud", f"a cloud was dropped: {error}")
        except FrameError as error:
            self._statistics.drop("no_transform")
            self._watch.say("no_transform", f"a cloud was dropped: {error}")
        except Exception as error:  # the node outlives whatever one cloud does to it
            self._statistics.drop("failed")
            self._watch.say("failed", f"a cloud was dropped: {_sentence(error)}")
        else:
            self._statistics.answer(time.monotonic() - received, self._age(msg.header.stamp), result)

    def _age(self, stamp) -> float:
        """Seconds since a stamp, by the node's clock; of no meaning if the sensor's clock is another."""
        return (self.get_clock().now().nanoseconds - stamp.sec * 10**9 - stamp.nanosec) / 1e9

    # --------------------------------------------------------------------------------------------------- parameters

    def _changed(self, values) -> tuple:
        """What the node would run with after a change of parameters; ValueError, and nothing changes, if it cannot."""
        config = self.config.replace(**values)
        if self.pipeline is None:
            return config, None
        for name in parameters.FIXED:
            if getattr(config, name) != getattr(self.config, name):
                raise ConfigError(f"{name} is read at configure: deactivate and clean up the node first")
        # a model that is set is read again, even if its name is the same: its file may be another
        return config, Pipeline(config) if "model" in values else self.pipeline.reconfigured(config)

    def _apply(self, changed):
        before, (self.config, self.pipeline) = self.pipeline, changed
        if before is not None and before.model is not self.pipeline.model:
            self.outputs.publish_classes(self.pipeline.model)


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
