"""Scores against values worked out by hand."""

import numpy as np
import pytest

from bipointnet_ros.dataset import IGNORED
from bipointnet_ros.scores import Confusion


def confusion():
    """Five cars (3 right, 1 tree, 1 unknown), two trees (1 right, 1 car), no pole; four ignored points."""
    scores = Confusion(["car", "tree", "pole"])
    scores.add([0, 0, 0, 0, IGNORED, IGNORED], [0, 0, 0, 1, 0, 3])
    scores.add([0, 1, 1, IGNORED, IGNORED], [3, 1, 0, 1, 2])
    return scores


def test_counts_add_up_over_scans_and_leave_out_the_ignored():
    assert confusion().counts.tolist() == [[3, 1, 0, 1], [1, 1, 0, 0], [0, 0, 0, 0]]
    assert confusion().true.tolist() == [5, 2, 0]


def test_scores_by_hand():
    scores = confusion()
    assert scores.overall() == pytest.approx(4 / 7)
    np.testing.assert_allclose(scores.recall(), [3 / 5, 1 / 2, np.nan])
    np.testing.assert_allclose(scores.iou(), [3 / 6, 1 / 3, np.nan])
    assert scores.mean(scores.recall()) == pytest.approx((3 / 5 + 1 / 2) / 2)
    assert scores.mean(scores.recall(), fewest=3) == pytest.approx(3 / 5)
    assert np.isnan(scores.mean(scores.recall(), fewest=6))


def test_a_false_positive_of_an_absent_class_has_iou_zero_and_costs_the_others():
    scores = Confusion(["car", "tree"])
    scores.add([0, 0], [0, 1])
    np.testing.assert_array_equal(scores.iou(), [0.5, 0.0])


def test_nothing_judged_is_not_a_number():
    scores = Confusion(["car"])
    scores.add([IGNORED], [0])
    assert np.isnan(scores.overall()) and np.isnan(scores.iou()).all()
