"""Processes and a listener for the tests that use real DDS: a domain of their own, timeouts and kills everywhere."""

from __future__ import annotations

import dataclasses
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import fabricate
import numpy as np
import rclpy
from diagnostic_msgs.msg import DiagnosticArray
from lifecycle_msgs.srv import ChangeState, GetState
from rcl_interfaces.srv import SetParameters, SetParametersAtomically
from rclpy.executors import SingleThreadedExecutor
from rclpy.parameter import Parameter
from rclpy.qos import QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import PointCloud2
from visualization_msgs.msg import MarkerArray

from bipointnet_ros.core import model_file
from bipointnet_ros.core.blueprint import Grid, cell_segmenter
from bipointnet_ros.ros import launching

ROOT = Path(__file__).resolve().parents[1]
CLASSES = ("ground", "vegetation", "structure", "vehicle", "person", "pole")
PATIENCE = 60.0  # s until a test gives up waiting: busy machines are slow, but nothing may hang


def write_model(path, seed=2):
    """A small random segmentation model of the LiDAR classes; with seed 2 it finds all of them in a street."""
    blueprint = cell_segmenter(("height", "range", "inside_z"), len(CLASSES), Grid(0.2, (4, 16)), 64)
    model_file.write(path, dataclasses.replace(fabricate.model(blueprint, seed), classes=CLASSES))
    return str(path)


