"""Answers in another frame: only x, y, z and frame_id change, and without a transform there is no answer."""

from __future__ import annotations

import os
import sys
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="needs ROS 2")
pytestmark = pytest.mark.ros

import rclpy  # noqa: E402
from builtin_interfaces.msg import Time  # noqa: E402
from geometry_msgs.msg import Quaternion, Transform, TransformStamped, Vector3  # noqa: E402
from rclpy.clock import ClockType  # noqa: E402
from rclpy.time import Time as RclpyTime  # noqa: E402
from sensor_msgs.msg import PointCloud2  # noqa: E402
from std_msgs.msg import Header  # noqa: E402
from world import World, street, write_model  # noqa: E402

from bipointnet_ros.core.config import Config  # noqa: E402
from bipointnet_ros.core.pipeline import Pipeline  # noqa: E402
from bipointnet_ros.core.segments import Object, quaternion  # noqa: E402
from bipointnet_ros.ros import frames  # noqa: E402
from bipointnet_ros.ros.messages import make_cloud, read_xyz  # noqa: E402

INSTALLED = find_spec("tf2_ros") is not None  # else a stand-in takes its place
STAND_INS = Path(__file__).parent / "stand_ins"
HALF = np.sqrt(0.5)
# 90 degrees about z and a shift: (x, y, z) -> (10 - y, 20 + x, 5 + z)
TURN = TransformStamped(
    header=Header(frame_id="map", stamp=Time(sec=100)),
    child_frame_id="lidar",
    transform=Transform(translation=Vector3(x=10.0, y=20.0, z=5.0), rotation=Quaternion(z=HALF, w=HALF)),
)


def turned(xyz):
    x, y, z = np.asarray(xyz, np.float64).T
    return np.stack([10.0 - y, 20.0 + x, 5.0 + z], axis=1)


@pytest.fixture
def tf2_ros(monkeypatch):
    if not INSTALLED:
        monkeypatch.syspath_prepend(STAND_INS)


@pytest.fixture
def node():
    context = rclpy.Context()
    rclpy.init(context=context)
    node = rclpy.create_node("framed", context=context)
    yield node
    node.destroy_node()
    context.try_shutdown()


@pytest.mark.parametrize("seed", range(20))
def test_rotations_become_quaternions_and_back(seed):
    q = np.random.default_rng(seed).normal(size=4)
    if seed < 4:  # half turns, for which w is 0
        q = np.eye(4)[seed] + (seed == 2) * np.eye(4)[0]
    turn = frames.rotation(q)
    np.testing.assert_allclose(turn @ turn.T, np.eye(3), atol=1e-12)
    assert np.linalg.det(turn) == pytest.approx(1.0)
    back = np.array(quaternion(turn))
    same = q / np.linalg.norm(q)
    assert np.abs(back @ same) == pytest.approx(1.0) and back[3] >= 0.0


def test_a_quarter_turn_about_z_takes_x_to_y():
    np.testing.assert_allclose(
        frames.rotation(np.array([0.0, 0.0, HALF, HALF])) @ [1.0, 0.0, 0.0], [0, 1, 0], atol=1e-9
    )


def test_without_tf2_ros_an_output_frame_is_refused(monkeypatch):
    monkeypatch.setitem(sys.modules, "tf2_ros", None)
    with pytest.raises(frames.FrameError, match="output_frame 'map' needs tf2_ros, which is not installed: install"):
        frames.Frames(None, "map")


def test_a_missing_transform_is_told_and_never_the_identity(tf2_ros, node):
    held = frames.Frames(node, "map")
    with pytest.raises(frames.FrameError, match="no transform from 'lidar' to 'map': "):
        held.move(Header(frame_id="lidar", stamp=Time(sec=100)))
    with pytest.raises(frames.FrameError, match="no transform from 'lidar' to 'map': "):
        held.move(Header(frame_id="lidar", stamp=Time(sec=-1)))
    assert held.move(Header(frame_id="map", stamp=Time(sec=100))) is None
    held._buffer.set_transform(TURN, "test")
    move = held.move(Header(frame_id="lidar", stamp=Time(sec=100)))
    assert (move.header.frame_id, move.header.stamp.sec) == ("map", 100)
    np.testing.assert_allclose(move.rotation @ [1.0, 2.0, 3.0] + move.translation, [8.0, 21.0, 8.0])
    held.destroy()


def test_what_tf_knew_before_time_jumped_back_is_forgotten(tf2_ros, node):
    clock = node.get_clock()
    clock._set_ros_time_is_active(True)
    clock.set_ros_time_override(RclpyTime(seconds=100, clock_type=ClockType.ROS_TIME))
    held = frames.Frames(node, "map")
    held._buffer.set_transform(TURN, "test")
    assert held.move(Header(frame_id="lidar", stamp=Time(sec=100)))
    clock.set_ros_time_override(RclpyTime(seconds=50, clock_type=ClockType.ROS_TIME))
    with pytest.raises(frames.FrameError):
        held.move(Header(frame_id="lidar", stamp=Time(sec=100)))
    held.destroy()


