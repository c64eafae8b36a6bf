"""The package as a user installs it: code, engine, shared data, executables; and facts that stand in two places."""

import os
import re
import shutil
import subprocess
import sys
import venv
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import numpy
import pytest

import bipointnet_ros

ROOT = Path(__file__).resolve().parents[1]
OUTSIDE = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "AMENT_PREFIX_PATH")}
EXECUTABLES = ("bipointnet", "bipointnet_node")


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """A virtual environment into which a copy of the sources was installed, and of this one nothing but numpy."""
    place = tmp_path_factory.mktemp("installed")
    ignored = shutil.ignore_patterns(
        ".*", "build", "install", "log", "runs", "data", "*.so", "*.egg-info", "__pycache__"
    )
    shutil.copytree(ROOT, place / "source", ignore=ignored)
    venv.create(place / "venv", symlinks=True)
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-index", "--no-deps", "--no-build-isolation"]
    done = subprocess.run(
        [*command, "--prefix", place / "venv", "--ignore-installed", place / "source"],
        **{"capture_output": True, "text": True, "env": OUTSIDE, "cwd": place, "timeout": 300},
    )
    assert done.returncode == 0, done.stderr
    shutil.rmtree(place / "source")
    (site,) = (place / "venv" / "lib").glob("python3*/site-packages")
    os.symlink(Path(numpy.__file__).parent, site / "numpy")
    libraries = Path(numpy.__file__).parents[1] / "numpy.libs"
    if libraries.is_dir():
        os.symlink(libraries, site / "numpy.libs")
    return place / "venv"


def run(prefix, *command):
    done = subprocess.run(
        [prefix / "bin" / "python", *command],
        **{"capture_output": True, "text": True, "env": OUTSIDE, "cwd": "/", "timeout": 120},
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_engine_is_installed_and_used(installed):
    told = run(
        installed, "-c", "from bipointnet_ros.core import kernels; print(kernels.__file__, *kernels.available())"
    )
    path, *backends = told.split()
    assert path.startswith(str(installed)) and backends[-1] == "numpy" and "portable" in backends


def test_every_module_is_installed(installed):
    (package,) = (installed / "lib").glob("python3*/site-packages/bipointnet_ros")
    there = {p.relative_to(package) for p in package.rglob("*.py")}
    assert there == {p.relative_to(ROOT / "bipointnet_ros") for p in (ROOT / "bipointnet_ros").rglob("*.py")}
    assert (package / "training" / "classes.json").is_file()


@pytest.mark.parametrize("name", sorted(p.stem for p in (ROOT / "models").glob("*.safetensors")))
def test_shipped_models_are_found_by_name(installed, name):
    told = run(installed, "-m", "bipointnet_ros.cli", "info", name)
    assert str(installed / "share" / "bipointnet_ros" / "models" / f"{name}.safetensors") in told


def test_shared_data_lies_where_ros_looks(installed):
    share = installed / "share"
    assert (share / "ament_index/resource_index/packages/bipointnet_ros").is_file()
    kinds = ("models/*.safetensors", "models/*.npz", "models/*.md", "config/*", "launch/*.launch.py", "demo/drive/*")
    for kind in kinds:
        for path in ROOT.glob(kind):
            there = share / "bipointnet_ros" / path.relative_to(ROOT)
            assert there.is_file(), f"{there} is not installed"
    assert (share / "bipointnet_ros/package.xml").is_file()


def test_executables_start(installed):
    for name in EXECUTABLES:
        assert (installed / "bin" / name).is_file()
    assert "label" in run(installed, installed / "bin" / "bipointnet", "--help")


def test_the_version_is_the_same_everywhere():
    assert ElementTree.parse(ROOT / "package.xml").findtext("version") == bipointnet_ros.__version__


def test_package_xml_names_what_the_node_imports():
    package = ElementTree.parse(ROOT / "package.xml").getroot()
    assert package.get("format") == "3" and package.findtext("export/build_type") == "ament_python"
    depends = {element.text for element in package.iter("exec_depend")}
    imported = set()
    for path in [*(ROOT / "bipointnet_ros/ros").glob("*.py"), *(ROOT / "launch").glob("*.py")]:
        imported |= set(re.findall(r"^\s*(?:from|import) (\w+)", path.read_text(), re.M))
    ours = {"bipointnet_ros", "__future__", "numpy"} | set(sys.stdlib_module_names)
    wanted = {{"tf2_ros": "tf2_ros_py"}.get(name, name) for name in imported - ours}
    assert wanted <= depends, f"not in package.xml: {sorted(wanted - depends)}"
    assert "python3-numpy" in depends and not depends & {"torch", "open3d", "python3-torch"}


def test_executables_and_folders_of_colcon():
    """ros2 run looks in lib/PACKAGE; --symlink-install needs the sources inside the package."""
    text = (ROOT / "setup.cfg").read_text()
    assert "script_dir=$base/lib/bipointnet_ros" in text and "install_scripts=$base/lib/bipointnet_ros" in text
    assert not list(ROOT.glob("*.c")) and list((ROOT / "bipointnet_ros/native").glob("*.c"))


def test_pins():
    """One formatter for everyone, one torch for the tests; core's oldest numpy stands in two files."""
    pins = {path.stem: path.read_text() for path in (ROOT / "make").glob("*.txt")}
    assert re.search(r"^ruff==", pins["lint"], re.M) and re.search(r"^torch==", pins["test"], re.M)
    assert "numpy>=1.21" in pins["demo"] and "numpy>=1.21" in (ROOT / "setup.py").read_text()
    assert "torch" not in pins["demo"] + pins["ros"]
