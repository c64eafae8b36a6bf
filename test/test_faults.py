"""What a node must outlive: hostile messages, a spoilt model file, transitions in the middle of work; and idleness."""

from __future__ import annotations

import os
import time
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="needs ROS 2")
pytestmark = pytest.mark.ros

from builtin_interfaces.msg import Time  # noqa: E402
from clouds import mutated  # noqa: E402
from std_msgs.msg import Header  # noqa: E402
from world import World, street, write_model  # noqa: E402

from bipointnet_ros.ros.messages import make_cloud  # noqa: E402


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return Path(write_model(tmp_path_factory.mktemp("models") / "street.safetensors"))


@pytest.fixture(scope="module")
def node(model):
    world = World(1 + (os.getpid() + 15) % 100)
    try:
        remote = world.start_node("/faulty", model=str(model)).listen()
        remote.ask(cloud())
        yield remote
        assert remote.process.end()[0] == 0 and "Traceback" not in remote.process.text
    finally:
        world.close()


def cloud(seconds=7, points=3000):
    return make_cloud(Header(stamp=Time(sec=seconds), frame_id="lidar"), street(n=points))


def test_mutated_messages_over_dds_do_not_end_the_node_and_are_told_of_but_not_each(node):
    rng, sent = np.random.default_rng(11), 300
    before = node.counts()
    for _ in range(sent):
        node.publisher.publish(mutated(rng))
        node.world.spin(0.01)
    assert node.ask(cloud(8)).header.stamp.sec == 8
    after = node.counts()
    more = {key: after[key] - before[key] for key in after if key.startswith(("received", "answered", "dropped"))}
    assert more["received"] == more["answered"] + more["dropped"] > sent
    assert more["dropped_bad_cloud"] > 50 and more["answered"] > 50 and more["dropped_failed"] == 0
    assert node.process.text.count("a cloud was dropped") < 10


def test_a_cloud_whose_inference_has_begun_is_answered_though_the_node_is_deactivated(node):
    before, answers = node.counts(), len(node.answers)
    for seconds in (20, 21, 22):
        for _ in range(2):
            node.publisher.publish(cloud(seconds, 150_000))
        node.world.spin(0.05)
        assert node.change("deactivate")
        node.world.spin(0.3)
        assert node.change("activate")
        node.matched()
    counts = node.counts()
    node.world.spin(0.5)
    told = [answer.header.stamp.sec for answer in node.answers[answers:]]
    assert counts["received"] == counts["answered"] + counts["dropped"] and counts["dropped_failed"] == 0
    assert len(told) == counts["answered"] - before["answered"] and set(told) & {20, 21, 22}


def test_a_deactivated_node_costs_no_cpu(node):
    msg = cloud(30, 60_000)
    assert node.change("deactivate")
    node.world.spin(0.5)
    start, before = time.monotonic(), node.process.cpu()
    while time.monotonic() < start + 2.0:
        node.publisher.publish(msg)
        node.world.spin(0.02)
    share = (node.process.cpu() - before) / (time.monotonic() - start)
    assert share < 0.05, f"{share:.0%} of a core"
    assert node.change("activate")
    assert node.ask(cloud(31))


def test_a_spoilt_model_file_matters_at_the_next_configure_only_and_can_be_mended(node, model):
    good = model.read_bytes()
    model.write_bytes(os.urandom(len(good)))
    assert node.ask(cloud(40)).header.stamp.sec == 40
    assert "is not a usable model" in node.set(model=str(model))[0]  # set again is read again
    assert node.ask(cloud(41)).header.stamp.sec == 41
    assert node.change("deactivate") and node.change("cleanup")
    assert not node.change("configure") and node.state() == "unconfigured"
    assert node.process.says("cannot configure: ")
    model.write_bytes(good)
    assert node.change("configure") and node.change("activate")
    assert node.ask(cloud(42)).header.stamp.sec == 42
