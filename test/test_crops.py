"""Clusters as the network that names objects sees them: in metres, wherever they stand and however they are turned."""

import numpy as np
import pytest

from bipointnet_ros.core import crops


def box(length, width, height, n=400, seed=0):
    return (np.random.default_rng(seed).uniform(-0.5, 0.5, (n, 3)) * (length, width, height)).astype(np.float32)


def turned(xyz, angle):
    c, s = np.cos(angle), np.sin(angle)
    return (xyz @ np.array([[c, s, 0], [-s, c, 0], [0, 0, 1]])).astype(np.float32)


def test_extents_are_those_of_the_thing_in_metres_by_logarithm():
    row = crops.rows([box(4.0, 1.8, 1.5)], 64)[0, 0]
    assert np.exp(2.0 * row[3:6]) == pytest.approx([4.0, 1.8, 1.5], rel=0.1)


def test_bands_tell_how_far_the_points_spread_at_each_height():
    """A post 0.2 m thick to 1 m, and on it a board of 2 by 0.6 m from 1 to 1.5 m."""
    post, board = box(0.2, 0.2, 1.0) + np.float32([0, 0, 0.5]), box(2.0, 0.6, 0.4) + np.float32([0, 0, 1.25])
    row = dict(zip(crops.INPUTS, crops.rows([box(9, 9, 9), np.concatenate([post, board])], 64)[1, 0]))
    for name, width in (("along0", 0.2), ("across1", 0.2), ("along2", 2.0), ("across2", 0.6)):
        assert row[name] == pytest.approx(width / np.sqrt(12), rel=0.1)
    assert row["along3"] == row["across5"] == 0.0


def test_a_network_may_want_no_bands():
    plain, all_of_them = (crops.rows([box(4.0, 1.8, 1.5)], 64, inputs) for inputs in (crops.PLAIN, crops.INPUTS))
    assert plain.shape == (1, 64, 6) and (plain == all_of_them[..., :6]).all()


@pytest.mark.parametrize("angle", [0.3, 1.2, 2.9])
def test_place_and_turn_do_not_matter(angle):
    cloud = box(4.0, 1.8, 1.5)
    here = crops.rows([cloud], 64)
    there = crops.rows([turned(cloud, angle) + np.float32([60.0, -30.0, 4.0])], 64)
    either_way = there * np.float32([-1, -1] + [1] * (len(crops.INPUTS) - 2))  # the longest axis has no sign
    assert min(np.abs(here - there).max(), np.abs(here - either_way).max()) < 1e-3


def test_turned_rows_are_those_of_the_cluster_turned_by_half():
    cloud = box(4.0, 1.8, 1.5)
    rows = crops.rows([cloud, cloud * np.float32([-1, -1, 1])], 64)
    assert np.abs(rows[0] - rows[1]).max() > 1.0
    np.testing.assert_allclose(crops.turned(rows[:1])[0], rows[1], atol=1e-4)


def test_size_matters():
    assert np.abs(crops.rows([box(4.0, 1.8, 1.5)], 64) - crops.rows([box(2.0, 0.9, 0.75)], 64)).max() > 0.2


def test_clusters_of_any_number_of_points():
    clouds = [box(1, 1, 1, n) for n in (1, 2, 5, 64, 1000)] + [np.zeros((7, 3), np.float32)]
    rows = crops.rows(clouds, 64)
    assert rows.shape == (6, 64, len(crops.INPUTS)) and rows.dtype == np.float32 and np.isfinite(rows).all()
    assert len(np.unique(rows[3], axis=0)) == len(np.unique(rows[4], axis=0)) == 64  # each point once at most
    assert len(np.unique(rows[2], axis=0)) == 5  # all points, again and again
    assert np.abs(crops.rows([box(500.0, 1.0, 1.0)], 64)).max() <= 3.0


def test_one_cluster_is_answered_alike_alone_and_among_others():
    clouds = [box(1, 1, 1, 30, 1), box(4, 2, 1.5, 300, 2)]
    assert (crops.rows(clouds, 32)[1] == crops.rows(clouds[1:], 32)[0]).all()
