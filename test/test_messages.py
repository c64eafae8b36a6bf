"""PointCloud2 of every kind is read right or refused with one sentence; every field of it survives the answer."""

from __future__ import annotations

import math
import os
import subprocess
import sys
from array import array
from importlib.util import find_spec
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest

pytest.importorskip("sensor_msgs", reason="needs the ROS message packages")
pytestmark = pytest.mark.ros

from builtin_interfaces.msg import Time  # noqa: E402
from clouds import CODES, LAYOUTS, VELODYNE, XYZI, build, mutated  # noqa: E402
from sensor_msgs.msg import PointField  # noqa: E402
from std_msgs.msg import Header  # noqa: E402
from visualization_msgs.msg import Marker  # noqa: E402

from bipointnet_ros.core.classes import colours  # noqa: E402
from bipointnet_ros.core.segments import Object  # noqa: E402
from bipointnet_ros.ros.markers import markers  # noqa: E402
from bipointnet_ros.ros.messages import (  # noqa: E402
    MessageError,
    labeled_cloud,
    make_cloud,
    moved,
    packed_rgb,
    read_xyz,
    subset,
)

NAMES = ("ground", "vegetation", "structure", "vehicle", "person", "pole")
COLOURS = colours(NAMES)


def answer(n, seed=1):
    rng = np.random.default_rng(seed)
    return SimpleNamespace(
        label=rng.integers(0, len(NAMES) + 1, n).astype(np.uint16),
        instance=rng.integers(0, 2**32, n, dtype=np.uint32),
        confidence=rng.random(n).astype(np.float32),
    )


def decode(msg):
    """Fields by name, read the obvious slow way (an oracle that shares nothing with the product)."""
    order = ">" if msg.is_bigendian else "<"
    letters = {v: np.dtype(k).char for k, v in CODES.items()}
    raw = bytes(msg.data)
    found = {}
    for f in msg.fields:
        kind = np.dtype(order + letters[f.datatype])
        cells = [
            np.frombuffer(raw, kind, 1, row * msg.row_step + col * msg.point_step + f.offset)[0]
            for row in range(msg.height)
            for col in range(msg.width)
        ]
        found[f.name] = np.array(cells, kind.newbyteorder("="))
    return found


@pytest.mark.parametrize("big", (False, True), ids=("little", "big"))
@pytest.mark.parametrize("pad", (0, 5), ids=("compact", "padded"))
@pytest.mark.parametrize("shape", ((1, 7), (3, 5), (4, 1)), ids=str)
@pytest.mark.parametrize("layout", LAYOUTS)
def test_any_layout_is_read_and_kept(layout, shape, pad, big):
    columns, step = LAYOUTS[layout]
    msg, values = build(columns, step, *shape, pad, big)
    before = bytes(msg.data)
    xyz, intensity = read_xyz(msg)
    assert xyz.dtype == np.float32 and xyz.flags.c_contiguous and xyz.dtype.isnative
    np.testing.assert_array_equal(xyz, np.stack([values[a].astype(np.float32) for a in "xyz"], axis=1))
    named = [values[n] for n in ("intensity", "i", "reflectivity") if n in values]
    assert (intensity is None) == (not named)
    if named:
        assert intensity.dtype == np.float32
        np.testing.assert_array_equal(intensity, named[0].astype(np.float32))

    result = answer(len(xyz))
    out = labeled_cloud(msg, result, COLOURS)
    assert bytes(msg.data) == before  # the reader of sensor_msgs_py swaps in place; ours must not
    assert (out.header, out.height, out.width, out.is_dense) == (msg.header, *shape, msg.is_dense)
    assert out.point_step % 4 == 0 and not out.is_bigendian and out.row_step == out.point_step * out.width
    assert len(out.data) == out.row_step * out.height
    assert [(f.name, f.offset, f.datatype, f.count) for f in out.fields[: len(columns)]] == [
        (f.name, f.offset, f.datatype, f.count) for f in msg.fields
    ]
    got = decode(out)
    for name, value in values.items():
        assert got[name].tobytes() == value.tobytes(), name
    for name, kind in (("label", np.uint16), ("instance", np.uint32), ("confidence", np.float32)):
        assert got[name].dtype == kind
        np.testing.assert_array_equal(got[name], getattr(result, name))
    np.testing.assert_array_equal(got["rgb"].view(np.uint32), packed_rgb(COLOURS)[result.label])


def test_bytes_between_fields_stay_and_our_padding_is_zero():
    msg, _ = build(VELODYNE, 27)
    out = labeled_cloud(msg, answer(7), COLOURS)
    points = np.frombuffer(out.data, np.uint8).reshape(7, out.point_step)
    np.testing.assert_array_equal(points[:, :27], np.frombuffer(msg.data, np.uint8).reshape(7, 27))
    assert not points[:, 27].any() and not points[:, 30:32].any()


