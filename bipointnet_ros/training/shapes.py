"""Convex shapes that a simulated scan can meet (raycast.py). Metres, z up.

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
    density: hits a metre within foliage, 0 = a surface; windows: (pitch [m], yaw [rad]) of fronts that have some.
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

    def scaled(self, factor: float) -> Shape:
        """The shape ``factor`` times as large, about (0, 0, 0)."""
        centre, radius = self.centre * factor, self.radius * factor
        if self.ball is not None:
            return replace(self, centre=centre, radius=radius, ball=self.ball / factor)
        return replace(self, centre=centre, radius=radius, planes=self.planes * (1.0, 1.0, 1.0, factor))

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
    """A box on z, centred at x, y; its top is shorter by ``front``, ``back`` [m] and narrower by ``side`` each side."""
    rows = []
    x2, y2 = length / 2.0, width / 2.0
    for axis, half, slant in ((0, x2, front), (0, -x2, back), (1, y2, side), (1, -y2, side)):
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
