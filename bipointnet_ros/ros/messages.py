"""PointCloud2 as rclpy has it, to arrays and back: bipointnet_ros/pointcloud2.py, and how a new one is made."""

from __future__ import annotations

from array import array

import numpy as np
from builtin_interfaces.msg import Time
from sensor_msgs.msg import PointCloud2, PointField
from std_msgs.msg import Header

from bipointnet_ros.pointcloud2 import MessageError, labeled_cloud, made, moved, packed_rgb, read_xyz, subset

__all__ = ["MessageError", "as_message", "labeled_cloud", "make_cloud", "moved", "packed_rgb", "read_xyz", "subset"]


def make_cloud(header, xyz: np.ndarray, intensity: np.ndarray | None = None) -> PointCloud2:
    """An unorganised PointCloud2 of x, y, z and, where given, intensity, all float32."""
    columns = [xyz] if intensity is None else [xyz, np.reshape(intensity, (-1, 1))]
    table = np.concatenate(columns, axis=1).astype("<f4")
    count, width = table.shape
    names = ("x", "y", "z", "intensity")[:width]
    return made(
        PointCloud2,
        array("B", table.tobytes()),
        header=header,
        height=1,
        width=count,
        fields=[PointField(name=n, offset=4 * i, datatype=PointField.FLOAT32, count=1) for i, n in enumerate(names)],
        is_bigendian=False,
        point_step=4 * width,
        row_step=4 * width * count,
        is_dense=bool(np.isfinite(xyz).all()),
    )


def as_message(recorded) -> PointCloud2:
    """rclpy's PointCloud2 of one that a bag holds (bags.py)."""
    header, kept = recorded.header, ("height", "width", "is_bigendian", "point_step", "row_step", "is_dense")
    stamp = Time(sec=header.stamp.sec, nanosec=header.stamp.nanosec)
    return made(
        PointCloud2,
        array("B", recorded.data.tobytes()),
        header=Header(stamp=stamp, frame_id=header.frame_id),
        fields=[PointField(name=f.name, offset=f.offset, datatype=f.datatype, count=f.count) for f in recorded.fields],
        **{name: getattr(recorded, name) for name in kept},
    )
