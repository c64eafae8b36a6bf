"""One recording, two ways: through the node over DDS, and by ``bipointnet label``; the answers are the same bytes.

Without tracking: the numbers of instances depend on the clouds before, of which a node may miss some.
"""

from __future__ import annotations

import os

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="needs ROS 2")
pytest.importorskip("rosbags", reason="needs the rosbags library")
pytestmark = pytest.mark.ros

import bagged  # noqa: E402
from world import World, street, write_model  # noqa: E402

from bipointnet_ros import cli, offline  # noqa: E402
from bipointnet_ros.bags import Bag  # noqa: E402
from bipointnet_ros.core.config import Config  # noqa: E402


@pytest.fixture
def world():
    world = World(1 + (os.getpid() + 75) % 100)
    yield world
    world.close()


def nanoseconds(stamp) -> int:
    return stamp.sec * 10**9 + stamp.nanosec


@pytest.mark.parametrize("storage", bagged.STORAGES)
def test_the_same_bag_gives_the_same_labels_online_and_offline(world, tmp_path, storage, capsys):
    model = write_model(tmp_path / "model.safetensors")
    sent = [(street(i), np.random.default_rng(i).random(len(street(i))).astype(np.float32)) for i in range(3)]
    path = bagged.write(tmp_path / "drive", sent, storage)

    remote = world.start_node("/same", model=model, track=False).listen()
    arguments = (str(path), "--loop", "--rate", "4", "--ros-args", "-r", "__ns:=/same")
    player = world.start("bipointnet_ros.ros.player", *arguments)
    world.until(lambda: len({nanoseconds(m.header.stamp) for m in remote.answers}) == 3, player)
    online = {nanoseconds(msg.header.stamp): msg for msg in remote.answers}

    assert cli.main(["label", str(path), "--model", model, "--out", str(tmp_path)]) == 0
    pipe = offline.pipeline(Config(model=model, track=False))
    assert len(list(offline.label_bag(pipe, path, tmp_path / "new"))) == 3
    assert "/points: 3000 points" in capsys.readouterr().out
    for i, (_, offline_msg) in enumerate(Bag(tmp_path / "new", offline.LABELED_TOPIC)):
        msg = online[bagged.START + i * bagged.PERIOD]
        assert bytes(msg.data) == offline_msg.data.tobytes() and msg.header.frame_id == offline_msg.header.frame_id
        facts = ("name", "offset", "datatype", "count")
        assert [[getattr(f, k) for k in facts] for f in msg.fields] == [
            [getattr(f, k) for k in facts] for f in offline_msg.fields
        ]
        label = np.ndarray(msg.width, "<u2", bytes(msg.data), msg.fields[-4].offset, (msg.point_step,))
        with np.load(tmp_path / f"drive.{i:06d}.labels.npz") as written:
            np.testing.assert_array_equal(label, written["label"])
        assert len(set(label.tolist())) > 1
