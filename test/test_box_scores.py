"""Boxes against human ones: overlaps by hand and by counting, matching, and the ways a box may not count."""

import numpy as np
import pytest

from bipointnet_ros.box_scores import RANGES, BoxScores, TrackScores, overlaps, points_inside


def box(x, y, length=4.0, width=2.0, yaw=0.0):
    return [x, y, 1.0, length, width, 2.0, yaw]


def filled(*boxes, n=40):
    """Points within boxes, n each."""
    rng = np.random.default_rng(0)
    return np.concatenate([rng.uniform(-0.5, 0.5, (n, 3)) + b[:3] for b in boxes])


@pytest.mark.parametrize(
    ("other", "expected"),
    [
        (box(5, 5), 1.0),
        (box(5, 5, yaw=np.pi), 1.0),
        (box(5, 5, 2.0, 4.0, np.pi / 2), 1.0),
        (box(7, 5), 4.0 / 12.0),
        (box(5, 5, yaw=np.pi / 2), 4.0 / 12.0),
        (box(5, 5, 1.0, 1.0, 0.7), 1.0 / 8.0),
        (box(9, 5), 0.0),
        (box(50, 5), 0.0),
    ],
)
def test_overlaps_by_hand(other, expected):
    found = overlaps(np.array([box(5, 5)]), np.array([other]))
    assert found.shape == (1, 1) and found[0, 0] == pytest.approx(expected, abs=1e-9)


def test_overlaps_equal_those_counted_on_a_grid():
    rng = np.random.default_rng(1)
    boxes = np.array([box(*rng.uniform(-1, 1, 2), *rng.uniform(0.5, 4, 2), rng.uniform(-4, 4)) for _ in range(12)])
    xy = np.stack(np.meshgrid(np.arange(-5, 5, 0.01), np.arange(-5, 5, 0.01)), -1).reshape(-1, 2)
    d = xy - boxes[:, None, :2]
    c, s = np.cos(boxes[:, 6, None]), np.sin(boxes[:, 6, None])
    within = np.abs(d[..., 0] * c + d[..., 1] * s) <= boxes[:, 3, None] / 2
    within &= np.abs(d[..., 1] * c - d[..., 0] * s) <= boxes[:, 4, None] / 2
    shared = within.astype(np.float32) @ within.T.astype(np.float32)
    counted = shared / (within.sum(1)[:, None] + within.sum(1) - shared)
    np.testing.assert_allclose(overlaps(boxes, boxes), counted, atol=0.01)


def test_points_inside_a_turned_box():
    turned = np.array([box(3, 4, 4.0, 1.0, np.pi / 4)])
    diagonal = np.array([[4.2, 5.2, 1.0], [4.2, 2.8, 1.0], [3.0, 4.0, 2.5], [3.0, 4.0, 1.9]])
    assert points_inside(diagonal, turned).tolist() == [2]


def scores(xyz, boxes, names, truth, true_names, iou, distances):
    judge = BoxScores()
    judge.add(xyz, np.array(boxes), names, np.array(truth), true_names)
    rows = [r for r in judge.rows() if (r["class"], r["iou"], r["range"]) == ("vehicle", iou, list(distances))]
    assert len(rows) == 1
    return rows[0]


def test_a_true_box_is_found_once_and_by_its_own_class():
    truth, ours = [box(5, 5), box(5, -5)], [box(5.2, 5), box(5, 5.1), box(5, -5)]
    row = scores(filled(*truth), ours, ["vehicle", "vehicle", "person"], truth, ["vehicle"] * 2, 0.5, (0.0, 10.0))
    assert (row["true"], row["found"], row["given"]) == (2, 1, 2)
    assert row["recall"] == 0.5 and row["precision"] == 0.5


def test_a_box_on_something_of_too_few_points_is_neither_right_nor_wrong():
    truth = [box(5, 5), box(5, -5)]
    xyz = np.concatenate([filled(truth[0]), filled(truth[1], n=19)])
    row = scores(xyz, truth, ["vehicle"] * 2, truth, ["vehicle"] * 2, 0.5, (0.0, 10.0))
    assert (row["true"], row["found"], row["given"], row["precision"]) == (1, 1, 1, 1.0)


def test_ranges_are_those_of_each_box_itself_and_two_scans_add_up():
    judge, near, far = BoxScores(), [box(9.9, 0)], [box(10.1, 0)]
    for _ in range(2):
        judge.add(filled(*far), np.array(near), ["vehicle"], np.array(far), ["vehicle"])
    rows = {tuple(r["range"]): r for r in judge.rows() if (r["class"], r["iou"]) == ("vehicle", 0.5)}
    assert set(rows) == set(RANGES)
    assert (rows[0.0, 10.0]["given"], rows[0.0, 10.0]["true"], rows[0.0, 10.0]["recall"]) == (2, 0, None)
    assert (rows[10.0, 25.0]["true"], rows[10.0, 25.0]["found"], rows[10.0, 25.0]["precision"]) == (2, 2, None)
    assert rows[0.0, 25.0]["precision"] == rows[0.0, 25.0]["recall"] == 1.0


def test_a_scan_without_boxes():
    judge = BoxScores()
    judge.add(np.zeros((0, 3)), np.zeros((0, 7)), [], np.zeros((0, 7)), [])
    judge.add(filled(box(5, 5)), np.zeros((0, 7)), [], np.array([box(5, 5)]), ["vehicle"])
    assert sum(r["true"] for r in judge.rows()) == 4  # two IoUs, 0-10 m and 0-25 m


def test_numbers_that_last_and_numbers_that_switch():
    judge, truth = TrackScores(), np.array([box(5, 5), box(5, -5)])
    for numbers in ([1, 2], [1, 3], [1, 3]):
        judge.add(truth, ["vehicle"] * 2, numbers, truth, ["vehicle"] * 2, [70, 80])
    judge.add(truth[:0], [], [], truth, ["vehicle"] * 2, [70, 80])
    judge.add(truth[::-1], ["vehicle"] * 2, [3, 9], truth, ["vehicle"] * 2, [70, 80])
    assert judge.summary() == {"tracks": 2, "numbers": 4, "seen_again": 6, "switches": 2, "kept": 4 / 6}
    assert TrackScores().summary()["kept"] is None
