"""Simulated scans of random streets and rooms, as random lidars see them, in scene form.

    python -m bipointnet_ros.training.simulate --scans 300 --seed 0 --out DATA/simulated_train.npz

They widen training (docs/lidar.md, "Simulation"); nothing is judged on them.
"""

from __future__ import annotations

import argparse
import sys
import time

import numpy as np

from bipointnet_ros.training.command import command
from bipointnet_ros.training.prepare import class_table, summary
from bipointnet_ros.training.raycast import cast
from bipointnet_ros.training.room import Room
from bipointnet_ros.training.sensors import sensor
from bipointnet_ros.training.street import Street
from bipointnet_ros.training.things import OBJECTS

ROOMS = 0.3  # share of the scans that are indoors
NO_KIND = 255


def scan(seed: int, number: int, rooms: float = ROOMS) -> dict[str, np.ndarray]:
    """Scan ``number`` of a seed: xyz (N, 3) float32, label, intensity (N,), thing (N,) uint16, kind (N,) uint8."""
    rng = np.random.default_rng([seed, number])
    indoors = rng.random() < rooms
    place = Room(rng) if indoors else Street(rng)
    lidar = sensor(rng, place.mount())
    seen = cast(place.world(), lidar, rng)
    dark = rng.random() < 0.5
    shine = seen.bright * rng.uniform(0.6, 1.0, len(seen.bright))
    kinds = np.array([NO_KIND, *place.kinds], np.uint8)
    return {
        "xyz": tilted(seen.xyz, rng.normal(0.0, np.radians(1.0), 2)),
        "label": seen.label,
        "intensity": np.zeros(len(shine), np.float32) if dark else shine.astype(np.float32),
        "thing": seen.thing.astype(np.uint16),
        "kind": kinds[seen.thing],
    }


def tilted(xyz, angles) -> np.ndarray:
    """As a sensor that leans by roll and pitch [rad] gives them."""
    (cr, sr), (cp, sp) = ((np.cos(a), np.sin(a)) for a in angles)
    roll = np.array([[1.0, 0.0, 0.0], [0.0, cr, -sr], [0.0, sr, cr]])
    pitch = np.array([[cp, 0.0, sp], [0.0, 1.0, 0.0], [-sp, 0.0, cp]])
    return (xyz @ (pitch @ roll).T).astype(np.float32)


def simulate(count: int, seed: int = 0, rooms: float = ROOMS, step=lambda done, of: None) -> dict[str, np.ndarray]:
    """Scene form of ``count`` scans; also ``thing`` of a point, its number in the scan, and ``kind`` into ``kinds``."""
    scans = []
    for number in range(count):
        scans.append(scan(seed, number, rooms))
        step(number + 1, count)
    both = {key: np.concatenate([one[key] for one in scans]) for key in ("label", "thing", "kind")}
    centimetres = np.concatenate([one["xyz"] for one in scans]) * 100.0
    return {
        "xyz_cm": np.clip(np.round(centimetres), -32767, 32767).astype(np.int16),
        "offsets": np.concatenate([[0], np.cumsum([len(one["xyz"]) for one in scans])]).astype(np.int32),
        "intensity": np.concatenate([np.round(one["intensity"] * 255.0) for one in scans]).astype(np.uint8),
        "classes": np.array(class_table()["classes"]),
        "kinds": np.array(OBJECTS),
        **both,
    }


@command
def main(arguments):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--scans", type=int, default=300)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--rooms", type=float, default=ROOMS, help="share of scans indoors")
    parser.add_argument("--out", required=True, help="NAME.npz to write")
    options = parser.parse_args(arguments)
    data = simulate(options.scans, options.seed, options.rooms, _progress(time.perf_counter()))
    np.savez_compressed(options.out, **data)
    print(f"{options.out}: {summary(data | {'xyz': data['xyz_cm']})}")


def _progress(began: float):
    def show(done: int, of: int):
        if sys.stderr.isatty() or done % 25 == 0 or done == of:
            left = (time.perf_counter() - began) / done * (of - done)
            end = "\r" if sys.stderr.isatty() and done < of else "\n"
            print(f"scan {done} of {of}, {left:.0f} s left ", end=end, file=sys.stderr, flush=True)

    return show


if __name__ == "__main__":
    sys.exit(main())
