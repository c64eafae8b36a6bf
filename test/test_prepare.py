"""Raw sets to the two forms: splits, classes, units; on small made files of the raw layout."""

import json
import zlib
from pathlib import Path

import numpy as np
import pytest

from bipointnet_ros import dataset
from bipointnet_ros.training import prepare

CLASSES = ("ground", "vegetation", "structure", "vehicle", "person", "pole")


def written(folder, name, split):
    return dataset.read(Path(folder) / f"{name}_{split}.npz")


def run(name, source, target):
    return {Path(path).stem: arrays for path, arrays in prepare.prepare(name, source, target)}


def names(*values):
    return np.array([v.encode() for v in values])


@pytest.fixture
def folder(tmp_path):
    return tmp_path


def test_modelnet40_keeps_the_official_test_and_holds_out_every_tenth(folder):
    rng = np.random.default_rng(0)
    for split, n in (("train", 50), ("test", 7)):
        np.savez(
            folder / f"modelnet40_1024_{split}.npz",
            points=rng.integers(-8191, 8192, (n, 16, 3), dtype=np.int16),
            scale=np.float32(1 / 8191),
            labels=(np.arange(n) % 2).astype(np.uint8),
            classes=names("chair", "table"),
        )
    out = run("modelnet40", folder, folder / "out")
    assert {k: len(v["points"]) for k, v in out.items()} == {
        "modelnet40_val": 6,
        "modelnet40_train": 44,
        "modelnet40_test": 7,
    }
    val = written(folder / "out", "modelnet40", "val")
    with np.load(folder / "modelnet40_1024_train.npz") as raw:
        held = [0, 1, 20, 21, 40, 41]  # the first, eleventh, twenty-first of each class
        np.testing.assert_allclose(val.points, raw["points"][held] / 8191.0, atol=1e-6)
    assert val.classes == ("chair", "table") and val.labels.tolist() == [0, 1] * 3


