"""Labelled data in both forms: read right, or refused with one sentence."""

import numpy as np
import pytest

from bipointnet_ros import dataset
from bipointnet_ros.arrays import FileError

XYZ = np.arange(30, dtype=np.float32).reshape(10, 3)
OBJECTS = {"points": np.zeros((4, 8, 3)), "labels": np.array([0, 1, 1, 0]), "classes": np.array(["car", "tree"])}
SCENES = {
    "xyz": XYZ,
    "offsets": np.array([0, 4, 4, 10]),
    "label": np.array([0, 1, 255, 0, 0, 0, 1, 1, 1, 1], np.uint8),
    "intensity": np.linspace(0, 1, 10),
    "stamp": np.array([0.1, 0.2, 0.3]),
    "classes": np.array([b"ground", b"vehicle"]),
}
BOXED = {
    **SCENES,
    "boxes": np.array([[1, 2, 3, 4, 2, 1, 0.5], [5, 6, 7, 1, 1, 2, -0.5]]),
    "box_frame": np.array([2, 0]),
    "box_class": np.array([1, 0], np.uint8),
    "box_track": np.array([7, 3]),
}


def read(tmp_path, arrays):
    np.savez(tmp_path / "data.npz", **arrays)
    return dataset.read(tmp_path / "data.npz")


def test_objects(tmp_path):
    data = read(tmp_path, OBJECTS)
    assert isinstance(data, dataset.Objects) and len(data) == 4
    assert data.points.dtype == np.float32 and data.labels.tolist() == [0, 1, 1, 0] and data.classes == ("car", "tree")


def test_scenes(tmp_path):
    data = read(tmp_path, SCENES)
    assert isinstance(data, dataset.Scenes) and len(data) == 3 and data.classes == ("ground", "vehicle")
    assert data.stamp.tolist() == [0.1, 0.2, 0.3]
    xyz, intensity, label = data.scan(2)
    np.testing.assert_array_equal(xyz, XYZ[4:])
    np.testing.assert_allclose(intensity, np.linspace(0, 1, 10)[4:], rtol=1e-6)
    assert label.tolist() == [0, 0, 1, 1, 1, 1] and len(data.scan(1)[0]) == 0


def test_scenes_in_centimetres_and_bytes_without_labels(tmp_path):
    centimetres = (XYZ * 100).astype(np.int16)
    data = read(tmp_path, {"xyz_cm": centimetres, "offsets": [0, 10], "intensity": np.full(10, 51, np.uint8)})
    np.testing.assert_array_equal(data.xyz, XYZ)
    np.testing.assert_allclose(data.intensity, 0.2)
    assert data.label is None and data.scan(0)[2] is None and data.classes == ()


def test_boxes_of_a_scan(tmp_path):
    data = read(tmp_path, BOXED)
    boxes, names, tracks = data.boxes_of(2)
    np.testing.assert_array_equal(boxes, BOXED["boxes"][:1].astype(np.float32))
    assert names == ["vehicle"] and tracks.tolist() == [7]
    assert data.boxes_of(1)[0].shape == (0, 7) and read(tmp_path, SCENES).boxes is None


WRONG = {
    "neither form": {"cloud": XYZ},
    "points of two numbers": {**OBJECTS, "points": np.zeros((4, 8, 2))},
    "a label too many": {**OBJECTS, "labels": np.zeros(5, int)},
    "a label out of the classes": {**OBJECTS, "labels": np.array([0, 1, 2, 0])},
    "a negative label": {**OBJECTS, "labels": np.array([0, 1, -1, 0])},
    "float labels": {**OBJECTS, "labels": np.zeros(4)},
    "no classes": {"points": np.zeros((4, 8, 3)), "labels": np.zeros(4, int)},
    "a class twice": {**OBJECTS, "classes": np.array(["car", "car"])},
    "falling offsets": {**SCENES, "offsets": np.array([0, 5, 4, 10])},
    "offsets beyond the end": {**SCENES, "offsets": np.array([0, 4, 4, 11])},
    "offsets short of the end": {**SCENES, "offsets": np.array([0, 4, 4, 9])},
    "empty offsets": {**SCENES, "offsets": np.zeros(0, int)},
    "huge offsets": {**SCENES, "offsets": np.array([0, 2**64 - 1, 4, 10], np.uint64)},
    "labels that lack one": {**SCENES, "label": np.zeros(9, np.uint8)},
    "scene label out of the classes": {**SCENES, "label": np.full(10, 2, np.uint8)},
    "stamps that lack one": {**SCENES, "stamp": np.zeros(2)},
    "boxes without frames": {k: v for k, v in BOXED.items() if k != "box_frame"},
    "a box of six numbers": {**BOXED, "boxes": np.ones((2, 6))},
    "a box of no size": {**BOXED, "boxes": np.zeros((2, 7))},
    "a box that is nowhere": {**BOXED, "boxes": np.full((2, 7), np.nan)},
    "a box of a scan that is not there": {**BOXED, "box_frame": np.array([3, 0])},
    "a box of no class": {**BOXED, "box_class": np.array([2, 0])},
    "a track too few": {**BOXED, "box_track": np.array([7])},
    "text for points": {**SCENES, "xyz": np.full((10, 3), "x")},
}


@pytest.mark.parametrize("case", WRONG)
def test_wrong_data_is_one_sentence(tmp_path, case):
    with pytest.raises(FileError) as caught:
        read(tmp_path, WRONG[case])
    assert "\n" not in str(caught.value) and "data.npz" in str(caught.value)
