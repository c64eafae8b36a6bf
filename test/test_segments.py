"""Clusters, boxes and objects on made scenes, and on a real one with its human labels."""

from pathlib import Path

import numpy as np
import pytest

from bipointnet_ros import dataset
from bipointnet_ros.core import boxes, clusters, ground, kernels, segments

NAMES = ("ground", "vegetation", "structure", "vehicle", "person", "pole")
DRIVE = Path(__file__).parent.parent / "demo" / "drive" / "pandaset_002_44-55.npz"


def car(x, y, yaw, length=4.4, width=1.8, height=1.5, n=600, seed=0):
    """Points on the two sides of a car that face the origin, and on its roof."""
    rng = np.random.default_rng(seed)
    along, across, up = rng.uniform(-0.5, 0.5, (3, n)) * [[length], [width], [height]]
    c, s = np.cos(yaw), np.sin(yaw)
    toward = np.array([-x * c - y * s, x * s - y * c])  # the origin, in the car's axes
    side = rng.integers(0, 3, n)
    along = np.where(side == 0, np.sign(toward[0]) * length / 2, along)
    across = np.where(side == 1, np.sign(toward[1]) * width / 2, across)
    up = np.where(side == 2, height / 2, up) + height / 2
    return np.c_[x + along * c - across * s, y + along * s + across * c, up].astype(np.float32)


def iou(a, b):
    """Bird's-eye intersection over union of boxes (x, y, l, w, yaw), counted on a fine grid."""
    xy = np.stack(np.meshgrid(np.arange(-4, 4, 0.02), np.arange(-4, 4, 0.02)), -1).reshape(-1, 2) + a[:2]

    def within(box):
        d, (c, s) = xy - box[:2], (np.cos(box[4]), np.sin(box[4]))
        return (np.abs(d @ [c, s]) <= box[2] / 2) & (np.abs(d @ [-s, c]) <= box[3] / 2)

    one, two = within(a), within(b)
    return (one & two).sum() / (one | two).sum()


# ----------------------------------------------------------------------------------------------------------- clusters


def slow_clusters(xy, radius, growth):
    """Flood fill over the occupied cells, every pair looked at."""
    cells = np.unique(np.floor(xy * np.float32(1 / clusters.CELL)).astype(int), axis=0)
    reach = (np.minimum(radius + growth * clusters.CELL * np.hypot(*cells.T), 3.1) / clusters.CELL) ** 2 + 1e-3
    far = ((cells[:, None] - cells) ** 2).sum(-1)
    near = (far <= reach[:, None]) & (far <= reach)
    number, k = np.full(len(cells), -1), 0
    for start in range(len(cells)):
        stack = [start] if number[start] < 0 else []
        k += bool(stack)
        while stack:
            cell = stack.pop()
            if number[cell] < 0:
                number[cell] = k
                stack += np.flatnonzero(near[cell] & (number < 0)).tolist()
    places = {tuple(cell): i for i, cell in enumerate(cells.tolist())}
    return number[[places[tuple(c)] for c in np.floor(xy * np.float32(1 / clusters.CELL)).astype(int).tolist()]]


@pytest.mark.parametrize("radius, growth", [(0.5, 0.0), (0.05, 0.0), (0.3, 0.02), (9.0, 0.0)])
def test_clusters_equal_a_slow_flood_fill(radius, growth):
    xy = np.random.default_rng(0).uniform(-12, 12, (700, 2)).astype(np.float32)
    found, slow = clusters.clusters(xy, radius, growth), slow_clusters(xy, radius, growth)
    assert len(np.unique(found)) == len(np.unique(slow)) == found.max() + 1
    assert len(np.unique(np.c_[found, slow], axis=0)) == found.max() + 1


def test_clusters_join_what_lies_within_the_radius_and_farther_away_more():
    gap = np.float32([[10.05, 0.05], [10.55, 0.05], [11.15, 0.05], [60.05, 0.05], [60.65, 0.05]])
    assert clusters.clusters(gap, 0.5).tolist() == [0, 0, 1, 2, 3]
    assert clusters.clusters(gap, 0.4, 0.004).tolist() == [0, 1, 2, 3, 3]


