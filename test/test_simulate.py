"""Rays against shapes whose answer is known, and simulated scans as training reads them."""

import numpy as np
import pytest

from bipointnet_ros.core import ground
from bipointnet_ros.training import bodies, furniture, raycast, scan, sensors, shapes, simulate
from bipointnet_ros.training.raycast import World
from bipointnet_ros.training.room import Room
from bipointnet_ros.training.sensors import Sensor
from bipointnet_ros.training.shapes import GROUND, IGNORED, STRUCTURE, VEGETATION, VEHICLE
from bipointnet_ros.training.street import Street

EYE = np.zeros(3)


@pytest.fixture(autouse=True)
def few_rays(monkeypatch):
    monkeypatch.setattr(sensors, "MOST_RAYS", 1500)


def flat(shapes_, height=0.0):
    zero = lambda x, y: np.zeros_like(x)  # noqa: E731
    return World(shapes_, lambda x, y: np.full_like(x, height), lambda x, y: np.full_like(x, 0.1), zero)


def sensor(low=-40.0, high=20.0, beams=25, columns=90, eye=(0.0, 0.0, 1.7), **more):
    facts = {"full": True, "reach": 100.0, "noise": 0.0, "lost": 0.0, **more}
    azimuth = -np.pi + 2.0 * np.pi * np.arange(columns) / columns
    return Sensor(np.radians(np.linspace(low, high, beams)), azimuth, np.array(eye), **facts)


@pytest.mark.parametrize(
    "shape, enter, leave",
    [
        (shapes.block(5, 0, -1, 2, 2, 2, VEHICLE), 4.0, 6.0),
        (shapes.block(5, 0, -1, 2, 2, 2, VEHICLE, front=0.5, back=0.5), 4.25, 5.75),
        (shapes.ball(5, 0, 0, 1.5, 1, 1, VEHICLE), 3.5, 6.5),
        (shapes.rod((5, 0, -2), (5, 0, 2), 0.5, VEHICLE, 8), 4.5, 5.5),
    ],
)
def test_a_ray_enters_and_leaves_where_it_must(shape, enter, leave):
    rays = np.array([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]])
    a, b = shape.way(EYE, rays)
    assert (a[0], b[0]) == pytest.approx((enter, leave), abs=0.05)
    assert (a[1:] > b[1:]).all()
    turned = shape.placed(0.0, 0.0, 0.0, np.pi / 2)
    assert turned.way(EYE, rays[[1]])[0][0] == pytest.approx(enter, abs=0.05)
    moved = shape.placed(3.0, 0.0, 0.0)
    assert moved.way(EYE, rays[[0]])[0][0] == pytest.approx(enter + 3.0, abs=0.05)


MADE = [
    *(bodies.car, bodies.pickup, bodies.van, bodies.truck, bodies.person, bodies.sitting, bodies.cyclist),
    *(bodies.tree, bodies.bush, bodies.lamp, bodies.sign, bodies.bollard, furniture.desk, furniture.chair),
    lambda rng: furniture.windowed(rng, 6.0, 3.0),
    lambda rng: furniture.relief(rng, 6.0, 3.0, 20),
]


@pytest.mark.parametrize("make", MADE)
def test_no_ray_that_meets_a_shape_is_left_out(make):
    """The block of rays that a shape gets holds every ray that meets it."""
    parts = [p.placed(4.0, 2.0, 0.0, 0.7) for p in make(np.random.default_rng(0))]
    for lidar in (sensor(beams=60, columns=360), sensor(beams=60, columns=360, full=False)):
        rays = lidar.rays()
        for shape in parts:
            enter, leave = shape.way(lidar.eye, rays.reshape(-1, 3))
            meets = ((enter < leave) & (leave > 0)).reshape(rays.shape[:2])
            part = lidar.towards(shape.centre, shape.radius)
            given = np.zeros_like(meets)
            if part is not None:
                given[part] = True
            assert not (meets & ~given).any()


def test_flat_ground_lies_where_it_is():
    seen = raycast.cast(flat([]), sensor(), np.random.default_rng(0))
    assert len(seen.xyz) > 100 and (seen.label == GROUND).all() and (seen.thing == 0).all()
    assert seen.xyz[:, 2] == pytest.approx(-1.7, abs=0.02)


def test_things_hide_what_is_behind_them():
    wall = shapes.block(8, 0, 0, 0.5, 12, 3, STRUCTURE).placed(0, 0, 0, 0.0, 1)
    car = shapes.block(14, 0, 0, 4, 2, 1.5, VEHICLE).placed(0, 0, 0, 0.0, 2)
    seen = raycast.cast(flat([car, wall]), sensor(), np.random.default_rng(0))
    assert (seen.label == STRUCTURE).any() and not (seen.label == VEHICLE).any() and set(seen.thing) == {0, 1}
    on_wall = seen.xyz[seen.label == STRUCTURE]
    assert on_wall[:, 0] == pytest.approx(7.75, abs=0.02)
    x, y, _ = seen.xyz.T
    assert not ((x > 8.3) & (np.abs(y) < 4.0)).any()


