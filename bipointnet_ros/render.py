"""Pictures of a labelled cloud, without a screen: from above to scale, and in perspective as from a drone behind it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from bipointnet_ros.core.classes import UNKNOWN, colours

_PAPER, _INK, _FAINT = "#0b0f14", "#e8edf2", "#4a5866"
_SIZE, _DPI = (16.0, 9.0), 120  # inches: 1920 x 1080 pixels
_ASPECT = _SIZE[0] / _SIZE[1]
_EDGES = [(a, b) for a in range(8) for b in range(a) if (a ^ b) in (1, 2, 4)]  # corners that differ in one bit
_BACK, _SIDE, _UP, _AHEAD = 23.0, 9.0, 15.0, 8.0  # m: where the eye is, and how far ahead of the sensor it looks
_NEAREST = 2.0  # m: nothing nearer to the eye is drawn
_FOG = 150.0  # m: brightness falls to 1/e


class RenderError(ValueError):
    """A picture cannot be drawn: matplotlib is missing, or the file cannot be written."""


@dataclass(frozen=True)
class Camera:
    """A pinhole at eye (3,) [m] looking at target (3,), up = z; focal in half picture heights."""

    eye: np.ndarray
    target: np.ndarray
    focal: float = 1.75

    def project(self, xyz: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(N, 3) [m] -> (N, 2) in the picture, y up from -1 to 1, and the depth (N,) [m] along the axis."""
        ahead = self.target - self.eye
        ahead = ahead / np.linalg.norm(ahead)
        right = np.cross(ahead, (0.0, 0.0, 1.0))
        right /= np.linalg.norm(right)
        rays = xyz - self.eye
        depth = rays @ ahead
        with np.errstate(divide="ignore", invalid="ignore"):
            flat = self.focal * (rays @ np.stack([right, np.cross(right, ahead)], 1)) / depth[:, None]
        return flat, depth


def birds_eye(path, xyz, label, objects, classes, title: str = "", sensor: str = "") -> None:
    """Write a PNG of the cloud from above, to scale, x to the right: points by class, boxes with names, a scale bar.

    xyz (N, 3) [m] in the sensor's frame, label (N,) published, objects of core.segments.Object, classes by name.
    sensor is written beside the mark of the sensor. RenderError if matplotlib is missing or the file cannot be written.
    """
    xyz, label = _finite(xyz, label)
    half = float(np.clip(np.percentile(np.hypot(xyz[:, 0], xyz[:, 1]), 92), 12.0, 45.0)) if len(xyz) else 12.0
    figure, axes = _figure(half * _ASPECT, half, title)
    order = np.argsort(xyz[:, 2], kind="stable")  # what is higher hides what is under it
    axes.scatter(*xyz[order, :2].T, s=1.1, c=_shaded(xyz, label, classes)[order], linewidths=0)
    _rings(axes, half)
    palette = colours(classes) / 255.0
    names = _Names(axes, half / 40.0)
    names.write(sensor or "sensor", 0.0, -half / 15.0, (1.0, 1.0, 1.0))
    for one in objects:
        corners = _corners(one)
        axes.plot(*corners[[0, 1, 3, 2, 0], :2].T, color=palette[one.label], lw=1.3)
        names.write(one.name, corners[:, 0].mean(), corners[:, 1].max() + half * 0.008, palette[one.label])
    _sensor_mark(axes, half)
    _scale_bar(axes, half)
    _legend(axes, label, objects, classes)
    _save(figure, path)


