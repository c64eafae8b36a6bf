"""Every run-time parameter: default, unit, range and meaning, written once.

The node declares its ROS parameters from this dataclass, the YAML files and docs/parameters.md are checked against it,
and the command line reads its defaults here.
"""

from __future__ import annotations

import dataclasses
import difflib
import json
import math
from dataclasses import dataclass


class ConfigError(ValueError):
    """A parameter has a wrong type, is out of range or contradicts another one."""


@dataclass(frozen=True)
class Parameter:
    """What is known of one parameter besides its default; low and high are inclusive."""

    name: str
    default: object
    description: str
    unit: str = ""
    low: float | None = None
    high: float | None = None
    choices: tuple[str, ...] = ()
    live: bool = False


def _parameter(default, description, **facts):
    return dataclasses.field(default=default, metadata={"description": description, **facts})


_BOX_OFF = (0.0, 0.0, 0.0)
_METRES = {"unit": "m", "low": -1000.0, "high": 1000.0, "live": True}


@dataclass(frozen=True)
class Config:
    """Parameters of the pipeline and the node; construct, or ``replace``, and the values are checked (ConfigError)."""

    model: str = _parameter("lidar", "packed model: a path, or the name of a shipped one", live=True)
    backend: str = _parameter("auto", "kernels to use; auto = the best this machine can run, or $BIPOINTNET_BACKEND")
    threads: int = _parameter(0, "worker threads of the network; 0 = physical cores - 1, at least 1", low=0, high=256)
    split: str = _parameter(
        "auto",
        "what one answer of a classifier covers: the whole cloud, or each cluster that stands on the ground; "
        "auto = cloud (a segmentation model answers every point and ignores this)",
        choices=("auto", "cloud", "clusters"),
        live=True,
    )
    sampling: str = _parameter(
        "auto",
        "how the points that the network sees are chosen; auto = as the model was trained",
        choices=("auto", "random", "voxel", "farthest"),
        live=True,
    )
    points: int = _parameter(
        0, "how many points the network sees; 0 = as the model was trained", low=0, high=1_000_000, live=True
    )
    further_looks: float = _parameter(
        -1.0,
        "segmentation: how often the network sees a scan's voxels again, the most doubtful first, in cells that lie "
        "elsewhere; its answers are averaged. 0 = never, 0.25 = a quarter once, -1 = of a small scan as many as a "
        "large one has",
        low=-1.0,
        high=7.0,
        live=True,
    )
    use_intensity: bool = _parameter(
        False,
        "true = intensities count: better with a sensor like those the model was trained on, worse with others",
        live=True,
    )
    range_min: float = _parameter(
        0.5, "nearer points are answered with label 0", unit="m", low=0.0, high=1000.0, live=True
    )
    range_max: float = _parameter(
        250.0, "farther points are answered with label 0", unit="m", low=0.0, high=1000.0, live=True
    )
    region_min: tuple[float, float, float] = _parameter(
        _BOX_OFF, "corner (x, y, z) of the box of interest in the cloud's frame; equal corners = off", **_METRES
    )
    region_max: tuple[float, float, float] = _parameter(
        _BOX_OFF, "the opposite corner of the box of interest", **_METRES
    )
    ego_min: tuple[float, float, float] = _parameter(
        _BOX_OFF,
        "corner (x, y, z) of the vehicle's own box in the cloud's frame, answered with label 0; equal corners = off",
        **_METRES,
    )
    ego_max: tuple[float, float, float] = _parameter(
        _BOX_OFF, "the opposite corner of the vehicle's own box", **_METRES
    )
    min_confidence: float = _parameter(0.0, "answers of lower confidence become label 0", low=0.0, high=1.0, live=True)
    track: bool = _parameter(
        True, "an object keeps its instance number from cloud to cloud; false = each cloud is numbered anew", live=True
    )
    track_gate: float = _parameter(
        3.0,
        "how far from where it is expected an object may be found and keep its number",
        unit="m",
        low=0.0,
        high=100.0,
        live=True,
    )
    max_rate: float = _parameter(
        0.0, "most clouds answered per second; 0 = as they come", unit="Hz", low=0.0, high=1000.0, live=True
    )
    gravity_roll: float = _parameter(
        0.0, "roll of the sensor's mount; models assume z up", unit="rad", low=-math.pi, high=math.pi, live=True
    )
    gravity_pitch: float = _parameter(
        0.0, "pitch of the sensor's mount; models assume z up", unit="rad", low=-math.pi, high=math.pi, live=True
    )
    output_frame: str = _parameter(
        "", "tf frame of the answers; empty = the cloud's own. Only x, y, z and frame_id change, by tf2_ros"
    )
    reliability: str = _parameter(
        "best_effort", "QoS of the subscription to the clouds", choices=("best_effort", "reliable")
    )
    marker_lifetime: float = _parameter(
        1.0, "how long RViz keeps a marker that is not renewed; 0 = for ever", unit="s", low=0.0, high=60.0, live=True
    )
    stale_after: float = _parameter(
        5.0, "warn when no cloud came for this long; 0 = never", unit="s", low=0.0, high=3600.0, live=True
    )
    seed: int = _parameter(
        0, "sampling is repeatable: same cloud and seed, same answer", low=0, high=2**31 - 1, live=True
    )
    autostart: bool = _parameter(True, "configure and activate the node by itself at the start")
    bond_heartbeat_period: float = _parameter(
        0.1,
        "how often an active node without autostart tells nav2's lifecycle manager that it lives; 0 = never",
        unit="s",
        low=0.0,
        high=10.0,
    )

    def __post_init__(self):
        for parameter in parameters():
            value = _checked(parameter, getattr(self, parameter.name))
            object.__setattr__(self, parameter.name, value)
        if self.range_min >= self.range_max:
            raise ConfigError(
                f"range_min must be less than range_max, got {self.range_min} and {self.range_max}: "
                "lower range_min or raise range_max"
            )
        for box in ("region", "ego"):
            low, high = getattr(self, f"{box}_min"), getattr(self, f"{box}_max")
            if low != high and any(a >= b for a, b in zip(low, high)):
                raise ConfigError(
                    f"{box}_min must be less than {box}_max in x, y and z (or equal in all three: off), "
                    f"got {list(low)} and {list(high)}: swap the corners"
                )

    def replace(self, **changes) -> Config:
        """A copy with some parameters changed; ConfigError names an unknown one and the nearest known name."""
        for name in changes:
            if name not in Config.__dataclass_fields__:
                raise ConfigError(unknown_parameter(name))
        return dataclasses.replace(self, **changes)


