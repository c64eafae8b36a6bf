"""Filters, levelling, sampling, and answers spread back to every point."""

import numpy as np
import pytest

from bipointnet_ros.core import kernels, points
from bipointnet_ros.core.config import Config


@pytest.fixture
def cloud():
    return np.random.default_rng(0).uniform(-20, 20, (5000, 3)).astype(np.float32)


def test_keep_drops_what_is_not_finite_or_out_of_range():
    xyz = np.float32([[1, 0, 0], [np.nan, 0, 0], [np.inf, 0, 0], [0.1, 0, 0], [300, 0, 0], [3e38, 3e38, 0], [0, -2, 0]])
    assert points.keep(xyz, Config()).tolist() == [True, False, False, False, False, False, True]


def test_keep_takes_the_region_and_leaves_the_ego_box(cloud):
    region, ego = np.full(3, 5.0), np.ones(3)
    config = Config(region_min=tuple(-region), region_max=tuple(region), ego_min=tuple(-ego), ego_max=tuple(ego))
    kept = cloud[points.keep(cloud, config)]
    largest = np.abs(kept).max(1)
    assert 0 < len(kept) and (largest <= 5.0).all() and (largest > 1.0).all()


def test_levelling_turns_a_tilted_floor_flat():
    roll, pitch = 0.2, -0.3
    level = points.levelling(roll, pitch)
    floor = np.random.default_rng(0).uniform(-9, 9, (100, 3)).astype(np.float32) * [1, 1, 0]
    tilted = floor @ level  # as the mounted sensor sees it
    assert np.abs(tilted[:, 2]).max() > 0.5
    np.testing.assert_allclose(tilted @ level.T, floor, atol=1e-5)
    assert np.linalg.det(level) == pytest.approx(1.0, abs=1e-6)


def test_normalised_clouds_touch_the_unit_sphere(cloud):
    ball = points.normalised(cloud.reshape(5, 1000, 3))
    np.testing.assert_allclose(np.linalg.norm(ball, axis=2).max(1), 1.0, rtol=1e-5)
    np.testing.assert_allclose(ball.mean(1), 0.0, atol=1e-5)
    assert not points.normalised(np.ones((1, 7, 3), np.float32)).any()


def test_second_order_is_coordinates_and_their_products():
    clouds, out = np.float32([[[2, 3, 5], [-1, 0.5, 4]]]), np.empty((1, 2, 9), np.float32)
    assert points.told(clouds, points.SECOND_ORDER, out) is out
    assert (points.told(clouds, points.COORDINATES) == clouds).all()
    assert out.tolist() == [[[2, 3, 5, 4, 9, 25, 6, 10, 15], [-1, 0.5, 4, 1, 0.25, 16, -0.5, -4, 2]]]
    assert points.SECOND_ORDER == ("x", "y", "z", "xx", "yy", "zz", "xy", "xz", "yz")


@pytest.mark.parametrize("method", points.SAMPLINGS)
def test_samples_are_distinct_and_repeatable(cloud, method):
    rows = points.sample(cloud, 256, method, seed=3)
    assert len(np.unique(rows)) == 256
    assert (rows == points.sample(cloud, 256, method, seed=3)).all()
    assert (rows != points.sample(cloud, 256, method, seed=4)).any()


@pytest.mark.parametrize("method", points.SAMPLINGS)
@pytest.mark.parametrize("n", [1, 2, 100, 256, 257])
def test_every_size_gives_the_count_asked_for(method, n):
    xyz = np.random.default_rng(n).normal(size=(n, 3)).astype(np.float32)
    rows = points.sample(xyz, 256, method)
    assert rows.shape == (256,) and rows.min() >= 0 and rows.max() < n
    assert len(np.unique(rows)) == min(n, 256)


@pytest.mark.parametrize("method", points.SAMPLINGS)
def test_coinciding_points_can_be_sampled(method):
    rows = points.sample(np.ones((1000, 3), np.float32), 64, method)
    assert len(np.unique(rows)) == (1 if method == "farthest" else 64)


def test_an_unknown_sampling_is_named(cloud):
    with pytest.raises(ValueError, match="sampling must be one of random, voxel, farthest, got 'poisson'"):
        points.sample(cloud, 10, "poisson")


def test_farthest_samples_cover_better_than_random_ones(cloud):
    def gap(method):
        chosen = cloud[points.sample(cloud, 64, method)]
        return np.linalg.norm(cloud[:, None] - chosen[None], axis=2).min(1).max()

    assert gap("farthest") < 0.9 * gap("random")


def test_farthest_is_the_greedy_choice_of_its_pool():
    xyz = np.random.default_rng(1).normal(size=(300, 3)).astype(np.float32)
    rows = points.farthest(xyz, 40, np.random.default_rng(0))  # 300 < 8 * 40: the pool is the cloud
    for i in range(1, 40):
        nearest = np.linalg.norm(xyz[:, None] - xyz[rows[:i]][None], axis=2).min(1)
        assert nearest[rows[i]] == pytest.approx(nearest.max(), rel=1e-5)


def test_voxels_hold_one_point_each(cloud):
    rows = points.voxel(cloud, 2.0)
    cells = np.floor(cloud / 2.0)
    assert len(rows) == len(np.unique(cells, axis=0)) == len(np.unique(cells[rows], axis=0))


def test_answers_are_near_and_samples_answer_themselves(cloud):
    sampled = points.sample(cloud, 1500, "random")
    answer = points.answers(cloud, sampled, 1.0, doublings=2)
    assert (answer[sampled] == np.arange(1500)).all()
    answered = answer >= 0
    assert 0.7 < answered.mean() < 1.0
    away = np.linalg.norm(cloud[answered] - cloud[sampled[answer[answered]]], axis=1)
    assert away.max() <= 4.0 * np.sqrt(3.0) + 1e-4


@pytest.mark.parametrize("name", kernels.available())
def test_every_backend_samples_and_answers_alike(cloud, name):
    backend = kernels.choose(name)
    for method in points.SAMPLINGS:
        want = points.sample(cloud, 300, method, seed=1)
        assert (points.sample(cloud, 300, method, seed=1, backend=backend) == want).all()
        answer = points.answers(cloud, want, 1.0, backend=backend)
        assert (answer == points.answers(cloud, want, 1.0)).all()


def test_without_samples_nothing_is_answered(cloud):
    assert (points.answers(cloud, np.zeros(0, np.int64), 1.0) == -1).all()


def test_spread_leaves_unanswered_points_zero():
    assert points.spread(np.uint16([7, 9]), np.int32([1, -1, 0])).tolist() == [9, 0, 7]


def test_a_million_points_take_bounded_time():
    from time import perf_counter

    xyz = np.random.default_rng(0).uniform(-50, 50, (1_000_000, 3)).astype(np.float32)
    begin = perf_counter()
    for method in points.SAMPLINGS:
        points.sample(xyz, 1024, method)
    assert perf_counter() - begin < 20.0