@pytest.mark.parametrize("name", kernels.available())
def test_backends_cluster_alike(name):
    xy = np.random.default_rng(0).normal(0, 20, (4000, 2)).astype(np.float32)
    want = clusters.clusters(xy, 0.3, 0.01)
    assert (clusters.clusters(xy, 0.3, 0.01, kernels.choose(name)) == want).all() and 100 < want.max() < 3000


def test_no_points_no_clusters():
    assert clusters.clusters(np.zeros((0, 2), np.float32), 0.5).shape == (0,)
    assert clusters.clusters(np.zeros((3, 2), np.float32), 0.0).tolist() == [0, 0, 0]
    instance, objects = segments.objects(np.zeros((0, 3), np.float32), *np.zeros((3, 0)), NAMES)
    assert instance.shape == (0,) and objects == ()


# -------------------------------------------------------------------------------------------------------------- boxes


@pytest.mark.parametrize("yaw", np.radians([0, 7, 30, 45, 62, 89, -20, -75]))
@pytest.mark.parametrize("place", [(9.0, 3.0), (-6.0, 11.0)])
def test_boxes_hug_cars(place, yaw):
    xyz = car(*place, yaw)
    x, y, z, length, width, height, found = boxes.boxes(xyz, xyz[:, 2], np.array([0, len(xyz)]))[0]
    assert iou((*place, 4.4, 1.8, yaw), (x, y, length, width, found)) > 0.85
    assert length >= width and -np.pi / 2 <= found < np.pi / 2
    assert z == pytest.approx(0.75, abs=0.05) and height == pytest.approx(1.5, abs=0.05)


def test_many_boxes_at_once_equal_one_at_a_time():
    cars = [car(10 * i, 5, 0.3 * i, seed=i, n=100 + 50 * i) for i in range(1, 6)]
    starts = np.concatenate([[0], np.cumsum([len(c) for c in cars])])
    together = np.concatenate(cars)
    alone = np.concatenate([boxes.boxes(c, c[:, 2], np.array([0, len(c)])) for c in cars])
    np.testing.assert_allclose(boxes.boxes(together, together[:, 2], starts), alone, atol=1e-5)


def test_a_box_reaches_down_to_the_ground_only_for_what_stands_there():
    xyz = np.random.default_rng(0).uniform(0, 1, (100, 3)).astype(np.float32)
    starts = np.array([0, 100])
    standing = boxes.boxes(xyz, xyz[:, 2] + 0.4, starts)[0]
    hanging = boxes.boxes(xyz, xyz[:, 2] + 2.0, starts)[0]
    assert standing[2] - standing[5] / 2 == pytest.approx(-0.4, abs=0.02)
    assert hanging[2] - hanging[5] / 2 == pytest.approx(xyz[:, 2].min(), abs=1e-5)


def test_the_smallest_things_have_a_box():
    for xyz in (np.ones((1, 3)), np.ones((9, 3)), np.c_[np.linspace(0, 2, 9), np.zeros((9, 2))]):
        box = boxes.boxes(xyz.astype(np.float32), xyz[:, 2], np.array([0, len(xyz)]))[0]
        assert np.isfinite(box).all() and (box[3:6] > 0).all()


def test_a_seen_part_is_completed_away_from_the_sensor():
    """The near side of a car ahead to the left, and a rear seen straight on, whose longer edge is not the length."""
    side = [10.0, 5.0, 0.7, 3.0, 0.3, 1.4, 0.0]
    rear = [20.0, 0.0, 0.7, 1.7, 0.2, 1.4, np.pi / 2]
    whole = [-10.0, 5.0, 0.7, 5.1, 2.0, 1.4, 0.0]
    found = boxes.completed(np.array([side, rear, whole]), np.array([[4.2, 1.8]] * 3))
    np.testing.assert_allclose(found[0], [10.6, 5.75, 0.7, 4.2, 1.8, 1.4, 0.0], atol=1e-9)
    np.testing.assert_allclose(found[1, :6], [22.0, 0.0, 0.7, 4.2, 1.8, 1.4], atol=0.06)
    assert abs(np.sin(found[1, 6])) < 1e-9
    np.testing.assert_array_equal(found[2], whole)


