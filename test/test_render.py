"""Pictures show what they are given: a class's colour lies where its points are, with boxes and names around."""

import sys

import numpy as np
import pytest

from bipointnet_ros import render
from bipointnet_ros.core.classes import colours
from bipointnet_ros.core.segments import Object

image = pytest.importorskip("matplotlib.image")
CLASSES = ("ground", "vehicle", "person")
RNG = np.random.default_rng(0)


def street():
    """A 60 m square of ground and a car-sized block of points around (20, 12, 1)."""
    ground = np.column_stack([RNG.uniform(-30, 30, (6000, 2)), np.zeros(6000)])
    car = np.array([20.0, 12.0, 1.0]) + RNG.uniform(-1, 1, (3000, 3)) * (2.0, 1.0, 0.8)
    xyz = np.concatenate([ground, car, [[np.nan, 0, 0]]]).astype(np.float32)
    label = np.repeat([1, 2, 0], [6000, 3000, 1]).astype(np.uint16)
    return xyz, label


def car(centre=(20.0, 12.0, 1.0), size=(4.2, 2.2, 1.8), yaw=0.0, tilt=None) -> Object:
    return Object(1, 2, "vehicle", 0.9, np.array(centre), np.array(size), yaw, 3000, tilt)


def near(picture, colour, tolerance=0.16):
    """(H, W) where the picture has about that colour's hue."""
    hue = colour / np.linalg.norm(colour)
    length = np.linalg.norm(picture, axis=2)
    return (length > 0.35) & (np.linalg.norm(picture / np.maximum(length, 1e-6)[..., None] - hue, axis=2) < tolerance)


def test_from_above_everything_lies_to_scale(tmp_path):
    xyz, label = street()
    render.birds_eye(tmp_path / "above.png", xyz, label, [car()], CLASSES, title="A street", sensor="VLP-16")
    picture = image.imread(tmp_path / "above.png")[..., :3]
    assert picture.shape == (1080, 1920, 3)
    red = near(picture, colours(CLASSES)[2] / 255.0)
    red[960:] = False  # the legend
    rows, columns = np.nonzero(red)
    half = np.clip(np.percentile(np.hypot(*xyz[:-1, :2].T), 92), 12, 45)
    scale = 540 / half  # pixels per metre
    assert abs(columns.mean() - (960 + 20 * scale)) < 4 and abs(rows.mean() - (540 - 12 * scale)) < 8
    assert 4.0 * scale < np.ptp(columns) < 8.0 * scale


def test_in_perspective_a_thing_ahead_on_the_left_is_up_on_the_left(tmp_path):
    xyz, label = street()
    render.perspective(tmp_path / "view.png", xyz, label, [car()], CLASSES)
    picture = image.imread(tmp_path / "view.png")[..., :3]
    red = near(picture, colours(CLASSES)[2] / 255.0)
    red[960:] = False
    rows, columns = np.nonzero(red)
    assert len(rows) > 1000 and columns.mean() < 960 and rows.mean() < 540


@pytest.mark.parametrize("draw", [render.birds_eye, render.perspective])
def test_a_box_and_a_name_add_ink_of_their_class(tmp_path, draw):
    xyz, label = street()
    inks = []
    for objects in ([], [car()]):
        draw(tmp_path / "picture.png", xyz, label, objects, CLASSES)
        red = near(image.imread(tmp_path / "picture.png")[..., :3], colours(CLASSES)[2] / 255.0)
        inks.append(red[:960].sum())
    assert inks[1] > inks[0] + 300


@pytest.mark.parametrize("draw", [render.birds_eye, render.perspective])
@pytest.mark.parametrize("count", [0, 1])
def test_nearly_empty_clouds_are_drawn(tmp_path, draw, count):
    draw(tmp_path / "empty.png", np.zeros((count, 3), np.float32), np.zeros(count, np.uint16), [], CLASSES)
    assert image.imread(tmp_path / "empty.png").shape == (1080, 1920, 4)


def test_projection():
    camera = render.Camera(np.array([-10.0, 0.0, 0.0]), np.array([0.0, 0.0, 0.0]), 2.0)
    flat, depth = camera.project(np.array([[0.0, 0, 0], [10, -5, 0], [10, 0, 5], [-20, 0, 0]]))
    np.testing.assert_allclose(depth, [10, 20, 20, -10])
    np.testing.assert_allclose(flat[:3], [[0, 0], [0.5, 0], [0, 0.5]], atol=1e-12)


def test_corners_of_a_turned_and_of_a_tilted_box():
    corners = render._corners(car((1.0, 2.0, 3.0), (4.0, 2.0, 1.0), np.pi / 2))
    np.testing.assert_allclose(corners.min(0), [0.0, 0.0, 2.5], atol=1e-12)
    np.testing.assert_allclose(corners.max(0), [2.0, 4.0, 3.5], atol=1e-12)
    tilt = np.array([[0.0, 0, 1], [0, 1, 0], [-1, 0, 0]])  # x -> -z
    corners = render._corners(car((0.0, 0.0, 0.0), (4.0, 2.0, 1.0), 0.0, tilt))
    np.testing.assert_allclose(np.ptp(corners, axis=0), [1.0, 2.0, 4.0], atol=1e-12)


def test_errors_are_one_sentence(tmp_path, monkeypatch):
    xyz, label = street()
    with pytest.raises(render.RenderError, match="cannot write"):
        render.birds_eye(tmp_path / "none" / "a.png", xyz, label, [], CLASSES)
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(render.RenderError, match="pip install matplotlib"):
        render.birds_eye(tmp_path / "a.png", xyz, label, [], CLASSES)
