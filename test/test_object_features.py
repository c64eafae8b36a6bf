"""Inputs of classifiers over cells against their definition, one voxel and one window at a time."""

import numpy as np
import pytest

from bipointnet_ros.core import object_features
from bipointnet_ros.core.blueprint import Grid
from bipointnet_ros.core.points import normalised

GRIDS = [Grid(0.14, (3,)), Grid(0.2, (2, 4)), Grid(0.1, (1, 3, 9)), Grid(1.0, (1, 2))]


def clouds(rng, count=5, n=300):
    """Flat, long and round ones, with points that coincide."""
    stretch = rng.uniform(0.02, 1.0, (count, 1, 3))
    points = rng.standard_normal((count, n, 3)) * stretch
    points[:, : n // 10] = points[:, :1]
    return normalised(points.astype(np.float32))


def everything(points, grid):
    names = object_features.names(grid)
    found = object_features.rows(points, grid, names)
    return found, dict(zip(names, found.features.T))


def voxels(cloud, grid):
    return np.floor(cloud / np.float32(grid.voxel) + np.float32(0.5)).astype(int)


def cells(place, grid, k):
    """Cell of scale k of a voxel: the cells of the coarsest scale are counted from the middle one."""
    edge = grid.cells[k]
    return (place + 1000 * grid.cells[-1] + grid.cells[-1] // 2) // edge


@pytest.mark.parametrize("grid", GRIDS)
def test_rows_are_the_voxels_of_each_cloud_and_cells_are_nested_cubes(grid):
    points = clouds(np.random.default_rng(0))
    found, column = everything(points, grid)
    assert len(found.offsets) == len(grid.cells) + 1 and found.features.dtype == np.float32
    place = np.zeros((len(found.features), 3), int)
    for b, (start, end) in enumerate(zip(found.offsets[-1], found.offsets[-1][1:])):
        at, count = np.unique(voxels(points[b], grid), axis=0, return_counts=True)
        mean = np.array([points[b][(voxels(points[b], grid) == v).all(1)].mean(0) for v in at])
        rows = np.stack([column[a][start:end] for a in "xyz"], 1)
        match = np.linalg.norm(rows[:, None] - mean, axis=2).argmin(1)
        assert sorted(match) == list(range(len(at)))
        np.testing.assert_allclose(rows, mean[match], atol=1e-5)
        expected = np.log(count[match]) + np.log(1024 / points.shape[1]) - 1
        np.testing.assert_allclose(column["count"][start:end], expected, atol=1e-4)
        place[start:end] = at[match]
    for k, offsets in enumerate(found.offsets[:-1]):
        assert set(found.offsets[k + 1]) <= set(offsets) and (np.diff(offsets) > 0).all()
        cloud = np.repeat(np.arange(len(points)), np.diff(found.offsets[-1]))
        cell = np.c_[cloud, cells(place, grid, k)]
        for start, end in zip(offsets, offsets[1:]):
            assert (cell[start:end] == cell[start]).all()
        assert len(np.unique(cell, axis=0)) == len(offsets) - 1


def plain_shape(points, edge):
    """SHAPE of a window's points in float64 by an eigenvalue solver, without the offsets."""
    covariance = np.cov(points.T.astype(np.float64), bias=True) / edge**2 + 0.002 * np.eye(3)
    (short, middle, long), axes = np.linalg.eigh(covariance)
    out = {"line": (long - middle) / long * 2 - 1, "plane": (middle - short) / long * 2 - 1}
    out |= {"thick": np.log(short + 1e-3) / 2 + 2, "spread": np.log(long + 1e-3) / 1.5 + 1}
    normal = np.outer(axes[:, 0], axes[:, 0]) - np.eye(3) / 3
    for i, j in ((0, 0), (1, 1), (2, 2), (0, 1), (0, 2), (1, 2)):
        out[f"normal_{'xyz'[i]}{'xyz'[j]}"] = 2 * normal[i, j]
    return out, (middle - short) * (long - short) / long**2


@pytest.mark.parametrize("grid", GRIDS)
def test_shapes_of_the_voxels_around_and_of_the_cells(grid):
    points = clouds(np.random.default_rng(1), 1, 150)
    _, column = everything(points, grid)
    cloud, place = points[0], voxels(points[0], grid)
    rows = np.stack([column[a] for a in "xyz"], 1)
    windows = [("near", 3 * grid.voxel, lambda at: (abs(place - at) <= 1).all(1))]
    for k, cell in enumerate(grid.cells):
        windows.append(
            (f"cell{k}", cell * grid.voxel, lambda at, k=k: (cells(place, grid, k) == cells(at, grid, k)).all(1))
        )
    clear = 0
    for i, row in enumerate(rows):
        at = place[np.linalg.norm([cloud[(place == p).all(1)].mean(0) - row for p in place], axis=1).argmin()]
        for name, edge, inside in windows:
            some = cloud[inside(at)]
            expected, gap = plain_shape(some, edge)
            assert column[f"{name}_count"][i] == pytest.approx(np.log(len(some) * 1024 / len(cloud)) - 3, abs=1e-4)
            offset = (row - some.mean(0)) * (6 if name == "near" else 2) / edge
            np.testing.assert_allclose([column[f"{name}_from_{a}"][i] for a in "xyz"], offset, atol=1e-3)
            for key, value in expected.items():
                if key.startswith("normal"):
                    if gap < 0.05:
                        continue  # nearly no normal: it may be anything
                    clear += 1
                assert column[f"{name}_{key}"][i] == pytest.approx(value, abs=0.1), (name, key)
    assert clear > len(rows)


def test_place_in_the_cell():
    grid = Grid(0.1, (3,))
    points = np.array([[[0.0, 0.0, 0.0], [0.149, -0.149, 0.3], [0.151, -0.451, 0.9]]], np.float32)
    _, column = everything(points, grid)
    order = np.argsort(column["z"])
    inside = np.stack([column[f"inside_{a}"] for a in "xyz"], 1)[order]
    np.testing.assert_allclose(inside, [[0, 0, 0], [0.993, -0.993, 0], [-0.993, 0.993, 0]], atol=0.01)
    np.testing.assert_allclose(column["radius"][order], np.linalg.norm(points[0], axis=1) * 2 - 1, atol=1e-5)
    np.testing.assert_allclose(column["axis"][order], np.hypot(*points[0].T[:2]) * 2 - 1, atol=1e-5)


@pytest.mark.parametrize("grid", GRIDS)
def test_a_batch_is_its_clouds_one_after_the_other_to_the_last_bit(grid):
    points = clouds(np.random.default_rng(2))
    names = object_features.names(grid)
    together = object_features.rows(points, grid, names)
    alone = [object_features.rows(cloud[None], grid, names) for cloud in points]
    np.testing.assert_array_equal(together.features, np.concatenate([a.features for a in alone]))
    starts = np.cumsum([0, *(len(a.features) for a in alone)])
    for k, offsets in enumerate(together.offsets):
        parts = [a.offsets[k][1:] + start for a, start in zip(alone, starts)]
        np.testing.assert_array_equal(offsets, np.concatenate([[0], *parts]))


@pytest.mark.parametrize(
    "points",
    [
        np.zeros((1, 1, 3)),
        np.zeros((2, 50, 3)),
        np.full((1, 3, 3), 1e9),
        np.linspace(-1, 1, 300).reshape(1, 100, 3),
        np.array([[[1.0, 0, 0]], [[-1.0, 0, 0]]]),
    ],
)
def test_odd_clouds_give_finite_inputs(points):
    found, _ = everything(points.astype(np.float32), GRIDS[0])
    assert np.isfinite(found.features).all() and found.offsets[-1][-1] == len(found.features)


def test_unknown_input_is_named():
    with pytest.raises(ValueError, match="unknown inputs cell1_line"):
        object_features.rows(np.zeros((1, 2, 3), np.float32), GRIDS[0], ["x", "cell1_line"])
