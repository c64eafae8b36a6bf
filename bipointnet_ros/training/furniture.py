"""What stands, hangs and lies about in simulated rooms, as bodies.py has the things of streets; all of it structure."""

from __future__ import annotations

import numpy as np

from bipointnet_ros.training.shapes import STRUCTURE, Shape, ball, block, rod

DESK = 0.73  # m: the height of a desk


def cupboard(rng, long: float, deep: float, tall: float) -> list[Shape]:
    """Closed, or shelves with goods; along x."""
    if rng.random() < 0.5:
        return [block(0, 0, 0, long, deep, tall, STRUCTURE), *clutter(rng, long, deep, tall, rng.integers(0, 4))]
    boards = np.arange(0.1, tall, rng.uniform(0.3, 0.5))
    sides = [block(x, 0, 0, 0.04, deep, tall, STRUCTURE) for x in (-long / 2, long / 2)]
    goods = [thing for z in boards for thing in clutter(rng, long, deep, z + 0.04, rng.integers(0, 1 + int(3 * long)))]
    return [*(block(0, 0, z, long, deep, 0.04, STRUCTURE) for z in boards), *sides, *goods]


def table(rng) -> list[Shape]:
    long, wide, tall = rng.uniform(0.6, 2.2), rng.uniform(0.5, 1.1), rng.uniform(0.4, 1.0)
    return [*_top(long, wide, tall), *clutter(rng, long, wide, tall, rng.integers(0, 6))]


def desk(rng) -> list[Shape]:
    """A desk along y, whose user sits at x < 0: screens, what lies about, drawers, cables, perhaps a panel."""
    long, wide = rng.uniform(1.2, 1.8), rng.uniform(0.65, 0.85)
    parts = [piece.placed(0, 0, 0, np.pi / 2) for piece in _top(long, wide, DESK)]
    parts += [p.placed(0, 0, 0, np.pi / 2) for p in clutter(rng, long, wide, DESK, rng.integers(2, 9))]
    for _ in range(rng.integers(0, 3)):
        y, tall = rng.uniform(-0.35, 0.35) * long, rng.uniform(0.3, 0.5)
        parts.append(block(0.15, y, DESK + 0.1, 0.04, rng.uniform(0.4, 0.7), tall, STRUCTURE, bright=0.1))
        parts.append(rod((0.18, y, DESK), (0.18, y, DESK + 0.2), 0.03, STRUCTURE))
    if rng.random() < 0.5:
        parts.append(block(0, rng.choice([-0.38, 0.38]) * long, 0.05, wide * 0.8, 0.4, 0.55, STRUCTURE))
    if rng.random() < 0.3:
        parts.append(block(wide / 2 + 0.03, 0, 0.1, 0.04, long, rng.uniform(1.0, 1.6) - 0.1, STRUCTURE))
    for _ in range(rng.integers(0, 4)):
        a, b = rng.uniform(-0.5, 0.5, 2) * long
        parts.append(rod((0.25, a, DESK), (rng.uniform(0.1, 0.4), b, 0.0), 0.015, STRUCTURE))
    return parts


def chair(rng) -> list[Shape]:
    """A chair on four legs or on a foot with arms, or a sofa; its back at x < 0."""
    seat = rng.uniform(0.4, 0.5)
    if rng.random() < 0.2:
        long = rng.uniform(0.8, 2.2)
        return [block(0, 0, 0.1, 0.8, long, 0.35, STRUCTURE), block(-0.35, 0, 0.4, 0.2, long, 0.45, STRUCTURE)]
    mesh = rng.choice([1.0, rng.uniform(0.3, 0.9)])  # share of the rays that the back stops
    back = block(-0.22, 0, seat + 0.1, 0.06, 0.44, rng.uniform(0.4, 0.7), STRUCTURE, 0.0, 0.03, 0.06, opacity=mesh)
    parts = [block(0, 0, seat - 0.04, 0.46, 0.46, 0.08, STRUCTURE, 0.05, 0.05, 0.05), back]
    if rng.random() < 0.5:
        return parts + [rod((x, y, 0), (x, y, seat), 0.02, STRUCTURE) for x in (-0.2, 0.2) for y in (-0.2, 0.2)]
    turn = 2.0 * np.pi * (np.arange(5) + rng.random()) / 5
    feet = [rod((0, 0, 0.1), (0.3 * np.cos(a), 0.3 * np.sin(a), 0.05), 0.03, STRUCTURE) for a in turn]
    arms = [block(0, y, seat + 0.2, 0.28, 0.06, 0.03, STRUCTURE) for y in (-0.27, 0.27)]
    return [*parts, rod((0, 0, 0.1), (0, 0, seat), 0.03, STRUCTURE), *feet, *arms]