def perspective(path, xyz, label, objects, classes, title: str = "", sensor: str = "") -> None:
    """Write a PNG of the cloud as seen from above and behind the sensor; arguments and errors as of ``birds_eye``."""
    xyz, label = _finite(xyz, label)
    floor = _floor(xyz, label, classes)
    camera = Camera(np.array([-_BACK, -_SIDE, floor + _UP]), np.array([_AHEAD, 0.0, floor]))
    figure, axes = _figure(_ASPECT, 1.0, title)
    _circles(axes, camera, floor)
    flat, depth = camera.project(xyz)
    seen = np.flatnonzero((depth > _NEAREST) & (np.abs(flat) < (_ASPECT, 1.0)).all(1))
    seen = seen[np.argsort(-depth[seen], kind="stable")]  # far to near
    fog = np.exp(-depth[seen] / _FOG)[:, None]
    size = np.clip(1400.0 / depth[seen] ** 2, 0.7, 5.0)
    axes.scatter(*flat[seen].T, s=size, c=_shaded(xyz, label, classes)[seen] * fog, linewidths=0)
    spot, away = camera.project(np.array([[0.0, 0.0, floor]]))
    axes.plot(*spot[0], marker="^", ms=200.0 / away[0], mec=_INK, mfc=_PAPER, mew=1.6, zorder=7)
    names = _Names(axes, 1.0 / 40.0)
    names.write(sensor or "sensor", spot[0, 0], spot[0, 1] - 0.06, (1.0, 1.0, 1.0))
    _solid_boxes(axes, camera, objects, colours(classes) / 255.0, names)
    _legend(axes, label, objects, classes)
    _save(figure, path)


def _finite(xyz, label):
    rows = np.isfinite(xyz).all(1)
    return np.asarray(xyz[rows], np.float64), np.asarray(label)[rows]


def _floor(xyz, label, classes) -> float:
    """Height of the ground around the sensor [m]; of the lowest points where nothing is labelled ground."""
    near = np.hypot(xyz[:, 0], xyz[:, 1]) < 15.0
    ground = near & (label == classes.index("ground") + 1) if "ground" in classes else np.zeros(len(xyz), bool)
    if ground.any():
        return float(np.median(xyz[ground, 2]))
    return float(np.percentile(xyz[:, 2], 2)) if len(xyz) else 0.0


def _shaded(xyz, label, classes) -> np.ndarray:
    """(N, 3) RGB 0..1: the class's colour, a little brighter higher up, so that flat colours show shape."""
    low, high = np.percentile(xyz[:, 2], (2, 98)) if len(xyz) else (0.0, 1.0)
    up = np.clip((xyz[:, 2] - low) / max(high - low, 1.0), 0.0, 1.0)[:, None]
    return np.clip((colours(classes) / 255.0)[label] * (0.9 + 0.4 * up), 0.0, 1.0)


def _figure(half_width: float, half_height: float, title: str):
    """A picture whose one axes fill it, in the units of the caller; no global state of matplotlib is touched."""
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError as error:
        raise RenderError(f"pictures need matplotlib ({error}): pip install matplotlib") from None
    figure = Figure(figsize=_SIZE, dpi=_DPI, facecolor=_PAPER)
    FigureCanvasAgg(figure)
    axes = figure.add_axes(
        (0, 0, 1, 1), facecolor=_PAPER, xlim=(-half_width, half_width), ylim=(-half_height, half_height)
    )
    axes.set_axis_off()
    axes.text(0.02, 0.965, title, transform=axes.transAxes, color=_INK, size=17, va="top", zorder=9)
    return figure, axes


def _save(figure, path) -> None:
    try:
        figure.savefig(path, facecolor=_PAPER)
    except OSError as error:
        raise RenderError(f"cannot write '{path}': {error.strerror or error}") from None


def _rings(axes, half: float) -> None:
    """Circles of equal distance from the sensor, every 10 m."""
    turn = np.linspace(0.0, 2.0 * np.pi, 361)
    for radius in np.arange(10.0, half * _ASPECT, 10.0):
        axes.plot(radius * np.cos(turn), radius * np.sin(turn), color=_FAINT, lw=0.7, ls=(0, (2, 4)), zorder=0)
        axes.text(
            radius * 0.8, radius * -0.6, f"{radius:.0f} m", color=_INK, alpha=0.6, size=10, ha="center", clip_on=True
        )


