"""Numbers that last: births, deaths, missed scans, things that cross, time that jumps, and two real scans."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from bipointnet_ros import dataset
from bipointnet_ros.core import ground, segments
from bipointnet_ros.core.config import Config
from bipointnet_ros.core.pipeline import Result
from bipointnet_ros.core.segments import Object
from bipointnet_ros.core.tracking import Tracker

DRIVE = Path(__file__).parent.parent / "demo" / "drive" / "pandaset_002_44-55.npz"
NAMES = ("ground", "vegetation", "structure", "vehicle", "person", "pole")


def things(*places, label=4):
    """Objects at places (x, y), numbered from 1 as the pipeline does."""
    size = np.ones(3, np.float32)
    return tuple(
        Object(i, label, NAMES[label - 1], 1.0, np.float32([x, y, 0]), size, 0.0, 9)
        for i, (x, y) in enumerate(places, 1)
    )


def numbers(tracker, objects, stamp, frame="lidar", gate=2.0):
    return [one.instance for one in tracker.numbered(objects, stamp, frame, gate)]


def test_births_deaths_and_order():
    tracker = Tracker()
    assert numbers(tracker, things((5, 0), (9, 0)), 0.0) == [1, 2]
    assert numbers(tracker, things((9.3, 0), (5.2, 0)), 0.1) == [2, 1]
    assert numbers(tracker, things((9.6, 0)), 0.2) == [2]
    assert numbers(tracker, things((9.9, 0), (20, 0)), 0.3) == [2, 3]
    assert numbers(tracker, (), 0.4) == []


def test_a_thing_that_is_hidden_for_a_while_keeps_its_number_and_not_for_ever():
    tracker = Tracker()
    for i in range(10):
        assert numbers(tracker, things((i * 1.0, 0)), i * 0.1) == [1]
    assert numbers(tracker, (), 1.1) == []
    assert numbers(tracker, things((16.0, 0)), 1.6) == [1], "it is where its velocity takes it"
    assert numbers(tracker, things((16.0, 0)), 2.7) == [2]


def test_scans_without_stamps_forget_too():
    tracker = Tracker()
    assert numbers(tracker, things((5, 0)), 0.0) == [1]
    for _ in range(10):
        numbers(tracker, (), 0.0)
    assert numbers(tracker, things((5, 0)), 0.0) == [2]


def test_things_that_cross_keep_their_numbers():
    """Two things pass each other at 0.4 m, each at 5 m/s."""
    tracker = Tracker()
    for i in range(40):
        x = -10 + 0.5 * i
        got = numbers(tracker, things((x, 0.2), (-x, -0.2)), i * 0.1)
        assert got == [1, 2], f"at {x} m"


def test_the_nearest_comes_first_and_the_gate_is_the_limit():
    tracker = Tracker()
    numbers(tracker, things((0, 0), (3, 0)), 0.0)
    assert numbers(tracker, things((1.2, 0), (2.9, 0), (5.1, 0)), 0.1) == [1, 2, 3]
    assert numbers(Tracker(), things((0, 0)), 0.0, gate=0.0) == [1]


def test_a_label_of_its_own_is_a_thing_of_its_own():
    tracker = Tracker()
    assert numbers(tracker, things((5, 0)), 0.0) == [1]
    assert numbers(tracker, things((5, 0), label=5), 0.1) == [2]
    assert numbers(tracker, things((5, 0)), 0.2) == [1]


@pytest.mark.parametrize("stamp, frame", [(4.9, "lidar"), (5.1, "rear"), (70.0, "lidar")])
def test_time_that_jumps_and_another_frame_start_anew(stamp, frame):
    tracker = Tracker()
    numbers(tracker, things((5, 0)), 5.0)
    assert numbers(tracker, things((5, 0)), stamp, frame) == [2], "no number is used again"


def test_points_and_objects_carry_the_same_numbers():
    config, tracker = Config(), Tracker()
    instance = np.array([0, 2, 1, 1, 0], np.uint32)
    tracker.numbered(things((0, 0)), 0.0, "lidar", 2.0)
    result = Result(instance, instance, np.ones(5), things((30, 0), (0.1, 0)), {}, 5)
    followed = tracker.follow(result, 0.1, "lidar", config)
    assert [one.instance for one in followed.objects] == [2, 1]
    assert followed.instance.tolist() == [0, 1, 2, 2, 0] and followed.instance.dtype == np.uint32
    assert tracker.follow(result, 0.2, "lidar", config.replace(track=False)) is result
    empty = SimpleNamespace(**{**vars(result), "objects": (), "instance": instance * 0})
    assert Tracker().numbered(empty.objects, 0.0, "", 2.0) == ()


def test_most_cars_of_a_real_drive_keep_their_numbers():
    """Twelve scans at 10 Hz, human labels: a number lost is a car that two boxes shared, or one of a few points."""
    drive, tracker, seen = dataset.read(DRIVE), Tracker(), []
    for f in range(len(drive)):
        xyz, _, label = drive.scan(f)
        near = np.hypot(xyz[:, 0], xyz[:, 1]) < 40
        xyz, published = xyz[near], np.where(label == 255, 0, label + 1)[near]
        _, objects = segments.objects(xyz, ground.height(xyz), published, np.ones(len(xyz), np.float32), NAMES)
        cars = [one for one in objects if one.name == "vehicle" and one.points > 200]
        seen.append(set(numbers(tracker, cars, drive.stamp[f])))
    assert min(len(s) for s in seen) > 15
    kept = [len(a & b) / len(a) for a, b in zip(seen, seen[1:])]
    assert np.mean(kept) > 0.9
