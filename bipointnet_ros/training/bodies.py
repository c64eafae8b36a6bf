"""Things of simulated streets and rooms, each a list of shapes around (0, 0) that stands on z = 0, x ahead."""

from __future__ import annotations

from bipointnet_ros.training.shapes import IGNORED, PERSON, POLE, VEGETATION, VEHICLE, Shape, ball, block, rod


def car(rng) -> list[Shape]:
    """A saloon, estate, hatchback or off-roader; x ahead."""
    length, width, height = rng.uniform(3.6, 5.0), rng.uniform(1.65, 1.95), rng.uniform(1.4, 1.8)
    if rng.random() < 0.15:
        height = rng.uniform(1.75, 2.05)
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


def pickup(rng) -> list[Shape]:
    """A pick-up, which data sets count among trucks: an open or covered bed behind a cabin of one or two rows."""
    length, width, height = rng.uniform(5.1, 6.2), rng.uniform(1.85, 2.15), rng.uniform(1.7, 2.05)
    clear, belt = rng.uniform(0.25, 0.4), rng.uniform(1.0, 1.25)
    paint = {"bright": rng.uniform(0.05, 0.9), "opacity": rng.uniform(0.8, 1.0)}
    bed, bonnet = rng.uniform(0.27, 0.42) * length, rng.uniform(0.2, 0.26) * length
    rear = -length / 2
    behind = rear + bed / 2  # the middle of the bed
    floor = block(behind, 0, clear, bed, width, belt - clear - 0.5, VEHICLE, **paint)
    rails = [block(behind, s * (width / 2 - 0.04), belt - 0.5, bed, 0.08, 0.5, VEHICLE, **paint) for s in (-1, 1)]
    gate = block(rear + 0.04, 0, belt - 0.5, 0.08, width, 0.5, VEHICLE, **paint)
    body = block(bed / 2, 0, clear, length - bed, width, belt - clear, VEHICLE, 0.1, 0.0, 0.04, **paint)
    roof, middle = length - bed - bonnet, (bed - bonnet) / 2
    glass = {"bright": 0.1, "opacity": rng.uniform(0.3, 0.8)}
    cabin = block(
        middle, 0, belt, roof, width - 0.1, height - belt, VEHICLE, 0.5, rng.uniform(0.05, 0.3), 0.15, **glass
    )
    lid = block(middle - 0.15, 0, height - 0.08, roof - 0.8, width - 0.4, 0.08, VEHICLE, **paint)
    parts = [floor, *rails, gate, body, cabin, lid, *_wheels(length * 0.31, width / 2 - 0.1, 0.38)]
    if rng.random() < 0.25:
        top = rng.choice([0.06, height - belt])  # a flat lid, or a canopy
        parts.append(block(behind, 0, belt, bed, width - 0.05, top, VEHICLE, 0, 0.1, 0.1 * (top > 0.1), **paint))
    return parts


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


def person(rng) -> list[Shape]:
    """Someone who stands or walks along x: torso, head, arms, legs, sometimes a bag."""
    tall = rng.uniform(1.5, 1.95) if rng.random() < 0.85 else rng.uniform(1.0, 1.5)
    scale, stride = tall / 1.75, rng.uniform(0.0, 0.35)
    wide, cloth = rng.uniform(0.2, 0.27), {"bright": rng.uniform(0.1, 0.6), "opacity": 0.97}
    hip = (0.0, 0.0, 0.85)
    parts = [
        ball(0, 0, 1.15, 0.15, wide, 0.38, PERSON, **cloth),
        ball(0, 0, 1.62, 0.1, 0.09, 0.13, PERSON, bright=0.4),
    ]
    for side, swing in ((-1, stride), (1, -stride)):
        foot = (swing, side * 0.1, 0.0)
        hand = (-swing + rng.uniform(0.0, 0.2), side * (wide + 0.08), 0.8)
        parts.append(rod(foot, (hip[0], side * 0.1, hip[2]), 0.085, PERSON, **cloth))
        parts.append(rod(hand, (0.0, side * wide, 1.42), 0.05, PERSON, **cloth))
    if rng.random() < 0.25:
        parts.append(ball(-0.2, 0, 1.2, 0.14, 0.17, 0.26, PERSON, **cloth))
    return [part.scaled(scale) for part in parts]


def sitting(rng) -> list[Shape]:
    """Someone on a chair, looking along x."""
    cloth, seat = {"bright": rng.uniform(0.1, 0.6), "opacity": 0.97}, rng.uniform(0.42, 0.52)
    lean, wide = rng.uniform(-0.1, 0.3), rng.uniform(0.2, 0.27)
    chest, head = (lean * 0.6, 0.0, seat + 0.36), (lean, 0.0, seat + 0.76)
    parts = [
        ball(*chest, 0.15, wide, 0.36, PERSON, **cloth),
        ball(*head, 0.1, 0.09, 0.13, PERSON, bright=0.4),
    ]
    for side in (-1, 1):
        knee, foot = (0.45, side * 0.14, seat + 0.04), (rng.uniform(0.3, 0.6), side * 0.14, 0.05)
        hand = (lean + 0.4, side * 0.15, seat + rng.uniform(0.15, 0.4))
        parts += [
            rod((0.0, side * 0.1, seat + 0.05), knee, 0.085, PERSON, **cloth),
            rod(knee, foot, 0.065, PERSON, **cloth),
        ]
        parts.append(rod((chest[0], side * wide, seat + 0.58), hand, 0.05, PERSON, **cloth))
    return parts


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
