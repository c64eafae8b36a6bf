"""A random room, corridor, hall or garage for simulated scans: walls, ceiling, furniture, people."""

from __future__ import annotations

import numpy as np

from bipointnet_ros.training import bodies, furniture
from bipointnet_ros.training.raycast import World
from bipointnet_ros.training.shapes import IGNORED, POLE, STRUCTURE, VEGETATION, ball, block, rod
from bipointnet_ros.training.things import Things

KINDS = ("room", "office", "corridor", "hall", "garage")
_THICK = 0.2  # m: a wall


class Room(Things):
    """Axis-aligned about the sensor, then turned by ``yaw``; the floor is at z = 0."""

    def __init__(self, rng):
        super().__init__(rng)
        self.kind = str(rng.choice(KINDS, p=(0.25, 0.3, 0.15, 0.15, 0.15)))
        self.yaw = rng.uniform(0.0, 2.0 * np.pi)
        low, high = {"room": (4, 10), "office": (6, 18), "corridor": (10, 40), "hall": (12, 45), "garage": (18, 50)}[
            self.kind
        ]
        self.length = rng.uniform(low, high)
        wide = {"corridor": rng.uniform(1.8, 4.0), "room": rng.uniform(3.5, 9.0)}
        self.width = wide.get(self.kind, rng.uniform(0.5, 1.0) * self.length)
        self.height = rng.uniform(4.0, 9.0) if self.kind == "hall" else rng.uniform(2.2, 3.6)
        self.middle = rng.uniform(-0.4, 0.4, 2) * (self.length, self.width)
        self.on_desk = self.kind in ("room", "office") and rng.random() < 0.5  # the sensor

    def mount(self) -> float:
        """Height of the sensor [m]: on a robot, or in every second room and office on a desk among what lies there."""
        return furniture.DESK + self.rng.uniform(0.1, 0.35) if self.on_desk else self.rng.uniform(0.3, 1.4)

    def world(self) -> World:
        """Walls, what stands along them, what stands in between, and people."""
        self._shell()
        if self.on_desk:
            self._around_the_sensor()
        if self.kind == "office":
            self._desks()
        for _ in range(int(self.length * self.width / _area(self.kind))):
            self._furnish()
        if self.kind == "garage":
            self._cars()
        for _ in range(self.rng.poisson(3)):
            self._person()
        if self.kind in ("hall", "garage"):
            self._pillars()
        return World(self.shapes, _floor, _floor_bright, _floor)

    def put(self, kind, parts, x, y, turn=0.0, room=1.0):
        """A thing at (x, y) of the room, unless the sensor stands within ``room`` [m] of it."""
        x, y = x + self.middle[0], y + self.middle[1]
        if np.hypot(x, y) < room:
            return
        c, s = np.cos(self.yaw), np.sin(self.yaw)
        self.add(kind, parts, x * c - y * s, x * s + y * c, 0.0, self.yaw + turn)

    def _shell(self):
        """Four walls with doors that stand open here and there, a ceiling with beams, and rooms beyond."""
        rng, half = self.rng, np.array([self.length, self.width]) / 2.0
        plain = {"bright": rng.uniform(0.3, 0.8), "opacity": 0.98}
        if rng.random() < 0.4:
            plain["windows"] = rng.uniform(1.5, 4.0), self.yaw
        for turn, reach, far in ((0.0, half[1], half[0]), (np.pi / 2, half[0], half[1])):
            for side in (-1, 1):
                for a, b in _without_doors(rng, 2.0 * reach):
                    self._wall(turn, side, far, a, b, plain)
        ceiling = [block(0, 0, self.height, 60.0, 60.0, 0.2, STRUCTURE, bright=0.6)]
        for x in np.arange(-half[0], half[0], rng.uniform(2.0, 8.0)):
            ceiling.append(block(x, 0, self.height - 0.25, 0.3, self.width, 0.25, STRUCTURE))
        self.put("other", ceiling, 0.0, 0.0, room=0.0)
        self.put("other", furniture.overhead(rng, self.length, self.width, self.height), 0.0, 0.0, room=0.0)
        beyond = rng.uniform(3.0, 9.0)
        for turn, far in ((0.0, half[0]), (np.pi / 2, half[1])):
            for side in (-1, 1):
                self.put("other", [block(0, 0, -0.1, 0.2, 80.0, 4.0, STRUCTURE)], *_out(turn, side, far + beyond), turn)

    def _wall(self, turn, side, far, a, b, plain):
        """From a to b along one side of the room: with windows set back, or flat with what hangs on it."""
        rng, long = self.rng, b - a
        inwards = lambda parts: [p.placed(0.0, (a + b) / 2.0, 0.0, side * np.pi / 2) for p in parts]  # noqa: E731
        if rng.random() < 0.35:
            front = inwards(furniture.windowed(rng, long, self.height))
            self.put("other", front, *_out(turn, side, far + _THICK / 2.0), turn)
            return
        piece = block(0, (a + b) / 2.0, -0.1, _THICK, long, self.height + 0.1, STRUCTURE, **plain)
        self.put("other", [piece], *_out(turn, side, far + _THICK / 2.0), turn)
        ledge = furniture.relief(rng, long, self.height, rng.poisson(long * rng.uniform(0.0, 0.8)))
        self.put("other", inwards(ledge), *_out(turn, side, far), turn)

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
            self.put("other", furniture.cupboard(rng, long, deep, tall), x, y, 0.0 if along else np.pi / 2)
        elif what < 0.6:
            self.put("other", furniture.table(rng), x, y, rng.uniform(0.0, 6.3))
        elif what < 0.8:
            self.put("other", furniture.chair(rng), x, y, rng.uniform(0.0, 6.3))
        elif what < 0.9:
            size = rng.uniform(0.3, 1.4, 3)
            self.put("other", [block(0, 0, 0, *size, STRUCTURE)], x, y, rng.uniform(0.0, 6.3))
            self.put("other", furniture.clutter(rng, 1.5, 1.5, 0.0, rng.integers(0, 8)), x, y, rng.uniform(0.0, 6.3))
        elif what < 0.95:
            pot = block(0, 0, 0, 0.4, 0.4, 0.4, IGNORED)
            leaf = ball(0, 0, rng.uniform(0.8, 1.3), 0.4, 0.4, 0.6, VEGETATION, density=rng.uniform(2.0, 8.0))
            self.put("vegetation", [pot, leaf], x, y)
        else:
            self.put(
                "pole", [rod((0, 0, 0), (0, 0, rng.uniform(1.2, self.height)), rng.uniform(0.02, 0.1), POLE)], x, y
            )

    def _desks(self):
        """Rows of desks with their chairs; people sit at some."""
        rng = self.rng
        row, step = rng.uniform(1.6, 2.6), rng.uniform(1.4, 2.2)
        for i, x in enumerate(np.arange(-self.length / 2 + 1.2, self.length / 2 - 1.0, row)):
            turn = np.pi * (i % 2) + rng.normal(0.0, 0.02)
            for y in np.arange(-self.width / 2 + 1.0, self.width / 2 - 0.8, step):
                if rng.random() < 0.75:
                    self.put("other", furniture.desk(rng), x, y, turn)
                    back = rng.uniform(0.5, 1.0) * np.cos(turn)
                    self.put(
                        "other", furniture.chair(rng), x - back, y + rng.normal(0, 0.15), turn + rng.normal(0, 0.5)
                    )
                    if rng.random() < 0.2:
                        self.put("pedestrian", bodies.sitting(rng), x - back, y, turn)

    def _around_the_sensor(self):
        """The desk that it stands on, with what lies there, and who works there."""
        rng = self.rng
        shift = rng.uniform(-0.3, 0.3, 2)
        x, y = shift - self.middle
        turn = rng.uniform(0.0, 6.3)
        self.put("other", furniture.desk(rng), x, y, turn, room=0.0)
        for _ in range(rng.integers(2, 25)):
            away, angle = rng.uniform(0.35, 1.5), rng.uniform(0.0, 6.3)
            things = furniture.clutter(rng, 0.3, 0.3, furniture.DESK, rng.integers(1, 4))
            self.put(
                "other", things, away * np.cos(angle) - self.middle[0], away * np.sin(angle) - self.middle[1], room=0.3
            )
        if rng.random() < 0.6:
            angle, make = rng.uniform(0.0, 6.3), (bodies.sitting, bodies.person)[rng.integers(2)]
            x, y = rng.uniform(0.8, 1.4) * np.array([np.cos(angle), np.sin(angle)]) - self.middle
            self.put("pedestrian", make(rng), x, y, angle + np.pi, room=0.7)

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
    return {"room": 2.0, "office": 3.0, "corridor": 5.0, "hall": 10.0, "garage": 60.0}[kind]


def _out(turn, side, far):
    """(x, y) so far out on a side across x (turn 0) or across y."""
    return (side * far, 0.0) if turn == 0.0 else (0.0, side * far)


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
