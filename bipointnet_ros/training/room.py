"""A random room, corridor, hall or garage for simulated scans: walls, ceiling, furniture, people."""

from __future__ import annotations

import numpy as np

from bipointnet_ros.training import bodies
from bipointnet_ros.training.raycast import World
from bipointnet_ros.training.shapes import IGNORED, POLE, STRUCTURE, VEGETATION, ball, block, rod
from bipointnet_ros.training.things import Things

KINDS = ("room", "corridor", "hall", "garage")
_THICK = 0.2  # m: a wall


class Room(Things):
    """Axis-aligned about the sensor, then turned by ``yaw``; the floor is at z = 0."""

    def __init__(self, rng):
        super().__init__(rng)
        self.kind = str(rng.choice(KINDS, p=(0.45, 0.2, 0.2, 0.15)))
        self.yaw = rng.uniform(0.0, 2.0 * np.pi)
        low, high = {"room": (4, 10), "corridor": (10, 40), "hall": (12, 45), "garage": (18, 50)}[self.kind]
        self.length = rng.uniform(low, high)
        wide = {"corridor": rng.uniform(1.8, 4.0), "room": rng.uniform(3.5, 9.0)}
        self.width = wide.get(self.kind, rng.uniform(0.5, 1.0) * self.length)
        self.height = rng.uniform(4.0, 9.0) if self.kind == "hall" else rng.uniform(2.2, 3.6)
        self.middle = rng.uniform(-0.4, 0.4, 2) * (self.length, self.width)

    def world(self) -> World:
        """Walls, what stands along them, what stands in between, and people."""
        self._shell()
        for _ in range(int(self.length * self.width / _area(self.kind))):
            self._furnish()
        if self.kind == "garage":
            self._cars()
        for _ in range(self.rng.poisson(3)):
            self._person()
        if self.kind in ("hall", "garage"):
            self._pillars()
        return World(self.shapes, _floor, _floor_bright, _floor)

    def put(self, kind, parts, x, y, turn=0.0):
        """A thing at (x, y) of the room, unless the sensor stands there."""
        x, y = x + self.middle[0], y + self.middle[1]
        if np.hypot(x, y) < 0.7:
            return
        c, s = np.cos(self.yaw), np.sin(self.yaw)
        self.add(kind, parts, x * c - y * s, x * s + y * c, 0.0, self.yaw + turn)

    def _shell(self):
        """Four walls with doors that stand open here and there, a ceiling with beams, and rooms beyond."""
        rng, half = self.rng, np.array([self.length, self.width]) / 2.0
        wall = {"bright": rng.uniform(0.3, 0.8), "opacity": 0.98}
        if rng.random() < 0.4:
            wall["windows"] = rng.uniform(1.5, 4.0), self.yaw
        for turn, reach, far in ((0.0, half[1], half[0]), (np.pi / 2, half[0], half[1])):
            for side in (-1, 1):
                for a, b in _without_doors(rng, 2.0 * reach):
                    piece = block(0, (a + b) / 2.0, -0.1, _THICK, b - a, self.height + 0.1, STRUCTURE, **wall)
                    x, y = (side * (far + _THICK / 2.0), 0.0) if turn == 0.0 else (0.0, side * (far + _THICK / 2.0))
                    self.put("other", [piece], x, y, turn)
        ceiling = [block(0, 0, self.height, 60.0, 60.0, 0.2, STRUCTURE, bright=0.6)]
        for x in np.arange(-half[0], half[0], rng.uniform(2.0, 8.0)):
            ceiling.append(block(x, 0, self.height - 0.25, 0.3, self.width, 0.25, STRUCTURE))
        self.put("other", ceiling, 1.0, 0.0)
        beyond = rng.uniform(3.0, 9.0)
        for turn, far in ((0.0, half[0]), (np.pi / 2, half[1])):
            for side in (-1, 1):
                x, y = (side * (far + beyond), 0.0) if turn == 0.0 else (0.0, side * (far + beyond))
                self.put("other", [block(0, 0, -0.1, 0.2, 80.0, 4.0, STRUCTURE)], x, y, turn)

    def _furnish(self):
        """Cupboards and shelves along the walls; tables, chairs, boxes and plants anywhere."""
        rng = self.rng
        x, y = rng.uniform(-0.48, 0.48, 2) * (self.length, self.width)
        what = rng.random()
        if what < 0.4:
            deep, long, tall = rng.uniform(0.3, 0.8), rng.uniform(0.5, 3.0), rng.uniform(0.6, 2.2)
            along = rng.random() < 0.5
            if along:
                y = rng.choice([-1, 1]) * (self.width / 2.0 - deep / 2.0)
            else:
                x = rng.choice([-1, 1]) * (self.length / 2.0 - deep / 2.0)
            self.put("other", _cupboard(rng, long, deep, tall), x, y, 0.0 if along else np.pi / 2)
        elif what < 0.6:
            self.put("other", _table(rng), x, y, rng.uniform(0.0, 6.3))
        elif what < 0.8:
            self.put("other", _chair(rng), x, y, rng.uniform(0.0, 6.3))
        elif what < 0.9:
            size = rng.uniform(0.3, 1.4, 3)
            self.put("other", [block(0, 0, 0, *size, STRUCTURE)], x, y, rng.uniform(0.0, 6.3))
        elif what < 0.95:
            pot = block(0, 0, 0, 0.4, 0.4, 0.4, IGNORED)
            leaf = ball(0, 0, rng.uniform(0.8, 1.3), 0.4, 0.4, 0.6, VEGETATION, density=rng.uniform(2.0, 8.0))
            self.put("vegetation", [pot, leaf], x, y)
        else:
            self.put(
                "pole", [rod((0, 0, 0), (0, 0, rng.uniform(1.2, self.height)), rng.uniform(0.02, 0.1), POLE)], x, y
            )

    def _cars(self):
        rng = self.rng
        for row in (-0.35, 0.35):
            for x in np.arange(-self.length / 2 + 2, self.length / 2 - 2, 2.6):
                if rng.random() < 0.6:
                    make = bodies.car if rng.random() < 0.85 else bodies.van
                    self.put("car", make(rng), x, row * self.width, np.pi / 2 + rng.normal(0.0, 0.03))

    def _pillars(self):
        rng = self.rng
        every, thick = rng.uniform(4.0, 9.0), rng.uniform(0.3, 0.7)
        for x in np.arange(-self.length / 2 + 2, self.length / 2, every):
            for y in (-self.width / 5, self.width / 5):
                self.put("other", [block(0, 0, 0, thick, thick, self.height, STRUCTURE)], x, y)

    def _person(self):
        rng = self.rng
        x, y = rng.uniform(-0.45, 0.45, 2) * (self.length, self.width)
        if self.kind in ("hall", "garage"):
            x, y = np.array([x, y]) * 0.5 - self.middle * 0.5  # near the sensor rather
        self.put("pedestrian", bodies.person(rng), x, y, rng.uniform(0.0, 6.3))


