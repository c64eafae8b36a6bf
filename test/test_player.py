"""The player: files become clouds on a topic, as many as it says."""

from __future__ import annotations

import os

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="needs ROS 2")
pytestmark = pytest.mark.ros

from rclpy.qos import QoSProfile, ReliabilityPolicy  # noqa: E402
from sensor_msgs.msg import PointCloud2  # noqa: E402
from world import World  # noqa: E402

from bipointnet_ros.arrays import FileError  # noqa: E402
from bipointnet_ros.ros.messages import read_xyz  # noqa: E402
from bipointnet_ros.ros.player import main, read_clouds  # noqa: E402


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


def test_a_drive_is_split_and_in_metres(drive):
    path, arrays = drive
    clouds = read_clouds(path)
    assert [len(xyz) for xyz, _ in clouds] == [4, 0, 5]
    np.testing.assert_array_equal(np.concatenate([xyz for xyz, _ in clouds]), arrays["xyz_cm"] / np.float32(100))
    np.testing.assert_array_equal(clouds[2][1], np.arange(4, 9))


def test_a_folder_is_played_by_name(tmp_path):
    for name, n in (("b", 2), ("a", 3)):
        np.save(tmp_path / f"{name}.npy", np.ones((n, 4), np.float32))
    assert [len(xyz) for xyz, _ in read_clouds(tmp_path)] == [3, 2]


@pytest.mark.parametrize("offsets", ([0, 4, 3, 9], [0, 4, 10], [1, 9], [9], [[0, 9]], [0.0, 9.0]), ids=str)
def test_wrong_offsets_are_refused(tmp_path, offsets):
    np.savez(tmp_path / "d.npz", xyz=np.zeros((9, 3), np.float32), offsets=np.array(offsets))
    with pytest.raises(FileError, match="offsets that rise from 0 to 9"):
        read_clouds(tmp_path / "d.npz")


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
    assert np.all(np.diff(stamps) > 0.01) and abs(stamps[-1] - world.node.get_clock().now().nanoseconds / 1e9) < 30
    assert {msg.header.frame_id for msg in got} == {"velodyne"}
    assert read_xyz(got[-1])[1].tolist() == [0, 1, 2, 3]
    assert world.status[f"/{reliability}/player: clouds"][2]["sent"] == "7"


def test_it_gives_up_when_nobody_subscribes(world, drive):
    player = world.start(
        "bipointnet_ros.ros.player", str(drive[0]), "--wait", "0.5", "--ros-args", "-r", "__ns:=/alone"
    )
    assert player.wait() == 1
    assert player.says("nobody subscribed to '/alone/points' in 0.5 s") and player.lines[-1] == "sent 0"
