"""What the launch file starts: by running it where launch is installed, and by its facts and its node everywhere."""

from __future__ import annotations

import ast
import os
import re
import runpy
import signal
import subprocess
import sys
import threading
import xml.etree.ElementTree as ElementTree
from importlib.util import find_spec
from pathlib import Path

import pytest

from bipointnet_ros.ros import launching
from bipointnet_ros.ros.statistics import REASONS

ROOT = Path(__file__).resolve().parents[1]
FILE = ROOT / "launch/bipointnet.launch.py"
needs_launch = pytest.mark.skipif(
    not (find_spec("launch") and find_spec("launch_ros")), reason="launch_ros comes with an installed ROS 2 only"
)


def test_the_defaults_start_the_node_with_its_parameter_file():
    (spec,) = launching.node_specs({})
    assert (spec.package, spec.executable, spec.name) == ("bipointnet_ros", "bipointnet_node", "bipointnet")
    assert Path(spec.params_file).name == "bipointnet.yaml" and Path(spec.params_file).is_file()
    assert spec.parameters == {"use_sim_time": False} and spec.remappings == (("points", "points"),)


def test_arguments_reach_the_node():
    given = {"cloud_topic": "/top/cloud", "model": "m.safetensors", "namespace": "/front/", "autostart": "False"}
    (spec,) = launching.node_specs({**given, "params_file": "p.yaml", "bag": "drive", "log_level": "debug"})
    assert spec.parameters == {"use_sim_time": True, "model": "m.safetensors", "autostart": False}
    assert spec.arguments() == [
        "--ros-args", "-r", "__node:=bipointnet", "-r", "__ns:=/front", "--params-file", "p.yaml",
        "-p", "use_sim_time:=true", "-p", "model:=m.safetensors", "-p", "autostart:=false",
        "-r", "points:=/top/cloud", "--log-level", "debug",
    ]  # fmt: skip


def test_wrong_arguments_are_one_sentence():
    with pytest.raises(ValueError, match="unknown launch argument 'topic': expected some of cloud_topic"):
        launching.node_specs({"topic": "x"})
    with pytest.raises(ValueError, match="use_sim_time must be true or false, got 'maybe'"):
        launching.node_specs({"use_sim_time": "maybe"})


def test_several_lidars_have_a_node_each():
    front, rear = launching.node_specs({"namespace": "front, /rear/", "model": "m"})
    assert (front.namespace, rear.namespace) == ("front", "rear")
    assert front.remappings == rear.remappings == (("points", "points"),)  # in the namespace of each
    front, rear = launching.node_specs({"namespace": "front,rear", "cloud_topic": "/a,/b"})
    assert (front.remappings, rear.remappings) == ((("points", "/a"),), (("points", "/b"),))
    for wrong in ({"cloud_topic": "/a,/b"}, {"namespace": "a,b,c", "cloud_topic": "/a,/b"}, {"namespace": "a,a"}):
        with pytest.raises(ValueError, match="cloud_topic must be one topic, or one for each namespace"):
            launching.node_specs(wrong)


def test_a_bag_means_its_clock_unless_told_otherwise():
    assert launching.uses_sim_time(launching.complete({"bag": "drive"}))
    assert not launching.uses_sim_time(launching.complete({"bag": "drive", "use_sim_time": "false"}))


def test_the_transport_profile_is_set_unless_one_is_set():
    variables = launching.transport_profile({})
    older, newer = "FASTRTPS_DEFAULT_PROFILES_FILE", "FASTDDS_DEFAULT_PROFILES_FILE"
    assert set(variables) == {older, newer}  # which distribution it is, nobody has said
    assert set(launching.transport_profile({"ROS_DISTRO": "jazzy"})) == {older}
    assert set(launching.transport_profile({"ROS_DISTRO": "kilted"})) == {newer}
    assert launching.transport_profile({"FASTRTPS_DEFAULT_PROFILES_FILE": "mine.xml"}) == {}
    assert launching.transport_profile({"FASTDDS_DEFAULT_PROFILES_FILE": "mine.xml"}) == {}
    (profile,) = set(variables.values())
    facts = {node.tag.rpartition("}")[2]: node.text for node in ElementTree.parse(profile).iter()}
    assert int(facts["segment_size"]) >= 8 * 2**21 and facts["useBuiltinTransports"] == "false"


def test_rviz_shows_the_topics_of_the_node():
    text = (ROOT / "config/bipointnet.rviz").read_text()
    for topic, _ in launching.rviz_remappings(""):
        assert f"Value: {topic}\n" in text
    assert launching.rviz_remappings("front/,rear")[1] == ("/bipointnet/markers", "/front/bipointnet/markers")
    yaml = pytest.importorskip("yaml")
    displays = {d["Name"]: d for d in yaml.safe_load(text)["Visualization Manager"]["Displays"]}
    assert displays["Labelled points"]["Color Transformer"] == "RGB8"
    assert {d["Topic"]["Reliability Policy"] for d in displays.values() if "Topic" in d} == {"Reliable"}


