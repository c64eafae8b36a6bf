"""Where the installed data lies: models, configuration, launch files and the demo's clouds."""

from __future__ import annotations

import os
import sys
from pathlib import Path


def folders() -> list[Path]:
    """In the order of search: each ament prefix (a sourced ROS 2 workspace), Python's own prefix, the source tree."""
    prefixes = [p for p in os.environ.get("AMENT_PREFIX_PATH", "").split(os.pathsep) if p]
    installed = [Path(prefix) / "share" / "bipointnet_ros" for prefix in [*prefixes, sys.prefix]]
    return [*installed, Path(__file__).resolve().parents[2]]


def path(name: str) -> Path:
    """The first existing file of a relative name such as ``config/bipointnet.yaml``; ValueError if there is none."""
    for folder in folders():
        if (folder / name).exists():
            return folder / name
    raise ValueError(f"no file '{name}' beside the installed package or in the source tree: install the package again")
