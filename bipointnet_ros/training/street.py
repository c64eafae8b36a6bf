"""A random street for simulated scans: road, kerbs, pavements, fronts, hedges, trees, poles, traffic, people."""

from __future__ import annotations

import numpy as np

from bipointnet_ros.training import bodies, furniture
from bipointnet_ros.training.raycast import World
from bipointnet_ros.training.shapes import STRUCTURE, block, rod
from bipointnet_ros.training.things import Things

_REACH = 90.0  # m: nothing farther along the street is built
KINDS = ("town", "suburb", "park", "works", "highway")


class Street(Things):
    """Coordinates: u along the street, v across it, both from the sensor; turned by ``yaw`` into the world."""

    def __init__(self, rng):
        super().__init__(rng)
        self.kind = str(rng.choice(KINDS, p=(0.25, 0.4, 0.2, 0.07, 0.08)))
        self.yaw = rng.uniform(0.0, 2.0 * np.pi)
        self.half = rng.uniform(2.6, 4.5) if self.kind != "highway" else rng.uniform(6.0, 12.0)
        self.lane = rng.uniform(-self.half * 0.7, self.half * 0.7)  # v of the street's middle
        self.parking = rng.uniform(1.9, 2.4) * (rng.random(2) < (0.2 if self.kind in ("park", "highway") else 0.6))
        self.pavement = rng.uniform(1.0, 4.0, 2)
        self.crossing = rng.uniform(-60.0, 60.0) if rng.random() < 0.5 else 1e6  # u of a crossing road's middle
        self.kerb, self.slope = rng.uniform(0.0, 0.16), rng.normal(0.0, 0.02, 2)
        self.wave = rng.uniform(0.0, 0.4), rng.uniform(20.0, 60.0), rng.uniform(0.0, 2.0 * np.pi)
        self.bank = rng.uniform(-0.15, 0.25, 2) * (rng.random(2) < 0.4)
        self.grass = rng.uniform(0.0, 0.1)
        self.zero = float(self._height(0.0, 0.0))

    def mount(self) -> float:
        """Height of the sensor [m]: on a small robot or on a car."""
        return self.rng.choice([self.rng.uniform(0.5, 1.2), self.rng.uniform(1.4, 2.2)])

    def world(self) -> World:
        """Everything that stands along the street."""
        for side in (0, 1):
            self._parked(side)
            self._kerbside(side)
            self._yards(side)
            self._fronts(side)
        self._traffic()
        self._people()
        self._background()
        return World(self.shapes, self.ground, self.bright, self.rough)

    # ------------------------------------------------------------------------------------------------------ ground

    def ground(self, x, y):
        return self._height(x, y) - self.zero

    def bright(self, x, y):
        return np.where(self._off_road(*self._own(x, y)) > 0, 0.25, 0.1)

    def rough(self, x, y):
        """Grass grows beyond the pavement."""
        u, v = self._own(x, y)
        beyond = self._off_road(u, v) > np.where(v - self.lane > 0, self.pavement[1], self.pavement[0])
        return self.grass * beyond * (self.kind != "works")

    def _height(self, x, y):
        u, v = self._own(x, y)
        off = self._off_road(u, v)
        rise = np.where(v > self.lane, *self.bank[::-1]) * np.clip(off - self.pavement.max(), 0.0, 15.0)
        swing, length, phase = self.wave
        waves = swing * np.sin(2.0 * np.pi * (u + 0.3 * v) / length + phase)
        return self.kerb * np.clip(off / 0.06, 0.0, 1.0) + rise + waves + self.slope[0] * u + self.slope[1] * v

    def _own(self, x, y):
        c, s = np.cos(self.yaw), np.sin(self.yaw)
        return x * c + y * s, y * c - x * s

    def _off_road(self, u, v):
        """[m] beyond the edge of the nearest road; negative on it."""
        along = np.abs(v - self.lane) - self.half - np.where(v > self.lane, *self.parking[::-1])
        return np.minimum(along, np.abs(u - self.crossing) - self.half)

    def put(self, kind: str, parts, u, v, turn=0.0):
        """A thing at (u, v), unless the crossing road is there and it is no vehicle."""
        x, y = self.at(u, v)
        self.add(kind, parts, x, y, float(self.ground(x, y)), self.yaw + turn)

    def at(self, u, v):
        c, s = np.cos(self.yaw), np.sin(self.yaw)
        return u * c - v * s, u * s + v * c

    def edge(self, side: int, off: float) -> float:
        """v of a line ``off`` metres beyond the road's edge, left (1) or right (0)."""
        sign = 2 * side - 1
        return self.lane + sign * (self.half + self.parking[side] + off)

    def _stretches(self, gap, length):
        """Yield (u, length) along the street, gaps between; none on the crossing road."""
        u = -_REACH + gap()
        while u < _REACH:
            long = length()
            if abs(u + long / 2.0 - self.crossing) > self.half + long / 2.0 + 2.0:
                yield u + long / 2.0, long
            u += long + gap()

    # ------------------------------------------------------------------------------------------------------ things

    def _parked(self, side):
        rng = self.rng
        if not self.parking[side]:
            return
        full, back = rng.uniform(0.1, 0.8), np.pi * side
        for u, _ in self._stretches(lambda: rng.uniform(0.5, 1.5), lambda: 5.2):
            if rng.random() < full:
                v = self.edge(side, -self.parking[side] / 2.0 + rng.normal(0.0, 0.1))
                self.put(*self.vehicle(), u, v, back + rng.normal(0.0, 0.03))

    def vehicle(self):
        """Kind and parts of a random vehicle."""
        make = (bodies.car, bodies.van, bodies.pickup, bodies.truck)[self.rng.choice(4, p=(0.7, 0.13, 0.1, 0.07))]
        return ("large" if make in (bodies.pickup, bodies.truck) else "car"), make(self.rng)

    def _kerbside(self, side):
        """Lamps, signs, bollards, bins and street trees by the kerb."""
        rng = self.rng
        every = rng.uniform(8.0, 30.0)
        for u, _ in self._stretches(lambda: every * rng.uniform(0.5, 1.5), lambda: 0.5):
            v = self.edge(side, rng.uniform(0.3, 0.8))
            make = (bodies.lamp, bodies.sign, bodies.bollard)[rng.choice(3, p=(0.45, 0.4, 0.15))]
            self.put("pole", make(rng), u, v, rng.uniform(0.0, 6.3))
        if rng.random() < 0.6:
            every = rng.uniform(5.0, 20.0)
            for u, _ in self._stretches(lambda: every * rng.uniform(0.7, 1.3), lambda: 0.5):
                self.put("vegetation", bodies.tree(rng), u, self.edge(side, rng.uniform(0.5, 1.2)))
        for _ in range(rng.integers(0, 5)):
            u, v = rng.uniform(-40.0, 40.0), self.edge(side, rng.uniform(0.5, 1.5))
            if rng.random() < 0.6:
                self.put("other", [block(0, 0, 0, 0.7, 0.6, rng.uniform(0.9, 1.4), STRUCTURE, 0.05, 0.05)], u, v)
            else:
                self.put("cycle", bodies.bicycle(), u, v, rng.uniform(0.0, 6.3))
        if rng.random() < 0.3:
            self.put("cycle", bodies.motorcycle(), rng.uniform(-25, 25), self.edge(side, -0.6), rng.uniform(0, 6.3))

    def _yards(self, side):
        """What bounds the gardens: hedges, walls, fences; and bushes, weeds and trees behind."""
        rng = self.rng
        line = self.pavement[side] + 0.5
        much = {"town": 0.25, "suburb": 0.9, "park": 0.8, "works": 0.6, "highway": 0.7}[self.kind]
        for u, long in self._stretches(lambda: rng.uniform(0.5, 6.0), lambda: rng.uniform(2.0, 18.0)):
            if rng.random() > much:
                continue
            v, what = self.edge(side, line + rng.uniform(0.0, 0.6)), rng.random()
            if what < 0.4:
                self.put("vegetation", bodies.hedge(rng, long), u, v)
            elif what < 0.6:
                self.put("other", [block(0, 0, -0.3, long, 0.25, rng.uniform(0.7, 2.3), STRUCTURE)], u, v)
            elif what < 0.75:
                self.put("other", _fence(rng, long), u, v)
            else:
                for _ in range(int(long / 2.0)):
                    self.put("vegetation", bodies.bush(rng), u + rng.uniform(-long, long) / 2, v + rng.normal(0, 0.5))
        green = rng.poisson({"town": 6, "suburb": 28, "park": 60, "works": 10, "highway": 40}[self.kind])
        for _ in range(green):
            u, v = rng.uniform(-_REACH, _REACH), self.edge(side, line + 1.0 + rng.exponential(8.0))
            if abs(u - self.crossing) < self.half + 1.0:
                continue
            what = rng.random()
            parts = bodies.tree(rng) if what < 0.5 else bodies.bush(rng)
            if what > 0.85:
                parts = bodies.weeds(rng, rng.uniform(1.0, 8.0), rng.uniform(0.5, 3.0))
            self.put("vegetation", parts, u, v, rng.uniform(0.0, 6.3))
        for _ in range(rng.poisson(2.0)):
            heap = furniture.clutter(rng, 0.8, 0.8, 0.0, rng.integers(1, 9))
            where = rng.uniform(-40.0, 40.0), self.edge(side, rng.uniform(0.8, 8.0))
            self.put("other", [part.scaled(rng.uniform(1.5, 4.0)) for part in heap], *where, rng.uniform(0.0, 6.3))
        if self.kind == "highway":
            rail = [block(0, 0, 0.45, 2 * _REACH, 0.1, 0.35, STRUCTURE)]
            self.put("other", rail, 0.0, self.edge(side, 0.4))

    def _fronts(self, side):
        """Houses; in driveways between them, cars."""
        rng = self.rng
        if self.kind == "highway" or self.kind == "park" and rng.random() < 0.6:
            return
        town = self.kind == "town"
        back = self.pavement[side] + (rng.uniform(0.0, 3.0) if town else rng.uniform(3.0, 15.0))
        gap = (lambda: rng.exponential(2.0)) if town else (lambda: rng.uniform(2.0, 12.0))
        for u, long in self._stretches(gap, lambda: rng.uniform(7.0, 25.0)):
            deep, tall = rng.uniform(7.0, 15.0), rng.uniform(6.0, 20.0) if town else rng.uniform(3.0, 9.0)
            v = self.edge(side, back + rng.uniform(0.0, 1.5) + deep / 2.0)
            self.put("other", _house(rng, long, deep, tall, self.yaw), u, v)
            if not town and rng.random() < 0.5:
                spot = self.edge(side, self.pavement[side] + 2.8)
                self.put(*self.vehicle(), u + long / 2 + 2.0, spot, np.pi / 2 + np.pi * side)

    def _traffic(self):
        rng = self.rng
        for _ in range(rng.poisson(4)):
            u, v = rng.uniform(-70.0, 70.0), self.lane + rng.choice([-0.5, 0.5]) * self.half
            if abs(u) > 7.0:
                self.put(*self.vehicle(), u, v, rng.choice([0.0, np.pi]) + rng.normal(0.0, 0.03))
        for _ in range(rng.poisson(1.5)):
            u, v = rng.uniform(-35.0, 35.0), self.lane + rng.choice([-0.8, 0.8]) * self.half
            if abs(u) > 2.0:
                self.put("cycle", bodies.cyclist(rng), u, v, rng.choice([0.0, np.pi]) + rng.normal(0.0, 0.2))
        if self.crossing < 1e5:
            for _ in range(rng.poisson(1.5)):
                v = rng.uniform(10.0, 40.0) * rng.choice([-1, 1])
                self.put(*self.vehicle(), self.crossing + rng.choice([-0.5, 0.5]) * self.half, v, np.pi / 2)

    def _people(self):
        """Alone and in groups, mostly on the pavements and near; some by walls and cars, some on the road."""
        rng = self.rng
        for _ in range(rng.poisson(7)):
            u, side = rng.normal(0.0, 18.0), int(rng.integers(2))
            v = self.edge(side, rng.uniform(-0.5, self.pavement[side] + 0.5))
            if rng.random() < 0.2:
                v = rng.normal(0.0, 6.0)
            for _ in range(1 + rng.poisson(0.6)):
                du, dv = rng.normal(0.0, 0.5, 2)
                if np.hypot(u + du, v + dv) > 1.5:
                    self.put("pedestrian", bodies.person(rng), u + du, v + dv, rng.uniform(0.0, 6.3))

    def _background(self):
        """Trees and blocks far off, so that rays between the houses end."""
        rng = self.rng
        for _ in range(rng.integers(4, 18)):
            u, v = rng.uniform(-_REACH, _REACH), rng.choice([-1, 1]) * rng.uniform(30.0, 80.0)
            if rng.random() < 0.6:
                self.put("vegetation", bodies.tree(rng), u, v)
            else:
                self.put("other", _house(rng, rng.uniform(10, 40), 10.0, rng.uniform(4, 18), self.yaw), u, v)


