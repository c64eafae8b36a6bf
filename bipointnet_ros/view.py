"""Labelled clouds in a viewer, by Rerun (an optional extra): points by class, boxes with names, times as curves.

Either a window opens, or everything is saved as an .rrd file, which the command ``rerun FILE.rrd`` shows anywhere.
Runs with rerun-sdk 0.22, the last for the numpy 1.x of a ROS 2 from apt, and with the newest.
"""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from bipointnet_ros.core.classes import UNKNOWN, colours

_POINT = 0.03  # m, radius
_NAMED = 25  # boxes whose names are written; those of the others show under the mouse
_CLOUD, _OBJECTS, _FARTHER, _TIMES = "cloud/points", "cloud/objects", "cloud/farther_objects", "times"


class ViewError(ValueError):
    """Nothing can be shown: Rerun or a screen is missing, or the file cannot be written."""


@dataclass(frozen=True)
class Box:
    """centre (3,) and size (3,) [m], quaternion (x, y, z, w) of its axes in the cloud's frame, label, and a name."""

    centre: np.ndarray
    size: np.ndarray
    quaternion: tuple[float, float, float, float]
    label: int
    name: str


def boxes(objects) -> list[Box]:
    """Boxes of core.segments.Object, named with their confidence."""
    return [Box(o.centre, o.size, o.quaternion(), o.label, f"{o.name} {o.confidence:.0%}") for o in objects]


class View:
    """Shows one cloud after the other, ``shown`` until now. save: an .rrd to write instead of a window. ViewError."""

    def __init__(self, save=None):
        self._rerun = _library()
        self._old = not hasattr(self._rerun, "set_time")  # 0.22
        make = self._rerun.new_recording if self._old else self._rerun.RecordingStream
        self._stream = make("bipointnet")
        self.shown, self._palette = 0, colours(())
        blueprint = _blueprint()
        if save is not None:
            _writable(Path(save))
            self._rerun.save(save, default_blueprint=blueprint, recording=self._stream)
        elif sys.platform == "linux" and not (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")):
            raise ViewError("expected a screen, found none (DISPLAY is not set): save to a file with --save FILE.rrd")
        else:
            self._rerun.spawn(default_blueprint=blueprint, recording=self._stream)

    def classes(self, names) -> None:
        """What the labels are called from now on: label i + 1 is names[i]."""
        self._palette = colours(names)
        table = [(k, name, tuple(rgb)) for k, (name, rgb) in enumerate(zip((UNKNOWN, *names), self._palette.tolist()))]
        self._log("/", self._rerun.AnnotationContext(table), static=True)

    def show(self, xyz, label, time: float | None = None) -> None:
        """The next cloud: xyz (N, 3) [m], label (N,) published, or None; time [s] of its stamp, if it has one."""
        self._at("cloud", sequence=self.shown)
        self.shown += 1
        if time is not None:
            self._at("stamp", timestamp=time)
        rows = np.isfinite(xyz).all(1)
        kinds = {} if label is None else {"class_ids": np.asarray(label)[rows].astype(np.uint16)}
        self._log(_CLOUD, self._rerun.Points3D(xyz[rows], radii=_POINT, **kinds))

    def objects(self, found: list[Box]) -> None:
        """The boxes that belong to the cloud that is shown, the nearest first; they replace those before."""
        self._boxes(_OBJECTS, found[:_NAMED], show_labels=True)
        self._boxes(_FARTHER, found[_NAMED:], show_labels=False)

    def _boxes(self, path: str, found, show_labels: bool) -> None:
        if not found:
            self._log(path, self._rerun.Clear(recursive=False))
            return
        known = len(self._palette)
        columns = {
            "centers": [box.centre for box in found],
            "sizes": [box.size for box in found],
            "quaternions": [self._rerun.Quaternion(xyzw=box.quaternion) for box in found],
            "colors": [self._palette[box.label if box.label < known else 0] for box in found],
            "labels": [box.name for box in found],
        }
        self._log(path, self._rerun.Boxes3D(**columns, show_labels=show_labels))

    def times(self, milliseconds: dict[str, float]) -> None:
        """One point more of each curve."""
        scalar = self._rerun.Scalar if self._old else self._rerun.Scalars
        for name, value in milliseconds.items():
            self._log(f"{_TIMES}/{name}", scalar(value))

    def close(self) -> None:
        """Hand over everything that was shown."""
        self._stream.flush()

    def _log(self, path: str, what, **how) -> None:
        self._rerun.log(path, what, recording=self._stream, **how)

    def _at(self, timeline: str, sequence: int | None = None, timestamp: float | None = None) -> None:
        rerun, stream = self._rerun, self._stream
        if not self._old:
            kind = {"sequence": sequence} if timestamp is None else {"timestamp": timestamp}
            rerun.set_time(timeline, **kind, recording=stream)
        elif timestamp is None:
            rerun.set_time_sequence(timeline, sequence, recording=stream)
        else:
            rerun.set_time_seconds(timeline, timestamp, recording=stream)


def _library():
    try:
        import rerun
    except ImportError as error:
        raise ViewError(
            f"the viewer needs the library Rerun ({error}): pip install rerun-sdk, see docs/ros.md"
        ) from None
    return rerun


def _blueprint():
    """The cloud large, the curves under it."""
    import rerun.blueprint as blueprint

    cloud = blueprint.Spatial3DView(origin="cloud", name="cloud by class")
    curves = blueprint.TimeSeriesView(origin=_TIMES, name="milliseconds")
    return blueprint.Blueprint(blueprint.Vertical(cloud, curves, row_shares=[4, 1]), collapse_panels=True)


def _writable(path: Path) -> None:
    try:
        path.touch()
    except OSError as error:
        raise ViewError(f"cannot write '{path}': {error.strerror or error}") from None
