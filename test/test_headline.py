"""The shipped classifiers by one command: teacher, students of every seed, twins; resumed; judged as packed files."""

from dataclasses import replace

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.torch

from test_training import TINY, shapes  # noqa: E402

from bipointnet_ros.core import model_file  # noqa: E402
from bipointnet_ros.training import headline, run  # noqa: E402
from bipointnet_ros.training.recipe import Recipe  # noqa: E402

SMALL = Recipe(**{**TINY, "epochs": 2})


@pytest.fixture
def few(tmp_path, monkeypatch):
    """The same series with networks and data that train in a second; the folder of the data."""
    taught = replace(SMALL, teacher="teacher", start="modelnet40_plain", average=0.9)
    monkeypatch.setattr(headline, "TEACHER", replace(SMALL, method="full"))
    monkeypatch.setattr(headline, "STUDENTS", {"modelnet40": {"modelnet40_plain": SMALL, "modelnet40": taught}})
    monkeypatch.setattr(headline, "TWINS", {"modelnet40": ("modelnet40_twin", replace(SMALL, method="full"))})
    for seed, part in enumerate(("train", "val", "test")):
        objects = shapes(96, seed=seed)
        facts = {"points": objects.points, "labels": objects.labels, "classes": np.array(objects.classes)}
        np.savez(tmp_path / f"modelnet40_{part}.npz", **facts)
    return tmp_path


def test_a_series_is_trained_resumed_and_judged(few, capsys):
    out = few / "out"
    assert headline.main([str(few), "--out", str(out), "--seeds", "1"]) == 0
    first = capsys.readouterr().out
    assert "3 runs," in first and "± " not in first and (out / "modelnet40_0.safetensors").is_file()
    assert headline.main([str(few), "--out", str(out), "--seeds", "2", "--twins"]) == 0
    told = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in told[:4]] == ["3", "modelnet40_plain_1", "modelnet40_1", "modelnet40_twin"]
    row = told[-2].split("|")
    assert row[1].strip() == "modelnet40" and "(2)" in row[2] and float(row[3]) > 30.0
    told = model_file.read(out / "modelnet40_1.safetensors").training["recipe"]
    assert (told["start"], told["teacher"]) == ("modelnet40_plain_1", "teacher")  # no paths of this machine
    assert run.load(out / "modelnet40_1")[1]["recipe"]["start"] == str(out / "modelnet40_plain_1")
    assert headline.main([str(few), "--out", str(out), "--seeds", "2", "--twins"]) == 0
    assert capsys.readouterr().out.splitlines()[0].startswith("0 runs")


def test_every_recipe_names_runs_that_come_before_it(tmp_path):
    jobs = headline.recipes(tmp_path, sorted(headline.STUDENTS), 3, True)
    before = {""}
    for folder, recipe in jobs.items():
        assert {recipe.teacher, recipe.start} <= before
        before.add(str(folder))


def test_data_that_are_not_there_are_one_sentence(tmp_path, capsys):
    assert headline.main([str(tmp_path), "--out", str(tmp_path / "out")]) == 2
    error = capsys.readouterr().err
    assert error.startswith("headline: ") and error.count("\n") == 1