def _house(rng, long, deep, tall, yaw):
    """A block with windows, perhaps a gabled roof, a porch, a balcony; and what sticks out of its fronts."""
    wall = {"bright": rng.uniform(0.2, 0.6)}
    if rng.random() < 0.8:
        wall["windows"] = rng.uniform(1.8, 4.0), yaw
    parts = [block(0, 0, -2.0, long, deep, tall + 2.0, STRUCTURE, **wall)]
    if rng.random() < 0.5:
        parts.append(block(0, 0, tall, long, deep, rng.uniform(1.5, 4.0), STRUCTURE, 0.3, 0.3, deep * 0.45))
    for _ in range(rng.integers(0, 4)):
        side, x = rng.choice([-1, 1]), rng.uniform(-long, long) * 0.4
        high = rng.choice([0.0, rng.uniform(2.3, 5.0)])
        jut = rng.uniform(0.4, 1.5)
        parts.append(block(x, side * (deep + jut) / 2, high, rng.uniform(1, 4), jut, rng.uniform(0.4, 2.5), STRUCTURE))
    for turn in (0.0, np.pi):
        if rng.random() < 0.25:
            storeys = range(0, 3 * min(int(tall / 3.0), 3), 3)
            front = [p.placed(0.0, 0.0, z) for z in storeys for p in furniture.windowed(rng, long, 3.0)]
            parts += [part.placed(0.0, np.cos(turn) * (deep / 2 + 0.6), 0.0, turn) for part in front]
        some = furniture.relief(rng, long, tall, min(rng.poisson(long * rng.uniform(0.0, 1.5)), 30))
        parts += [part.placed(0.0, np.cos(turn) * deep / 2, 0.0, turn) for part in some]
    return parts


def _fence(rng, long):
    """Boards or wire: some rays pass."""
    tall, gaps = rng.uniform(0.8, 2.0), rng.uniform(0.2, 0.9)
    posts = [rod((x, 0, -0.2), (x, 0, tall), 0.05, STRUCTURE) for x in np.arange(-long / 2, long / 2, 2.5)]
    return [block(0, 0, 0, long, 0.04, tall, STRUCTURE, opacity=gaps), *posts]