def _circles(axes, camera: Camera, floor: float) -> None:
    """The same circles on the ground, in perspective."""
    turn = np.linspace(0.0, 2.0 * np.pi, 721)
    for radius in (10.0, 20.0, 30.0, 50.0):
        circle = np.stack([radius * np.cos(turn), radius * np.sin(turn), np.full(turn.shape, floor)], 1)
        flat, depth = camera.project(circle)
        flat[depth < _NEAREST] = np.nan
        axes.plot(*flat.T, color=_FAINT, lw=0.8, ls=(0, (2, 4)), zorder=0)
        ahead, _ = camera.project(np.array([[radius * 0.94, -radius * 0.342, floor]]))  # 20 degrees to the right
        axes.text(*ahead[0], f"{radius:.0f} m", color=_INK, alpha=0.6, size=10, ha="center", clip_on=True)


def _corners(one) -> np.ndarray:
    """(8, 3) corners of an object's box [m]; bit 0, 1, 2 of the row = far end of length, width, height."""
    bits = np.arange(8)[:, None] >> np.arange(3) & 1
    c, s = np.cos(one.yaw), np.sin(one.yaw)
    local = (bits - 0.5) * one.size @ np.array([[c, s, 0.0], [-s, c, 0.0], [0.0, 0.0, 1.0]])
    return local @ (np.eye(3) if one.tilt is None else one.tilt.T) + one.centre


def _solid_boxes(axes, camera: Camera, objects, palette, names: _Names) -> None:
    """Edges of every box in view with its name over it, the nearest named first."""
    boxes = [(one, *camera.project(_corners(one))) for one in objects]
    for one, flat, depth in sorted(boxes, key=lambda box: box[2].min()):
        if depth.min() < _NEAREST or not (np.abs(flat) < (_ASPECT, 1.0)).any():
            continue
        strength = float(np.clip(25.0 / depth.min(), 0.35, 1.0))
        for a, b in _EDGES:
            axes.plot(
                *flat[[a, b]].T, color=palette[one.label], lw=1.6 * strength, alpha=strength, solid_capstyle="round"
            )
        name = f"{one.name} {one.confidence:.0%}"
        names.write(name, flat[:, 0].mean(), flat[:, 1].max() + 0.008, palette[one.label])


class _Names:
    """Names of objects, written only where no earlier one lies; unit = height of a line in the axes' units."""

    def __init__(self, axes, unit: float):
        self._axes, self._unit, self._taken = axes, unit, []

    def write(self, text: str, x: float, y: float, colour) -> None:
        half, height = 0.38 * self._unit * len(text), 1.6 * self._unit
        if any(abs(x - a) < half + w and abs(y - b) < height for a, b, w in self._taken):
            return
        self._taken.append((x, y, half))
        light = 0.45 + 0.55 * np.asarray(colour)
        self._axes.text(x, y, text, color=light, size=10, ha="center", va="bottom", clip_on=True, zorder=8)


def _sensor_mark(axes, half: float) -> None:
    """A triangle that points ahead (x)."""
    axes.fill(
        np.array([-1.2, 1.8, -1.2]) * half / 45, np.array([1, 0, -1]) * half / 45, fc=_PAPER, ec=_INK, lw=1.6, zorder=7
    )


def _scale_bar(axes, half: float) -> None:
    right, y = half * _ASPECT * 0.96, -half * 0.9
    axes.plot([right - 10, right], [y, y], color=_INK, lw=3, solid_capstyle="butt", zorder=7)
    axes.text(right - 5, y + half * 0.02, "10 m", color=_INK, size=12, ha="center", zorder=7)


def _legend(axes, label, objects, classes) -> None:
    """A dot and a name for each class that occurs, with the number of its objects."""
    names, palette = [UNKNOWN, *classes], colours(classes) / 255.0
    counts = np.bincount(label, minlength=len(names))
    handles = []
    for k in [*range(1, len(names)), 0]:
        if counts[k]:
            things = sum(one.label == k for one in objects)
            text = names[k] + (f"  ({things})" if things else "")
            handles += axes.plot([], [], "o", color=palette[k], ms=9, label=text)
    if handles:
        axes.legend(
            handles=handles, loc="lower left", bbox_to_anchor=(0.012, 0.012), ncols=len(handles), fontsize=12,
            labelcolor=_INK, facecolor=_PAPER, edgecolor=_FAINT, framealpha=0.85, handletextpad=0.2, columnspacing=1.4,
        ).set_zorder(9)  # fmt: skip
