"""Files through the pipeline: the same answer as in memory, one file each, and what a model is made of."""

import fabricate
import numpy as np
import pytest

from bipointnet_ros import offline
from bipointnet_ros.arrays import FileError
from bipointnet_ros.core import model_file
from bipointnet_ros.core.blueprint import Grid, cell_segmenter, vanilla
from bipointnet_ros.core.config import Config

INPUTS = ("height", "range", "density")


@pytest.fixture
def segmenter(tmp_path):
    path = tmp_path / "seg.safetensors"
    model_file.write(path, fabricate.model(cell_segmenter(INPUTS, 4, Grid(0.2, (4, 12)), width=64), points=500))
    return str(path)


@pytest.fixture
def classifier(tmp_path):
    path = tmp_path / "cls.safetensors"
    model_file.write(path, fabricate.model(vanilla(3, (64, 64, 128, 64, 64)), points=32))
    return str(path)


def cloud(seed=0, count=3000):
    rng = np.random.default_rng(seed)
    return (rng.uniform(-20, 20, (count, 3)) * (1, 1, 0.1)).astype(np.float32)


def test_a_file_is_labelled_as_its_points_are(tmp_path, segmenter):
    pipe = offline.pipeline(Config(model=segmenter))
    xyz = cloud()
    xyz[7] = np.nan
    np.save(tmp_path / "a.npy", xyz)
    (one,) = offline.label(pipe, [tmp_path / "a.npy"], tmp_path / "out")
    expected = pipe.process(xyz)
    assert one.milliseconds > 0 and len(set(expected.label.tolist())) > 1
    with np.load(tmp_path / "out" / "a.labels.npz") as written:
        for name in ("label", "instance", "confidence"):
            np.testing.assert_array_equal(written[name], getattr(expected, name))
        np.testing.assert_array_equal(written["xyz"], xyz)
        assert written["classes"].tolist() == list(pipe.model.classes) and written["label"][7] == 0


def test_several_files_and_a_name_twice(tmp_path, segmenter):
    pipe = offline.pipeline(Config(model=segmenter))
    for folder in ("x", "y"):
        (tmp_path / folder).mkdir()
        np.save(tmp_path / folder / "a.npy", cloud())
    np.save(tmp_path / "b.npy", cloud(1))
    done = list(offline.label(pipe, [tmp_path / "x/a.npy", tmp_path / "b.npy"], tmp_path))
    assert [one.source for one in done] == [str(tmp_path / "x/a.npy"), str(tmp_path / "b.npy")]
    with pytest.raises(FileError, match=r"a\.labels\.npz"):
        next(offline.label(pipe, [tmp_path / "x/a.npy", tmp_path / "y/a.npy"], tmp_path))


def test_a_classifier_of_whole_clouds_has_no_range(classifier):
    """A cloud of 5 cm around the origin, and one a hundred metres long, are answered at every point."""
    pipe = offline.pipeline(Config(model=classifier))
    for scale in (0.001, 20.0):
        assert (pipe.process(cloud() * np.float32(scale)).label > 0).all()
    clusters = offline.pipeline(Config(model=classifier, split="clusters"))
    assert clusters.config.range_min == Config().range_min


def test_description(segmenter, classifier):
    for path in (segmenter, classifier):
        it = offline.describe(path, "numpy")
        assert it.backend == "numpy" and it.scratch_bytes > 0
        assert it.weight_bytes < it.file_bytes < it.weight_bytes + 4096
