"""Cells and features of a scene, on made and on real scans."""

from pathlib import Path

import numpy as np
import pytest

from bipointnet_ros import dataset
from bipointnet_ros.core import cells, descriptors, features, kernels
from bipointnet_ros.core.blueprint import Grid

GRID = Grid(0.2, (4, 12, 36))
DRIVE = Path(__file__).parent.parent / "demo" / "drive" / "pandaset_002_44-55.npz"


@pytest.fixture(scope="module")
def drive():
    return dataset.read(DRIVE)


def street(seed=0, slope=0.0, n=20_000):
    """A road with kerbs, a wall and two cars; label 0 = ground, 2 = structure, 3 = vehicle."""
    rng = np.random.default_rng(seed)
    road = np.c_[rng.uniform(-30, 30, n), rng.uniform(-10, 10, n), np.zeros(n)]
    road[:, 2] = np.where(np.abs(road[:, 1]) > 6, 0.15, 0.0)
    wall = np.c_[rng.uniform(-30, 30, n // 2), np.full(n // 2, 10.0), rng.uniform(0.15, 6, n // 2)]
    cars = [
        np.c_[rng.uniform(x - 2, x + 2, 2000), rng.choice([-3.0, -4.8], 2000), rng.uniform(0.3, 1.5, 2000)]
        for x in (5.0, 15.0)
    ]
    parts = [road, wall, *cars]
    xyz = np.concatenate(parts) + rng.normal(0, 0.01, (sum(map(len, parts)), 3))
    xyz[:, 2] += slope * xyz[:, 0]
    return xyz.astype(np.float32), np.repeat([0, 2, 3, 3], [len(p) for p in parts])


def turned(xyz, angle):
    c, s = np.cos(angle), np.sin(angle)
    return (xyz @ np.array([[c, s, 0], [-s, c, 0], [0, 0, 1]])).astype(np.float32)


# -------------------------------------------------------------------------------------------------------------- cells


def test_cells_are_runs_of_points_that_share_a_cell():
    xyz, _ = street()
    run = cells.build(xyz, GRID)
    assert (np.sort(run.order) == np.arange(len(xyz))).all()
    index = np.floor(xyz[run.order] * np.float32(5.0)).astype(np.int64)
    low = index.min(0)
    low[:2] -= low[:2] % 36
    index -= low
    for starts, edge, dims in (
        (run.voxel, 1, 3),
        (run.voxel[run.scales[0]], 4, 3),
        (run.voxel[run.column], 4, 2),
        (run.voxel[run.scales[1]], 12, 2),
        (run.voxel[run.scales[2]], 36, 2),
    ):
        places = index[:, :dims] // edge
        assert len(starts) - 1 == len(np.unique(places, axis=0))
        first = np.repeat(places[starts[:-1]], np.diff(starts), 0)
        assert (first == places).all()
    assert (run.column_xy == index[run.voxel[run.column[:-1]], :2] // 4).all()


def test_scales_are_nested():
    run = cells.build(street()[0], GRID)
    chain = (np.arange(len(run.voxel)), run.scales[0], run.column, run.scales[1], run.scales[2])
    for fine, coarse in zip(chain, chain[1:]):
        assert np.isin(coarse, fine).all() and coarse[0] == 0 and coarse[-1] == fine[-1]


def test_every_backend_gives_the_same_cells():
    xyz, _ = street()
    ours = cells.build(xyz, GRID, kernels.choose())
    assert (ours.order == cells.build(xyz, GRID).order).all()


@pytest.mark.parametrize("xyz", [[[0, 0, 0]], [[1e30, -1e30, 5]], [[1, 2, 3]] * 7, [[-0.01, 0, 0], [0.01, 0, 0]]])
def test_cells_of_strange_clouds(xyz):
    run = cells.build(np.float32(xyz), GRID)
    assert run.voxel[-1] == len(xyz) and run.scales[-1][-1] == run.column[-1] == len(run.voxel) - 1


# ----------------------------------------------------------------------------------------------------------- features


def scene(xyz, intensity=None, inputs=features.INPUTS):
    return features.scene(xyz, intensity, GRID, inputs)


def test_every_point_is_answered_by_a_row_of_its_voxel(drive):
    xyz, intensity, _ = drive.scan(3)
    seen = scene(xyz, intensity)
    n = len(seen.features)
    assert seen.features.shape == (n, len(features.INPUTS)) and seen.features.dtype == np.float32
    assert np.isfinite(seen.features).all() and np.abs(seen.features).max() < 4.0
    assert seen.answer.shape == (len(xyz),) and set(np.unique(seen.answer)) == set(range(n))
    assert (seen.answer[seen.index] == np.arange(n)).all()
    assert np.abs(xyz - xyz[seen.index[seen.answer]]).max() <= 0.2 + 1e-3
    for offsets in seen.offsets:
        assert offsets[0] == 0 and offsets[-1] == n and (np.diff(offsets) > 0).all()
    for fine, coarse in zip(seen.offsets, seen.offsets[1:]):
        assert np.isin(coarse, fine).all()


def test_only_the_inputs_asked_for_come_in_their_order(drive):
    xyz, intensity, _ = drive.scan(0)
    some = ("pillar_top", "height")
    rows = [features.INPUTS.index(name) for name in some]
    np.testing.assert_array_equal(scene(xyz, intensity, some).features, scene(xyz, intensity).features[:, rows])
    with pytest.raises(ValueError, match="unknown inputs altitude: expected some of block_top"):
        scene(xyz, intensity, ("height", "altitude"))


@pytest.mark.parametrize("name", [name for name in kernels.available() if name != "numpy"])
@pytest.mark.parametrize("grid", [GRID, Grid(0.3, (3, 9)), Grid(0.5, (2,))], ids=str)
def test_every_backend_describes_the_same(drive, name, grid):
    rng = np.random.default_rng(0)
    far = rng.normal(0, 900, (300, 3)).astype(np.float32)  # beyond the reach of the grid, too
    for xyz in (drive.scan(2)[0][::7], street(slope=0.1)[0][::5], far, np.zeros((9, 3), np.float32)):
        one, other = (features.scene(xyz, None, grid, features.INPUTS, b) for b in (None, kernels.choose(name)))
        np.testing.assert_array_equal(one.features, other.features)
        for a, b in zip((one.answer, one.height, one.index), (other.answer, other.height, other.index)):
            np.testing.assert_array_equal(a, b)


def test_what_rows_share_is_told_once(drive):
    xyz, intensity, _ = drive.scan(0)
    seen = scene(xyz, intensity, features.BLIND)
    shared = seen.shared
    assert len(shared.values) == len(seen.offsets[0]) - 1 and list(shared.ends) == [19, 38, 51, 57]
    assert (shared.kept < 4).all() and set(shared.kept) == {0, 1, 2, 3}
    for kept in (1, 2, 3):
        rows = np.flatnonzero(shared.kept == kept)
        end = shared.ends[kept - 1]
        np.testing.assert_array_equal(shared.values[rows, :end], shared.values[rows - 1, :end])
    assert (shared.kept == 0).sum() == len(seen.offsets[2]) - 1
    turned = features.BLIND[::-1]
    other = scene(xyz, intensity, turned)
    assert other.shared is None and features.ordered(turned) != turned
    np.testing.assert_array_equal(other.features, seen.features[:, ::-1])


def test_cells_at_their_edges_do_not_move():
    """A wall at exactly a multiple of the cells' edge: the mean of a voxel may be rounded across it."""
    rng = np.random.default_rng(1)
    wall = np.c_[np.full(4000, 2.4), rng.uniform(-5, 5, 4000), rng.uniform(0, 3, 4000)].astype(np.float32)
    wall[::3, 0] = np.nextafter(np.float32(2.4), np.float32(3))
    seen = scene(wall)
    spread = seen.features[:, features.INPUTS.index("around_thick")]
    assert np.ptp(spread) < 0.01


def test_nothing_tells_how_high_the_sensor_hangs():
    xyz, _ = street()
    low = scene(xyz)
    for lift in (1.6, 8.0):  # whole voxels: the same rows
        high = scene(xyz + np.float32([0, 0, lift]))
        names = [i for i, name in enumerate(features.INPUTS) if name != "inside_z"]
        assert len(high.features) == len(low.features)
        worst = np.abs(high.features - low.features)[:, names].max(1)
        assert np.percentile(worst, 99) < 0.05


@pytest.mark.parametrize("angle", [np.pi / 2, np.pi])
def test_a_turn_by_right_angles_changes_no_shape(angle):
    """Cells turn with the cloud, but for points on their edges, so the distribution of every input stays."""
    xyz, _ = street()
    names = [i for i, name in enumerate(features.INPUTS) if not name.startswith("inside")]
    straight, other = scene(xyz).features[:, names], scene(turned(xyz, angle)).features[:, names]
    quantiles = (5, 25, 50, 75, 95)
    np.testing.assert_allclose(np.percentile(straight, quantiles, 0), np.percentile(other, quantiles, 0), atol=0.12)


def test_intensity_counts_by_rank_only(drive):
    xyz, intensity, _ = drive.scan(0)
    column = features.INPUTS.index("intensity")
    bright = scene(xyz, np.sqrt(intensity) * 300.0).features[:, column]
    np.testing.assert_allclose(scene(xyz, intensity).features[:, column], bright, atol=1e-6)
    assert not scene(xyz, None).features[:, column].any()
    assert np.abs(scene(xyz, np.ones(len(xyz), np.float32)).features[:, column]).max() < 1e-6


def test_shape_knows_lines_planes_and_balls():
    rng = np.random.default_rng(0)

    def of(points):
        c = np.cov(np.asarray(points).T)
        moments = np.array([c[0, 0], c[1, 1], c[2, 2], c[0, 1], c[0, 2], c[1, 2]], np.float32)[:, None]
        return {key: float(value[0]) for key, value in descriptors.of_covariance(moments, 0.02).items()}

    t, u, noise = rng.uniform(-1, 1, (2000, 1)), rng.uniform(-1, 1, (2000, 1)), rng.normal(0, 0.005, (2000, 3))
    pole, floor = of(t * [0, 0, 1] + noise), of(t * [1, 0, 0] + u * [0, 1, 0])
    wall = of(t * [0.6, 0.8, 0] + u * [0, 0, 1] + noise)
    ball = of(rng.normal(size=(2000, 3)))
    assert pole["line"] > 0.95 and pole["upright"] > 0.95
    assert wall["plane"] > 0.85 and wall["flat"] < 0.05
    assert floor["plane"] > 0.85 and floor["flat"] > 0.95
    assert ball["line"] < 0.2 and ball["plane"] < 0.2
    assert ball["thick"] > wall["thick"] + 0.5


def test_shape_agrees_with_eigenvectors():
    rng = np.random.default_rng(2)
    turns = np.stack([np.linalg.qr(matrix)[0] for matrix in rng.normal(size=(50, 3, 3))])
    clouds = rng.normal(size=(50, 30, 3)) * rng.uniform(0.1, 1, (50, 1, 3)) @ turns
    covariance = np.stack([np.cov(c.T) for c in clouds])
    moments = np.stack([covariance[:, a, b] for a, b in ((0, 0), (1, 1), (2, 2), (0, 1), (0, 2), (1, 2))])
    values, vectors = np.linalg.eigh(covariance)
    found = descriptors.of_covariance(moments.astype(np.float32), 1e-4)
    np.testing.assert_allclose(found["line"], (values[:, 2] - values[:, 1]) / values[:, 2], atol=2e-3)
    np.testing.assert_allclose(found["plane"], (values[:, 1] - values[:, 0]) / values[:, 2], atol=2e-3)
    np.testing.assert_allclose(found["upright"], vectors[:, 2, 2] ** 2, atol=0.02)
    np.testing.assert_allclose(found["flat"], vectors[:, 2, 0] ** 2, atol=0.02)


def test_around_is_the_shape_of_the_three_by_three_columns():
    xyz, _ = street()
    seen, run = scene(xyz), cells.build(xyz, GRID)
    mean = [np.add.reduceat(v, run.voxel[:-1]) / np.diff(run.voxel) for v in np.c_[xyz, seen.height][run.order].T]
    column = np.floor(np.stack(mean[:2]) / 0.8).astype(int)
    for row in np.random.default_rng(0).integers(0, len(seen.features), 20):
        near = (np.abs(column - column[:, row, None]) <= 1).all(0)
        c = np.cov(mean[0][near], mean[1][near], bias=True)
        full = np.cov(np.stack([mean[0][near], mean[1][near], np.minimum(mean[3][near], 8.0)]), bias=True)
        moments = np.array([c[0, 0], c[1, 1], full[2, 2], c[0, 1], full[0, 2], full[1, 2]], np.float32)[:, None]
        for key, value in descriptors.of_covariance(moments, 0.2).items():
            assert seen.features[row, features.INPUTS.index(f"around_{key}")] == pytest.approx(value[0], abs=0.05)
        count = np.log(near.sum()) / 2.5 - 1.0
        assert seen.features[row, features.INPUTS.index("around_count")] == pytest.approx(count, abs=1e-4)


@pytest.mark.parametrize("name", ["one", "pair", "same", "plane", "line", "far", "wide"])
def test_awkward_clouds_give_finite_features(name):
    rng = np.random.default_rng(0)
    xyz = {
        "one": np.ones((1, 3)),
        "pair": np.array([[0.0, 0, 0], [80, 0, 3]]),
        "same": np.ones((500, 3)),
        "plane": np.c_[rng.uniform(-9, 9, (900, 2)), np.zeros(900)],
        "line": np.c_[np.linspace(0, 40, 900), np.zeros((900, 2))],
        "far": rng.normal(900, 1, (900, 3)),
        "wide": rng.uniform(-250, 250, (5000, 3)),
    }[name].astype(np.float32)
    seen = scene(xyz, rng.random(len(xyz)).astype(np.float32))
    assert np.isfinite(seen.features).all() and np.isfinite(seen.height).all()
    assert seen.offsets[-1][-1] == len(seen.features) and seen.answer.min() == 0


def test_a_million_points_take_bounded_time():
    from time import process_time  # not the clock on the wall, which a busy machine turns faster

    rng = np.random.default_rng(0)
    xyz = np.c_[rng.uniform(-100, 100, (1_000_000, 2)), rng.exponential(1.0, 1_000_000)].astype(np.float32)
    begin = process_time()
    scene(xyz)
    assert process_time() - begin < 10.0
