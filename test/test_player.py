"""The player: files become clouds on a topic, as many as it says."""

from __future__ import annotations

import os

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="needs ROS 2")
pytest.importorskip("rosbags", reason="needs the rosbags library")
pytestmark = pytest.mark.ros

import bagged  # noqa: E402
from rclpy.qos import QoSProfile, ReliabilityPolicy  # noqa: E402
from sensor_msgs.msg import PointCloud2  # noqa: E402
from world import World  # noqa: E402

from bipointnet_ros.ros.messages import read_xyz  # noqa: E402
from bipointnet_ros.ros.player import main  # noqa: E402


@pytest.fixture(scope="module")
def world():
    world = World(1 + (os.getpid() + 50) % 100)
    yield world
    world.close()


@pytest.fixture
def drive(tmp_path):
    """Three clouds of 4, 0 and 5 points in centimetres."""
    rng = np.random.default_rng(0)
    arrays = {"xyz_cm": rng.integers(-3000, 3000, (9, 3)).astype(np.int16), "offsets": np.array([0, 4, 4, 9], np.int32)}
    np.savez(tmp_path / "drive.npz", **arrays, intensity=np.arange(9, dtype=np.uint8), stamp=np.arange(3.0))
    return tmp_path / "drive.npz", arrays


def test_wrong_files_are_one_sentence_and_status_2(tmp_path, capsys):
    for name in ("missing.npz", "cloud.docx", "."):
        assert main(["player", str(tmp_path / name)]) == 2
        told = capsys.readouterr().err
        assert told.startswith("player: ") and told.count("\n") == 1


@pytest.mark.parametrize("reliability", ("reliable", "best_effort"))
def test_every_cloud_is_sent_in_turn_with_its_time(world, drive, reliability):
    path, _ = drive
    got = []
    qos = QoSProfile(depth=20, reliability=ReliabilityPolicy[reliability.upper()])
    listener = world.node.create_subscription(PointCloud2, f"/{reliability}/points", got.append, qos)
    player = world.start(
        "bipointnet_ros.ros.player", str(path), "--rate", "20", "--loop", "--count", "7", "--frame", "velodyne",
        "--reliability", reliability, "--ros-args", "-r", f"__ns:=/{reliability}",
    )  # fmt: skip
    world.until(lambda: player.process.poll() is not None)
    world.spin(0.3)
    world.node.destroy_subscription(listener)
    assert player.wait() == 0 and player.lines[-1] == "sent 7"
    sizes = [msg.width for msg in got]
    assert sizes == ([4, 0, 5] * 3)[7 - len(sizes) : 7] and len(sizes) >= (7 if reliability == "reliable" else 5)
    stamps = [msg.header.stamp.sec + msg.header.stamp.nanosec / 1e9 for msg in got]
    assert (
        np.all(np.diff(stamps) > 0)
        and np.ptp(stamps) > 0.15
        and abs(stamps[-1] - world.node.get_clock().now().nanoseconds / 1e9) < 30
    )
    assert {msg.header.frame_id for msg in got} == {"velodyne"}
    assert read_xyz(got[-1])[1].tolist() == [0, 1, 2, 3]
    assert world.status[f"/{reliability}/player: clouds"][2]["sent"] == "7"


@pytest.mark.parametrize("storage", bagged.STORAGES)
def test_a_bag_keeps_its_headers_and_its_pace(world, tmp_path, storage):
    rng, got = np.random.default_rng(0), []
    sent = [(rng.normal(0, 9, (n, 3)).astype(np.float32), np.arange(n, dtype=np.float32)) for n in (3, 0, 5)]
    path = bagged.write(tmp_path / "drive", sent, storage, ("/front", "/rear"))
    listener = world.node.create_subscription(PointCloud2, f"/{storage}/points", got.append, QoSProfile(depth=20))
    arguments = (str(path), "--topic", "/rear", "--loop", "--count", "5", "--ros-args", "-r", f"__ns:=/{storage}")
    player = world.start("bipointnet_ros.ros.player", *arguments)
    world.until(lambda: player.process.poll() is not None)
    world.spin(0.3)
    world.node.destroy_subscription(listener)
    assert player.wait() == 0 and player.lines[-1] == "sent 5" and player.says("at 9.95 Hz")
    assert [msg.width for msg in got] == [3, 0, 5, 3, 0] and {msg.header.frame_id for msg in got} == {"velodyne"}
    stamps = [msg.header.stamp.sec * 10**9 + msg.header.stamp.nanosec - bagged.START for msg in got]
    assert stamps == [0, bagged.PERIOD, 2 * bagged.PERIOD, 0, bagged.PERIOD]
    xyz, intensity = read_xyz(got[2])
    np.testing.assert_array_equal(xyz, sent[2][0])
    np.testing.assert_array_equal(intensity, sent[2][1])


def test_a_bag_can_be_stamped_anew_and_renamed(world, tmp_path):
    path, got = bagged.write(tmp_path / "drive", [(np.ones((2, 3), np.float32), np.ones(2))]), []
    listener = world.node.create_subscription(PointCloud2, "/now/points", got.append, QoSProfile(depth=20))
    arguments = ("--now", "--frame", "roof", "--rate", "20", "--ros-args", "-r", "__ns:=/now")
    player = world.start("bipointnet_ros.ros.player", str(path), *arguments)
    world.until(lambda: got, player)
    world.node.destroy_subscription(listener)
    assert got[0].header.frame_id == "roof" and got[0].header.stamp.sec > bagged.START // 10**9 + 1000


def test_a_bag_that_breaks_off_is_said(world, tmp_path):
    clouds = [(np.ones((20_000, 3), np.float32), np.ones(20_000))] * 6
    path = bagged.write(tmp_path / "drive", clouds, "sqlite3")
    file = path / "drive.db3"
    data = bytearray(file.read_bytes())
    data[len(data) // 2 :] = bytes(len(data) - len(data) // 2)
    file.write_bytes(data)
    world.node.create_subscription(PointCloud2, "/broken/points", lambda msg: None, QoSProfile(depth=20))
    player = world.start("bipointnet_ros.ros.player", str(path), "--ros-args", "-r", "__ns:=/broken")
    assert player.wait() in (1, 2) and player.says("cannot read the bag") and not player.says("Traceback")


def test_a_bag_is_played_alone(tmp_path, capsys):
    path = bagged.write(tmp_path / "drive", [])
    assert main(["player", str(path), str(path)]) == 2
    assert "play it alone" in capsys.readouterr().err


def test_it_gives_up_when_nobody_subscribes(world, drive):
    player = world.start(
        "bipointnet_ros.ros.player", str(drive[0]), "--wait", "0.5", "--ros-args", "-r", "__ns:=/alone"
    )
    assert player.wait() == 1
    assert player.says("nobody subscribed to '/alone/points' in 0.5 s") and player.lines[-1] == "sent 0"
