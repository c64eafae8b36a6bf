"""Small bags, written by the rosbags library itself."""

from __future__ import annotations

import numpy as np
from rosbags.rosbag2 import StoragePlugin, Writer
from rosbags.typesys import Stores, get_typestore

STORE = get_typestore(Stores.ROS2_HUMBLE)
CLOUD, TEXT = "sensor_msgs/msg/PointCloud2", "std_msgs/msg/String"
STORAGES = ("sqlite3", "mcap")
START = 1_700_000_000_000_000_000  # ns
PERIOD = 100_000_000  # ns


def message(kind: str, **values):
    return STORE.types[kind](**values)


def cloud(xyz, intensity, stamp: int, frame: str = "velodyne"):
    """A PointCloud2 of x, y, z, intensity and two bytes that nobody knows; stamp in ns."""
    kind = np.dtype([("x", "<f4"), ("y", "<f4"), ("z", "<f4"), ("intensity", "<f4"), ("ring", "<u2")])
    rows = np.zeros(len(xyz), kind)
    rows["x"], rows["y"], rows["z"] = xyz.T
    rows["intensity"], rows["ring"] = intensity, np.arange(len(xyz)) % 16
    time = message("builtin_interfaces/msg/Time", sec=stamp // 10**9, nanosec=stamp % 10**9)
    codes = {"f": 7, "u": 4}
    fields = [
        message("sensor_msgs/msg/PointField", name=n, offset=kind.fields[n][1], datatype=codes[kind[n].kind], count=1)
        for n in kind.names
    ]
    return message(
        CLOUD,
        header=message("std_msgs/msg/Header", stamp=time, frame_id=frame),
        height=1,
        width=len(rows),
        fields=fields,
        is_bigendian=False,
        point_step=kind.itemsize,
        row_step=kind.itemsize * len(rows),
        data=np.frombuffer(rows.tobytes(), np.uint8),
        is_dense=True,
    )


def write(path, clouds, storage: str = "sqlite3", topics=("/points",), unknown: str = ""):
    """A bag of (xyz, intensity) on each topic, received a millisecond after their stamps, and of words on /chat.

    unknown: a topic of a type that nobody defines, as bags of Humble may have one.
    """
    with Writer(path, version=8, storage_plugin=StoragePlugin[storage.upper()]) as writer:
        connections = [writer.add_connection(topic, CLOUD, typestore=STORE) for topic in topics]
        chat = writer.add_connection("/chat", TEXT, typestore=STORE)
        if unknown:
            own = writer.add_connection(unknown, "acme_msgs/msg/Packet", msgdef="uint8[] data", rihs01="RIHS01_0")
            writer.write(own, START, b"\0\1\0\0\0\0\0\0")
        for i, (xyz, intensity) in enumerate(clouds):
            stamp = START + i * PERIOD
            for connection in connections:
                data = STORE.serialize_cdr(cloud(xyz, intensity, stamp), CLOUD)
                writer.write(connection, stamp + 1_000_000, data)
            writer.write(chat, stamp + 2_000_000, STORE.serialize_cdr(message(TEXT, data=f"word {i}"), TEXT))
    return path