def clutter(rng, long: float, wide: float, z: float, count: int) -> list[Shape]:
    """Boxes, bags, bottles, tools, anything, on a board of long x wide at height z."""
    parts = []
    for kind in rng.choice(4, count, p=(0.5, 0.2, 0.15, 0.15)):
        x, y = rng.uniform(-0.45, 0.45, 2) * (long, wide)
        bright = {"bright": rng.uniform(0.05, 0.9)}
        if kind == 0:
            size, lean = rng.uniform(0.04, 0.4, 3), rng.uniform(0.0, 0.03)
            parts.append(block(0, 0, 0, *size, STRUCTURE, lean, 0, lean, **bright).placed(x, y, z, rng.uniform(0, 6.3)))
        elif kind == 1:
            radii = rng.uniform(0.04, 0.2, 3)
            parts.append(ball(x, y, z + radii[2], *radii, STRUCTURE, **bright))
        elif kind == 2:
            parts.append(
                rod((x, y, z), (x, y, z + rng.uniform(0.1, 0.6)), rng.uniform(0.01, 0.06), STRUCTURE, **bright)
            )
        else:
            dx, dy, dz = rng.uniform(-0.4, 0.4, 3)
            parts.append(rod((x, y, z), (x + dx, y + dy, z + abs(dz)), rng.uniform(0.005, 0.03), STRUCTURE, **bright))
    return parts


def relief(rng, long: float, tall: float, count: int) -> list[Shape]:
    """What sticks out of a wall along x towards y > 0: frames of windows and doors, pipes, heaters, boxes, lamps."""
    parts = []
    for kind in rng.choice(5, count):
        x, deep, bright = rng.uniform(-0.5, 0.5) * long, rng.uniform(0.03, 0.3), {"bright": rng.uniform(0.1, 0.9)}
        storey = 3.0 * rng.integers(max(int(tall / 3.0), 1))
        if kind == 0:
            wide, low, high = rng.uniform(0.8, 2.5), storey + rng.choice([0.0, 0.9]), storey + rng.uniform(1.9, 2.3)
            ups = [block(x + s * wide / 2, deep / 2, low, 0.1, deep, high - low, STRUCTURE, **bright) for s in (-1, 1)]
            parts += [*ups, *(block(x, deep / 2, z, wide, deep, 0.08, STRUCTURE, **bright) for z in (low, high))]
        elif kind == 1:
            r = rng.uniform(0.02, 0.1)
            parts.append(rod((x, r + 0.03, 0), (x, r + 0.03, tall), r, STRUCTURE, **bright))
        elif kind == 2:
            z, r, reach = rng.uniform(0.1, 0.95) * tall, rng.uniform(0.02, 0.12), rng.uniform(0.1, 0.5) * long
            parts.append(rod((x - reach, r + 0.03, z), (x + reach, r + 0.03, z), r, STRUCTURE, **bright))
        else:
            wide, high = rng.uniform(0.2, 1.6), rng.uniform(0.15, 1.2)
            low = storey + rng.uniform(0.0, 2.0)
            parts.append(block(x, deep / 2, low, wide, deep, high, STRUCTURE, **bright))
    return parts


def windowed(rng, long: float, tall: float) -> list[Shape]:
    """A wall along x, its face at y = 0, of piers, sills and lintels, its panes or blinds set back from them, y < 0."""
    bright, deep = {"bright": rng.uniform(0.2, 0.8)}, rng.uniform(0.15, 0.6)
    wide, low, high = rng.uniform(0.8, 2.5), rng.choice([0.0, rng.uniform(0.3, 1.1)]), rng.uniform(0.75, 0.95) * tall
    step = wide + rng.uniform(0.2, 1.2)
    piers = np.append(np.arange(-long / 2.0, long / 2.0, step), long / 2.0)
    parts = [block(x, -deep / 2, 0, step - wide, deep, tall, STRUCTURE, **bright) for x in piers]
    parts += [
        block(0, -deep / 2, z, long, deep, h, STRUCTURE, **bright) for z, h in ((0, low), (high, tall - high)) if h
    ]
    pane = {"bright": rng.uniform(0.05, 0.6), "opacity": rng.uniform(0.2, 1.0)}
    parts.append(block(0, -deep - 0.02, low, long, 0.04, high - low, STRUCTURE, **pane))
    stuff = clutter(rng, long, deep, low, rng.integers(0, 1 + int(2 * long)))
    return [*parts, *(thing.placed(0, -deep / 2, 0) for thing in stuff)]


def overhead(rng, long: float, wide: float, tall: float) -> list[Shape]:
    """Lamps, ducts and pipes under a ceiling at height ``tall``."""
    parts = []
    for kind in rng.choice(3, rng.integers(2, 14)):
        x, y, drop = rng.uniform(-0.48, 0.48) * long, rng.uniform(-0.48, 0.48) * wide, rng.uniform(0.05, 0.4)
        if kind == 0:
            parts.append(block(x, y, tall - drop, rng.uniform(0.3, 1.5), rng.uniform(0.1, 0.6), 0.07, STRUCTURE))
        elif kind == 1:
            parts.append(
                rod((-long / 2, y, tall - drop), (long / 2, y, tall - drop), rng.uniform(0.02, 0.3), STRUCTURE)
            )
        else:
            parts.append(
                rod((x, -wide / 2, tall - drop), (x, wide / 2, tall - drop), rng.uniform(0.02, 0.2), STRUCTURE)
            )
    return parts


def _top(long, wide, tall):
    legs = [(x, y) for x in (-0.45 * long, 0.45 * long) for y in (-0.45 * wide, 0.45 * wide)]
    top = block(0, 0, tall - 0.04, long, wide, 0.04, STRUCTURE)
    return [top, *(rod((x, y, 0), (x, y, tall), 0.03, STRUCTURE) for x, y in legs)]