def street(seed=0, n=3000):
    """(N, 3) float32 [m]: ground, a wall, cars and poles."""
    rng = np.random.default_rng(seed)
    ground = rng.uniform((-15, -15, -1.7), (15, 15, -1.65), (n // 2, 3))
    wall = rng.uniform((-15, 12, -1.7), (15, 12.2, 3), (n // 4, 3))
    cars = [rng.uniform(-1, 1, (n // 24, 3)) * (2, 0.9, 0.7) + (x, y, -0.9) for x, y in ((5, 3), (-6, 4), (8, -5))]
    poles = [rng.uniform(-1, 1, (n // 24, 3)) * (0.1, 0.1, 2) + (x, -8, 0.3) for x in (-9, 0, 9)]
    return np.concatenate([ground, wall, *cars, *poles]).astype(np.float32)


class Process:
    """A Python module in a process of its own; everything that it writes is kept."""

    def __init__(self, module, *args, env=None, **options):
        command = [sys.executable, "-m", module, *args]
        streams = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True, "cwd": ROOT}
        environment = {**os.environ, "PYTHONUNBUFFERED": "1", "PYTHONFAULTHANDLER": "1", **(env or {})}
        self.process = subprocess.Popen(command, env=environment, **streams, **options)
        self.lines = []
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self):
        for line in self.process.stdout:
            self.lines.append(line.rstrip())

    @property
    def text(self):
        return "\n".join(self.lines)

    def says(self, sentence):
        return sentence in self.text

    def cpu(self) -> float:
        """User and system seconds so far."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def end(self, how=signal.SIGINT, within=10.0):
        """Send a signal and answer (exit status, seconds); kill and fail if it does not end."""
        start = time.monotonic()
        if self.process.poll() is None:
            self.process.send_signal(how)
        return self.wait(within), time.monotonic() - start

    def wait(self, within=PATIENCE):
        try:
            status = self.process.wait(within)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait(10)
            raise AssertionError(f"did not end within {within} s:\n{self.text}") from None
        self._reader.join(5)
        assert status not in (-signal.SIGSEGV, -signal.SIGABRT), f"crashed with {status}:\n{self.text}"
        return status


class World:
    """A domain of its own with processes in it and, in this process, a node that speaks and listens to them."""

    def __init__(self, domain: int):
        os.environ.update({**launching.private_domain(domain), **launching.transport_profile(os.environ)})
        self.context = rclpy.Context()
        rclpy.init(context=self.context, domain_id=domain)
        self.node = rclpy.create_node("tester", context=self.context)
        self.executor = SingleThreadedExecutor(context=self.context)
        self.executor.add_node(self.node)
        self.processes = []
        self.status = {}  # of /diagnostics by name: (level, message, values)
        self.node.create_subscription(DiagnosticArray, "/diagnostics", self._hear, 20)

    def _hear(self, msg):
        for s in msg.status:
            self.status[s.name] = (s.level, s.message, {pair.key: pair.value for pair in s.values})

    def close(self):
        for process in self.processes:
            if process.process.poll() is None:
                process.end(signal.SIGTERM)
        self.executor.shutdown()
        self.node.destroy_node()
        self.context.try_shutdown()

    def start(self, module, *args, **options):
        process = Process(module, *args, **options)
        self.processes.append(process)
        return process

    def start_node(self, namespace, *arguments, says="listening to", options=None, **parameters):
        """The node in a namespace, with parameters and further ROS arguments, once it has said that it listens."""
        parameters = {"reliability": "reliable", **parameters}
        given = ["-r", f"__ns:={namespace}", *arguments]
        for key, value in parameters.items():
            given += ["-p", f"{key}:={str(value).lower() if isinstance(value, bool) else value}"]
        process = self.start("bipointnet_ros.ros.node", "--ros-args", *given, **(options or {}))
        self.until(lambda: process.says(says), process)
        return Remote(self, f"{namespace}/bipointnet", process)

    def until(self, condition, process=None, within=PATIENCE):
        """Spin until the condition holds; AssertionError with what the process has said if it never does."""
        end = time.monotonic() + within
        while not condition():
            self.executor.spin_once(timeout_sec=0.05)
            told = process.text if process else ""
            assert time.monotonic() < end, f"waited {within} s in vain; it said:\n{told}"
            assert process is None or process.process.poll() is None, f"it ended early and said:\n{told}"

    def spin(self, seconds):
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self.executor.spin_once(timeout_sec=0.02)

    def call(self, kind, name, request):
        client = self.node.create_client(kind, name)
        self.until(client.service_is_ready)
        future = client.call_async(request)
        self.until(future.done)
        self.node.destroy_client(client)
        return future.result()


class Remote:
    """A node under test, seen from outside."""

    def __init__(self, world, name, process):
        self.world, self.name, self.process = world, name, process
        self.answers, self.markers = [], []
        namespace = name.rpartition("/")[0]
        best_effort = QoSProfile(depth=20, reliability=ReliabilityPolicy.BEST_EFFORT)
        reliable = QoSProfile(depth=20)
        self._points = f"{namespace}/points"
        self.publishers = {"reliable": reliable, "best_effort": best_effort}
        self.publisher = world.node.create_publisher(PointCloud2, self._points, reliable)
        self._listeners = []

    def listen(self):
        node, qos = self.world.node, QoSProfile(depth=20)
        self._listeners = [
            node.create_subscription(PointCloud2, f"{self.name}/labeled_points", self.answers.append, qos),
            node.create_subscription(MarkerArray, f"{self.name}/markers", self.markers.append, qos),
        ]
        self.world.until(lambda: all(node.count_publishers(s.topic_name) for s in self._listeners), self.process)
        return self

    def hear(self, callback):
        """Another listener to the labelled clouds."""
        self.world.node.create_subscription(PointCloud2, f"{self.name}/labeled_points", callback, QoSProfile(depth=20))

    def deafen(self):
        for listener in self._listeners:
            self.world.node.destroy_subscription(listener)
        self._listeners = []

    def matched(self):
        """Wait until clouds reach the node."""
        self.world.until(lambda: self.publisher.get_subscription_count() > 0, self.process)
        return self

    def ask(self, msg):
        """Publish, again after a second if need be (until all have discovered each other), and return the answer."""
        self.matched()
        before, sent = len(self.answers), 0.0

        def answered():
            nonlocal sent
            if time.monotonic() > sent + 1.0:
                self.publisher.publish(msg)
                sent = time.monotonic()
            return len(self.answers) > before

        self.world.until(answered, self.process)
        return self.answers[-1]

    def ask_markers(self, msg):
        """Publish msg, whose stamp is its own, and answer its markers."""
        self.ask(msg)
        is_its = lambda array: array.markers and array.markers[0].header == msg.header  # noqa: E731
        self.world.until(lambda: any(is_its(array) for array in self.markers), self.process)
        return next(array.markers for array in self.markers if is_its(array))

    def change(self, transition: str) -> bool:
        request = ChangeState.Request()
        request.transition.label = transition
        return self.world.call(ChangeState, f"{self.name}/change_state", request).success

    def state(self) -> str:
        return self.world.call(GetState, f"{self.name}/get_state", GetState.Request()).current_state.label

    def set(self, **values):
        """Set parameters one by one; the reasons of those that were refused ("" = set)."""
        request = SetParameters.Request(parameters=_parameters(values))
        results = self.world.call(SetParameters, f"{self.name}/set_parameters", request).results
        return ["" if r.successful else r.reason for r in results]

    def set_together(self, **values):
        request = SetParametersAtomically.Request(parameters=_parameters(values))
        result = self.world.call(SetParametersAtomically, f"{self.name}/set_parameters_atomically", request).result
        return "" if result.successful else result.reason

    def diagnosis(self, condition=lambda level, message, values: True):
        """(level, message, values) of a new status for which the condition holds."""
        key = f"{self.name}: clouds"
        self.world.status.pop(key, None)
        self.world.until(lambda: key in self.world.status and condition(*self.world.status[key]), self.process)
        return self.world.status[key]

    def counts(self):
        """What became of the clouds, once nothing is in work any more."""
        return {
            k: int(v)
            for k, v in self.diagnosis(lambda level, message, v: v["in_work"] == "0")[2].items()
            if v.isdigit()
        }


def _parameters(values):
    return [Parameter(name, value=value).to_parameter_msg() for name, value in values.items()]