def test_rgb_is_packed_as_rviz_reads_it():
    (packed,) = packed_rgb(np.array([[0x12, 0x34, 0x56]], np.uint8))
    assert packed == 0x123456


def test_a_field_of_an_answers_name_is_replaced():
    columns = XYZI[:3] + (("label", "u1", 12), ("rgb", "u4", 13))
    msg, _ = build(columns, 17)
    result = answer(7)
    out = labeled_cloud(msg, result, COLOURS)
    assert [f.name for f in out.fields] == ["x", "y", "z", "label", "instance", "confidence", "rgb"]
    np.testing.assert_array_equal(decode(out)["label"], result.label)


@pytest.mark.parametrize("big", (False, True))
def test_not_finite_points_stay_in_their_rows_bit_for_bit(big):
    msg, _ = build(XYZI, 16, big=big)
    words = np.frombuffer(msg.data, ">u4" if big else "<u4").reshape(7, 4)
    words[2, :3] = 0x7FC0BEEF, 0x7F800000, 0xFF800000  # a NaN with a payload, +inf, -inf
    words[5, 0] = 0x7F800001  # a signalling NaN
    xyz, _ = read_xyz(msg)
    assert np.isnan(xyz[2, 0]) and xyz[2, 1] == np.inf and xyz[2, 2] == -np.inf
    assert np.isfinite(np.delete(xyz, (2, 5), axis=0)).all()
    out = labeled_cloud(msg, answer(7), COLOURS)
    kept = np.frombuffer(out.data, "<u4").reshape(7, -1)[:, :4]
    np.testing.assert_array_equal(kept, words)


def test_float64_beyond_float32_becomes_infinite_without_a_warning():
    msg, _ = build((("x", "f8", 0), ("y", "f8", 8), ("z", "f8", 16)), 24)
    np.frombuffer(msg.data, "<f8")[0] = 1e300
    with np.errstate(all="raise"):
        xyz, _ = read_xyz(msg)
    assert xyz[0, 0] == np.inf


@pytest.mark.parametrize("height, width", ((1, 0), (0, 0), (0, 7), (5, 0)))
def test_no_points_is_an_empty_answer(height, width):
    msg, _ = build(XYZI, 16)
    msg.height, msg.width, msg.row_step, msg.data = height, width, 16 * width, array("B")
    xyz, intensity = read_xyz(msg)
    assert xyz.shape == (0, 3) and intensity.shape == (0,)
    out = labeled_cloud(msg, answer(0), COLOURS)
    assert (out.height, out.width, len(out.data)) == (height, width, 0) and len(out.fields) == 8


def field(msg, name):
    return next(f for f in msg.fields if f.name == name)


