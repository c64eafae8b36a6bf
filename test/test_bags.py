"""Bags of both storages: every cloud is read as it was written, a labelled copy loses nothing, broken ones are told."""

from __future__ import annotations

import shutil
import sqlite3
import sys

import numpy as np
import pytest

pytest.importorskip("rosbags", reason="needs the rosbags library")

import bagged  # noqa: E402
import fabricate  # noqa: E402
from bagged import STORAGES  # noqa: E402
from rosbags.rosbag2 import Reader  # noqa: E402
from ruamel.yaml import YAML  # noqa: E402

from bipointnet_ros import offline  # noqa: E402
from bipointnet_ros.arrays import FileError  # noqa: E402
from bipointnet_ros.bags import Bag, is_bag  # noqa: E402
from bipointnet_ros.core import kernels  # noqa: E402
from bipointnet_ros.core.blueprint import Grid, cell_segmenter  # noqa: E402
from bipointnet_ros.core.classes import colours  # noqa: E402
from bipointnet_ros.core.config import Config  # noqa: E402
from bipointnet_ros.core.network import Network  # noqa: E402
from bipointnet_ros.core.pipeline import Pipeline  # noqa: E402
from bipointnet_ros.pointcloud2 import read_xyz  # noqa: E402
from bipointnet_ros.recordings import clouds  # noqa: E402


def some_clouds(count=3, seed=0):
    """(xyz, intensity) of 0, 400, 800, ... points."""
    rng = np.random.default_rng(seed)
    return [
        (rng.normal(0, 9, (400 * i, 3)).astype(np.float32), rng.random(400 * i).astype(np.float32))
        for i in range(count)
    ]


@pytest.fixture
def pipe():
    model = fabricate.model(cell_segmenter(("height", "range"), 3, Grid(0.2, (4, 12)), width=64), points=500)
    return Pipeline(Config(), Network(model, kernels.choose("numpy"), 1))


def refused(action, *words):
    with pytest.raises(FileError) as caught:
        action()
    sentence = str(caught.value)
    assert "\n" not in sentence and len(sentence) < 700
    for word in words:
        assert word in sentence


@pytest.mark.parametrize("storage", STORAGES)
@pytest.mark.parametrize("whole", (True, False), ids=("folder", "file"))
def test_every_cloud_is_read_as_it_was_written(tmp_path, storage, whole):
    path = bagged.write(tmp_path / "drive", some_clouds(), storage)
    path = path if whole else next(p for p in path.iterdir() if p.suffix != ".yaml")
    assert is_bag(path)
    bag = Bag(path)
    assert (bag.topic, len(bag)) == ("/points", 3) and bag.rate == pytest.approx(2 / 0.202, rel=0.02)
    got = list(clouds(path))
    assert [c.name for c in got] == ["drive.000000", "drive.000001", "drive.000002"]
    for i, (cloud, (xyz, intensity)) in enumerate(zip(got, some_clouds())):
        np.testing.assert_array_equal(cloud.xyz, xyz)
        np.testing.assert_array_equal(cloud.intensity, intensity)
        stamp = cloud.msg.header.stamp
        assert stamp.sec * 10**9 + stamp.nanosec == bagged.START + i * bagged.PERIOD == cloud.time - 1_000_000
        assert cloud.msg.header.frame_id == "velodyne" and "/points" in cloud.source


@pytest.mark.parametrize("storage", STORAGES)
def test_a_labelled_copy_holds_everything_and_the_answers(tmp_path, storage, pipe):
    source = bagged.write(tmp_path / "drive", some_clouds(), storage)
    done = list(offline.label_bag(pipe, source, tmp_path / "new"))
    assert [len(one.xyz) for one in done] == [0, 400, 800]
    assert {p.suffix for p in (tmp_path / "new").iterdir()} == {p.suffix for p in source.iterdir()}
    before, after = (contents(p) for p in (source, tmp_path / "new"))
    answers = after.pop(offline.LABELED_TOPIC)
    assert before == after
    palette = colours(pipe.model.classes)
    for one, (time, data), (sent, _) in zip(done, answers, before["/points"]):
        msg = bagged.STORE.deserialize_cdr(data, bagged.CLOUD)
        kind = {"label": "<u2", "instance": "<u4", "confidence": "<f4", "rgb": "<u4", "ring": "<u2"}
        offsets = {f.name: f.offset for f in msg.fields}
        layout = {"names": list(kind), "formats": list(kind.values()), "offsets": [offsets[n] for n in kind]}
        rows = np.frombuffer(msg.data.tobytes(), np.dtype({**layout, "itemsize": msg.point_step}))
        assert time == sent and msg.header.frame_id == "velodyne" and len(rows) == len(one.xyz)
        np.testing.assert_array_equal(read_xyz(msg)[0], one.xyz)
        for name in ("label", "instance", "confidence"):
            np.testing.assert_array_equal(rows[name], getattr(one.result, name))
        red, green, blue = palette.astype(np.uint32).T
        np.testing.assert_array_equal(rows["rgb"], (red << 16 | green << 8 | blue)[one.result.label])
        np.testing.assert_array_equal(rows["ring"], np.arange(len(rows)) % 16)
    assert len(answers) == 3


def contents(path) -> dict:
    """topic -> [(time, bytes)]"""
    found = {}
    with Reader(path) as reader:
        for connection, time, data in reader.messages():
            found.setdefault(connection.topic, []).append((time, bytes(data)))
    return found


