"""From raw points to labels and objects: every point answered, nothing crashes, the same cloud, the same answer."""

import fabricate
import numpy as np
import pytest

from bipointnet_ros.core import features, kernels, model_file, object_features
from bipointnet_ros.core.blueprint import Grid, cell_classifier, cell_segmenter, vanilla
from bipointnet_ros.core.config import Config
from bipointnet_ros.core.kernels import BackendError
from bipointnet_ros.core.model_file import ModelFileError
from bipointnet_ros.core.pipeline import CloudError, Pipeline
from bipointnet_ros.core.points import levelling

SEGMENTER = cell_segmenter(features.INPUTS[:8], 3, Grid(0.2, (4, 12)), width=64)
CLASSIFIER = vanilla(4, (16, 32, 64, 32, 16))
OBJECTS = cell_classifier(object_features.names(Grid(0.2, (3,))), 4, Grid(0.2, (3,)), (32, 64, 64, 32, 16))
NAMES = ["segmenter", "classifier", "objects"]


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models")
    for name, blueprint in zip(NAMES, (SEGMENTER, CLASSIFIER, OBJECTS)):
        model_file.write(folder / f"{name}.safetensors", fabricate.model(blueprint, seed=7))
    return {name: str(folder / f"{name}.safetensors") for name in NAMES}


