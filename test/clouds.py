"""Messages of every layout, and their mutations: what drivers send, and what nobody should."""

from __future__ import annotations

from array import array

import numpy as np
from builtin_interfaces.msg import Time
from sensor_msgs.msg import PointCloud2, PointField
from std_msgs.msg import Header

CODES = {"i1": 1, "u1": 2, "i2": 3, "u2": 4, "i4": 5, "u4": 6, "f4": 7, "f8": 8}
XYZI = (("x", "f4", 0), ("y", "f4", 4), ("z", "f4", 8), ("intensity", "f4", 12))
VELODYNE = XYZI + (("ring", "u2", 16), ("time", "f4", 18))
LAYOUTS = {
    "aligned": (XYZI, 16),
    "velodyne, unaligned": (VELODYNE, 22),
    "odd step": (VELODYNE, 27),
    "padding after z, as PCL": ((("x", "f4", 0), ("y", "f4", 4), ("z", "f4", 8), ("intensity", "f4", 16)), 32),
    "reordered": ((("ring", "u1", 0), ("z", "f4", 1), ("intensity", "u2", 5), ("x", "f4", 7), ("y", "f4", 11)), 15),
    "float64": ((("x", "f8", 0), ("y", "f8", 8), ("z", "f8", 16), ("t", "f8", 24)), 32),
    "mixed floats": ((("x", "f4", 0), ("y", "f8", 4), ("z", "f4", 12)), 16),
    "no intensity": ((("x", "f4", 4), ("y", "f4", 8), ("z", "f4", 12)), 16),
    "reflectivity": (XYZI[:3] + (("reflectivity", "u2", 12), ("range", "u4", 14)), 18),
    "i": (XYZI[:3] + (("i", "u1", 12),), 13),
    "every type": (XYZI[:3] + tuple((t, t, 12 + 8 * i) for i, t in enumerate(CODES)), 80),
}


def build(layout, step, height=1, width=7, pad=0, big=False, seed=0):
    """A message of the layout (name, type, offset) and its values by name, each (height * width,)."""
    rng = np.random.default_rng(seed)
    order = ">" if big else "<"
    kind = np.dtype(
        {
            "names": [n for n, *_ in layout],
            "formats": [order + t for _, t, _ in layout],
            "offsets": [o for *_, o in layout],
            "itemsize": step,
        }
    )
    # every byte is something first, so that bytes between the fields are told from zeros
    table = np.frombuffer(rng.bytes(height * width * step), kind).copy()
    for name, t, _ in layout:
        table[name] = rng.normal(0, 30, len(table)) if t[0] == "f" else rng.integers(0, 100, len(table))
    rows = table.reshape(height, width).view(np.uint8).reshape(height, width * step)
    data = np.concatenate([rows, np.full((height, pad), 0xEE, np.uint8)], axis=1)
    fields = [PointField(name=n, offset=o, datatype=CODES[t], count=1) for n, t, o in layout]
    msg = PointCloud2(
        header=Header(stamp=Time(sec=12, nanosec=34), frame_id="lidar"),
        height=height,
        width=width,
        fields=fields,
        is_bigendian=big,
        point_step=step,
        row_step=width * step + pad,
        data=array("B", data.tobytes()),
        is_dense=True,
    )
    return msg, {name: np.array(table[name], table[name].dtype.newbyteorder("=")) for name in kind.names}


def mutated(rng):
    """A valid message with one to three of its numbers, names or bytes replaced, or a field taken away."""
    columns, step = LAYOUTS[rng.choice(list(LAYOUTS))]
    shape = ((1, 7), (3, 5), (0, 4))[rng.integers(3)]
    msg, _ = build(
        columns, step, *shape, pad=int(rng.integers(0, 9)), big=bool(rng.integers(2)), seed=int(rng.integers(99))
    )
    number = lambda: int(rng.choice([0, 1, 2, 3, 7, 8, 12, 16, 255, 65536, 2**31, 2**32 - 1, int(rng.integers(100))]))  # noqa: E731
    for _ in range(rng.integers(1, 4)):
        kind = rng.integers(7)
        if kind == 0:
            setattr(msg, rng.choice(["height", "width", "point_step", "row_step"]), number())
        elif kind == 1 and msg.fields:
            setattr(msg.fields[rng.integers(len(msg.fields))], rng.choice(["offset", "count"]), number())
        elif kind == 2 and msg.fields:
            msg.fields[rng.integers(len(msg.fields))].datatype = number() % 256
        elif kind == 3 and msg.fields:
            msg.fields[rng.integers(len(msg.fields))].name = str(
                rng.choice(["", "x", "y", "label", "rgb", "intensity", "é"])
            )
        elif kind == 4:
            msg.data = msg.data[: rng.integers(len(msg.data) + 1)]
        elif kind == 5:
            msg.data = array("B", rng.bytes(len(msg.data)))
        elif msg.fields:
            del msg.fields[rng.integers(len(msg.fields))]
    return msg
