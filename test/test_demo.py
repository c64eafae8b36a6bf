"""The demo: three processes over real DDS, numbers that add up, pictures."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="needs ROS 2")
pytest.importorskip("matplotlib", reason="the demo draws")
pytestmark = pytest.mark.ros

from world import street, write_model  # noqa: E402

ROOT = Path(__file__).resolve().parents[1]
ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder with a model and three clouds."""
    folder = tmp_path_factory.mktemp("demo")
    write_model(folder / "street.safetensors")
    for i in range(3):
        np.savez(folder / f"{i}.npz", xyz=street(i), intensity=np.zeros(len(street(i)), np.float32))
    return folder


def demo(place, *arguments):
    command = [sys.executable, ROOT / "demo/run.py", "--clouds", place, "--out", place, *arguments]
    return subprocess.run(command, env=ENVIRONMENT, capture_output=True, text=True, timeout=90)


def test_every_number_adds_up_and_the_pictures_are_drawn(place):
    model = place / "street.safetensors"
    run = demo(place, "--seconds", "2", "--json", "--model", model)
    assert run.returncode == 0, run.stderr
    report = json.loads(run.stdout)
    assert report["sent"] == 20 and report["lost"] == report["sent"] - report["received"]
    assert report["received"] == report["answered"] + report["dropped"]
    assert 0 < report["back"] <= report["answered"] and report["model"] == str(model)
    latency = report["latency_ms"]
    assert 0 < latency["p50"] <= latency["p95"] <= latency["p99"]
    pictures = [Path(p) for p in report["pictures"]]
    assert [p.name for p in pictures] == ["birds_eye.png", "perspective.png"]
    assert all(p.read_bytes().startswith(b"\x89PNG") and p.stat().st_size > 20_000 for p in pictures)


@pytest.mark.parametrize("arguments", (("--model", "nowhere"), ("--model", "{model}", "--clouds", "nowhere")), ids=str)
def test_what_cannot_work_is_told_and_fails(place, arguments):
    run = demo(place, *(word.format(model=place / "street.safetensors") for word in arguments))
    assert run.returncode == 1 and "nowhere" in run.stderr and "Traceback" not in run.stderr


def test_ctrl_c_leaves_no_process_behind(place):
    command = [sys.executable, ROOT / "demo/run.py", "--clouds", place, "--model", place / "street.safetensors"]
    run = subprocess.Popen(command, env=ENVIRONMENT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        run.stdout.readline()  # the head of the table: node and player are being started
        time.sleep(1.0)
        children = Path(f"/proc/{run.pid}/task/{run.pid}/children").read_text().split()
        run.send_signal(signal.SIGINT)
        _, errors = run.communicate(timeout=30)
    finally:
        run.kill()
    assert run.returncode == 130 and "Traceback" not in errors
    assert len(children) == 2 and not any(Path(f"/proc/{child}").exists() for child in children)