def parameters() -> tuple[Parameter, ...]:
    """All parameters in the order of the dataclass."""
    return tuple(Parameter(f.name, f.default, **f.metadata) for f in dataclasses.fields(Config))


def assigned(text: str) -> tuple[str, object]:
    """(name, value) of NAME:=VALUE, as ros2 takes parameters, for ``replace``, which checks both. ConfigError."""
    name, sign, value = text.partition(":=")
    if not sign:
        raise ConfigError(f"expected NAME:=VALUE, got '{text}'")
    if type(getattr(Config, name, None)) is str:
        return name, value
    try:
        return name, json.loads(value)
    except ValueError:
        return name, value


def unknown_parameter(name: str) -> str:
    """The sentence for a misspelt parameter."""
    near = difflib.get_close_matches(name, Config.__dataclass_fields__, 1, 0.0)
    return f"unknown parameter '{name}': did you mean '{near[0]}'?"


def _checked(parameter: Parameter, value):
    """The value in its declared type, or ConfigError."""
    kind = type(parameter.default)
    if kind is tuple:
        return _checked_triple(parameter, value)
    if kind is float and type(value) is int:
        value = float(value)
    if type(value) is not kind:
        raise ConfigError(f"{parameter.name} must be {_A[kind]}, got {value!r}")
    if parameter.choices and value not in parameter.choices:
        raise ConfigError(f"{parameter.name} must be one of {', '.join(parameter.choices)}, got '{value}'")
    if kind in (int, float):
        _check_range(parameter, value)
    return value


def _checked_triple(parameter: Parameter, value):
    try:
        triple = tuple(float(v) for v in value)
    except (TypeError, ValueError):
        triple = ()
    if len(triple) != 3 or isinstance(value, str):
        raise ConfigError(f"{parameter.name} must be three numbers [x, y, z], got {value!r}")
    for v in triple:
        _check_range(parameter, v)
    return triple


def _check_range(parameter: Parameter, value):
    if not math.isfinite(value) or value < parameter.low or value > parameter.high:
        unit = f" {parameter.unit}" if parameter.unit else ""
        raise ConfigError(f"{parameter.name} must be {parameter.low} to {parameter.high}{unit}, got {value}")


_A = {str: "a string", int: "an integer", float: "a number", bool: "true or false"}
