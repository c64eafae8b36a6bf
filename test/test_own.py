"""Clouds that a user has labelled, to scenes for training: forms, splits, what is refused."""

import numpy as np
import pytest

from bipointnet_ros import dataset, files
from bipointnet_ros.arrays import FileError
from bipointnet_ros.core.pipeline import Result

pytest.importorskip("torch", reason="the room of training needs it")

from bipointnet_ros.training import own  # noqa: E402

pytestmark = pytest.mark.torch
CLASSES = ("ground", "trolley")


def write(folder, i: int, label):
    """A cloud as ``bipointnet label`` writes it, in both forms."""
    n = len(label)
    xyz = np.random.default_rng(i).normal(size=(n, 3)).astype(np.float32)
    result = Result(np.array(label, np.uint16), np.zeros(n, np.uint32), np.ones(n, np.float32), (), {}, n)
    return xyz, files.write_labels(folder, f"drive.{i:06d}", xyz, 100.0 * xyz[:, 0] ** 2, result, CLASSES)


def test_what_label_wrote_and_an_editor_changed_is_prepared(tmp_path, capsys):
    """Five clouds; of the first the .ply is edited as CloudCompare saves it, of the second only the .npz is left."""
    clouds = [write(tmp_path / "clouds", i, [0, 1, 2, 2]) for i in range(5)]
    mended, _ = clouds[0][1][1], clouds[1][1][1].unlink()
    head = "ply\nformat ascii 1.0\nelement vertex 3\nproperty double x\nproperty double y\nproperty double z\n"
    head += "property float scalar_label\nproperty float scalar_intensity\n"
    mended.write_text(f"{head}end_header\n1 2 3 2 9\n4 5 6 0 9\nnan 8 9 1 9\n")
    arguments = [str(tmp_path / "clouds"), str(tmp_path / "data"), "--classes", *CLASSES, "--name", "mine"]
    assert own.main(arguments) == 0
    told = capsys.readouterr().out.splitlines()
    assert "4 clouds; ground 3, trolley 7, not labelled 4" in told[0] and "1 clouds; ground 1, trolley 2" in told[1]
    train, val = (dataset.read(tmp_path / f"data/mine_{part}.npz") for part in ("train", "val"))
    assert train.classes == val.classes == CLASSES and (len(train), len(val)) == (4, 1)
    assert train.scan(0)[0].tolist() == [[1, 2, 3], [4, 5, 6]] and train.scan(0)[2].tolist() == [1, 255]
    for f, (xyz, _) in enumerate(clouds[1:4], 1):
        np.testing.assert_array_equal(train.scan(f)[0], xyz)
        assert train.scan(f)[2].tolist() == [255, 0, 1, 1]
    np.testing.assert_array_equal(val.scan(0)[0], clouds[4][0])
    assert train.intensity.max() == 1.0 and np.ptp(train.intensity) > 0.5


@pytest.mark.parametrize(
    ("count", "classes", "words"), [(2, CLASSES[:1], "labels up to 1"), (1, CLASSES, "at least 2 labelled clouds")]
)
def test_what_does_not_fit_is_one_sentence(tmp_path, capsys, count, classes, words):
    for i in range(count):
        write(tmp_path, i, [1, 2])
    assert own.main([str(tmp_path), str(tmp_path / "data"), "--classes", *classes]) == 2
    told = capsys.readouterr().err
    assert words in told and told.count("\n") == 1


@pytest.mark.parametrize("row", ["1 2 3 -1", "1 2 3 1.5", "1 2 3 nan", "1 2 3 inf"])
def test_labels_that_are_none(tmp_path, row):
    head = "ply\nformat ascii 1.0\nelement vertex 1\nproperty float x\nproperty float y\nproperty float z\n"
    (tmp_path / "a.ply").write_text(f"{head}property float label\nend_header\n{row}\n")
    with pytest.raises(FileError, match="expected labels 0, 1, 2"):
        own.read(tmp_path / "a.ply")
    (tmp_path / "a.ply").write_text(f"{head}end_header\n1 2 3\n")
    with pytest.raises(FileError, match="expected a label for each point"):
        own.read(tmp_path / "a.ply")


def test_a_missing_folder_and_a_class_twice(tmp_path, capsys):
    assert own.main([str(tmp_path / "none"), str(tmp_path), "--classes", "a", "b"]) == 2
    assert own.main([str(tmp_path), str(tmp_path), "--classes", "a", "a"]) == 2
    assert capsys.readouterr().err.count("\n") == 2
