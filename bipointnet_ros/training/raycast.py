"""What a lidar sees of a world of convex shapes on uneven ground: one pass over the shapes, each with its rays only.

No meshes and no dependency: a shape's rays are a block of the sensor's grid of beams and azimuths.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from bipointnet_ros.training.sensors import Sensor
from bipointnet_ros.training.shapes import GROUND, IGNORED, Shape

_NEAREST = 0.3  # m: shapes nearer to the eye hide nothing
_FARTHEST = 150.0  # m
_STEPS, _HALVINGS = 30, 6  # of the search for the ground along a ray
_RISING = 0.12  # steeper rays never meet it


@dataclass(frozen=True)
class World:
    """ground(x, y) -> z [m]; bright(x, y) -> its reflectivity 0..1; rough(x, y) -> how far its grass rises [m]."""

    shapes: list[Shape]
    ground: Callable
    bright: Callable
    rough: Callable


@dataclass(frozen=True)
class Returns:
    """Points xyz (N, 3) [m] from the eye, label (N,) uint8, bright (N,) 0..1, thing (N,): 0 = ground or no thing."""

    xyz: np.ndarray
    label: np.ndarray
    bright: np.ndarray
    thing: np.ndarray


def cast(world: World, sensor: Sensor, rng) -> Returns:
    """One scan, with noise, drop-out and the limits of the sensor's reach."""
    rays = sensor.rays()
    depth, hit = _to_ground(world, sensor.eye, rays), np.full(rays.shape[:2], -1)
    for i, shape in enumerate(world.shapes):
        part = sensor.towards(shape.centre, shape.radius)
        if part is not None:
            _meet(shape, i, sensor.eye, rays, depth, hit, part, rng)
    seen = np.isfinite(depth)
    rays, depth, hit = rays[seen], depth[seen], hit[seen]
    place, on_ground = sensor.eye + rays * depth[:, None], hit < 0
    bright = np.where(on_ground, world.bright(*place[:, :2].T), _of(world.shapes, "bright", float)[hit])
    grass = rng.exponential(1.0, len(depth)) * world.rough(*place[:, :2].T) * on_ground
    depth = depth - np.minimum(grass / np.maximum(-rays[:, 2], 0.1), 0.5) + rng.normal(0.0, sensor.noise, len(depth))
    kept = (rng.random(len(depth)) >= sensor.lost) & (
        depth < np.minimum(sensor.reach * np.sqrt(bright / 0.1), _FARTHEST)
    )
    kept &= (depth > _NEAREST) & ~_lost_in_windows(world.shapes, place, hit, rng)
    label = np.where(on_ground, GROUND, _of(world.shapes, "label", np.uint8)[hit]).astype(np.uint8)
    thing = np.where(on_ground, 0, _of(world.shapes, "thing", int)[hit])
    false = rng.random(len(depth)) < sensor.halo
    depth = np.where(false, _NEAREST + rng.exponential(0.25, len(depth)), depth)
    label, thing = np.where(false, IGNORED, label).astype(np.uint8), np.where(false, 0, thing)
    xyz = (rays * depth[:, None])[kept].astype(np.float32)
    return Returns(xyz, label[kept], bright[kept], thing[kept])


def _of(shapes, name: str, dtype) -> np.ndarray:
    """(S + 1,) an attribute of every shape; the last one, for no shape, is 0."""
    return np.array([*(getattr(shape, name) for shape in shapes), 0], dtype)


def _lost_in_windows(shapes, place, hit, rng) -> np.ndarray:
    """(N,) bool: half of what meets a window of a front does not come back."""
    pitch, yaw = (np.array([*(s.windows[k] if s.windows else 0.0 for s in shapes), 0.0])[hit] for k in (0, 1))
    rows = np.flatnonzero(pitch)
    lost = np.zeros(len(hit), bool)
    x, y, z = place[rows].T
    c, s = np.cos(yaw[rows]), np.sin(yaw[rows])
    along = (x * (c - s) + y * (c + s)) / pitch[rows]  # one of the two is constant on every front
    within = (along % 1.0 > 0.45) & (z / 3.0 % 1.0 > 0.35) & (z / 3.0 % 1.0 < 0.8)
    lost[rows] = within & (rng.random(len(rows)) < 0.5)
    return lost


def _to_ground(world: World, eye, rays) -> np.ndarray:
    """(B, A) [m] to where the rays meet the ground, infinite where they do not."""
    flat = rays.reshape(-1, 3)
    low, high = np.zeros(len(flat)), np.full(len(flat), np.inf)
    going = np.flatnonzero(flat[:, 2] < _RISING)
    for reach in np.geomspace(0.3, _FARTHEST, _STEPS):
        under = _under(world, eye, flat[going], np.full(len(going), reach))
        high[going[under]] = reach
        going = going[~under]
        low[going] = reach
    met = np.flatnonzero(np.isfinite(high))
    ray, near, far = flat[met], low[met], high[met]
    for _ in range(_HALVINGS):
        middle = (near + far) / 2.0
        under = _under(world, eye, ray, middle)
        near, far = np.where(under, near, middle), np.where(under, middle, far)
    depth = np.full(len(flat), np.inf)
    depth[met] = _meeting(world, eye, ray, near, far)
    return depth.reshape(rays.shape[:2])


def _under(world: World, eye, ray, depth):
    x, y, z = (eye + ray * depth[:, None]).T
    return z < world.ground(x, y)


def _meeting(world: World, eye, ray, low, high):
    """Where the height over the ground, linear between low and high, is 0."""
    over = []
    for depth in (low, high):
        x, y, z = (eye + ray * depth[:, None]).T
        over.append(z - world.ground(x, y))
    return low + (high - low) * np.clip(over[0] / np.maximum(over[0] - over[1], 1e-9), 0.0, 1.0)


def _meet(shape: Shape, number: int, eye, rays, depth, hit, part, rng):
    """Shorten ``depth`` where the shape is nearer."""
    some = rays[part]
    enter, leave = shape.way(eye, some.reshape(-1, 3))
    enter = enter.reshape(some.shape[:2])
    leave = leave.reshape(some.shape[:2])
    if shape.density:
        enter = np.maximum(enter, _NEAREST) + rng.exponential(1.0 / shape.density, enter.shape)
    met = (enter < leave) & (enter > _NEAREST) & (enter < depth[part])
    if shape.opacity < 1.0:
        met &= rng.random(met.shape) < shape.opacity
    depth[part] = np.where(met, enter, depth[part])
    hit[part] = np.where(met, number, hit[part])
