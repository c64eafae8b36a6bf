"""``bipointnet view TOPIC`` as a process over real DDS, with a stand-in for Rerun: clouds, objects, names and ages."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="needs ROS 2")
pytestmark = pytest.mark.ros

from builtin_interfaces.msg import Time  # noqa: E402
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy  # noqa: E402
from sensor_msgs.msg import PointCloud2  # noqa: E402
from std_msgs.msg import Header, String  # noqa: E402
from visualization_msgs.msg import MarkerArray  # noqa: E402
from world import CLASSES, World, street, write_model  # noqa: E402

from bipointnet_ros.core.classes import UNKNOWN, colours  # noqa: E402
from bipointnet_ros.core.segments import Object  # noqa: E402
from bipointnet_ros.ros.markers import markers  # noqa: E402
from bipointnet_ros.ros.messages import make_cloud  # noqa: E402

STAND_INS = Path(__file__).parent / "stand_ins"
PALETTE = colours(("ground", "vehicle"))


@pytest.fixture(scope="module")
def world():
    world = World(1 + (os.getpid() + 25) % 100)
    yield world
    world.close()


def start(world, *arguments):
    environment = {"PYTHONPATH": os.pathsep.join([str(STAND_INS), os.environ["PYTHONPATH"]])}
    return world.start("bipointnet_ros.cli", "view", *arguments, env=environment)


def told(path, what: str) -> list[dict]:
    return [line for line in map(json.loads, path.read_text().splitlines()) if line["path"] == what]


def cloud(world, seed=0):
    now = world.node.get_clock().now().nanoseconds
    return make_cloud(Header(frame_id="lidar", stamp=Time(sec=now // 10**9, nanosec=now % 10**9)), street(seed))


def test_what_the_node_answers_is_shown_with_its_objects_and_age(world, tmp_path):
    model, save = write_model(tmp_path / "m.safetensors"), tmp_path / "a.rrd"
    remote = world.start_node("/seen", model=model).listen()
    viewer = start(world, "/seen/bipointnet/labeled_points", "--save", str(save), "--count", "4")

    def shown():
        remote.publisher.publish(cloud(world))
        world.spin(0.15)
        return viewer.process.poll() is not None

    world.until(shown, remote.process)
    assert viewer.wait() == 0 and not viewer.says("Traceback")
    names = told(save, "/")[-1]["names"]
    clouds, ages = told(save, "cloud/points"), [line["value"] for line in told(save, "times/age")]
    assert names == ["unknown", *CLASSES] and len(clouds) == len(ages) == 4
    assert all(len(c["positions"]) == 3000 and len(set(c["class_ids"])) > 1 for c in clouds)
    assert all(0 < age < 20_000 for age in ages) and clouds[0]["at"]["stamp"] > 1e9
    labels = {label.split(" ")[0] for line in told(save, "cloud/objects") for label in line.get("labels", ())}
    assert labels <= set(CLASSES)
    in_markers = any(array.markers for array in remote.markers)
    assert bool(labels) == in_markers


def test_boxes_have_the_colour_of_their_points_class_whatever_their_name(world, tmp_path):
    save, classes = tmp_path / "a.rrd", ("ground", "vehicle")
    viewer = start(world, "/named/bipointnet/labeled_points", "--save", str(save))
    latched = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
    table = [{"label": k, "name": n, "rgb": c} for k, (n, c) in enumerate(zip((UNKNOWN, *classes), PALETTE.tolist()))]
    about = world.node.create_publisher(String, "/named/bipointnet/classes", latched)
    about.publish(String(data=json.dumps({"classes": table, "objects": ["car"]})))
    boxes = world.node.create_publisher(MarkerArray, "/named/bipointnet/markers", 2)
    car = Object(7, 2, "car", 0.91, np.array([5.0, 0.0, 1.0]), np.array([4.0, 2.0, 1.5]), 0.3, 100)

    def shown():
        boxes.publish(markers(Header(frame_id="lidar"), [car], PALETTE, 0.0))
        world.spin(0.1)
        drawn = told(save, "cloud/objects") if save.exists() and told(save, "/") else []
        return any(one["colors"] == [PALETTE[2].tolist()] for one in drawn)  # the first may come before the table

    world.until(shown, viewer)
    assert viewer.end()[0] == 0
    last = told(save, "cloud/objects")[-1]
    assert last["labels"] == ["car 91%"] and last["colors"] == [PALETTE[2].tolist()]


@pytest.mark.parametrize("reliability", ("reliable", "best_effort"))
def test_clouds_without_labels_are_labelled_by_the_viewer(world, tmp_path, reliability):
    model, save, topic = write_model(tmp_path / "m.safetensors"), tmp_path / "a.rrd", f"/raw_{reliability}/points"
    viewer = start(world, topic, "--model", model, "--save", str(save), "--count", "2")
    world.until(lambda: viewer.says(f"'{topic}' has no publisher"), viewer)
    qos = QoSProfile(depth=5, reliability=ReliabilityPolicy[reliability.upper()])
    publisher = world.node.create_publisher(PointCloud2, topic, qos)

    def shown():
        publisher.publish(cloud(world))
        world.spin(0.15)
        return viewer.process.poll() is not None

    world.until(shown)
    assert viewer.wait() == 0 and not viewer.says("Traceback")
    assert told(save, "/")[-1]["names"] == ["unknown", *CLASSES]
    clouds = told(save, "cloud/points")
    assert len(clouds) == 2 and len(set(clouds[0]["class_ids"])) > 1 and len(told(save, "times/network")) == 2


def test_ctrl_c_ends_it_with_what_was_shown(world, tmp_path):
    save = tmp_path / "a.rrd"
    viewer = start(world, "/nothing/points", "--save", str(save))
    world.until(lambda: viewer.says("waiting for clouds on '/nothing/points'"), viewer)
    assert viewer.end()[0] == 0 and save.read_text() == "" and not viewer.says("Traceback")