def pandaset(folder, frames=(0, 43, 44, 63), n=30):
    rng, count = np.random.default_rng(0), len(frames)
    np.savez(
        folder / "pandaset_002_pandar64.npz",
        xyz_cm=rng.integers(-9000, 9000, (count * n, 3), dtype=np.int16),
        intensity=rng.integers(0, 256, count * n).astype(np.uint8),
        label=np.tile(np.arange(6), count * n // 6).astype(np.uint8),
        offsets=np.arange(count + 1, dtype=np.int32) * n,
        frame=np.uint8(frames),
        classes=names("", "Road", "Vegetation", "Car", "Reflection", "Signs"),
        stamp=np.float64(frames) / 10.0,
        cuboid_frame=np.uint8(frames),
        cuboid_uuid=names("b", "x", "a", "b"),
        cuboid_label=names("Car", "Cones", "Pedestrian", "Car"),
        cuboid_xyzlwhyaw=np.arange(28, dtype=np.float32).reshape(4, 7),
    )


def test_pandaset_is_split_by_time_with_names_decoded_and_boxes(folder):
    pandaset(folder)
    out = run("pandaset", folder, folder / "out")
    train, val = written(folder / "out", "pandaset", "train"), written(folder / "out", "pandaset", "val")
    assert len(train) == len(val) == 2 and train.classes == CLASSES
    assert train.label[:6].tolist() == [255, 0, 1, 3, 255, 5]
    with np.load(folder / "pandaset_002_pandar64.npz") as raw:
        np.testing.assert_allclose(train.xyz, raw["xyz_cm"][:60] / 100.0, atol=1e-5)
        np.testing.assert_allclose(val.intensity, raw["intensity"][60:] / 255.0, atol=1e-6)
        box = raw["cuboid_xyzlwhyaw"]
    held = out["pandaset_val"]
    np.testing.assert_array_equal(held["boxes"], box[[2, 3]])
    assert held["box_frame"].tolist() == [0, 1] and held["box_class"].tolist() == [4, 3]
    assert out["pandaset_train"]["box_class"].tolist() == [3]  # cones are no class
    assert out["pandaset_train"]["box_track"].tolist() == [1] and held["box_track"].tolist() == [0, 1]
    assert val.stamp.tolist() == [4.4, 6.3] and val.boxes_of(1)[1] == ["vehicle"]


def image(folder, name, frames):
    rng = np.random.default_rng(frames)
    xyz = rng.integers(1, 500, (frames, 4, 8, 3), dtype=np.int16)
    xyz[:, 0, :3] = 0  # no return, though labelled
    np.savez(
        folder / name,
        xyz_cm=xyz,
        intensity=np.full((frames, 4, 8), 51, np.uint8),
        label=np.broadcast_to(np.arange(8, dtype=np.uint8) % 3, (frames, 4, 8)),
        classes=names("Road", "Person", "Bus"),
    )


def test_ika_drops_cells_without_return_and_ignores_its_persons(folder):
    image(folder, "ika_vlp32_semseg_train.npz", 3)
    image(folder, "ika_vlp32_semseg_val.npz", 2)
    run("ika", folder, folder / "out")
    val = written(folder / "out", "ika", "val")
    assert val.offsets.tolist() == [0, 29, 58] and (val.xyz != 0).any(1).all()
    assert set(val.label) == {0, 3, 255} and val.intensity[0] == pytest.approx(0.2)


def test_semantickitti_tests_on_the_full_scans_and_never_holds_a_copy_of_them_out(folder):
    image(folder, "semantickitti_sample_train.npz", 21)
    np.savez(
        folder / "semantickitti_full_scans.npz",
        xyz_cm=np.ones((9, 3), np.int16),
        intensity=np.zeros(9, np.uint8),
        label=np.zeros(9, np.uint8),
        offsets=np.int32([0, 3, 6, 9]),
        classes=names("road"),
    )
    run("semantickitti", folder, folder / "out")
    sizes = {split: len(written(folder / "out", "semantickitti", split)) for split in ("train", "val", "test")}
    assert sizes == {"train": 3 + 9, "val": 9, "test": 3}
    with np.load(folder / "semantickitti_sample_train.npz") as raw:
        first = raw["xyz_cm"][12][(raw["xyz_cm"][12] != 0).any(-1)] / 100.0
    np.testing.assert_allclose(written(folder / "out", "semantickitti", "val").scan(0)[0], first, atol=1e-5)


def ragged(rng, sizes):
    return np.concatenate([[0], np.cumsum(sizes)]).astype(np.int32), rng.integers(-200, 200, (sum(sizes), 3)).astype(
        np.int16
    )


def test_crops_keep_an_instance_on_one_side(folder):
    rng = np.random.default_rng(0)
    offsets, xyz = ragged(rng, [25] * 40)
    instance = np.array([f"track{i // 2}".encode() for i in range(40)])
    np.savez(
        folder / "lidar_object_crops.npz",
        xyz_cm=xyz,
        offsets=offsets,
        labels=np.uint8([0, 1, 2, 3] * 10),
        instance=instance,
        classes=names("car", "van", "bush", "pedestrian"),
        source=np.repeat(np.uint8([0, 1]), 20),
        sources=names("pandaset_002", "kitti"),
    )
    out = run("crops", folder, folder / "out")
    held = [zlib.crc32(name) % 5 == 0 for name in instance]
    known = [i % 4 != 2 for i in range(40)]
    assert len(out["crops_val"]["points"]) == sum(h and k for h, k in zip(held, known))
    assert len(out["crops_train"]["points"]) == sum(k and not h for h, k in zip(held, known))
    assert len(out["crops_pandaset"]["points"]) == sum(k and not h for h, k in zip(held[:20], known))
    train = written(folder / "out", "crops", "train")
    assert train.points.shape[1:] == (1024, 3) and set(train.labels) <= {0, 2}
    assert len(np.unique(train.points[0], axis=0)) == 25  # all of the crop, repeated
    things = [name for name, h, k in zip(instance, held, known) if k and not h]
    assert (out["crops_train"]["thing"] == np.unique(instance).searchsorted(things)).all()


def test_lidarnet_stands_upright_in_metres_and_copies_stay_together(folder):
    points = np.float32([[5, 10, 0], [0, 0, 0], [0, 0, 5]] * 10)
    np.savez(
        folder / "lidarnet_v2_objects.npz",
        points=points,
        offsets=np.arange(0, 31, 3, dtype=np.int32),
        labels=np.zeros(10, np.uint8),
        origin=np.repeat(np.float32([[1, 2, 3], [40, 5, 6]]), 5, 0),
        classes=names("pole"),
    )
    out = run("lidarnet", folder, folder / "out")
    sides = {split: len(out[f"lidarnet_{split}"]["points"]) for split in ("train", "val")}
    assert sum(sides.values()) == 10 and set(sides.values()) <= {0, 5, 10}
    some = next(out[f"lidarnet_{split}"]["points"] for split in sides if sides[split])
    assert some[0, :, 2].max() == pytest.approx(2.0) and some[0, :, 1].min() == pytest.approx(-1.0)


def test_kitti_labels_objects_only(folder):
    rows = np.float32([[0, 1, 9, 0, 0, 4, 2, 2, 0, 0, 0, 50], [1, 9, 5, 0, 0, 1, 1, 1, 0, 0, 0, 5]])
    np.savez(
        folder / "kitti_object_100_fov.npz",
        xyz_cm=np.ones((4, 3), np.int16),
        intensity=np.zeros(4, np.uint8),
        label=np.uint8([0, 1, 2, 0]),
        offsets=np.int32([0, 2, 4]),
        classes=names("background", "Car", "Pedestrian"),
        box_frame_class_xyzlwhyaw_trunc_occ_npts=rows,
    )
    out = run("kitti_object", folder, folder / "out")["kitti_object_val"]
    assert out["label"].tolist() == [255, 3, 4, 255]
    assert out["boxes"].shape == (1, 7) and out["box_class"].tolist() == [3]


# ----------------------------------------------------------------------------------------------------------- mistakes


def test_a_missing_file_is_one_sentence(folder, capsys):
    assert prepare.main(["ika", str(folder), str(folder / "out")]) == 2
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1 and "expected ika_vlp32_semseg_train.npz in" in lines[0]


def test_a_wrong_file_names_what_it_lacks(folder):
    np.savez(folder / "ika_vlp32_semseg_train.npz", cloud=np.zeros(3))
    with pytest.raises(prepare.PrepareError, match="expected xyz_cm, intensity, label, classes in .* found cloud"):
        run("ika", folder, folder / "out")


def test_an_unknown_set_is_named(folder):
    with pytest.raises(prepare.PrepareError, match="expected one of modelnet40, pandaset, .*, got 'waymo'"):
        run("waymo", folder, folder)


def test_every_class_of_the_table_exists():
    table = json.loads((Path(prepare.__file__).parent / "classes.json").read_text())
    assert tuple(table["classes"]) == CLASSES and table["ignored"] == dataset.IGNORED
    for name in ("pandaset", "ika", "semantickitti", "kitti_object"):
        assert set(table[name].values()) <= set(CLASSES)
