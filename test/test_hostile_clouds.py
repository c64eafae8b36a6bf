"""Whatever a sensor or a wire makes of a cloud: labelled or refused in one sentence, never a crash, in bounded time.

Bounds are of processor time and generous: a busy or a small machine keeps them, a quadratic step does not.
"""

import time
from pathlib import Path

import numpy as np
import pytest

from bipointnet_ros import dataset
from bipointnet_ros.core import clusters, ground, kernels, segments
from bipointnet_ros.core.config import Config
from bipointnet_ros.core.pipeline import CloudError, Pipeline
from bipointnet_ros.core.tracking import Tracker

DRIVE = Path(__file__).parent.parent / "demo" / "drive" / "pandaset_002_44-55.npz"
NAMES = ("ground", "vegetation", "structure", "vehicle", "person", "pole")
RNG = np.random.default_rng(0)
SCAN = dataset.read(DRIVE).scan(0)[0][::4]


def flat(n, z, spread=30.0):
    return np.c_[RNG.uniform(-spread, spread, (n, 2)), np.full(n, z)]


def ball(n):
    xyz = RNG.normal(size=(n, 3))
    return xyz / np.linalg.norm(xyz, axis=1, keepdims=True) * 5 + [12, 0, 40]


CLOUDS = {
    "empty": np.zeros((0, 3)),
    "a single point": [[5, 1, 0]],
    "two points": [[5, 1, 0], [5, 1, 9]],
    "a point at the sensor": [[0, 0, 0]],
    "nothing but ground": flat(20_000, -1.7),
    "no ground: a ball in the air": ball(20_000),
    "a wall and nothing else": np.c_[np.full(20_000, 8.0), RNG.uniform(-9, 9, 20_000), RNG.uniform(0, 5, 20_000)],
    "a line": np.c_[np.linspace(1, 80, 5000), np.zeros((5000, 2))],
    "a ceiling above and a floor below": np.r_[flat(9000, -0.3, 5), flat(9000, 2.2, 5)],
    "one point 50,000 times": np.full((50_000, 3), 7.0),
    "every point three times": np.repeat(SCAN, 3, 0),
    "NaN and nothing else": np.full((5000, 3), np.nan),
    "half NaN": np.where(RNG.random((len(SCAN), 1)) < 0.5, np.nan, SCAN),
    "infinite": np.where(RNG.random((len(SCAN), 3)) < 0.01, np.inf, SCAN),
    "far beyond every range": SCAN * 1e30,
    "upside down": SCAN * [1, -1, -1],
    "in millimetres": SCAN * 1000,
    "noise": RNG.uniform(-100, 100, (60_000, 3)),
}


@pytest.fixture(scope="module")
def pipeline():
    return Pipeline(Config(threads=1))


def answered(pipeline, xyz, seconds):
    """The answer, sound and within so many seconds of processor time."""
    xyz = np.ascontiguousarray(xyz, np.float32)
    begin = time.process_time()
    result = Tracker().follow(pipeline.process(xyz, np.ones(len(xyz), np.float32)), 0.0, "lidar", pipeline.config)
    assert time.process_time() - begin < seconds
    assert result.label.shape == result.instance.shape == result.confidence.shape == (len(xyz),)
    assert (result.label <= 6).all() and np.isfinite(result.confidence).all()
    assert not result.label[~np.isfinite(xyz).all(1)].any()
    assert set(np.unique(result.instance)) - {0} == {one.instance for one in result.objects}
    for one in result.objects:
        assert np.isfinite(np.r_[one.centre, one.size, one.yaw]).all() and (one.size > 0).all()
    return result


@pytest.mark.parametrize("name", CLOUDS)
def test_whatever_comes_is_answered(pipeline, name):
    answered(pipeline, CLOUDS[name], 10.0)


@pytest.mark.parametrize("name", ["nothing but ground", "no ground: a ball in the air", "one point 50,000 times"])
def test_what_is_no_scene_has_few_objects(pipeline, name):
    assert len(answered(pipeline, CLOUDS[name], 10.0).objects) <= 3


@pytest.mark.parametrize("spread", [15.0, 150.0])
def test_a_million_points(pipeline, spread):
    xyz = flat(1_000_000, 0.0, spread)
    xyz[::2, 2] = RNG.exponential(1.0, 500_000)
    result = answered(pipeline, xyz, 60.0)
    assert (result.label > 0).mean() > 0.9


@pytest.mark.parametrize("scans", [2, 12])
def test_noise_that_is_all_persons_has_a_bounded_number_of_objects(scans):
    """Tens of thousands of clusters of the size of a person, elsewhere in each scan."""
    backend, tracker, begin = kernels.choose(), Tracker(), time.process_time()
    for scan in range(scans):
        feet = RNG.uniform(-240, 240, (20_000, 2))
        xyz = np.c_[np.repeat(feet, 10, 0), np.tile(np.linspace(0.1, 1.7, 10), 20_000)].astype(np.float32)
        person = np.full(len(xyz), NAMES.index("person") + 1)
        _, objects = segments.objects(xyz, xyz[:, 2], person, np.ones(len(xyz), np.float32), NAMES, backend)
        assert 100 < len(objects) <= segments.MOST
        assert [one.instance for one in objects] == list(range(1, len(objects) + 1))
        tracker.numbered(objects, scan * 0.1, "lidar", 2.0)
    assert time.process_time() - begin < 3.0 * scans + 3.0


@pytest.mark.skipif(len(kernels.available()) == 1, reason="the engine is not built")
@pytest.mark.parametrize("spread", [5.0, 100.0, 249.0])
def test_a_million_points_cluster_in_bounded_time(spread):
    xy = RNG.uniform(-spread, spread, (1_000_000, 2)).astype(np.float32)
    begin = time.process_time()
    clusters.clusters(xy, 0.3, 0.007, kernels.choose())
    assert time.process_time() - begin < 15.0


def test_the_ground_of_a_wide_and_empty_world():
    """Two points at the ends of the world: the map between them is large, and must stay affordable."""
    begin = time.process_time()
    height = ground.height(np.float32([[-2000, -2000, 0], [2000, 2000, 3], [0, 0, 1]]))
    assert np.isfinite(height).all() and time.process_time() - begin < 10.0


@pytest.mark.parametrize("arguments", [
    (np.zeros((5, 2), np.float32),), (np.zeros((5, 3)),), ([[1, 2, 3]],), (np.zeros((5, 3), np.float32), np.zeros(4)),
])  # fmt: skip
def test_what_is_no_cloud_is_refused(pipeline, arguments):
    with pytest.raises(CloudError) as caught:
        pipeline.process(*arguments)
    assert "\n" not in str(caught.value)
