"""Ground of made streets (kerbs, slopes, tilted mounts, hidden road, ghosts) and of a real one."""

from pathlib import Path

import numpy as np
import pytest

from bipointnet_ros import dataset
from bipointnet_ros.core import ground, points, terrain

DRIVE = Path(__file__).parent.parent / "demo" / "drive" / "pandaset_002_44-55.npz"


def street(seed=0, kerb=0.15, n=20_000):
    """xyz (N, 3) float32, whether ground (N,), true height over the ground (N,): a road with kerbs, a wall, two cars.

    Points thin out with range, as those of a spinning LiDAR do.
    """
    rng = np.random.default_rng(seed)
    r, angle = 2.0 + 28.0 * rng.random(n) ** 2, rng.uniform(-np.pi, np.pi, n)
    road = np.c_[r * np.cos(angle), r * np.sin(angle), np.zeros(n)]
    road = road[np.abs(road[:, 1]) < 10]
    wall = np.c_[rng.uniform(-30, 30, n // 2), np.full(n // 2, 10.0), rng.uniform(0.15, 6, n // 2)]
    cars = [
        np.c_[rng.uniform(x - 2, x + 2, 2000), rng.choice([-3.0, -4.8], 2000), rng.uniform(0.3, 1.5, 2000)]
        for x in (5.0, 15.0)
    ]
    xyz, is_ground = np.concatenate([road, wall, *cars]), np.arange(len(road) + n // 2 + 4000) < len(road)
    height = xyz[:, 2].copy()
    xyz[is_ground, 2] = np.where(np.abs(xyz[is_ground, 1]) > 6, kerb, 0.0)
    height[(np.abs(xyz[:, 1]) > 6) & ~is_ground] -= kerb
    return (xyz + rng.normal(0, 0.01, xyz.shape)).astype(np.float32), is_ground, height


def check(xyz, is_ground, height):
    """|p95| under 0.1 m on the ground, and what stands on it at its height."""
    found = ground.height(xyz)
    assert found.dtype == np.float32 and found.shape == (len(xyz),)
    assert np.percentile(np.abs(found[is_ground]), 95) < 0.1
    assert np.percentile(np.abs(found - height)[~is_ground], 95) < 0.35


@pytest.mark.parametrize("kerb", [0.0, 0.12, 0.2])
@pytest.mark.parametrize("origin", [-1.7, 0.4, 12.0])
def test_kerbs_and_any_origin(kerb, origin):
    xyz, is_ground, height = street(kerb=kerb)
    check(xyz + np.float32([0, 0, origin]), is_ground, height)


@pytest.mark.parametrize("slope", [0.08, -0.15, 0.2])
@pytest.mark.parametrize("across", [0, 1])
def test_slopes(slope, across):
    xyz, is_ground, height = street(seed=1)
    xyz[:, 2] += np.float32(slope) * xyz[:, across]
    check(xyz, is_ground, height)


@pytest.mark.parametrize("roll, pitch", [(0.0, 0.0), (0.15, 0.0), (-0.1, 0.12), (0.0, -0.2)])
def test_up_is_perpendicular_to_the_ground(roll, pitch):
    tilt = points.levelling(roll, pitch)
    xyz = street(kerb=0.0)[0] @ tilt
    np.testing.assert_allclose(ground.up(xyz, ground.height(xyz)), tilt[2], atol=0.02)


def test_too_little_ground_says_nothing_of_up():
    rng = np.random.default_rng(0)
    flat = np.c_[rng.uniform(-9, 9, (500, 2)), np.zeros(500)].astype(np.float32)
    for xyz in (flat[:49], flat * np.float32([1, 0.01, 1]), flat + np.float32([40, 0, 0])):
        assert ground.up(xyz, np.zeros(len(xyz), np.float32)) is None
    assert ground.up(flat, np.ones(500, np.float32)) is None
    np.testing.assert_array_equal(ground.up(flat, np.zeros(500, np.float32)), [0, 0, 1])


@pytest.mark.parametrize("amplitude", [0.5, 1.5])
def test_hills_and_dips(amplitude):
    xyz, is_ground, height = street(seed=2)
    xyz[:, 2] += np.float32(amplitude) * np.sin(xyz[:, 0] / 8.0)
    check(xyz, is_ground, height)


@pytest.mark.parametrize("roll, pitch", [(5, 0), (0, 5), (-5, 0), (0, -5), (3.5, 3.5)])
def test_a_mount_that_is_tilted_by_five_degrees(roll, pitch):
    xyz, is_ground, height = street(seed=3)
    check(xyz @ points.levelling(*np.radians([roll, pitch])), is_ground, height)


def test_ground_under_a_row_of_cars_that_hide_the_road():
    """Of parked cars the near side and the roof are seen, and no road between them or behind."""
    rng = np.random.default_rng(0)
    road = np.c_[rng.uniform(-20, 20, 20_000), rng.uniform(-10, 4.5, 20_000), np.zeros(20_000)]
    rows = []
    for x in np.arange(-12.0, 12.0, 5.0):
        rows.append(np.c_[rng.uniform(x, x + 4.3, 500), np.full(500, 5.0), rng.uniform(0.3, 1.5, 500)])
        rows.append(np.c_[rng.uniform(x, x + 4.3, 500), rng.uniform(5.0, 6.8, 500), np.full(500, 1.5)])
    wall = np.c_[rng.uniform(-20, 20, 5000), np.full(5000, 8.0), rng.uniform(1.8, 5.0, 5000)]
    xyz = np.concatenate([road, *rows, wall]).astype(np.float32)
    height = ground.height(xyz)
    assert np.abs(height[: len(road)]).max() < 0.05
    assert np.abs(height - xyz[:, 2])[len(road) :].max() < 0.5  # a side that begins at 0.3 m is taken for a kerb
    assert np.percentile(height[xyz[:, 2] == 1.5], 5) > 1.0


def test_ghosts_under_the_road_are_no_ground():
    xyz, is_ground, _ = street()
    ghosts = np.random.default_rng(1).uniform([3, -1, -3], [4, 0, -2], (50, 3)).astype(np.float32)
    height = ground.height(np.concatenate([xyz, ghosts]))
    assert np.percentile(np.abs(height[: len(xyz)][is_ground]), 99) < 0.15
    assert (height[len(xyz) :] < -1.5).all()


def test_nothing_but_ground():
    xy = np.random.default_rng(0).uniform(-30, 30, (5000, 2))
    assert np.abs(ground.height(np.c_[xy, np.full(5000, -1.7)].astype(np.float32))).max() < 1e-5


def test_a_real_scan():
    drive = dataset.read(DRIVE)
    for f in (0, 11):
        xyz, _, label = drive.scan(f)
        height = ground.height(xyz)
        assert np.percentile(np.abs(height[label == 0]), 95) < 0.05
        assert (height[label == 3] > 0.3).mean() > 0.9


def test_envelope_is_the_least_sum_of_value_and_rise_times_distance():
    rng = np.random.default_rng(0)
    grid = np.where(rng.random((9, 7)) < 0.5, np.inf, rng.uniform(0, 3, (9, 7))).astype(np.float32)
    i, j = np.mgrid[:9, :7]
    slow = np.array([[(grid + 0.3 * (np.abs(i - a) + np.abs(j - b))).min() for b in range(7)] for a in range(9)])
    np.testing.assert_allclose(terrain.envelope(grid, 0.3), slow, rtol=1e-5)


def test_filled_keeps_what_is_known_and_fills_the_rest():
    value = np.zeros((8, 8), np.float32)
    value[2, 3] = 5.0
    weight = (value > 0).astype(np.float32)
    np.testing.assert_allclose(terrain.filled(value, weight), 5.0, rtol=1e-5)


@pytest.mark.parametrize("shape", [(32, 24), (5, 3), (1, 9), (1, 1)])
def test_smoothing_keeps_planes_and_takes_bumps_away(shape):
    x, y = np.mgrid[: shape[0], : shape[1]].astype(np.float32)
    plane = 0.5 * x - 0.2 * y
    np.testing.assert_allclose(ground.smooth(plane, 2), plane, atol=1e-4)
    bump = np.zeros((32, 24), np.float32)
    bump[10, 10] = 1.0
    assert ground.smooth(bump, 3).max() < 0.05 and (ground.smooth(bump, 0) == bump).all()
