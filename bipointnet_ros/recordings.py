"""Recordings: where many clouds come from, one after the other: files, folders of files, drives in one file, bags."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from bipointnet_ros.arrays import FileError, read_npz
from bipointnet_ros.bags import Bag, is_bag
from bipointnet_ros.files import SUFFIXES, floats, read_cloud
from bipointnet_ros.pointcloud2 import MessageError, read_xyz


@dataclass(frozen=True)
class Cloud:
    """xyz (N, 3) float32 [m], intensity (N,) float32 in the sensor's scale or None.

    name: what files that are made of it are called; source: where it is from, for people; of a bag also its message
    and when that was recorded [ns].
    """

    name: str
    source: str
    xyz: np.ndarray
    intensity: np.ndarray | None
    msg: object | None = None
    time: int = 0

    @property
    def stamp(self) -> float | None:
        """Seconds in the header of its message."""
        return None if self.msg is None else self.msg.header.stamp.sec + self.msg.header.stamp.nanosec / 1e9


def clouds(path, topic: str = ""):
    """Yield every Cloud of a file, a folder of files (by name), a drive (.npz with offsets) or a bag. FileError."""
    path = Path(path)
    if topic and not is_bag(path):
        raise FileError(f"expected a bag with --topic {topic}, but '{path}' is not a bag: leave --topic out")
    if is_bag(path):
        yield from bag_clouds(Bag(path, topic))
    elif path.is_dir():
        files = sorted(p for p in path.iterdir() if p.suffix in SUFFIXES)
        if not files:
            raise FileError(f"expected clouds ({', '.join(SUFFIXES)}) or a bag's metadata.yaml in '{path}', found none")
        for file in files:
            yield from clouds(file)
    else:
        yield from _file(path)


def bag_clouds(bag: Bag, messages=None):
    """Yield the clouds of a bag, or of its ``messages``; FileError for one that contradicts itself."""
    for i, (time, msg) in enumerate(bag if messages is None else messages):
        source = f"{bag.path}[{i}] {bag.topic}"
        try:
            xyz, intensity = read_xyz(msg)
        except MessageError as error:
            raise FileError(f"{source}: {error}") from None
        yield Cloud(f"{bag.path.stem}.{i:06d}", source, xyz, intensity, msg, time)


def _file(path: Path):
    held = read_npz(path, ("offsets", "xyz", "xyz_cm", "intensity")) if path.suffix == ".npz" else {}
    if "offsets" not in held:
        yield Cloud(path.stem, str(path), *read_cloud(path))
        return
    for i, cloud in enumerate(_drive(path, held)):
        yield Cloud(f"{path.stem}.{i:06d}", f"{path}[{i}]", *cloud)


def _drive(path, held) -> list[tuple[np.ndarray, np.ndarray | None]]:
    if "xyz_cm" in held:
        xyz = floats(path, "xyz_cm", held["xyz_cm"], (-1, 3)) / np.float32(100.0)
    elif "xyz" in held:
        xyz = floats(path, "xyz", held["xyz"], (-1, 3))
    else:
        raise FileError(f"expected xyz or xyz_cm beside offsets in '{path}', found neither")
    intensity = floats(path, "intensity", held["intensity"], (len(xyz),)) if "intensity" in held else None
    offsets = held["offsets"]
    sound = offsets.dtype.kind in "iu" and offsets.ndim == 1 and len(offsets) > 1
    if not (sound and offsets[0] == 0 and offsets[-1] == len(xyz) and (np.diff(offsets.astype(np.int64)) >= 0).all()):
        raise FileError(f"expected offsets that rise from 0 to {len(xyz)} in '{path}', got others: write it again")
    spans = zip(offsets[:-1], offsets[1:])
    return [(xyz[a:b], None if intensity is None else intensity[a:b]) for a, b in spans]
