"""Convex shapes that a simulated scan can meet, and things made of them (simulate.py). Metres, z up.

A shape is a convex polyhedron or an ellipsoid. Foliage is a shape that a ray enters: it is stopped after a random way.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

GROUND, VEGETATION, STRUCTURE, VEHICLE, PERSON, POLE, IGNORED = 0, 1, 2, 3, 4, 5, 255


@dataclass(frozen=True)
class Shape:
    """planes (P, 4): n . x <= d, n of length 1; or ball (3, 3): x is inside where |ball (x - centre)| <= 1.

    label: class of its points; bright: reflectivity 0..1; opacity: share of the rays that it stops;
    density: hits a metre within foliage, 0 = a surface; windows: (pitch [m], yaw [rad]) of fronts with windows, or None.
    centre (3,) and radius bound the shape. thing: number of the thing that it belongs to (simulate.py counts them).
    """

    centre: np.ndarray
    radius: float
    label: int
    planes: np.ndarray | None = None
    ball: np.ndarray | None = None
    bright: float = 0.3
    opacity: float = 1.0
    density: float = 0.0
    windows: tuple[float, float] | None = None
    thing: int = 0

    def placed(self, x: float, y: float, z: float, yaw: float = 0.0, thing: int = 0) -> Shape:
        """The shape turned by yaw [rad] about z and moved, as a part of a thing."""
        turn = turned(yaw)
        centre = turn @ self.centre + (x, y, z)
        if self.ball is not None:
            return replace(self, centre=centre, ball=self.ball @ turn.T, thing=thing)
        normals = self.planes[:, :3] @ turn.T
        shifted = np.column_stack([normals, self.planes[:, 3] + normals @ (x, y, z)])
        return replace(self, centre=centre, planes=shifted, thing=thing)

    def way(self, eye, rays) -> tuple[np.ndarray, np.ndarray]:
        """Where rays (n, 3) from eye (3,) enter and leave [m]; entry > exit where they miss."""
        return self._through_ball(eye, rays) if self.ball is not None else self._through_planes(eye, rays)

    def _through_planes(self, eye, rays):
        normals = self.planes[:, :3]
        fall, gap = rays @ normals.T, self.planes[:, 3] - normals @ eye
        with np.errstate(divide="ignore", invalid="ignore"):
            at = gap / fall
        enter = np.where(fall < 0, at, -np.inf).max(1)
        leave = np.where(fall > 0, at, np.inf).min(1)
        outside = ((fall == 0) & (gap < 0)).any(1)
        return np.where(outside, np.inf, enter), leave

    def _through_ball(self, eye, rays):
        start, step = self.ball @ (eye - self.centre), rays @ self.ball.T
        a, b, c = np.einsum("ij,ij->i", step, step), step @ start, start @ start - 1.0
        root = b * b - a * c
        half = np.sqrt(np.maximum(root, 0.0)) / a
        return np.where(root < 0, np.inf, -b / a - half), -b / a + half


def turned(yaw: float) -> np.ndarray:
    """(3, 3) rotation about z."""
    c, s = np.cos(yaw), np.sin(yaw)
    return np.array([[c, -s, 0.0], [s, c, 0.0], [0.0, 0.0, 1.0]])


def block(x, y, z, length, width, height, label, front=0.0, back=0.0, side=0.0, **more) -> Shape:
    """A box on z, centred at x, y; its top is shorter by ``front`` and ``back`` [m] and narrower by ``side`` each side."""
    rows = []
    for axis, half, slant in (
        (0, length / 2, front),
        (0, -length / 2, back),
        (1, width / 2, side),
        (1, -width / 2, side),
    ):
        normal = np.zeros(3)
        normal[axis], normal[2] = np.sign(half) * height, slant
        normal /= np.linalg.norm(normal)
        corner = np.zeros(3)
        corner[axis] = half
        rows.append([*normal, normal @ corner])
    planes = np.array([*rows, [0.0, 0.0, 1.0, height], [0.0, 0.0, -1.0, 0.0]])
    planes[:, 3] += planes[:, :3] @ (x, y, z)
    radius = 0.5 * float(np.linalg.norm((length, width, height)))
    return Shape(np.array([x, y, z + height / 2.0]), radius, label, planes, **more)


def rod(a, b, radius: float, label, sides: int = 6, **more) -> Shape:
    """A round bar from a to b, as a prism."""
    a, b = np.asarray(a, float), np.asarray(b, float)
    axis = (b - a) / np.linalg.norm(b - a)
    across = np.cross(axis, (1.0, 0.0, 0.0) if abs(axis[0]) < 0.8 else (0.0, 1.0, 0.0))
    across /= np.linalg.norm(across)
    angle = 2.0 * np.pi * np.arange(sides) / sides
    normals = np.cos(angle)[:, None] * across + np.sin(angle)[:, None] * np.cross(axis, across)
    planes = np.vstack(
        [np.column_stack([normals, normals @ a + radius]), [*axis, axis @ b], [*-axis, -axis @ a]],
    )
    reach = float(np.hypot(np.linalg.norm(b - a) / 2.0, 1.2 * radius))
    return Shape((a + b) / 2.0, reach, label, planes, **more)


def ball(x, y, z, rx, ry, rz, label, **more) -> Shape:
    """An ellipsoid with half axes rx, ry, rz."""
    return Shape(np.array([x, y, z], float), max(rx, ry, rz), label, None, np.diag([1 / rx, 1 / ry, 1 / rz]), **more)


# ------------------------------------------------------------------------------- things: lists of shapes around (0, 0)


def car(rng) -> list[Shape]:
    """A saloon, estate, hatchback, off-roader or pick-up; x ahead."""
    length, width, height = rng.uniform(3.6, 5.0), rng.uniform(1.65, 1.95), rng.uniform(1.4, 1.8)
    clear, belt = rng.uniform(0.15, 0.25), rng.uniform(0.85, 1.05)
    paint = {"bright": rng.uniform(0.05, 0.9), "opacity": rng.uniform(0.75, 1.0)}
    bonnet, boot = rng.uniform(0.18, 0.32) * length, rng.choice([0.02, 0.1, 0.2, 0.38]) * length
    roof = length - bonnet - boot
    middle = (boot - bonnet) / 2.0
    slope = {"front": rng.uniform(0.4, 0.8), "back": rng.uniform(0.1, 0.6), "side": rng.uniform(0.1, 0.2)}
    body = block(0, 0, clear, length, width, belt - clear, VEHICLE, 0.1, 0.1, 0.05, **paint)
    glass = {"bright": 0.1, "opacity": rng.uniform(0.2, 0.7)}
    cabin = block(middle, 0, belt, roof, width - 0.1, height - belt, VEHICLE, **slope, **glass)
    lid = block(middle, 0, height - 0.08, roof - slope["front"] - slope["back"], width - 0.35, 0.08, VEHICLE, **paint)
    seats = [block(middle + s, 0, belt, 0.2, width - 0.5, 0.25, VEHICLE) for s in (-0.6, 0.3)]
    return [body, cabin, lid, *seats, *_wheels(length * 0.3, width / 2 - 0.1, 0.32)]


def van(rng) -> list[Shape]:
    """A delivery van or a minibus."""
    length, width, height = rng.uniform(4.4, 6.5), rng.uniform(1.9, 2.2), rng.uniform(1.9, 2.7)
    paint = {"bright": rng.uniform(0.1, 0.9), "opacity": rng.uniform(0.8, 1.0)}
    nose = rng.uniform(0.4, 0.9)
    hold = block(-nose / 2, 0, 0.25, length - nose, width, height - 0.25, VEHICLE, 0.5, 0.05, 0.08, **paint)
    front = block(length / 2 - nose / 2, 0, 0.25, nose, width, 0.9, VEHICLE, 0.15, **paint)
    return [hold, front, *_wheels(length * 0.32, width / 2 - 0.1, 0.35)]


def truck(rng) -> list[Shape]:
    """A lorry with a box or a bus."""
    length, width, height = rng.uniform(6.5, 14.0), rng.uniform(2.3, 2.6), rng.uniform(2.8, 3.8)
    paint = {"bright": rng.uniform(0.1, 0.9)}
    wheels = _wheels(length * 0.32, width / 2 - 0.15, 0.5)
    if rng.random() < 0.4:
        return [block(0, 0, 0.35, length, width, height - 0.35, VEHICLE, 0.1, 0.05, 0.05, **paint), *wheels]
    cab = rng.uniform(1.8, 2.4)
    hold = block(-cab / 2 - 0.2, 0, 1.0, length - cab - 0.4, width, height - 1.0, VEHICLE, **paint)
    frame = block(0, 0, 0.6, length * 0.95, 0.9, 0.4, VEHICLE)
    tall = height * rng.uniform(0.7, 0.95) - 0.4
    front = block(length / 2 - cab / 2, 0, 0.4, cab, width - 0.1, tall, VEHICLE, 0.2, 0.0, 0.05, **paint)
    return [hold, frame, front, *wheels]


def _wheels(ahead, aside, radius):
    return [
        rod((x, y - 0.1, radius), (x, y + 0.1, radius), radius, VEHICLE, 8, bright=0.1)
        for x in (ahead, -ahead)
        for y in (aside, -aside)
    ]


def person(rng, label: int = PERSON) -> list[Shape]:
    """Someone who stands or walks along x: torso, head, arms, legs, sometimes a bag."""
    tall = rng.uniform(1.5, 1.95) if rng.random() < 0.85 else rng.uniform(1.0, 1.5)
    scale, stride = tall / 1.75, rng.uniform(0.0, 0.35)
    wide, cloth = rng.uniform(0.2, 0.27), {"bright": rng.uniform(0.1, 0.6), "opacity": 0.97}
    hip = (0.0, 0.0, 0.85)
    parts = [
        ball(0, 0, 1.15, 0.15, wide, 0.38, label, **cloth),
        ball(0, 0, 1.62, 0.1, 0.09, 0.13, label, bright=0.4),
    ]
    for side, swing in ((-1, stride), (1, -stride)):
        foot = (swing, side * 0.1, 0.0)
        hand = (-swing + rng.uniform(0.0, 0.2), side * (wide + 0.08), 0.8)
        parts.append(rod(foot, (hip[0], side * 0.1, hip[2]), 0.085, label, **cloth))
        parts.append(rod(hand, (0.0, side * wide, 1.42), 0.05, label, **cloth))
    if rng.random() < 0.25:
        parts.append(ball(-0.2, 0, 1.2, 0.14, 0.17, 0.26, label, **cloth))
    return [_scaled(part, scale) for part in parts]


def cyclist(rng) -> list[Shape]:
    """A rider on a bicycle along x; rider and machine count as one person."""
    cloth = {"bright": rng.uniform(0.1, 0.6)}
    tilt = rng.uniform(0.05, 0.35)
    rider = [
        rod((-0.15, 0, 0.95), (-0.15 + tilt, 0, 1.45), 0.19, PERSON, **cloth),
        ball(-0.05 + tilt, 0, 1.66, 0.11, 0.1, 0.13, PERSON),
        *(rod((-0.15, s * 0.1, 0.9), (0.2, s * 0.12, 0.35 + 0.15 * s), 0.08, PERSON, **cloth) for s in (-1, 1)),
        *(rod((-0.15 + tilt, s * 0.2, 1.4), (0.45, s * 0.22, 1.05), 0.05, PERSON, **cloth) for s in (-1, 1)),
    ]
    return rider + bicycle(PERSON)


def bicycle(label: int = IGNORED) -> list[Shape]:
    """Wheels let most rays through."""
    wheels = [rod((x, -0.03, 0.34), (x, 0.03, 0.34), 0.34, label, 8, opacity=0.3) for x in (-0.52, 0.52)]
    bars = [((-0.52, 0, 0.34), (-0.15, 0, 0.85)), ((-0.15, 0, 0.8), (0.45, 0, 0.9)), ((0.45, 0, 1.0), (0.52, 0, 0.34))]
    handle = rod((0.45, -0.25, 1.02), (0.45, 0.25, 1.02), 0.03, label)
    return [*wheels, handle, *(rod(a, b, 0.035, label) for a, b in bars)]


def motorcycle() -> list[Shape]:
    body = block(0, 0, 0.3, 1.3, 0.35, 0.6, VEHICLE, 0.2, 0.2, 0.05)
    wheels = [rod((x, -0.08, 0.3), (x, 0.08, 0.3), 0.3, VEHICLE, 8, bright=0.1) for x in (-0.7, 0.7)]
    return [body, *wheels, rod((0.45, -0.35, 1.05), (0.45, 0.35, 1.05), 0.04, VEHICLE)]


def _scaled(shape: Shape, factor: float) -> Shape:
    centre, radius = shape.centre * factor, shape.radius * factor
    if shape.ball is not None:
        return replace(shape, centre=centre, radius=radius, ball=shape.ball / factor)
    planes = shape.planes * (1.0, 1.0, 1.0, factor)
    return replace(shape, centre=centre, radius=radius, planes=planes)


def tree(rng) -> list[Shape]:
    """A trunk and a crown of blobs, or a conifer."""
    tall, thick = rng.uniform(3.0, 14.0), rng.uniform(0.06, 0.3)
    leaf = {"density": rng.uniform(0.4, 2.5), "bright": rng.uniform(0.2, 0.6)}
    trunk = rod((0, 0, -0.2), (rng.normal(0, 0.1), rng.normal(0, 0.1), tall * 0.7), thick, VEGETATION, bright=0.3)
    low, wide = tall * rng.uniform(0.05, 0.5), rng.uniform(0.15, 0.35) * tall
    if rng.random() < 0.25:
        return [trunk, block(0, 0, low, 1.6 * wide, 1.6 * wide, tall - low, VEGETATION, *[0.75 * wide] * 3, **leaf)]
    crown = []
    for _ in range(rng.integers(3, 8)):
        x, y = rng.normal(0, 0.45 * wide, 2)
        r = rng.uniform(0.4, 0.8) * wide
        crown.append(ball(x, y, rng.uniform(low + r * 0.8, tall), r, r, r * rng.uniform(0.7, 1.1), VEGETATION, **leaf))
    return [trunk, *crown]


def bush(rng, tall: float | None = None) -> list[Shape]:
    """A few blobs on the ground."""
    tall = rng.uniform(0.3, 2.5) if tall is None else tall
    leaf = {"density": rng.uniform(2.0, 12.0), "bright": rng.uniform(0.2, 0.6)}
    blobs = []
    for _ in range(rng.integers(1, 5)):
        x, y = rng.normal(0, 0.4 * tall, 2)
        rx, ry = rng.uniform(0.35, 0.8, 2) * tall
        rz = rng.uniform(0.4, 0.6) * tall
        blobs.append(ball(x, y, rz * 0.8, rx, ry, rz, VEGETATION, **leaf))
    return blobs


def hedge(rng, length: float) -> list[Shape]:
    """A clipped hedge along x: as high and as wide as a car or less, and much denser than a tree."""
    tall, wide = rng.uniform(0.5, 2.4), rng.uniform(0.4, 1.6)
    leaf = {"density": rng.uniform(5.0, 25.0), "bright": rng.uniform(0.2, 0.6)}
    pieces, x = [], -length / 2.0
    while x < length / 2.0:
        step = rng.uniform(0.8, 3.0)
        h, w = tall * rng.uniform(0.85, 1.1), wide * rng.uniform(0.8, 1.15)
        pieces.append(block(x + step / 2, rng.normal(0, 0.08), 0, step, w, h, VEGETATION, 0.1, 0.1, 0.1 * w, **leaf))
        x += step
    return pieces


def weeds(rng, length: float, width: float) -> list[Shape]:
    """Tall grass."""
    leaf = {"density": rng.uniform(0.6, 3.0), "bright": 0.4}
    return [block(0, 0, -0.1, length, width, rng.uniform(0.3, 0.9), VEGETATION, 0.2, 0.2, 0.1, **leaf)]


def lamp(rng) -> list[Shape]:
    """A street lamp, a traffic light or a bare pole."""
    tall, thick = rng.uniform(2.5, 9.0), rng.uniform(0.04, 0.14)
    parts = [rod((0, 0, -0.1), (0, 0, tall), thick, POLE, 8, bright=0.4)]
    if rng.random() < 0.5:
        reach = rng.uniform(0.5, 2.5)
        parts.append(rod((0, 0, tall - 0.1), (reach, 0, tall), 0.05, POLE))
    if rng.random() < 0.3:
        parts.append(block(0.2, 0, min(tall, 3.2) - 0.9, 0.3, 0.3, 0.9, POLE))
    return parts


def sign(rng) -> list[Shape]:
    """A traffic sign on its post, facing x."""
    post, size, top = rng.uniform(0.025, 0.05), rng.uniform(0.4, 1.0), rng.uniform(1.8, 3.2)
    plate = block(post + 0.02, 0, top - size, 0.03, size, size * rng.uniform(0.7, 1.3), POLE, bright=1.0)
    return [rod((0, 0, -0.1), (0, 0, top), post, POLE, bright=0.5), plate]


def bollard(rng) -> list[Shape]:
    return [rod((0, 0, -0.1), (0, 0, rng.uniform(0.7, 1.2)), rng.uniform(0.05, 0.12), POLE, 8)]
