"""One scan through everything between the bytes of a PointCloud2 and those of its answer, several times; run there.

usage: scan.py DRIVE.npz TIMES MODEL MAPS, with the package on PYTHONPATH. It needs numpy alone: messages are plain
objects; markers and CDR are ROS 2's and not made. At last it writes what lies where in memory to MAPS.
"""

import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np

from bipointnet_ros import dataset
from bipointnet_ros.core.classes import colours
from bipointnet_ros.core.config import Config
from bipointnet_ros.core.pipeline import Pipeline
from bipointnet_ros.core.tracking import Tracker
from bipointnet_ros.pointcloud2 import labeled_cloud, read_xyz


class Message(SimpleNamespace):
    """A message, whatever its fields."""


def message(xyz: np.ndarray, intensity: np.ndarray) -> Message:
    data = np.column_stack([xyz, intensity]).astype("<f4").tobytes()
    fields = [
        Message(name=name, offset=4 * i, datatype=7, count=1) for i, name in enumerate(("x", "y", "z", "intensity"))
    ]
    sizes = {"height": 1, "width": len(xyz), "point_step": 16, "row_step": len(data)}
    return Message(header=None, data=data, fields=fields, is_bigendian=False, is_dense=True, **sizes)


def main(drive: str, times: str, model: str, maps: str):
    data = dataset.read(Path(drive))
    pipe, tracker = Pipeline(Config(model=model, threads=1)), Tracker()
    palette, msg = colours(pipe.model.classes), message(*data.scan(0)[:2])
    for n in range(int(times)):
        result = tracker.follow(pipe.process(*read_xyz(msg)), n / 10.0, "lidar", pipe.config)
        labeled_cloud(msg, result, palette)
    Path(maps).write_text(Path("/proc/self/maps").read_text())
    print(pipe.backend_name, len(result.objects))


if __name__ == "__main__":
    main(*sys.argv[1:])
