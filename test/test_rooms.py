"""Which room may import what (docs/design.md): by walking the source, and by importing with the rest blocked."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "bipointnet_ros"
STDLIB = sys.stdlib_module_names
MESSAGES = {
    *("bond", "builtin_interfaces", "diagnostic_msgs", "geometry_msgs", "lifecycle_msgs", "rcl_interfaces"),
    *("rosgraph_msgs", "sensor_msgs", "std_msgs", "vision_msgs", "visualization_msgs"),
}
CLOUDS = {
    "arrays",
    "bags",
    "dataset",
    "files",
    "pcd",
    "ply",
    "pointcloud2",
    "recordings",
}  # of the package: clouds and labelled data in, labels out

# room -> (other packages, rooms of our own) that its files may import besides the standard library and themselves
RULES = {
    "core": ({"numpy"}, set()),
    "ros/messages.py": ({"numpy"} | MESSAGES, {"core", "pointcloud2"}),
    "ros/markers.py": ({"numpy"} | MESSAGES, {"core"}),
    "ros/viewer.py": ({"rclpy"} | MESSAGES, {"core", "ros", "pointcloud2", "view"}),
    "ros/player.py": ({"numpy", "rclpy"} | MESSAGES, {"core", "ros"} | CLOUDS),
    "ros": ({"numpy", "rclpy", "ament_index_python", "tf2_ros"} | MESSAGES, {"core", "ros"}),
    "training": ({"numpy", "torch", "matplotlib"}, {"core", "scores", "evaluation", "offline"} | CLOUDS),
    "arrays.py": ({"numpy"}, set()),
    "pcd.py": ({"numpy"}, set()),
    "ply.py": ({"numpy"}, set()),
    "pointcloud2.py": ({"numpy"}, set()),
    "bags.py": ({"numpy", "rosbags"}, {"arrays"}),
    "files.py": ({"numpy"}, {"arrays", "pcd", "ply", "core.classes"}),
    "recordings.py": ({"numpy"}, {"arrays", "bags", "files", "pointcloud2"}),
    "dataset.py": ({"numpy"}, {"arrays", "files"}),
    "scores.py": ({"numpy"}, {"dataset"}),
    "box_scores.py": ({"numpy"}, set()),
    "evaluation.py": ({"numpy"}, {"core", "scores", "box_scores"} | CLOUDS),
    "offline.py": ({"numpy"}, {"core", "view"} | CLOUDS),
    "bench.py": ({"numpy"}, {"core"} | CLOUDS),
    "cli.py": ({"numpy"}, {"core", "bench", "evaluation", "offline", "ros.viewer", "view", "wording"} | CLOUDS),
    "wording.py": ({"numpy"}, {"core", "evaluation", "offline"}),
    "view.py": ({"numpy", "rerun"}, {"core.classes"}),
    "render.py": ({"numpy", "matplotlib"}, {"core.classes"}),
    "manual.py": (set(), {"core"}),
    "__init__.py": (set(), set()),
}
NEVER = {"core": {"subprocess", "multiprocessing", "socket", "urllib"}, "ros": {"ctypes"}}
LAZY = {"matplotlib", "rerun", "rosbags", "tf2_ros"}  # imported where it is used, so that nothing else needs it
FILES = sorted(PACKAGE.rglob("*.py"))


def room(path: Path) -> str:
    """The most specific rule for a file."""
    name = path.relative_to(PACKAGE).as_posix()
    return name if name in RULES else name.split("/")[0]


def imports(path: Path):
    """Every imported module by its full name, and whether it is imported at the top of the file."""
    tree = ast.parse(path.read_text())
    package = ["bipointnet_ros", *path.relative_to(PACKAGE).parts[:-1]]
    for node in ast.walk(tree):
        top = node in tree.body
        if isinstance(node, ast.Import):
            yield from ((alias.name, top) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            module = ".".join([*base, *filter(None, [node.module])])
            deeper = module.split(".")[0] == "bipointnet_ros" and module.count(".") < 2
            yield from ((f"{module}.{alias.name}" if deeper else module, top) for alias in node.names)


def ours(module: str) -> str:
    """bipointnet_ros.core.bits -> core.bits"""
    return module.partition(".")[2]


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.relative_to(PACKAGE).as_posix())
def test_a_file_imports_only_what_its_room_may(path):
    packages, rooms = RULES[room(path)]
    own = room(path).split("/")[0] if "/" in path.relative_to(PACKAGE).as_posix() else None
    for module, top in imports(path):
        first = module.split(".")[0]
        if first == "bipointnet_ros":
            name = ours(module)
            same = own and name.split(".")[0] == own and "/" not in room(path)
            allowed = any(name == r or name.startswith(f"{r}.") for r in rooms)
            assert same or allowed, f"{path.name} must not import {module}"
        elif first in STDLIB:
            assert first not in NEVER.get(own, set()), f"{path.name} must not import {module}"
        else:
            assert first in packages, f"{path.name} must not import {module}"
            assert not (top and first in LAZY), f"{path.name} must import {module} where it is used"


def test_the_walk_sees_what_it_should(tmp_path, monkeypatch):
    """The walk itself: absolute, relative, aliased and lazy imports."""
    monkeypatch.setattr(sys.modules[__name__], "PACKAGE", tmp_path)
    (tmp_path / "core").mkdir()
    path = tmp_path / "core" / "file.py"
    path.write_text(
        "import numpy as np, rclpy.node\nfrom . import bits\nfrom ..files import read_cloud\n"
        "from bipointnet_ros.ros import node\nfrom bipointnet_ros import render\ndef f():\n    import torch.nn\n"
    )
    assert dict(imports(path)) == {
        "numpy": True,
        "rclpy.node": True,
        "bipointnet_ros.core.bits": True,
        "bipointnet_ros.files.read_cloud": True,
        "bipointnet_ros.ros.node": True,
        "bipointnet_ros.render": True,
        "torch.nn": False,
    }


BLOCKED = """
import importlib, pkgutil, sys

class Block:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {blocked}:
            raise ImportError("blocked: " + name)

sys.meta_path.insert(0, Block())
import bipointnet_ros
{load}
"""
EVERYTHING_OF_CORE = """
import bipointnet_ros.core
for module in pkgutil.iter_modules(bipointnet_ros.core.__path__):
    importlib.import_module("bipointnet_ros.core." + module.name)
"""


@pytest.mark.parametrize(
    "load", [EVERYTHING_OF_CORE, "import bipointnet_ros.cli", "import bipointnet_ros.files, bipointnet_ros.render"]
)
def test_core_and_command_run_without_ros_torch_open3d_and_matplotlib(load):
    blocked = {"rclpy", "torch", "open3d", "matplotlib", "rerun", "rosbags", *MESSAGES}
    script = BLOCKED.format(blocked=blocked, load=load)
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr


def test_the_engine_is_plain_c():
    """No Python.h anywhere; no heap and no stdio in a kernel."""
    sources = [p for p in (PACKAGE / "native").iterdir() if p.suffix in (".c", ".h")]
    assert len(sources) > 3
    for path in sources:
        text = path.read_text()
        for word in ("Python.h", "stdio.h", "malloc(", "calloc(", "realloc(", "printf("):
            assert word not in text, f"{path.name} must not use {word}"
