"""The two forms of labelled data, both .npz: objects (a cloud has a class) and scenes (a point has one)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from bipointnet_ros.arrays import FileError, read_npz
from bipointnet_ros.files import floats

IGNORED = 255  # label of a point that no score counts
_BOXES = ("boxes", "box_frame", "box_class", "box_track")
_NAMES = ("points", "labels", "xyz", "xyz_cm", "offsets", "label", "intensity", "stamp", "classes", *_BOXES)


@dataclass(frozen=True)
class Objects:
    """points (S, N, 3) float32, labels (S,) int64 into classes."""

    points: np.ndarray
    labels: np.ndarray
    classes: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.labels)


@dataclass(frozen=True)
class Scenes:
    """Scan f is rows offsets[f]:offsets[f + 1] of xyz (P, 3) float32 [m], z up, and of what else there is.

    label (P,) uint8 into classes or IGNORED; intensity (P,) float32 in 0..1; stamp (F,) float64 [s]; boxes (B, 7)
    float32 x y z length width height yaw, in the axes of scan box_frame (B,), of class box_class (B,) into classes;
    box_track (B,): the same number for the same thing in every scan.
    """

    xyz: np.ndarray
    offsets: np.ndarray
    classes: tuple[str, ...]
    label: np.ndarray | None = None
    intensity: np.ndarray | None = None
    stamp: np.ndarray | None = None
    boxes: np.ndarray | None = None
    box_frame: np.ndarray | None = None
    box_class: np.ndarray | None = None
    box_track: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def scan(self, f: int):
        """xyz, intensity or None, label or None of scan f."""
        rows = slice(self.offsets[f], self.offsets[f + 1])
        return tuple(None if a is None else a[rows] for a in (self.xyz, self.intensity, self.label))

    def boxes_of(self, f: int):
        """Boxes (B, 7) of scan f, the name of each one's class, and their tracks or None."""
        rows = self.box_frame == f
        names = [self.classes[k] for k in self.box_class[rows]]
        return self.boxes[rows], names, None if self.box_track is None else self.box_track[rows]


def read(path) -> Objects | Scenes:
    """The data of a .npz file in one of the two forms; FileError if it holds neither, or arrays that do not fit.

    To save space scenes may hold xyz_cm (P, 3) integer centimetres for xyz, and uint8 intensity for 0..1.
    """
    arrays = read_npz(path, _NAMES)
    if {"points", "labels"} <= set(arrays):
        return _objects(path, arrays)
    if "offsets" in arrays and ("xyz" in arrays or "xyz_cm" in arrays):
        return _scenes(path, arrays)
    raise FileError(
        f"expected objects (points, labels, classes) or scenes (xyz, offsets, label, classes) in '{path}', "
        f"got {', '.join(arrays) or 'none of these arrays'}"
    )


def _objects(path, arrays: dict) -> Objects:
    points, classes = floats(path, "points", arrays["points"], (-1, -1, 3)), _classes(path, arrays)
    labels = _indices(path, "labels", arrays["labels"], len(points))
    _check(path, np.all(labels < len(classes)), f"labels under {len(classes)}, the number of classes")
    return Objects(points, labels, classes)


def _scenes(path, arrays: dict) -> Scenes:
    xyz = floats(path, "xyz", arrays["xyz"], (-1, 3)) if "xyz" in arrays else None
    if xyz is None:
        xyz = floats(path, "xyz_cm", arrays["xyz_cm"], (-1, 3)) / np.float32(100.0)
    offsets = _indices(path, "offsets", arrays["offsets"])
    rising = len(offsets) > 0 and offsets[0] == 0 and offsets[-1] == len(xyz) and np.all(np.diff(offsets) >= 0)
    _check(path, rising, f"offsets that rise from 0 to {len(xyz)}, the number of points")
    rest = {}
    if "intensity" in arrays:
        rest["intensity"] = _scaled(path, "intensity", arrays["intensity"], (len(xyz),))
    if "stamp" in arrays:
        floats(path, "stamp", arrays["stamp"], (len(offsets) - 1,))
        rest["stamp"] = arrays["stamp"].astype(np.float64)
    if "label" not in arrays:
        return Scenes(xyz, offsets, (), **rest)
    label, classes = _indices(path, "label", arrays["label"], len(xyz)), _classes(path, arrays)
    known = (label < len(classes)) | (label == IGNORED)
    _check(path, known.all(), f"labels under {len(classes)}, the number of classes, or {IGNORED}")
    if "boxes" in arrays:
        rest |= _boxes(path, arrays, len(offsets) - 1, len(classes))
    return Scenes(xyz, offsets, classes, label.astype(np.uint8), **rest)


def _boxes(path, arrays: dict, frames: int, classes: int) -> dict:
    boxes = floats(path, "boxes", arrays["boxes"], (-1, 7))
    _check(path, {"box_frame", "box_class"} <= set(arrays), "box_frame and box_class beside boxes")
    rest = {name: _indices(path, name, arrays[name], len(boxes)) for name in _BOXES[1:] if name in arrays}
    _check(path, np.all(rest["box_frame"] < frames), f"box_frame under {frames}, the number of scans")
    _check(path, np.all(rest["box_class"] < classes), f"box_class under {classes}, the number of classes")
    _check(path, np.isfinite(boxes).all() and np.all(boxes[:, 3:6] > 0), "finite boxes of positive size")
    return {"boxes": boxes, **rest}


def _scaled(path, name: str, array: np.ndarray, shape) -> np.ndarray:
    scale = 255.0 if array.dtype == np.uint8 else 1.0
    return floats(path, name, array, shape) / np.float32(scale)


def _indices(path, name: str, array: np.ndarray, count: int | None = None) -> np.ndarray:
    fits = array.ndim == 1 and array.dtype.kind in "iu" and count in (None, len(array))
    _check(
        path, fits and np.all(array >= 0), f"{name} ({'any length' if count is None else count},) of integers from 0"
    )
    return array.astype(np.int64)


def _classes(path, arrays: dict) -> tuple[str, ...]:
    names = arrays.get("classes", np.zeros(0))
    _check(path, names.ndim == 1 and names.dtype.kind in "US" and 0 < len(names) < IGNORED, "classes, a list of names")
    text = names.astype("U") if names.dtype.kind == "U" else np.char.decode(names, "utf-8", "replace")
    classes = tuple(str(name) for name in text)
    _check(path, len(set(classes)) == len(classes), "classes that differ from one another")
    return classes


def _check(path, good, expected: str):
    if not good:
        raise FileError(f"expected {expected} in '{path}', got something else: prepare the file again")
