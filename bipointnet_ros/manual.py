"""Parameter files and the table of parameters, written from core.config: ``python -m bipointnet_ros.manual``.

Run in the source tree, it writes config/*.yaml and docs/parameters.md; a test asks whether they are current.
"""

from __future__ import annotations

import sys
import textwrap
from pathlib import Path

from bipointnet_ros.core.config import Config, Parameter, parameters

# file -> what it is for, and what differs from the defaults there
USES = {
    "bipointnet": ("every parameter at its default", {}),
    "indoor_robot": (
        "a small robot in rooms and corridors",
        {"range_min": 0.3, "range_max": 25.0, "ego_min": (-0.4, -0.4, -1.0), "ego_max": (0.4, 0.4, 1.0)},
    ),
    "car_64_beams": (
        "a car with a roof lidar of 64 beams or more, frame at the sensor",
        {"range_max": 120.0, "ego_min": (-3.0, -1.2, -2.5), "ego_max": (3.0, 1.2, 0.5), "stale_after": 1.0},
    ),
    "vlp16_raspberry_pi": (
        "16 beams on a Raspberry Pi 4 or 5: one core is left to ROS and to the driver",
        {"range_max": 60.0, "max_rate": 5.0, "threads": 3, "further_looks": 0.25},
    ),
}


def yaml(use: str) -> str:
    """The commented parameter file of one of ``USES``."""
    title, changes = USES[use]
    config = Config(**changes)
    lines = [f"# bipointnet parameters: {title}."]
    lines += _HEAD + ["/**:  # any node name and namespace", "  ros__parameters:"]
    for p in parameters():
        lines += [f"    # {line}" for line in textwrap.wrap(_remark(p, p.name in changes), 112)]
        lines.append(f"    {p.name}: {_yaml_value(getattr(config, p.name))}")
    return "\n".join(lines) + "\n"


_HEAD = [
    "# Written by `python -m bipointnet_ros.manual` from core/config.py. Numbers with a point keep it: 2.0, not 2.",
    "# live = `ros2 param set` changes it while the node runs; the others are read at configure.",
]


def table() -> str:
    """The parameters as a Markdown table."""
    lines = ["| parameter | default | unit, range | live | meaning |", "|---|---|---|---|---|"]
    for p in parameters():
        live = "yes" if p.live else "no"
        lines.append(f"| `{p.name}` | {_yaml_value(p.default)} | {_range(p)} | {live} | {p.description} |")
    return "\n".join(lines) + "\n"


def page() -> str:
    """docs/parameters.md."""
    return (
        "# Parameters\n\n"
        "Written by `python -m bipointnet_ros.manual` from `bipointnet_ros/core/config.py`, the only place where a\n"
        "default stands. Live parameters may be set while the node runs; the others are read when it is configured.\n"
        "Without ROS: `bipointnet label FILE -p gravity_pitch:=0.1 -p range_max:=50`; `view`, `eval` take them too.\n\n"
        + table()
        + "\nParameter files in `config/`: "
        + "; ".join(f"`{use}.yaml`: {title}" for use, (title, _) in USES.items())
        + ".\n"
    )


def files() -> dict[str, str]:
    """Every written file by its path in the source tree."""
    return {**{f"config/{use}.yaml": yaml(use) for use in USES}, "docs/parameters.md": page()}


def _remark(p: Parameter, changed: bool) -> str:
    facts = [_range(p), "live" if p.live else "", f"default {_yaml_value(p.default)}" if changed else ""]
    known = "; ".join(filter(None, facts))
    return f"{p.description} [{known}]" if known else p.description


def _range(p: Parameter) -> str:
    if p.choices:
        return ", ".join(p.choices)
    if p.low is None:
        return "true, false" if isinstance(p.default, bool) else ""
    low, high = (round(v, 4) for v in (p.low, p.high))
    return f"{low} to {high} {p.unit}".strip()


def _yaml_value(value) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return str(list(value)) if isinstance(value, tuple) else str(value) or '""'


def main() -> int:
    for name, text in files().items():
        Path(name).write_text(text)
        print(name)
    return 0


if __name__ == "__main__":
    sys.exit(main())