def test_a_box_in_a_turned_scan_is_completed_alike():
    box = np.array([[12.0, -3.0, 0.5, 2.5, 0.4, 1.0, 0.4]])
    least, turn = np.array([[4.2, 1.8]]), 0.9
    c, s = np.cos(turn), np.sin(turn)
    turned = box.copy()
    turned[0, :2], turned[0, 6] = box[0, :2] @ [[c, s], [-s, c]], 0.4 + turn
    one, other = boxes.completed(box, least)[0], boxes.completed(turned, least)[0]
    np.testing.assert_allclose(other[:2], one[:2] @ [[c, s], [-s, c]])
    np.testing.assert_allclose(other[2:6], one[2:6])


# ------------------------------------------------------------------------------------------------------------ objects


@pytest.fixture
def two_cars_and_a_person():
    rng = np.random.default_rng(0)
    person, floor = rng.uniform([3, 3, 0], [3.4, 3.4, 1.7], (40, 3)), rng.uniform(-20, 20, (500, 3)) * [1, 1, 0]
    parts = [car(12, 4, 0.4), car(6, -3, 1.2, seed=1), person, floor]
    label = np.repeat([4, 4, 5, 1], [len(p) for p in parts])
    return np.concatenate(parts).astype(np.float32), label


def test_objects_are_numbered_from_the_nearest(two_cars_and_a_person):
    xyz, label = two_cars_and_a_person
    sure = np.where(label == 4, 0.9, 0.6).astype(np.float32)
    instance, objects = segments.objects(xyz, xyz[:, 2], label, sure, NAMES)
    assert [o.name for o in objects] == ["person", "vehicle", "vehicle"]
    assert [o.instance for o in objects] == [1, 2, 3] and [o.label for o in objects] == [5, 4, 4]
    assert [round(o.confidence, 3) for o in objects] == [0.6, 0.9, 0.9]
    assert instance.dtype == np.uint32 and (instance[label == 1] == 0).all()
    for o in objects:
        assert (instance == o.instance).sum() == o.points
        assert (label[instance == o.instance] == o.label).all()


def test_order_of_the_points_changes_no_object(two_cars_and_a_person):
    xyz, label = two_cars_and_a_person
    order = np.random.default_rng(5).permutation(len(xyz))
    ones = np.ones(len(xyz), np.float32)
    instance, objects = segments.objects(xyz, xyz[:, 2], label, ones, NAMES)
    other, others = segments.objects(xyz[order], xyz[order, 2], label[order], ones, NAMES)
    assert (instance[order] == other).all()
    for a, b in zip(objects, others):
        np.testing.assert_allclose(a.centre, b.centre, atol=0.02)
        assert a.yaw == pytest.approx(b.yaw, abs=1e-3)


def test_specks_are_no_objects(two_cars_and_a_person):
    xyz, label = two_cars_and_a_person
    lone = np.float32([[-15, -15, 1.0]] * 3)
    label = np.concatenate([label, [4] * 3])
    xyz = np.concatenate([xyz, lone])
    instance, objects = segments.objects(xyz, xyz[:, 2], label, np.ones(len(xyz), np.float32), NAMES)
    assert len(objects) == 3 and not instance[-3:].any()


@pytest.mark.parametrize(
    "name, long, count",
    [
        ("vehicle", 0.4, 0),
        ("vehicle", 4.0, 1),
        ("person", 0.4, 1),
        ("person", 5.0, 0),
        ("pole", 0.3, 1),
        ("pole", 9.0, 0),
    ],
)
def test_things_have_the_size_of_their_kind(name, long, count):
    xyz = np.random.default_rng(0).uniform([9, 0, 0], [9 + long, 0.3, 1.5], (400, 3)).astype(np.float32)
    label = np.full(400, NAMES.index(name) + 1)
    _, objects = segments.objects(xyz, xyz[:, 2], label, np.ones(400, np.float32), NAMES)
    assert len(objects) == count