def test_foliage_is_entered_and_thins_with_its_density():
    depth = []
    for density in (2.0, 20.0):
        bush = shapes.block(8, 0, 0, 4, 8, 3, VEGETATION, density=density, thing=1)
        seen = raycast.cast(flat([bush]), sensor(beams=60, columns=360), np.random.default_rng(0))
        leaves = seen.xyz[(seen.label == VEGETATION) & (np.abs(seen.xyz[:, 1]) < 2.0)]
        assert leaves[:, 0].min() >= 5.99 and leaves[:, 0].max() <= 10.01
        depth.append(np.median(leaves[:, 0]))
    assert depth[0] > depth[1] + 0.2


def test_drop_out_noise_and_reach():
    all_of = len(raycast.cast(flat([]), sensor(), np.random.default_rng(0)).xyz)
    lossy = raycast.cast(flat([]), sensor(lost=0.5), np.random.default_rng(0))
    assert 0.35 * all_of < len(lossy.xyz) < 0.65 * all_of
    near = raycast.cast(flat([]), sensor(reach=5.0), np.random.default_rng(0))
    assert np.linalg.norm(near.xyz, axis=1).max() < 5.1
    noisy = raycast.cast(flat([]), sensor(noise=0.05), np.random.default_rng(0))
    assert 0.005 < noisy.xyz[:, 2].std() < 0.05


def test_returns_from_nothing_are_near_and_of_no_class():
    seen = raycast.cast(flat([]), sensor(halo=0.4), np.random.default_rng(0))
    false = seen.label == IGNORED
    assert 0.3 < false.mean() < 0.5 and (seen.thing[false] == 0).all()
    assert np.median(np.linalg.norm(seen.xyz[false], axis=1)) < 0.7 < np.linalg.norm(seen.xyz[~false], axis=1).min()


def test_a_sensor_on_a_desk_stands_among_things():
    """Of the rooms with such a sensor most have points within a metre and a half, at its own height."""
    near = []
    for seed in range(40):
        place = Room(np.random.default_rng(seed))
        high = place.mount()
        if place.on_desk:
            assert 0.8 < high < 1.2
            seen = raycast.cast(place.world(), sensor(eye=(0.0, 0.0, high)), np.random.default_rng(0))
            near.append((np.linalg.norm(seen.xyz, axis=1) < 1.5).mean())
    assert len(near) > 5 and np.median(near) > 0.1


def test_a_pick_up_is_large_and_its_bed_is_lower_than_its_cabin():
    street = Street(np.random.default_rng(0))
    kinds = [street.vehicle() for _ in range(200)]
    assert {"car", "large"} == {kind for kind, _ in kinds}
    parts = [p.placed(9.0, 0.0, 0.0, 0.0, 1) for p in bodies.pickup(np.random.default_rng(1))]  # seen from behind
    seen = raycast.cast(flat(parts), sensor(beams=200, columns=720), np.random.default_rng(0))
    x, _, z = seen.xyz[seen.thing == 1].T
    assert x[z > -0.4].min() > x[z < -0.8].min() + 0.8  # above 1.3 m nothing stands at the tailgate


def test_a_seed_gives_the_same_scans_and_its_numbers_differ():
    first, again, other = simulate.scan(3, 1), simulate.scan(3, 1), simulate.scan(3, 2)
    assert all((first[key] == again[key]).all() for key in first)
    assert len(first["xyz"]) != len(other["xyz"]) or (first["xyz"] != other["xyz"]).any()


def test_scans_hold_every_class_and_ground_that_the_robot_finds():
    """Over some streets and rooms: all six classes; the estimated height over labelled ground is small."""
    data = simulate.simulate(8, seed=1)
    assert set(range(6)) <= set(np.unique(data["label"]))
    assert {"car", "pedestrian", "pole"} <= {str(data["kinds"][k]) for k in np.unique(data["kind"]) if k != 255}
    errors = []
    for a, b in zip(data["offsets"], data["offsets"][1:]):
        height = ground.height(data["xyz_cm"][a:b].astype(np.float32) / np.float32(100.0))
        errors.append(np.abs(height[data["label"][a:b] == GROUND]))
    assert np.median(np.concatenate(errors)) < 0.1


def test_the_command_writes_what_training_reads(tmp_path, capsys):
    path = tmp_path / "simulated_train.npz"
    assert simulate.main(["--scans", "3", "--seed", "5", "--out", str(path)]) == 0
    assert "3 scenes" in capsys.readouterr().out
    scans, classes = scan.load(path)
    assert classes == ("ground", "vegetation", "structure", "vehicle", "person", "pole")
    assert len(scans) == 3 and all(np.isfinite(one.xyz).all() and len(one.xyz) for one in scans)
    assert all(0.0 <= one.intensity.min() and one.intensity.max() <= 1.0 for one in scans)


def test_a_folder_that_is_not_there_is_one_sentence(tmp_path, capsys):
    assert simulate.main(["--scans", "1", "--out", str(tmp_path / "none" / "a.npz")]) == 2
    assert "simulate:" in capsys.readouterr().err