REFUSED = {
    "no x": (lambda m: setattr(field(m, "x"), "name", "u"), "fields x, y and z, got u, y, z"),
    "no fields": (lambda m: setattr(m, "fields", []), "no field at all"),
    "integer y": (lambda m: setattr(field(m, "y"), "datatype", 5), "'y' must be one FLOAT32 or FLOAT64"),
    "three z": (lambda m: setattr(field(m, "z"), "count", 3), "'z' must be one FLOAT32"),
    "no count": (lambda m: setattr(field(m, "x"), "count", 0), "'x' must be one FLOAT32"),
    "unknown type": (lambda m: setattr(field(m, "ring"), "datatype", 9), "datatype from 1 to 8, got 9"),
    "huge count": (lambda m: setattr(field(m, "ring"), "count", 2**32 - 1), "within point_step"),
    "outside": (lambda m: setattr(field(m, "time"), "offset", 19), "ends at byte 23"),
    "step of 0": (lambda m: setattr(m, "point_step", 0), "within point_step, 0 bytes"),
    "step too small": (lambda m: setattr(m, "point_step", 16), "within point_step, 16 bytes"),
    "step too large": (lambda m: setattr(m, "point_step", 23), "must have 161 bytes of data, got 154"),
    "huge step": (lambda m: setattr(m, "point_step", 2**32 - 1), "at most 65536 bytes"),
    "one byte short": (lambda m: m.data.pop(), "154 bytes of data, got 153"),
    "no data": (lambda m: setattr(m, "data", array("B")), "154 bytes of data, got 0"),
    "too wide": (lambda m: setattr(m, "width", 2**32 - 1), "bytes of data, got 154"),
    "row too short": (lambda m: (setattr(m, "height", 2), setattr(m, "row_step", 100)), "row_step must be at least"),
    "rows missing": (lambda m: setattr(m, "height", 2), "2 rows of 7 points must have 308 bytes of data, got 154"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_wrong_cloud_is_refused_in_one_sentence(case):
    harm, sentence = REFUSED[case]
    msg, _ = build(VELODYNE, 22)
    read_xyz(msg)
    harm(msg)
    with pytest.raises(MessageError) as error:
        read_xyz(msg)
    assert sentence in str(error.value) and "\n" not in str(error.value)


def test_what_is_harmless_is_read():
    msg, values = build(VELODYNE, 22)
    msg.row_step = 0  # of no use with one row
    msg.data.extend(b"tail")
    msg.fields += [
        PointField(name="", offset=22, datatype=1, count=0),
        PointField(name="_", offset=3, datatype=2, count=2),
    ]
    msg.fields += [PointField(name="_", offset=5, datatype=2, count=2)]
    xyz, _ = read_xyz(msg)
    np.testing.assert_array_equal(xyz[:, 0], values["x"])
    assert [f.name for f in labeled_cloud(msg, answer(7), COLOURS).fields[6:9]] == ["", "_", "_"]


def test_an_array_of_intensities_is_not_the_intensity():
    msg, _ = build(XYZI[:3] + (("i", "u1", 12), ("reflectivity", "u1", 14)), 16)
    field(msg, "i").count = 2
    assert np.array_equal(read_xyz(msg)[1], np.frombuffer(msg.data, np.uint8).reshape(7, 16)[:, 14])


def test_mutated_messages_are_answered_or_refused_and_nothing_else():
    rng = np.random.default_rng(7)
    outcomes = {"answered": 0, "refused": 0}
    for _ in range(1000 if os.environ.get("ROS_PYTHON_CHECK_FIELDS") else 10_000):
        msg = mutated(rng)
        try:
            xyz, intensity = read_xyz(msg)
        except MessageError:
            outcomes["refused"] += 1
            continue
        out = labeled_cloud(msg, answer(len(xyz)), COLOURS)
        assert len(xyz) == msg.height * msg.width and (intensity is None or len(intensity) == len(xyz))
        assert len(out.data) == out.point_step * len(xyz)
        with np.errstate(all="ignore"):  # random bytes are signalling NaN, too
            elsewhere = moved(msg, msg.header, np.eye(3), np.ones(3))
        assert len(subset(elsewhere, np.ones(len(xyz), bool)).data) == msg.point_step * len(xyz)
        outcomes["answered"] += 1
    assert min(outcomes.values()) > 100, outcomes


def test_a_made_cloud_is_read_back():
    xyz = np.random.default_rng(0).normal(size=(9, 3)).astype(np.float32)
    got, none = read_xyz(make_cloud(Header(frame_id="map"), xyz))
    np.testing.assert_array_equal(got, xyz)
    assert none is None
    msg = make_cloud(Header(frame_id="map"), xyz, np.arange(9, dtype=np.uint8))
    np.testing.assert_array_equal(read_xyz(msg)[1], np.arange(9))
    assert msg.is_dense and type(msg.data) is array


def thing(instance, label):
    centre, size = np.float32([1, 2, 3]), np.float32([4, 2, 1.5])
    return Object(instance, label, NAMES[label - 1], 0.876, centre, size, math.pi / 2, 9)


def test_markers_of_objects():
    header = Header(stamp=Time(sec=5), frame_id="lidar")
    array_ = markers(header, [thing(3, 4), thing(8, 5)], COLOURS, 1.25, gone=[1]).markers
    assert [(m.ns, m.id, m.action) for m in array_[:2]] == [("boxes", 1, Marker.DELETE), ("names", 1, Marker.DELETE)]
    box, name = array_[2:4]
    assert (box.ns, box.id, box.type, box.action) == ("boxes", 3, Marker.CUBE, Marker.ADD)
    assert (name.ns, name.id, name.type) == ("names", 3, Marker.TEXT_VIEW_FACING)
    assert name.text == "vehicle 88%"
    assert (box.scale.x, box.scale.y, box.scale.z) == (4.0, 2.0, 1.5)
    assert box.pose.orientation.z == pytest.approx(math.sin(math.pi / 4)) and box.pose.orientation.x == 0
    assert name.pose.position.z > box.pose.position.z + box.scale.z / 2
    assert [round(c * 255) for c in (box.color.r, box.color.g, box.color.b)] == COLOURS[4].tolist()
    assert 0 < box.color.a < name.color.a == 1
    assert (box.lifetime.sec, box.lifetime.nanosec) == (1, 250_000_000)
    assert all(m.header == header for m in array_) and len(array_) == 6


def test_all_of_this_with_the_field_checks_of_older_distributions():
    """Humble always checks types; newer ones only when asked, so a wrong type would go unseen there."""
    env = {**os.environ, "ROS_PYTHON_CHECK_FIELDS": "1", "BIPOINTNET_REQUIRE": "ros"}
    call = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-k", "not all_of_this", __file__]
    run = subprocess.run(call, env=env, capture_output=True, text=True, timeout=120)
    assert run.returncode == 0, run.stdout[-3000:]


@pytest.mark.parametrize("big", (False, True))
def test_a_subset_is_the_same_points_unorganised(big):
    msg, values = build(VELODYNE, 22, 3, 5, pad=4, big=big)
    rows = np.arange(15) % 3 == 1
    out = subset(msg, rows)
    assert (out.height, out.width, out.point_step, out.row_step) == (1, 5, 22, 110) and out.header == msg.header
    for name, got in decode(out).items():
        assert got.tobytes() == values[name][rows].tobytes()
    assert len(subset(msg, np.zeros(15, bool)).data) == 0


@pytest.mark.parametrize("big", (False, True), ids=("little", "big"))
@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_moved_cloud_has_other_coordinates_and_nothing_else(layout, big):
    columns, step = LAYOUTS[layout]
    msg, values = build(columns, step, 3, 5, pad=4, big=big)
    before = bytes(msg.data)
    rows = np.frombuffer(msg.data, np.uint8).reshape(3, -1)[:, : 5 * step].reshape(15, step)
    turn, shift = np.array([[0.0, -1.0, 0.0], [0.6, 0.0, 0.8], [-0.8, 0.0, 0.6]]), np.array([100.0, 2.0, -3.0])
    header = Header(stamp=msg.header.stamp, frame_id="map")
    out = moved(msg, header, turn, shift)
    assert bytes(msg.data) == before
    assert (out.header, out.height, out.width, out.fields, out.is_dense) == (header, 3, 5, msg.fields, msg.is_dense)
    xyz = np.stack([values[a].astype(np.float64) for a in "xyz"], axis=1) @ turn.T + shift
    got = decode(out)
    for i, axis in enumerate("xyz"):
        np.testing.assert_allclose(got[axis], xyz[:, i], rtol=1e-6)
    other = np.ones(step, bool)
    for name, kind, offset in columns:
        other[offset : offset + np.dtype(kind).itemsize] = name not in "xyz"
    np.testing.assert_array_equal(np.frombuffer(out.data, np.uint8).reshape(15, step)[:, other], rows[:, other])


def test_points_that_are_not_finite_are_not_moved():
    msg, values = build(XYZI, 16)
    words = np.frombuffer(msg.data, "<u4").reshape(7, 4)
    words[2, 1], words[5, 0] = 0x7FC0BEEF, 0x7F800000
    out = moved(msg, Header(frame_id="map"), np.eye(3)[::-1], np.zeros(3))
    kept = np.frombuffer(out.data, "<u4").reshape(7, 4)
    np.testing.assert_array_equal(kept[[2, 5]], words[[2, 5]])
    np.testing.assert_array_equal(decode(out)["x"][:2], values["z"][:2])
    assert len(moved(build(XYZI, 16, width=0)[0], Header(), np.eye(3), np.zeros(3)).data) == 0


def test_objects_as_detections_of_vision_msgs(monkeypatch):
    """With stand-ins that have vision_msgs 4's names, for PyPI has no vision_msgs."""
    if find_spec("vision_msgs") is None:
        stand_in = ModuleType("vision_msgs.msg")
        for name in ("BoundingBox3D", "Detection3D", "Detection3DArray"):
            setattr(stand_in, name, type(name, (SimpleNamespace,), {}))
        made = lambda: SimpleNamespace(hypothesis=SimpleNamespace(), pose=SimpleNamespace())  # noqa: E731
        stand_in.ObjectHypothesisWithPose = made
        monkeypatch.setitem(sys.modules, "vision_msgs", ModuleType("vision_msgs"))
        monkeypatch.setitem(sys.modules, "vision_msgs.msg", stand_in)
    from bipointnet_ros.ros.detections import detections

    header = Header(frame_id="lidar")
    (one, two) = detections(header, [thing(3, 4), thing(8, 5)]).detections
    assert (one.id, one.results[0].hypothesis.class_id) == ("3", "vehicle")
    assert one.results[0].hypothesis.score == pytest.approx(0.876) and two.header == header
    assert (one.bbox.size.x, one.bbox.center.position.z) == (4.0, 3.0)
    assert one.bbox.center.orientation.z == pytest.approx(math.sin(math.pi / 4))
