"""What a network sees of a training cloud: dropped, resampled, mixed, moved points."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.torch

from test_training import TINY, shapes  # noqa: E402

from bipointnet_ros.training import run, views  # noqa: E402
from bipointnet_ros.training.recipe import Recipe  # noqa: E402


def test_dropped_points_give_way_to_repetitions_as_in_the_pipeline(tmp_path):
    recipe = Recipe(**TINY, drop=0.9, scale=1.0, shift=0.0, turn=0.0, jitter=0.0)
    batches = list(run.start(tmp_path, shapes(96), None, recipe, {}).batches(0))
    distinct = [len(np.unique(cloud, axis=0)) for points, _ in batches for cloud in points.numpy()]
    assert {points.shape[1] for points, _ in batches} == {20}
    assert min(distinct) < 6 and max(distinct) > 16 and 2 <= min(distinct)


def test_resampled_points_lie_on_the_surface_of_their_neighbourhood_and_are_new():
    rng = np.random.default_rng(0)
    flat = rng.uniform(-1.0, 1.0, (3, 200, 3)).astype(np.float32)
    flat[..., 2] = np.arange(3)[:, None]
    surface = views.Surface(flat)
    given = np.linalg.norm(flat[0][:, None] - flat[0][None], axis=2)
    assert np.array_equal(np.sort(surface.neighbours[0], 1), np.sort(np.argsort(given, 1)[:, 1:5], 1))
    anew = surface.resampled(np.array([2, 0]), 100, rng)
    assert anew.shape == (2, 100, 3) and anew.dtype == np.float32
    np.testing.assert_allclose(anew[..., 2], [[2.0] * 100, [0.0] * 100], atol=1e-6)
    nearest = np.linalg.norm(anew[1][:, None] - flat[0][None], axis=2).min(1)
    assert 0.0 < nearest.max() < 0.4 and (nearest > 1e-4).mean() > 0.9


def test_mixed_clouds_carry_the_shares_of_their_points():
    rng = np.random.default_rng(3)
    points = np.repeat(np.arange(4, dtype=np.float32)[:, None, None], 50, 1) * np.ones(3, np.float32)
    together, shares = views.mixed(points, np.eye(4, dtype=np.float32), rng)
    found = np.stack([(together[..., 0] == k).mean(1) for k in range(4)], 1)
    np.testing.assert_allclose(shares, found, atol=1e-6)
    assert together.shape == points.shape and shares.max() < 1.0 and shares.max(1).min() >= 0.5


def test_augmentation_stays_within_its_bounds_and_differs_between_clouds():
    rng = np.random.default_rng(0)
    same = np.repeat(rng.normal(size=(1, 30, 3)).astype(np.float32), 50, 0)
    assert np.array_equal(views.Motion(1.0, 0.0, 0.0, 0.0)(same, rng), same)
    turned = views.Motion(1.0, 0.0, 90.0, 0.0)(same, rng)
    np.testing.assert_allclose(np.linalg.norm(turned, axis=2), np.linalg.norm(same, axis=2), rtol=1e-5)
    np.testing.assert_array_equal(turned[..., 2], same[..., 2])
    ratio = views.Motion(1.25, 0.0, 0.0, 0.0)(same, rng) / same
    assert 0.8 <= ratio.min() < 0.85 and 1.2 < ratio.max() <= 1.2501 and np.ptp(ratio, axis=1).max() < 1e-5
    assert len(np.unique(ratio[:, 0, 0])) == 50
    assert np.abs(views.Motion(1.0, 0.0, 0.0, 0.01)(same, rng) - same).max() <= 0.0301