def street(rng, n=4000):
    """Flat ground with two boxes on it: (n, 3) float32 [m]."""
    ground = np.c_[rng.uniform(-15, 15, (n // 2, 2)), rng.normal(0, 0.01, n // 2)]
    boxes = [rng.uniform((x, y, 0.0), (x + 2.0, y + 1.5, 1.6), (n // 4, 3)) for x, y in ((4, 3), (-8, -5))]
    return np.concatenate([ground, *boxes]).astype(np.float32)


@pytest.mark.parametrize("name", NAMES)
def test_every_point_is_answered_and_twice_the_same(models, name):
    cloud = street(np.random.default_rng(0))
    pipeline = Pipeline(Config(model=models[name], threads=1))
    result, again = pipeline.process(cloud), pipeline.process(cloud)
    assert result.label.shape == result.instance.shape == result.confidence.shape == (len(cloud),)
    assert (result.label.dtype, result.instance.dtype, result.confidence.dtype) == (np.uint16, np.uint32, np.float32)
    near = np.linalg.norm(cloud, axis=1) > 0.5
    assert (result.label[near] > 0).all() and (result.label[~near] == 0).all()
    assert ((result.confidence[near] > 0) & (result.confidence[near] <= 1)).all()
    for field in ("label", "instance", "confidence"):
        np.testing.assert_array_equal(getattr(result, field), getattr(again, field))
    assert result.sampled > 0 and all(v >= 0 for v in result.stages.values())


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("backend", kernels.available())
def test_backends_agree(models, name, backend):
    cloud = street(np.random.default_rng(1), 1200)
    expected = Pipeline(Config(model=models[name], backend="numpy", threads=1)).process(cloud)
    result = Pipeline(Config(model=models[name], backend=backend, threads=2)).process(cloud)
    np.testing.assert_array_equal(result.label, expected.label)
    np.testing.assert_array_equal(result.confidence, expected.confidence)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    "cloud",
    [
        np.zeros((0, 3)),
        np.full((7, 3), np.nan),
        np.array([[3.0, 0.0, 0.0]]),
        np.full((50, 3), 4.0),
        np.array([[np.inf, 0, 0], [1e30, 0, 0], [2, 2, 0], [-np.inf, np.nan, 0]]),
        np.c_[np.linspace(1, 200, 100), np.zeros((100, 2))],
    ],
    ids=["empty", "nan", "one", "equal", "wild", "line"],
)
def test_awkward_clouds(models, name, cloud):
    cloud = cloud.astype(np.float32)
    result = Pipeline(Config(model=models[name], threads=1)).process(cloud)
    near = np.isfinite(cloud).all(1) & (np.abs(cloud) < 250).all(1)
    np.testing.assert_array_equal(result.label > 0, near)


def test_points_out_of_range_region_and_on_the_vehicle_are_unknown(models):
    cloud = np.array([[0.1, 0, 0], [3, 0, 0], [3, 4, 0], [60, 0, 0], [-1, 0, 0]], np.float32)
    config = Config(
        model=models["segmenter"], range_max=50.0, region_min=(-5, -1, -1), region_max=(80, 1, 1),
        ego_min=(-2, -1, -1), ego_max=(0, 1, 1),
    )  # fmt: skip
    assert (Pipeline(config).process(cloud).label > 0).tolist() == [False, True, False, False, False]


def test_confidence_under_the_limit_is_unknown(models):
    cloud = street(np.random.default_rng(2))
    free = Pipeline(Config(model=models["segmenter"])).process(cloud)
    limit = float(np.median(free.confidence[free.label > 0]))
    strict = Pipeline(Config(model=models["segmenter"], min_confidence=limit)).process(cloud)
    np.testing.assert_array_equal(strict.label, np.where(free.confidence >= np.float32(limit), free.label, 0))


def test_intensity_counts_unless_the_parameter_says_no(tmp_path):
    blueprint = cell_segmenter(("height", "inside_x", "intensity"), 3, Grid(0.2, (4, 12)), width=64)
    path = str(tmp_path / "bright.safetensors")
    model_file.write(path, fabricate.model(blueprint, seed=7))
    rng = np.random.default_rng(4)
    cloud, intensity = street(rng), rng.random(4000).astype(np.float32)
    used, dark, ignored = (
        Pipeline(Config(model=path, threads=1, use_intensity=use)).process(cloud, strength)
        for use, strength in ((True, intensity), (True, None), (False, intensity))
    )
    np.testing.assert_array_equal(ignored.confidence, dark.confidence)
    assert (used.confidence != dark.confidence).mean() > 0.01


@pytest.mark.parametrize("sampling", ["random", "voxel", "farthest"])
@pytest.mark.parametrize("name", NAMES)
def test_sampling_is_repeatable_and_still_answers(models, name, sampling):
    cloud = street(np.random.default_rng(3))
    config = Config(model=models[name], sampling=sampling, points=900, seed=5, threads=1)
    first, second = Pipeline(config).process(cloud), Pipeline(config).process(cloud)
    np.testing.assert_array_equal(first.label, second.label)
    assert first.sampled <= 900 and (first.label > 0).mean() > 0.75


def test_classifier_of_clusters_names_what_stands_on_the_ground(models):
    cloud = street(np.random.default_rng(4))
    result = Pipeline(Config(model=models["classifier"], split="clusters", threads=1)).process(cloud)
    assert len(result.objects) == 2
    for thing in result.objects:
        rows = result.instance == thing.instance
        assert rows.sum() == thing.points and (result.label[rows] == thing.label).all()
        assert thing.name == f"class{thing.label - 1}"
    assert (result.label[result.instance == 0] == 0).all() and (cloud[result.instance > 0, 2] > 0.2).all()


def test_tilted_sensor_gives_the_answers_and_boxes_of_a_level_one(models):
    cloud = street(np.random.default_rng(6))
    roll, pitch = 0.2, -0.1
    rotation = levelling(roll, pitch)
    config = Config(model=models["classifier"], split="clusters", threads=1)
    level = Pipeline(config).process(cloud)
    tilted = Pipeline(config.replace(gravity_roll=roll, gravity_pitch=pitch)).process(cloud @ rotation)
    assert len(tilted.objects) == len(level.objects) == 2
    for a, b in zip(level.objects, tilted.objects):
        np.testing.assert_allclose(rotation @ b.centre, a.centre, atol=1e-3)
        x, y, z, w = b.quaternion()
        axis = np.array([1 - 2 * (y * y + z * z), 2 * (x * y + z * w), 2 * (x * z - y * w)])  # the box's own x axis
        np.testing.assert_allclose(rotation @ axis, [np.cos(b.yaw), np.sin(b.yaw), 0.0], atol=1e-5)


@pytest.mark.parametrize("name", ["segmenter", "classifier"])
def test_up_is_told_in_the_frame_of_the_cloud_whatever_the_parameters_say(models, name):
    cloud = street(np.random.default_rng(6))
    rotation = levelling(0.1, -0.1)
    config = Config(model=models[name], split="clusters", threads=1)
    for roll, pitch in ((0.0, 0.0), (0.1, -0.1)):
        result = Pipeline(config.replace(gravity_roll=roll, gravity_pitch=pitch)).process(cloud @ rotation)
        np.testing.assert_allclose(result.up, rotation[2], atol=0.02)
    assert Pipeline(config).process(cloud[:0]).up is None


def test_reconfiguring_shares_the_network(models):
    pipeline = Pipeline(Config(model=models["segmenter"]))
    other = pipeline.reconfigured(pipeline.config.replace(range_max=10.0))
    assert other._network is pipeline._network and other.config.range_max == 10.0
    swapped = pipeline.reconfigured(pipeline.config.replace(model=models["classifier"]))
    assert swapped.model.blueprint.task == "classification"


@pytest.mark.parametrize(
    "arguments",
    [
        (np.zeros((4, 3)),),
        (np.zeros((4, 2), np.float32),),
        ([[0, 0, 0]],),
        (np.zeros((4, 3), np.float32), np.zeros(3, np.float32)),
    ],
)
def test_not_a_cloud(models, arguments):
    with pytest.raises(CloudError):
        Pipeline(Config(model=models["classifier"])).process(*arguments)


def test_missing_model_and_backend_are_one_sentence():
    with pytest.raises(ModelFileError, match="no model 'nowhere'"):
        Pipeline(Config(model="nowhere"))
    with pytest.raises(BackendError, match="got 'fast'"):
        Pipeline(Config(backend="fast"))
