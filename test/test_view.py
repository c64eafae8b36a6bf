"""What a viewer is told: with a stand-in for Rerun, whose calls are recorded, and with Rerun itself where it is."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import fabricate
import numpy as np
import pytest

from bipointnet_ros import cli, view
from bipointnet_ros.core import model_file
from bipointnet_ros.core.blueprint import Grid, cell_segmenter
from bipointnet_ros.core.classes import UNKNOWN
from bipointnet_ros.core.segments import Object

STAND_INS = Path(__file__).parent / "stand_ins"
CLASSES = ("ground", "vehicle")
XYZ = np.array([[0, 0, 0], [1, 2, 3], [np.nan, 0, 0]], np.float32)


@pytest.fixture(params=["newest", "0.22"])
def standin(request, monkeypatch):
    """The stand-in instead of Rerun, whether that is installed or not."""
    monkeypatch.setenv("RERUN_STANDIN", request.param)
    monkeypatch.syspath_prepend(STAND_INS)
    for name in ("rerun", "rerun.blueprint"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    yield
    for name in ("rerun", "rerun.blueprint"):
        sys.modules.pop(name, None)


def told(path) -> list[dict]:
    return [json.loads(line) for line in Path(path).read_text().splitlines()]


def car(distance: float) -> Object:
    centre, size = np.array([distance, 0.0, 1.0]), np.array([4.0, 2.0, 1.5])
    return Object(1, 2, "vehicle", 0.9, centre, size, np.pi / 2, 100)


def test_a_cloud_its_objects_and_times(tmp_path, standin):
    shown = view.View(tmp_path / "a.rrd")
    shown.classes(CLASSES)
    for i in range(2):
        shown.show(XYZ, np.array([1, 2, 0], np.uint16), 100.5 + i)
        shown.objects(view.boxes([car(5.0 + k) for k in range(30 * i)]))
        shown.times({"all": 7.5})
    shown.close()
    names, *rest = told(tmp_path / "a.rrd")
    assert names["names"] == [UNKNOWN, *CLASSES] and shown.shown == 2
    for i, (points, near, far, times) in enumerate((rest[:4], rest[4:])):
        assert (points["path"], points["at"]) == ("cloud/points", {"cloud": i, "stamp": 100.5 + i})
        assert points["positions"] == XYZ[:2].tolist() and points["class_ids"] == [1, 2]
        assert (times["path"], times["value"]) == ("times/all", 7.5)
        assert (near["path"], far["path"]) == ("cloud/objects", "cloud/farther_objects")
    assert rest[1]["kind"] == rest[2]["kind"] == "Clear"
    assert (len(rest[5]["labels"]), len(rest[6]["labels"])) == (25, 5) and rest[5]["labels"][0] == "vehicle 90%"
    np.testing.assert_allclose(rest[5]["quaternions"][0], [0, 0, np.sqrt(0.5), np.sqrt(0.5)], atol=1e-9)
    assert rest[5]["centers"][0] == [5, 0, 1] and rest[5]["sizes"][0] == [4, 2, 1.5]


def test_a_cloud_without_labels_and_a_class_beyond_the_table(tmp_path, standin):
    shown = view.View(tmp_path / "a.rrd")
    shown.show(XYZ, None)
    shown.objects([view.Box((0, 0, 0), (1, 1, 1), (0, 0, 0, 1), 9, "thing")])
    points, box, _ = told(tmp_path / "a.rrd")
    assert "class_ids" not in points and points["at"] == {"cloud": 0} and box["labels"] == ["thing"]


@pytest.fixture
def work(tmp_path, monkeypatch):
    """A folder with a segmenter and two clouds."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("DISPLAY", raising=False)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    model_file.write(
        "m.safetensors", fabricate.model(cell_segmenter(("height",), 2, Grid(0.2, (4, 12)), 64), points=99)
    )
    for i in range(2):
        xyz = np.random.default_rng(i).uniform(-9, 9, (500 + i, 3)).astype(np.float32)
        np.save(f"{i}.npy", xyz)
    return tmp_path


def run(capsys, *arguments):
    """Exit status, standard output, standard error."""
    try:
        status = cli.main(["view", *arguments])
    except SystemExit as stop:
        status = stop.code
    return (status, *capsys.readouterr())


def test_the_command_shows_files(work, capsys, standin):
    status, out, err = run(capsys, ".", "--model", "m.safetensors", "--save", "a.rrd")
    assert (status, out, err) == (0, "2 cloud(s): rerun a.rrd\n", "")
    lines = told("a.rrd")
    assert [len(line["positions"]) for line in lines if line["path"] == "cloud/points"] == [500, 501]
    assert {"times/all", "times/network", "cloud/objects"} <= {line["path"] for line in lines}
    assert run(capsys, ".", "--model", "m.safetensors", "--save", "a.rrd", "--count", "1")[1].startswith("1 cloud(s)")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ("", "SOURCE"),
        ("0.npy --model m.safetensors", "--save FILE.rrd"),
        ("0.npy --model m.safetensors --save none/a.rrd", "cannot write"),
        ("none.npy --model m.safetensors --save a.rrd", "No such file"),
        ("0.npy --model none --save a.rrd", "no model 'none'"),
        ("0.npy --model m.safetensors --save a.rrd --topic /points", "not a bag"),
        ("/points 0.npy --save a.rrd", "expected one live topic"),
        ("0.npy --count -1", "--count"),
    ],
)
def test_whatever_is_wrong_is_one_line_and_status_2(work, capsys, standin, arguments, words):
    status, out, err = run(capsys, *arguments.split())
    assert status == 2 and out == "" and err.startswith("bipointnet") and err.count("\n") == 1 and words in err


def test_a_missing_library_and_a_missing_ros_are_told(work, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "rerun", None)
    status, _, err = run(capsys, "0.npy", "--model", "m.safetensors", "--save", "a.rrd")
    assert status == 2 and "pip install rerun-sdk" in err and err.count("\n") == 1
    monkeypatch.setitem(sys.modules, "bipointnet_ros.ros.viewer", None)
    status, _, err = run(capsys, "/points", "--save", "a.rrd")
    assert status == 2 and "setup.bash" in err and err.count("\n") == 1


@pytest.mark.skipif(importlib.util.find_spec("rerun") is None, reason="needs rerun-sdk (170 MB)")
def test_rerun_itself_writes_what_it_is_told(work):
    save = ["-m", "bipointnet_ros.cli", "view", ".", "--model", "m.safetensors", "--save", "a.rrd"]
    done = subprocess.run([sys.executable, *save], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0 and done.stdout == "2 cloud(s): rerun a.rrd\n", done.stderr
    assert os.path.getsize("a.rrd") > 1001 * 3 * 4 / 2
    command = [sys.executable, "-m", "rerun_cli", "rrd", "print", "a.rrd"]
    printed = subprocess.run(command, capture_output=True, text=True, timeout=120).stdout
    for path in ("/cloud/points", "/cloud/objects", "/times/all", "/times/network"):  # in one chunk of rows or in more
        assert sum(map(int, re.findall(rf"with (\d+) rows .* - {path} - ", printed))) >= 2