def test_every_answer_is_in_the_output_frame_once_there_is_a_transform(tmp_path):
    world = World(1 + (os.getpid() + 40) % 100)
    try:
        _answers_are_moved(world, write_model(tmp_path / "m.safetensors"))
    finally:
        world.close()


def _answers_are_moved(world, model):
    paths = os.pathsep.join(filter(None, [os.environ.get("PYTHONPATH"), "" if INSTALLED else str(STAND_INS)]))
    remote = world.start_node(
        "/moved", model=model, output_frame="map", options={"env": {"PYTHONPATH": paths}}
    ).listen()
    obstacles = []
    world.node.create_subscription(PointCloud2, f"{remote.name}/obstacles", obstacles.append, 10)
    world.until(lambda: world.node.count_publishers(f"{remote.name}/obstacles"))
    msg = make_cloud(Header(frame_id="lidar", stamp=Time(sec=100)), street(), np.arange(3000) % 256)
    remote.matched()
    for _ in range(3):
        remote.publisher.publish(msg)
        world.spin(0.3)
    world.until(lambda: remote.process.says("no transform from 'lidar' to 'map': "), remote.process)
    counts = remote.counts()
    assert counts["dropped_no_transform"] > 0 and counts["answered"] == 0 and not remote.answers
    assert counts["received"] == counts["dropped"] and remote.process.text.count("no transform from") == 1

    _tell(world)
    out = remote.ask(msg)
    world.until(lambda: obstacles and any(array.markers for array in remote.markers), remote.process)
    expected = Pipeline(Config(model=model)).process(*read_xyz(msg))
    sent = np.frombuffer(msg.data, np.uint8).reshape(-1, 16)
    got = np.frombuffer(out.data, np.uint8).reshape(-1, out.point_step)
    assert (out.header.frame_id, out.header.stamp) == ("map", msg.header.stamp)
    np.testing.assert_allclose(read_xyz(out)[0], turned(read_xyz(msg)[0]), atol=1e-5)
    np.testing.assert_array_equal(got[:, 12:16], sent[:, 12:16])
    np.testing.assert_array_equal(got[:, 16:18].copy().view(np.uint16)[:, 0], expected.label)
    boxes = [m for array in remote.markers[-1:] for m in array.markers if m.ns == "boxes"]
    assert {m.header.frame_id for m in boxes} == {"map"} and len(boxes) == len(expected.objects) > 2
    for marker, one in zip(boxes, expected.objects):
        p = marker.pose.position
        np.testing.assert_allclose([[p.x, p.y, p.z]], turned([one.centre]), atol=1e-5)
        q, yaw = marker.pose.orientation, one.yaw + np.pi / 2
        assert np.abs(q.z * np.sin(yaw / 2) + q.w * np.cos(yaw / 2)) == pytest.approx(1.0, abs=1e-6)
    ground = expected.label == 1
    assert obstacles[-1].header == out.header and obstacles[-1].width == (~ground).sum()
    np.testing.assert_allclose(read_xyz(obstacles[-1])[0], turned(read_xyz(msg)[0][~ground]), atol=1e-5)
    assert remote.process.end()[0] == 0 and "Traceback" not in remote.process.text


def _tell(world):
    """Publish TURN as the node hears it."""
    if INSTALLED:
        from tf2_msgs.msg import TFMessage

        told, kind, topic = TFMessage(transforms=[TURN]), TFMessage, "/tf"
    else:
        told, kind, topic = TURN, TransformStamped, "/tf_stand_in"
    publisher = world.node.create_publisher(kind, topic, 10)
    world.until(lambda: publisher.get_subscription_count())
    publisher.publish(told)


def test_objects_move_with_their_boxes():
    one = Object(1, 4, "vehicle", 0.9, np.float32([1, 2, 3]), np.float32([4, 2, 1]), 0.3, 9)
    upside_down = one.moved(frames.rotation(np.array([1.0, 0.0, 0.0, 0.0])), np.array([1.0, 0.0, 0.0]))
    np.testing.assert_allclose(upside_down.centre, [2.0, -2.0, -3.0])
    axes = frames.rotation(np.array(upside_down.quaternion()))
    np.testing.assert_allclose(axes[:, 0], [np.cos(0.3), -np.sin(0.3), 0.0], atol=1e-7)
    np.testing.assert_allclose(axes[:, 2], [0.0, 0.0, -1.0], atol=1e-7)
