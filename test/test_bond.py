"""The node's end of nav2's bond: heartbeats while it is active, a word at the end; the real other end if installed."""

from __future__ import annotations

import os
from importlib.util import find_spec
from types import SimpleNamespace

import pytest

pytest.importorskip("rclpy", reason="needs ROS 2")
pytestmark = pytest.mark.ros

from bipointnet_ros.ros import bond  # noqa: E402


class Node:
    """Keeps what is published and the timer, which the test lets tick."""

    def __init__(self):
        self.said, self.topics, self.timers = [], [], []
        self.destroyed = []
        self.destroy_timer = self.destroy_publisher = self.destroyed.append

    def create_publisher(self, kind, topic, qos):
        self.topics.append(topic)
        return SimpleNamespace(publish=self.said.append)

    def create_timer(self, period, callback, clock):
        self.timers.append((period, callback))
        return self.timers[-1]

    def get_name(self):
        return "bipointnet"

    def get_clock(self):
        return SimpleNamespace(now=lambda: SimpleNamespace(to_msg=lambda: "now"))


@pytest.fixture
def node(monkeypatch):
    monkeypatch.setattr(bond, "Status", lambda **fields: SimpleNamespace(header=SimpleNamespace(), **fields))
    return Node()


def test_an_active_node_says_so_under_its_name_until_it_ends(node):
    tie = bond.tied(node, 0.25)
    ((period, tick),) = node.timers
    tick()
    tie.end()
    assert node.topics == ["bond"] and period == 0.25 and len(node.destroyed) == 2
    assert [one.active for one in node.said] == [True, True, False]
    assert {(one.id, one.instance_id) for one in node.said} == {("bipointnet", node.said[0].instance_id)}
    assert {(one.heartbeat_period, one.heartbeat_timeout) for one in node.said} == {(0.25, 4.0)}
    bond.tied(node, 0.25)
    assert node.said[-1].instance_id != node.said[0].instance_id  # another life, another bond


def test_no_period_or_no_package_no_bond(node, monkeypatch):
    assert bond.tied(node, 0.0) is None
    monkeypatch.setattr(bond, "Status", None)
    assert bond.tied(node, 0.1) is None and not node.said


@pytest.mark.installed
@pytest.mark.skipif(find_spec("bondpy") is None, reason="bondpy comes with an installed ROS 2 only")
def test_a_bond_is_formed_kept_and_broken_with_the_real_other_end(tmp_path):
    """As nav2's lifecycle manager does it: activate, wait for the bond, deactivate."""
    import bondpy.bondpy
    from world import World, write_model

    world = World(1 + (os.getpid() + 60) % 100)
    try:
        model = write_model(tmp_path / "m.safetensors")
        remote = world.start_node("/tied", model=model, autostart=False, says="")
        assert remote.change("configure") and remote.change("activate")
        other = bondpy.bondpy.Bond(world.node, "/tied/bond", "bipointnet")
        other.heartbeat_timeout = 1.0
        other.start()
        world.until(lambda: "Alive" in repr(other), remote.process)
        world.spin(2.0)
        assert not other.is_broken()
        assert remote.change("deactivate")
        world.until(other.is_broken, remote.process)
        assert remote.process.end()[0] == 0
    finally:
        world.close()