def _area(kind: str) -> float:
    """m2 of floor a piece of furniture."""
    return {"room": 3.5, "corridor": 8.0, "hall": 14.0, "garage": 80.0}[kind]


def _floor(x, y):
    return np.zeros_like(x)


def _floor_bright(x, y):
    return np.full_like(x, 0.3)


def _without_doors(rng, length):
    """Stretches (a, b) of a wall about 0."""
    a, half = -length / 2.0, length / 2.0
    while a < half:
        b = min(a + rng.uniform(2.0, 12.0), half)
        yield a, b
        a = b + rng.choice([0.0, 0.9, 1.6])


def _cupboard(rng, long, deep, tall):
    if rng.random() < 0.6:
        return [block(0, 0, 0, long, deep, tall, STRUCTURE)]
    boards = [block(0, 0, z, long, deep, 0.04, STRUCTURE) for z in np.arange(0.1, tall, 0.4)]
    sides = [block(x, 0, 0, 0.04, deep, tall, STRUCTURE) for x in (-long / 2, long / 2)]
    goods = [block(rng.uniform(-0.4, 0.4) * long, 0, z, 0.4, deep * 0.8, 0.25, STRUCTURE) for z in (0.14, 0.54, 0.94)]
    return [*boards, *sides, *goods]


def _table(rng):
    long, wide, tall = rng.uniform(0.6, 2.2), rng.uniform(0.5, 1.1), rng.uniform(0.4, 1.0)
    legs = [(x, y) for x in (-0.45 * long, 0.45 * long) for y in (-0.45 * wide, 0.45 * wide)]
    top = block(0, 0, tall - 0.04, long, wide, 0.04, STRUCTURE)
    return [top, *(rod((x, y, 0), (x, y, tall), 0.03, STRUCTURE) for x, y in legs)]


def _chair(rng):
    seat = rng.uniform(0.4, 0.5)
    if rng.random() < 0.3:  # a sofa
        long = rng.uniform(0.8, 2.2)
        return [block(0, 0, 0.1, 0.8, long, 0.35, STRUCTURE), block(-0.35, 0, 0.4, 0.2, long, 0.45, STRUCTURE)]
    back = block(-0.2, 0, seat, 0.05, 0.42, 0.45, STRUCTURE)
    stand = [rod((x, y, 0), (x, y, seat), 0.02, STRUCTURE) for x in (-0.2, 0.2) for y in (-0.2, 0.2)]
    return [block(0, 0, seat - 0.04, 0.45, 0.45, 0.06, STRUCTURE), back, *stand]