def test_the_launch_file_compiles_and_declares_what_is_promised():
    tree = ast.parse(FILE.read_text())
    assert "generate_launch_description" in {n.name for n in tree.body if isinstance(n, ast.FunctionDef)}
    promised = {"cloud_topic", "params_file", "model", "rviz", "use_sim_time", "bag", "namespace", "autostart",
                "fixed_frame", "log_level"}  # fmt: skip
    assert set(launching.ARGUMENTS) == promised and launching.ARGUMENTS["rviz"][0] == "false"


def test_the_user_guide_knows_every_argument_and_reason():
    guide = (ROOT / "docs/ros.md").read_text()
    for name in [*launching.ARGUMENTS, *REASONS]:
        assert f"`{name}`" in guide, name
    for line in re.findall(r"^ros2 launch .*$", guide, re.M):
        assert {word.partition(":=")[0] for word in line.split()[4:]} <= set(launching.ARGUMENTS)


@pytest.mark.ros
def test_the_node_starts_with_what_launch_ros_would_pass(tmp_path):
    pytest.importorskip("rclpy", reason="needs ROS 2")
    from world import World, write_model

    world = World(1 + (os.getpid() + 25) % 100)
    try:
        model = write_model(tmp_path / "m.safetensors")
        (spec,) = launching.node_specs({"model": model, "namespace": "front", "cloud_topic": "/top/cloud"})
        process = world.start("bipointnet_ros.ros.node", *spec.arguments())
        world.until(lambda: process.says("listening to '/top/cloud'"), process)
        assert process.says("[front.bipointnet]") and not any(
            "WARN" in line and "bipointnet]" in line for line in process.lines
        )
        assert process.end()[0] == 0
    finally:
        world.close()


@pytest.mark.installed
@needs_launch
def test_the_launch_file_makes_the_actions():
    from launch import LaunchContext
    from launch.actions import DeclareLaunchArgument, OpaqueFunction

    entities = runpy.run_path(str(FILE))["generate_launch_description"]().entities
    declared = [e for e in entities if isinstance(e, DeclareLaunchArgument)]
    assert [e.name for e in declared] == list(launching.ARGUMENTS)
    context = LaunchContext()
    given = {"rviz": "true", "bag": "drive", "namespace": "front,rear"}
    for name, (default, _) in launching.ARGUMENTS.items():
        context.launch_configurations[name] = given.get(name, default)
    (made,) = (e for e in entities if isinstance(e, OpaqueFunction))
    kinds = [type(action).__name__ for action in made.execute(context)]
    assert kinds[-4:] == ["Node", "Node", "Node", "ExecuteProcess"] and kinds.count("SetEnvironmentVariable") in (0, 2)


RUN = """
import sys
from launch import LaunchService
from launch.actions import IncludeLaunchDescription
from launch.launch_description_sources import PythonLaunchDescriptionSource
service = LaunchService()
source = PythonLaunchDescriptionSource(sys.argv[1])
arguments = [tuple(word.split(":=")) for word in sys.argv[2:]]
service.include_launch_description(IncludeLaunchDescription(source, launch_arguments=arguments))
sys.exit(service.run())
"""


@pytest.mark.installed
@needs_launch
def test_it_is_launched_and_ends_with_a_signal(tmp_path):
    """As `ros2 launch` does, from a prefix that holds the package."""
    (tmp_path / "share/ament_index/resource_index/packages").mkdir(parents=True)
    (tmp_path / "share/ament_index/resource_index/packages/bipointnet_ros").touch()
    (tmp_path / "lib/bipointnet_ros").mkdir(parents=True)
    executable = tmp_path / "lib/bipointnet_ros/bipointnet_node"
    executable.write_text(f'#!/bin/sh\ncd {ROOT} && exec {sys.executable} -m bipointnet_ros.ros.node "$@"\n')
    executable.chmod(0o755)
    prefixes = os.pathsep.join(filter(None, [str(tmp_path), os.environ.get("AMENT_PREFIX_PATH")]))
    environment = {
        **os.environ,
        **launching.private_domain(1 + (os.getpid() + 75) % 100),
        "AMENT_PREFIX_PATH": prefixes,
    }
    command = [sys.executable, "-c", RUN, str(FILE), "model:=nowhere", "namespace:=front,rear", "log_level:=info"]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True, "cwd": ROOT}
    process = subprocess.Popen(command, env=environment, **pipes)
    killer = threading.Timer(60, process.kill)
    killer.start()
    try:
        told = ""
        for line in process.stdout:
            told += line
            if told.count("waiting unconfigured") == 2 and "waiting unconfigured" in line:
                process.send_signal(signal.SIGINT)
        for name in ("front", "rear"):
            assert f"[{name}.bipointnet]: cannot configure: no model 'nowhere'" in told
        assert told.count("process has finished cleanly") == 2 and process.wait(10) == 0, told
    finally:
        killer.cancel()
        process.kill()