def test_the_topic_is_chosen_or_asked_for(tmp_path):
    path = bagged.write(tmp_path / "two", some_clouds(), topics=("/front", "/rear"))
    assert Bag(path, "/rear").topic == "/rear" and len(Bag(path, "/rear")) == 3
    refused(lambda: Bag(path), "/front, /rear", "--topic")
    refused(lambda: Bag(path, "/side"), "'/side'", "/rear (sensor_msgs/msg/PointCloud2)", "/chat (std_msgs/msg/String)")
    refused(lambda: Bag(path, "/chat"), "'/chat'")
    none = bagged.write(tmp_path / "none", some_clouds(), topics=(), unknown="/packets")
    refused(lambda: Bag(none), "/packets (acme_msgs/msg/Packet)", "packets are not clouds")


def test_a_labelled_bag_is_new_and_not_labelled_twice(tmp_path, pipe):
    path = bagged.write(tmp_path / "drive", some_clouds())
    label = lambda source, out: list(offline.label_bag(pipe, source, out, "/points"))  # noqa: E731
    label(path, tmp_path / "new")
    refused(lambda: label(path, tmp_path / "new"), "exists")
    refused(lambda: label(tmp_path / "new", tmp_path / "newer"), "labeled_points' already")
    assert not (tmp_path / "newer").exists()


def test_what_cannot_be_copied_is_told(tmp_path, pipe):
    path = bagged.write(tmp_path / "drive", some_clouds(), "sqlite3", unknown="/packets")
    forget_definitions(path)
    told = []
    assert len(list(offline.label_bag(pipe, path, tmp_path / "new", tell=told.extend))) == 3
    assert told == ["/packets (acme_msgs/msg/Packet)"]
    assert set(contents(tmp_path / "new")) == {"/points", "/chat", offline.LABELED_TOPIC}


def forget_definitions(path):
    """As Humble writes a bag: without definitions and hashes."""
    with sqlite3.connect(next(path.glob("*.db3"))) as base:
        base.execute("DROP TABLE message_definitions")
        base.execute("DROP TABLE schema")
    yaml = YAML(typ="safe")
    metadata = yaml.load(path / "metadata.yaml")
    for topic in metadata["rosbag2_bagfile_information"]["topics_with_message_count"]:
        del topic["topic_metadata"]["type_description_hash"]
    yaml.dump(metadata, path / "metadata.yaml")


def test_half_a_labelled_bag_is_removed(tmp_path, pipe):
    path = bagged.write(tmp_path / "drive", some_clouds())
    steps = offline.label_bag(pipe, path, tmp_path / "new")
    next(steps)
    assert (tmp_path / "new").is_dir()
    steps.close()
    assert not (tmp_path / "new").exists()


def test_a_cloud_that_contradicts_itself_is_named(tmp_path, pipe, monkeypatch):
    honest = bagged.cloud

    def short(*arguments):
        msg = honest(*arguments)
        msg.width += 1
        return msg

    monkeypatch.setattr(bagged, "cloud", short)
    path = bagged.write(tmp_path / "drive", some_clouds())
    refused(lambda: list(clouds(path)), "drive[0] /points: ", "bytes of data")


@pytest.mark.parametrize("storage", STORAGES)
def test_broken_bags_are_one_sentence(tmp_path, storage):
    """Missing, empty, cut and overwritten: a FileError, or clouds; and soon."""
    good = bagged.write(tmp_path / "good", some_clouds(), storage)
    (name,) = (p.name for p in good.iterdir() if p.suffix != ".yaml")
    data, rng, refusals = (good / name).read_bytes(), np.random.default_rng(0), 0
    for i in range(80):
        damaged = bytearray(data[: rng.integers(len(data))] if i % 2 else data)
        for at in rng.integers(len(damaged), size=8) if damaged else ():
            damaged[at if i % 4 else at % 600 % len(damaged)] = rng.integers(256)
        bad = tmp_path / f"bad{i}"
        shutil.copytree(good, bad)
        (bad / name).write_bytes(damaged)
        for path in (bad, bad / name):
            try:
                list(clouds(path, "/points"))
            except FileError as error:
                refusals += 1
                assert "\n" not in str(error) and len(str(error)) < 700
    assert refusals > 40


METADATA = {
    "empty": b"",
    "not yaml": b"\x00\xff{[",
    "a list": b"[1, 2]",
    "no files": b"rosbag2_bagfile_information: {version: 5}",
    "version 99": b"rosbag2_bagfile_information: {version: 99}",
    "code": b"!!python/object/apply:os.system ['exit 3']",
}


@pytest.mark.parametrize("case", METADATA)
def test_broken_metadata_is_one_sentence(tmp_path, case):
    bag = bagged.write(tmp_path / "bag", some_clouds())
    (bag / "metadata.yaml").write_bytes(METADATA[case])
    refused(lambda: Bag(bag), "bag")


def test_a_bag_of_ros_1_a_missing_one_and_a_missing_library(tmp_path, monkeypatch):
    refused(lambda: Bag(tmp_path / "old.bag"), "rosbags-convert")
    refused(lambda: Bag(tmp_path / "none.mcap"), "none.mcap")
    path = bagged.write(tmp_path / "bag", some_clouds())
    monkeypatch.setitem(sys.modules, "rosbags.rosbag2", None)
    refused(lambda: Bag(path), "pip install rosbags")