@pytest.mark.parametrize("low, high, count", [(0.0, 1.7, 1), (0.0, 0.9, 0), (1.0, 1.9, 0), (0.2, 2.6, 0)])
def test_persons_stand_on_the_ground_and_are_no_giants(low, high, count):
    xyz = np.random.default_rng(0).uniform([9, 0, low], [9.4, 0.3, high], (400, 3)).astype(np.float32)
    label = np.full(400, NAMES.index("person") + 1)
    _, objects = segments.objects(xyz, xyz[:, 2], label, np.ones(400, np.float32), NAMES)
    assert len(objects) == count


@pytest.mark.parametrize("name, count", [("person", 0), ("vehicle", 1)])
def test_points_that_are_less_likely_a_person_than_not_are_no_person(name, count):
    xyz = np.random.default_rng(0).uniform([9, 0, 0], [9.9, 0.3, 1.7], (400, 3)).astype(np.float32)
    label = np.full(400, NAMES.index(name) + 1)
    for confidence, expected in ((0.49, count), (0.51, 1)):
        seen = np.full(400, confidence, np.float32)
        assert len(segments.objects(xyz, xyz[:, 2], label, seen, NAMES)[1]) == expected


def test_what_carries_the_sensor_is_no_object():
    roof = np.random.default_rng(0).uniform([-1, -0.7, 1.2], [2, 0.7, 1.5], (600, 3)).astype(np.float32)
    label = np.full(600, 4)
    for shift, count in ((0.0, 0), (3.0, 1)):
        moved = roof + np.float32([0, shift, 0])
        instance, objects = segments.objects(moved, moved[:, 2], label, np.ones(600, np.float32), NAMES)
        assert len(objects) == count and instance.any() == bool(count)


def chances_by_size(clouds):
    """Long ones are cars, mostly; what is short is a bush."""
    cars = [float(np.ptp(cloud[:, :2], axis=0).max() > 3.0) for cloud in clouds]
    return [{"car": 0.7 * c, "large": 0.2 * c, "vegetation": 1.0 - 0.9 * c, "pedestrian": 0.0} for c in cars]


def test_a_classifier_names_and_scores_objects_and_takes_away_false_ones(two_cars_and_a_person):
    xyz, label = two_cars_and_a_person
    ones = np.ones(len(xyz), np.float32)
    instance, objects = segments.objects(xyz, xyz[:, 2], label, ones, NAMES, chances=chances_by_size)
    assert [(o.name, o.label, round(o.confidence, 3)) for o in objects] == [("car", 4, 0.9)] * 2
    assert not instance[label == 5].any() and set(instance[label == 4]) == {1, 2}


def test_a_classifier_that_knows_nothing_of_a_class_leaves_its_objects_alone(two_cars_and_a_person):
    xyz, label = two_cars_and_a_person
    sure = np.full(len(xyz), 0.6, np.float32)
    guess = lambda clouds: [{"other": 1.0}] * len(clouds)  # noqa: E731
    _, objects = segments.objects(xyz, xyz[:, 2], label, sure, NAMES, chances=guess)
    assert [o.name for o in objects] == ["person", "vehicle", "vehicle"]


def test_standing_things_whatever_they_are(two_cars_and_a_person):
    xyz, label = two_cars_and_a_person
    parts = segments.standing(xyz, xyz[:, 2])
    assert len(parts) == 3 and all((label[part] > 1).all() for part in parts)
    kinds, sure = np.array([1, 0, 2]), np.float32([0.5, 0.9, 0.7])
    instance, objects = segments.named(xyz, xyz[:, 2], parts, kinds, sure, ["a", "b"])
    assert len(objects) == 2 and {o.name for o in objects} == {"a", "b"}
    assert (instance > 0).sum() == len(parts[0]) + len(parts[2])


def test_boxes_of_a_real_scan_lie_on_their_labelled_points():
    xyz, _, label = dataset.read(DRIVE).scan(0)
    published = np.where(label == 255, 0, label + 1)
    height = ground.height(xyz)
    instance, objects = segments.objects(xyz, height, published, np.ones(len(xyz), np.float32), NAMES)
    cars = [o for o in objects if o.name == "vehicle" and o.points > 400]
    assert len(cars) > 15
    assert np.median([o.size[0] for o in cars]) == pytest.approx(4.6, abs=0.8)
    assert np.median([o.size[1] for o in cars]) == pytest.approx(1.9, abs=0.4)
    assert (instance[label == 3] > 0).mean() > 0.95
