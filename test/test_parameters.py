"""ROS parameters come from core.config, and are changed all or nothing on every distribution."""

from __future__ import annotations

import pytest

pytest.importorskip("rclpy", reason="needs ROS 2")
pytestmark = pytest.mark.ros

import rclpy  # noqa: E402
from rclpy.parameter import Parameter  # noqa: E402

from bipointnet_ros.core import config  # noqa: E402
from bipointnet_ros.ros import parameters  # noqa: E402


class Humble:
    """A node that, like Humble's, has no callback after parameters are set."""

    def add_on_set_parameters_callback(self, callback):
        self.validate = callback


class Newer(Humble):
    def add_post_set_parameters_callback(self, callback):
        self.apply = callback


def changed(values):
    if values.get("seed", 0) < 0:
        raise config.ConfigError("seed must not be negative")
    return values


def test_humble_applies_what_is_valid_at_once():
    node, applied = Humble(), []
    parameters.follow(node, changed, applied.append)
    assert node.validate([Parameter("seed", value=3), Parameter("use_sim_time", value=True)]).successful
    assert applied == [{"seed": 3}]
    refused = node.validate([Parameter("seed", value=-1)])
    assert not refused.successful and refused.reason == "seed must not be negative" and len(applied) == 1


def test_newer_ones_apply_only_when_all_callbacks_have_agreed():
    node, applied = Newer(), []
    parameters.follow(node, changed, applied.append)
    assert node.validate([Parameter("seed", value=3)]).successful and applied == []
    assert node.validate([Parameter("seed", value=4)]).successful  # another callback has refused the one before
    node.apply([])
    assert applied == [{"seed": 4}]


@pytest.fixture(scope="module")
def node():
    context = rclpy.Context()
    rclpy.init(context=context)
    node = rclpy.create_node("declared", context=context)
    yield node, parameters.declare(node)
    node.destroy_node()
    context.try_shutdown()


def test_declared_values_are_the_defaults(node):
    assert node[1] == config.Config()


@pytest.mark.parametrize("p", config.parameters(), ids=lambda p: p.name)
def test_descriptors_tell_description_range_and_choices(node, p):
    descriptor = node[0].describe_parameter(p.name)
    assert descriptor.description.startswith(p.description) and (f"[{p.unit}]" in descriptor.description) == bool(
        p.unit
    )
    assert ("read at configure" in descriptor.description) == (not p.live)
    for kind, ranges in ((int, descriptor.integer_range), (float, descriptor.floating_point_range)):
        found = [(r.from_value, r.to_value) for r in ranges]
        assert found == ([(p.low, p.high)] if type(p.default) is kind else [])
    assert all(choice in descriptor.additional_constraints for choice in p.choices)
