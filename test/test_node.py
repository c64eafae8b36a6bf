"""The node in a process of its own, over real DDS."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from array import array
from importlib.util import find_spec

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="needs ROS 2")
pytestmark = pytest.mark.ros

import rclpy  # noqa: E402
from builtin_interfaces.msg import Time  # noqa: E402
from rcl_interfaces.msg import Parameter as ParameterMessage  # noqa: E402
from rcl_interfaces.msg import ParameterValue  # noqa: E402
from rcl_interfaces.srv import SetParameters  # noqa: E402
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy  # noqa: E402
from rosgraph_msgs.msg import Clock  # noqa: E402
from sensor_msgs.msg import PointCloud2, PointField  # noqa: E402
from std_msgs.msg import Header, String  # noqa: E402
from visualization_msgs.msg import Marker  # noqa: E402
from world import CLASSES, ROOT, Remote, World, street, write_model  # noqa: E402

from bipointnet_ros.core.classes import colours  # noqa: E402
from bipointnet_ros.core.config import Config, ConfigError  # noqa: E402
from bipointnet_ros.core.pipeline import Pipeline  # noqa: E402
from bipointnet_ros.core.points import levelling  # noqa: E402
from bipointnet_ros.ros import launching, parameters  # noqa: E402
from bipointnet_ros.ros.messages import make_cloud, read_xyz  # noqa: E402

OK, WARN, ERROR = b"\0", b"\1", b"\2"


@pytest.fixture(scope="module")
def world():
    world = World(1 + os.getpid() % 100)
    yield world
    world.close()


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return write_model(tmp_path_factory.mktemp("models") / "street.safetensors")


@pytest.fixture(scope="module")
def node(world, model):
    """One node for the tests that leave it as it was."""
    remote = world.start_node("/shared", model=model).listen()
    remote.ask(cloud(street()))
    yield remote
    assert remote.process.end(signal.SIGTERM)[0] == 0


def cloud(xyz, stamp=(7, 9), frame="lidar"):
    header = Header(stamp=Time(sec=stamp[0], nanosec=stamp[1]), frame_id=frame)
    return make_cloud(header, xyz, np.arange(len(xyz)) % 256)


def velodyne(xyz):
    """As a driver sends it: organised, padded rows, unaligned points of 22 bytes with ring and time, some NaN."""
    kind = np.dtype([("xyz", "<f4", 3), ("intensity", "<f4"), ("ring", "<u2"), ("time", "<f4")])
    table = np.zeros(len(xyz) // 4 * 4, kind)
    table["xyz"] = xyz[: len(table)]
    table["xyz"][::50] = np.nan
    table["ring"] = np.arange(len(table)) % 16
    table["time"] = np.linspace(0, 0.1, len(table))
    rows = table.reshape(4, -1).view(np.uint8)
    names = (("x", 0, 7), ("y", 4, 7), ("z", 8, 7), ("intensity", 12, 7), ("ring", 16, 4), ("time", 18, 7))
    return PointCloud2(
        header=Header(stamp=Time(sec=3, nanosec=4), frame_id="velodyne"),
        height=4,
        width=rows.shape[1] // 22,
        fields=[PointField(name=n, offset=o, datatype=t, count=1) for n, o, t in names],
        point_step=22,
        row_step=rows.shape[1] + 10,
        data=array("B", np.pad(rows, ((0, 0), (0, 10)), constant_values=9).tobytes()),
        is_dense=False,
    )


def column(msg, name):
    field = next(f for f in msg.fields if f.name == name)
    kind = {4: "<u2", 6: "<u4", 7: "<f4"}[field.datatype]
    one = np.dtype({"names": ["v"], "formats": [kind], "offsets": [field.offset], "itemsize": msg.point_step})
    return np.frombuffer(msg.data, one)["v"]


# -------------------------------------------------------------------------------------------------------------- answers


def test_another_process_gets_every_field_back_and_the_labels_of_the_offline_pipeline(node, model):
    msg = velodyne(street(1))
    out = node.ask(msg)
    assert (out.header, out.height, out.width, out.is_dense) == (msg.header, msg.height, msg.width, False)
    assert [f.name for f in out.fields[:6]] == [f.name for f in msg.fields]
    points = np.frombuffer(out.data, np.uint8).reshape(-1, out.point_step)
    sent = np.frombuffer(msg.data, np.uint8).reshape(4, -1)[:, :-10].reshape(-1, 22)
    np.testing.assert_array_equal(points[:, :22], sent)
    expected = Pipeline(Config(model=model)).process(*read_xyz(msg))
    for name in ("label", "confidence"):
        np.testing.assert_array_equal(column(out, name), getattr(expected, name))
    pairs = np.unique(np.c_[column(out, "instance"), expected.instance], axis=0)  # the node's numbers last
    assert len(pairs) == len(set(pairs[:, 0])) == len(set(pairs[:, 1])) > 1 and not pairs[0].any()
    assert not column(out, "label")[::50].any()  # NaN: unknown
    assert len(np.unique(expected.label)) > 3, "a test in which every point is alike shows nothing"


def test_markers_are_the_objects_of_the_cloud(node, model):
    msg = cloud(street(6), (21, 0))
    shown = node.ask_markers(msg)
    expected = Pipeline(Config(model=model)).process(*read_xyz(msg)).objects
    boxes = [m for m in shown if m.ns == "boxes" and m.action == Marker.ADD]
    assert len({m.id for m in boxes}) == len(boxes) == len(expected) > 2
    for marker, one in zip(boxes, expected):
        assert marker.pose.position.x == pytest.approx(float(one.centre[0]))
        assert marker.header == msg.header


def test_things_keep_their_markers_from_cloud_to_cloud(node):
    """The same street three times (a made-up model answers another one otherwise), and once before its time."""
    seen = []
    for stamp in ((31, 0), (31, 10**8), (31, 2 * 10**8), (30, 0)):
        shown = node.ask_markers(cloud(street(6), stamp))
        seen.append({m.id for m in shown if m.action == Marker.ADD})
    assert seen[0] == seen[1] == seen[2] and len(seen[0]) > 2 and not seen[2] & seen[3]


def test_markers_of_objects_that_have_gone_are_deleted(node):
    shown = {m.id for m in node.ask_markers(cloud(street(6), (22, 0))) if m.action == Marker.ADD}
    gone = node.ask_markers(cloud(np.zeros((0, 3), np.float32), (23, 0)))
    assert shown and {m.action for m in gone} == {Marker.DELETE} and {m.id for m in gone} == shown


def test_obstacles_are_the_points_that_are_neither_ground_nor_filtered(node, model):
    got = []
    listener = node.world.node.create_subscription(PointCloud2, f"{node.name}/obstacles", got.append, 10)
    car = {"ego_min": [3.9, 2.0, -2.0], "ego_max": [6.1, 4.0, 0.0]}  # one of the street's
    assert node.set_together(**car) == ""
    msg = velodyne(street(4))
    msg.header.stamp.sec = 77
    node.ask(msg)
    while not any(one.header == msg.header for one in got):  # until the node has discovered this listener
        node.ask(msg)
        node.world.spin(0.2)
    xyz, intensity = read_xyz(msg)
    expected = Pipeline(Config(model=model, **car)).process(xyz, intensity)
    own = ((xyz > car["ego_min"]) & (xyz < car["ego_max"])).all(1)
    rows = np.isfinite(xyz).all(1) & (np.linalg.norm(xyz, axis=1) >= 0.5) & ~own & (expected.label != 1)
    assert (
        own.sum() > 50
        and 0 < rows.sum() < len(rows) - own.sum()
        and got[-1].height == 1
        and got[-1].fields == msg.fields
    )
    np.testing.assert_array_equal(read_xyz(got[-1])[0], xyz[rows])
    assert node.set_together(ego_min=[0.0] * 3, ego_max=[0.0] * 3) == ""
    node.world.node.destroy_subscription(listener)


@pytest.mark.installed
@pytest.mark.skipif(find_spec("vision_msgs") is None, reason="vision_msgs comes with an installed ROS 2 only")
def test_objects_come_as_detections_where_vision_msgs_is_installed(node, model):
    from vision_msgs.msg import Detection3DArray

    got = []
    listener = node.world.node.create_subscription(Detection3DArray, f"{node.name}/detections", got.append, 10)
    msg = cloud(street(6), (78, 0))
    while not any(one.header == msg.header for one in got):
        node.ask(msg)
        node.world.spin(0.2)
    expected = Pipeline(Config(model=model)).process(*read_xyz(msg)).objects
    found = [(d.id, d.results[0].hypothesis.class_id, d.bbox.center.position.x) for d in got[-1].detections]
    assert [what for _, *what in found] == [[one.name, float(one.centre[0])] for one in expected]
    assert len({number for number, *_ in found}) == len(found) > 2
    node.world.node.destroy_subscription(listener)


def test_the_table_of_classes_waits_for_whoever_comes_later(node):
    got = []
    latched = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
    listener = node.world.node.create_subscription(String, f"{node.name}/classes", got.append, latched)
    node.world.until(lambda: got, node.process)
    table = json.loads(got[0].data)
    rows = table["classes"]
    assert table["objects"] == ["vehicle", "person", "pole"]
    assert [row["name"] for row in rows] == ["unknown", *CLASSES]
    assert rows[4] == {"label": 4, "name": "vehicle", "rgb": colours(CLASSES)[4].tolist()}
    node.world.node.destroy_subscription(listener)


def test_losses_are_told_once_with_the_remedy(world, model):
    remote = world.start_node("/lossy", model=model).listen().matched()
    for i in range(60):
        if i % 3:  # a driver at 100 Hz of which every third cloud is lost
            remote.publisher.publish(cloud(street(n=200), (50, i * 10_000_000)))
            world.spin(0.01)
    level, message, values = remote.diagnosis(lambda level, message, values: level == WARN)
    assert "of the clouds on '/lossy/points' do not arrive" in message
    most = 1.0 - int(values["received"]) / 60.0  # a busy transport really loses more than a third, also at the ends
    assert 0.3 < float(values["missing_share"]) < most + 0.03
    remote.diagnosis()
    assert remote.process.text.count("fastdds_large_clouds.xml") == 1
    assert remote.process.end()[0] == 0


def test_a_tilted_mount_is_told_once_with_the_angles(world, model):
    remote = world.start_node("/tilted", model=model).listen().matched()
    tilted = cloud((street() @ levelling(0.0, 0.2)).astype(np.float32))
    for i in range(50):
        tilted.header.stamp.nanosec = i
        remote.ask(tilted)
    level, message, values = remote.diagnosis(lambda level, message, values: "from level" in message)
    assert level == WARN and abs(float(values["ground_inclination_deg"]) - np.degrees(0.2)) < 1.5
    assert float(message.split()[-1]) == pytest.approx(0.2, abs=0.02)
    assert remote.set(gravity_pitch=0.2) == [""]
    assert float(remote.diagnosis(lambda level, message, v: message == "active")[2]["ground_inclination_deg"]) < 1.5
    assert remote.process.text.count("gravity_pitch to") == 1
    assert remote.process.end()[0] == 0


def test_a_bad_cloud_is_dropped_counted_and_told_once(node):
    before = node.counts()
    bad = cloud(street())
    bad.fields[0].name = "u"
    for _ in range(3):
        node.publisher.publish(bad)
        node.world.spin(0.1)
    out = node.ask(cloud(street(3), (1, 1)))
    assert out.header.stamp.sec == 1
    after = node.counts()
    assert after["dropped_bad_cloud"] - before["dropped_bad_cloud"] == 3
    assert after["received"] == after["answered"] + after["dropped"] and after["dropped_failed"] == 0
    assert node.process.text.count("must have the fields x, y and z, got u, y, z, intensity") == 1
    assert "Traceback" not in node.process.text


def test_a_burst_is_answered_with_the_newest_and_every_cloud_is_counted(node):
    before = node.counts()
    msg = cloud(street(n=60_000))
    for i in range(20):
        msg.header.stamp = Time(sec=100 + i)
        node.publisher.publish(msg)
    node.world.until(lambda: node.answers[-1].header.stamp.sec == 119, node.process)
    after = node.counts()
    assert after["received"] == after["answered"] + after["dropped"]
    got = {key: after[key] - before[key] for key in ("received", "answered", "dropped_superseded")}
    assert got["dropped_superseded"] > 0 and 0 < got["answered"] < 20
    assert got["received"] <= 20


def test_nobody_listens_nothing_is_computed(node):
    node.deafen()
    before = node.diagnosis(lambda level, message, v: "nobody" in message)[2]
    for _ in range(3):
        node.publisher.publish(cloud(street()))
        node.world.spin(0.1)
    after = node.counts()
    assert after["dropped_no_listener"] - int(before["dropped_no_listener"]) == 3
    assert after["answered"] == int(before["answered"])
    node.listen()
    node.diagnosis(lambda level, message, v: message == "active")
    node.ask(cloud(street()))


def test_stamps_of_any_value_are_answered(node):
    for stamp in ((-1, 0), (2**31 - 1, 999_999_999), (0, 0)):
        assert node.ask(cloud(street(), stamp)).header.stamp.sec == stamp[0]
    assert node.counts()["dropped_failed"] == 0


def test_diagnostics_say_what_runs(node, model):
    level, message, values = node.diagnosis(lambda level, m, v: m == "active" and v["points"] != "0")
    assert level == OK and values["model"] == model and values["threads"].isdigit()
    assert values["classes"] == ", ".join(CLASSES)
    assert float(values["latency_p50_ms"]) <= float(values["latency_p95_ms"]) and float(values["stage_network_ms"]) > 0


# ----------------------------------------------------------------------------------------------------------- parameters


def test_a_live_parameter_changes_the_next_answer(node):
    assert column(node.ask(cloud(street())), "label").any()
    assert node.set(min_confidence=1.0) == [""]
    assert not column(node.ask(cloud(street())), "label").any()
    assert node.set(min_confidence=0.0, range_max=6.0) == ["", ""]
    out = node.ask(cloud(street()))
    far = np.linalg.norm(read_xyz(out)[0], axis=1) > 6.0
    assert not column(out, "label")[far].any() and column(out, "label")[~far].any()
    assert node.set(range_max=250.0) == [""]


def test_a_wrong_value_is_refused_with_a_sentence_and_nothing_changes(node, tmp_path):
    garbage = tmp_path / "garbage.safetensors"
    garbage.write_bytes(os.urandom(500))
    before = column(node.ask(cloud(street())), "label")
    assert "out of range" in node.set(min_confidence=1.5)[0]
    assert "range_min must be less than range_max" in node.set(range_min=300.0)[0]
    assert "one of auto, random, voxel, farthest, got 'best'" in node.set(sampling="best")[0]
    assert "type" in node.set(range_max=30)[0]
    assert "no model 'nowhere'" in node.set(model="nowhere")[0]
    assert "is not a usable model" in node.set(model=str(garbage))[0]
    assert "backend is read at configure" in node.set(backend="numpy")[0]
    assert node.set_together(min_confidence=1.0, range_min=300.0)  # together or not at all
    assert node.set(no_such_parameter=1)[0]
    np.testing.assert_array_equal(column(node.ask(cloud(street())), "label"), before)


def test_values_that_only_fit_together_are_set_together(node):
    assert node.set_together(region_min=[-5.0, -5.0, -5.0], region_max=[5.0, 5.0, 5.0]) == ""
    out = node.ask(cloud(street()))
    outside = (np.abs(read_xyz(out)[0]) > 5.0).any(1)
    assert not column(out, "label")[outside].any()
    assert node.set_together(region_min=[0.0] * 3, region_max=[0.0] * 3) == ""


def test_another_model_is_loaded_live_and_a_file_overwritten_later_does_not_matter(node, model, tmp_path):
    other = write_model(tmp_path / "other.safetensors", seed=5)
    first = column(node.ask(cloud(street())), "confidence")
    assert node.set(model=other) == [""]
    second = column(node.ask(cloud(street())), "confidence")
    assert not np.array_equal(first, second)
    (tmp_path / "other.safetensors").write_bytes(b"garbage")
    np.testing.assert_array_equal(column(node.ask(cloud(street())), "confidence"), second)
    assert node.set(model=model) == [""]
    np.testing.assert_array_equal(column(node.ask(cloud(street())), "confidence"), first)


def test_a_storm_of_parameters_does_no_harm(node):
    for i in range(60):
        node.set(seed=i, min_confidence=float(i % 3), points=-1)
        if i % 10 == 0:
            node.publisher.publish(cloud(street()))
    assert node.set(min_confidence=0.0, seed=0) == ["", ""]
    assert node.ask(cloud(street())) and node.counts()["dropped_failed"] == 0


def test_a_malformed_request_does_not_end_the_node(node):
    """rclpy alone would: it raises for a type that does not exist, and what a callback raises ends the process."""
    client = node.world.node.create_client(SetParameters, f"{node.name}/set_parameters")
    node.world.until(client.service_is_ready)
    for name in ("range_max", "autostart", "nonsense", ""):
        for kind in (0, 5, 8, 10, 200):
            value = ParameterValue(type=kind, double_array_value=[1.0])
            client.call_async(SetParameters.Request(parameters=[ParameterMessage(name=name, value=value)]))
    node.world.spin(0.5)
    assert node.process.says("10 is not a valid Parameter.Type") and "Traceback" not in node.process.text
    assert node.set(seed=0) == [""] and node.ask(cloud(street()))
    node.world.node.destroy_client(client)


STARTS = {
    "integer for a float": (("range_max:=30",), "range_max must be a number with a point, got 30: write 2.0, not 2"),
    "out of range": (("min_confidence:=2.0",), "min_confidence must be 0.0 to 1.0, got 2.0"),
    "not a number": (("range_max:=.nan",), "range_max must be 0.0 to 1000.0 m, got nan"),
    "text for an integer": (("threads:=many",), "threads must be an integer, got 'many'"),
    "integers for floats": (("ego_min:=[0, 0, 0]",), "ego_min must be three numbers with points"),
    "too short": (("ego_min:=[0.0, 0.0]",), "ego_min must be three numbers [x, y, z]"),
    "unknown choice": (("reliability:=sometimes",), "reliability must be one of best_effort, reliable"),
    "contradiction": (("range_min:=9.0", "range_max:=8.0"), "range_min must be less than range_max"),
}


@pytest.mark.parametrize("case", STARTS)
def test_a_wrong_parameter_at_the_start_is_one_sentence(world, case):
    values, sentence = STARTS[case]
    arguments = ["--ros-args", *(word for value in values for word in ("-p", value))]
    node = rclpy.create_node("wrong", context=world.context, cli_args=arguments)
    with pytest.raises(ConfigError) as error:
        parameters.declare(node)
    node.destroy_node()
    assert str(error.value).startswith(sentence) and "\n" not in str(error.value)


def test_a_wrong_parameter_at_the_start_ends_the_process_with_status_2(world):
    process = world.start("bipointnet_ros.ros.node", "--ros-args", "-p", "range_max:=30")
    assert process.wait() == 2
    ours = [line for line in process.lines if "rmw_" not in line]  # some middlewares warn of older variables
    assert ours == [f"bipointnet: {STARTS['integer for a float'][1]}"]


def test_broken_ros_arguments_are_one_sentence_and_status_2(world):
    process = world.start("bipointnet_ros.ros.node", "--ros-args", "--params-file", "/no/such/file.yaml")
    assert process.wait() == 2
    assert "/no/such/file.yaml" in process.text and "Traceback" not in process.text


# ------------------------------------------------------------------------------------------------------------ lifecycle


def test_transitions_by_service(world, model):
    remote = world.start_node("/stepped", model=model, autostart=False, says="")
    assert remote.state() == "unconfigured"
    assert not remote.change("activate")  # impossible from here; rclpy alone would end the node
    assert remote.set(backend="numpy") == [""] and remote.set(backend="auto") == [""]
    for transition, state in (("configure", "inactive"), ("activate", "active"), ("deactivate", "inactive")):
        assert remote.change(transition) and remote.state() == state
    assert world.node.count_subscribers("/stepped/points") == 0 or not remote.publisher.get_subscription_count()
    assert remote.change("activate") and remote.listen().ask(cloud(street()))
    assert not remote.change("configure") and remote.state() == "active"
    assert remote.change("deactivate") and remote.change("cleanup") and remote.state() == "unconfigured"
    assert remote.diagnosis(lambda level, message, v: message == "not configured")[0] == OK
    assert remote.change("configure") and remote.change("activate")
    remote.answers.clear()
    assert remote.ask(cloud(street())) and remote.change("shutdown") and remote.state() == "finalized"
    assert remote.process.end()[0] == 0 and "Traceback" not in remote.process.text


def test_without_its_model_the_node_lives_unconfigured_until_it_is_mended(world, model):
    wrong = {"model": "nowhere", "min_confidance": 0.5, "stale_after": 1.0}
    remote = world.start_node("/lame", says="waiting unconfigured", **wrong)
    assert remote.process.says("cannot configure: no model 'nowhere'")
    assert remote.process.says("unknown parameter 'min_confidance': did you mean 'min_confidence'?")
    assert remote.state() == "unconfigured"
    assert remote.diagnosis(lambda level, message, v: level == ERROR)[1].startswith("no model 'nowhere'")
    assert not remote.change("configure") and remote.state() == "unconfigured"
    assert remote.set(model=model) == [""] and remote.change("configure") and remote.change("activate")
    remote.listen().ask(cloud(street()))
    # silence is told with the topic and the publishers
    level, message, _ = remote.diagnosis(lambda level, m, v: level == WARN)
    assert "1 publisher(s) on '/lame/points', reliable" in message
    assert remote.process.end(signal.SIGTERM)[0] == 0 and "Traceback" not in remote.process.text


def test_what_cannot_be_activated_is_told_and_left_inactive(world, model):
    wrong = {"qos_overrides./astray/points.subscription.reliability": "sometimes"}
    remote = world.start_node("/astray", says="waiting inactive", model=model, **wrong)
    assert remote.process.says("cannot activate: ") and remote.process.says("sometimes")
    assert remote.state() == "inactive" and remote.diagnosis(lambda level, m, v: level == ERROR)
    assert remote.process.end()[0] == 0 and "Traceback" not in remote.process.text


@pytest.mark.parametrize("how", (signal.SIGINT, signal.SIGTERM), ids=("SIGINT", "SIGTERM"))
def test_a_signal_ends_it_at_once_with_status_0_even_in_work(world, model, how):
    ignoring = {"preexec_fn": lambda: signal.signal(signal.SIGINT, signal.SIG_IGN)}  # as a shell starts a `command &`
    remote = world.start_node(f"/{how.name.lower()}", model=model, options=ignoring)
    remote.listen().ask(cloud(street()))
    msg = cloud(street(n=100_000))
    for _ in range(3):
        remote.publisher.publish(msg)
    status, seconds = remote.process.end(how)
    assert status == 0 and seconds < 2.0
    assert "Traceback" not in remote.process.text and "rror" not in remote.process.text


# ------------------------------------------------------------------------------------------------------ several, time


def test_two_nodes_in_two_namespaces_answer_their_own_clouds(world, model):
    """As the launch file starts them, each with its parameter file."""
    names = ("front", "rear")
    specs = launching.node_specs({"namespace": "front,rear", "model": model})
    processes = [world.start("bipointnet_ros.ros.node", *spec.arguments()) for spec in specs]
    for process in processes:
        world.until(lambda: process.says("listening to"), process)  # noqa: B023
    nodes = [Remote(world, f"/{name}/bipointnet", process).listen() for name, process in zip(names, processes)]
    for remote, frame in zip(nodes, names):
        assert remote.ask(cloud(street(), frame=frame)).header.frame_id == frame
    assert [{a.header.frame_id for a in remote.answers} for remote in nodes] == [{"front"}, {"rear"}]
    assert [remote.process.end()[0] for remote in nodes] == [0, 0]


def test_two_domains_side_by_side_do_not_meet(world, model):
    domain = int(os.environ["ROS_DOMAIN_ID"])
    other = World(domain % 100 + 1)
    try:
        theirs = other.start_node("/same", model=model).listen()
        os.environ["ROS_DOMAIN_ID"] = str(domain)
        ours = world.start_node("/same", model=model).listen()
        nodes = theirs, ours
        for remote, frame in zip(nodes, ("theirs", "ours")):
            assert remote.ask(cloud(street(), frame=frame)).header.frame_id == frame
        other.spin(0.3)
        assert [{a.header.frame_id for a in remote.answers} for remote in nodes] == [{"theirs"}, {"ours"}]
        assert [remote.process.end()[0] for remote in nodes] == [0, 0]
    finally:
        os.environ["ROS_DOMAIN_ID"] = str(domain)
        other.close()


def test_a_best_effort_publisher_that_is_killed_and_comes_again_is_heard_again(world, model, tmp_path):
    np.save(tmp_path / "street.npy", street())
    remote = world.start_node("/again", model=model, reliability="best_effort").listen()
    world.node.destroy_publisher(remote.publisher)
    playing = (
        str(tmp_path / "street.npy"),
        "--loop",
        "--reliability",
        "best_effort",
        "--ros-args",
        "-r",
        "__ns:=/again",
    )
    for how in (signal.SIGKILL, signal.SIGINT):
        player = world.start("bipointnet_ros.ros.player", *playing)
        before = len(remote.answers)
        world.until(lambda: len(remote.answers) > before + 5, player)  # noqa: B023
        player.end(how)
    counts = remote.counts()
    assert counts["received"] == counts["answered"] + counts["dropped"] and counts["dropped_failed"] == 0
    assert remote.process.end()[0] == 0


def test_a_topic_is_remapped_and_qos_overridden(world, model):
    topic = "/mapped/lidar_top/cloud"
    overrides = {
        f"qos_overrides.{topic}.subscription.reliability": "reliable",
        "qos_overrides./mapped/bipointnet/markers.publisher.reliability": "best_effort",
        "reliability": "best_effort",
    }
    remote = world.start_node("/mapped", "-r", f"points:={topic}", model=model, **overrides)
    assert remote.process.says(f"listening to '{topic}'")
    offers = lambda: world.node.get_publishers_info_by_topic("/mapped/bipointnet/markers")  # noqa: E731
    world.until(offers, remote.process)
    assert [info.qos_profile.reliability for info in offers()] == [ReliabilityPolicy.BEST_EFFORT]
    offer = world.node.create_publisher(PointCloud2, topic, remote.publishers["best_effort"])
    world.until(lambda: remote.process.says("offers another RELIABILITY"), remote.process)
    world.node.destroy_publisher(offer)
    assert "unknown parameter" not in remote.process.text
    remote.publisher = world.node.create_publisher(PointCloud2, topic, remote.publishers["reliable"])
    remote.listen().ask(cloud(street()))
    assert remote.process.end()[0] == 0


def test_time_may_jump_back_and_stand_still(world, model):
    remote = world.start_node("/bagged", model=model, use_sim_time=True).listen()
    clock = world.node.create_publisher(Clock, "/clock", 1)
    remote.ask(cloud(street()))
    before = remote.counts()
    for seconds in (1000, 1001, 5, 5):
        clock.publish(Clock(clock=Time(sec=seconds)))
        world.spin(0.2)
        assert remote.ask(cloud(street(), (seconds, 0)))
    remote.diagnosis()  # on the machine's clock: a paused bag does not silence it
    remote.diagnosis()
    after = remote.counts()
    assert after["answered"] - before["answered"] == after["received"] - before["received"] == 4
    assert remote.process.end()[0] == 0


def test_max_rate_limits_the_answers(world, model):
    remote = world.start_node("/slow", model=model, max_rate=5.0).listen().matched()
    start = time.monotonic()
    for _ in range(40):
        remote.publisher.publish(cloud(street()))
        world.spin(0.05)
    due = 5.0 * (time.monotonic() - start)
    counts = remote.counts()
    assert counts["received"] == counts["answered"] + counts["dropped"]
    assert 8 <= counts["answered"] <= due + 3 and counts["dropped_max_rate"] > 10
    assert remote.process.end()[0] == 0


def test_no_message_package_but_numpy_and_ros_is_loaded():
    """What the node costs a small board in memory: neither torch nor matplotlib."""
    code = (
        "import sys, bipointnet_ros.ros.node; print([m for m in ('torch', 'matplotlib', 'scipy') if m in sys.modules])"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, cwd=ROOT)
    assert run.stdout.strip() == "[]", run.stderr
