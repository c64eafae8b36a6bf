"""The ablation: one part a run, resumed, judged against the base."""

import json

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.torch

from test_training import TINY, shapes  # noqa: E402

from bipointnet_ros.training import ablation, run, train  # noqa: E402
from bipointnet_ros.training.recipe import Recipe  # noqa: E402


def test_each_recipe_differs_from_the_base_in_its_part_only():
    base = Recipe(epochs=1)
    made = ablation.recipes(base, "")
    assert made[ablation.BASE] == base and set(made) == set(ablation.PARTS)
    assert all(recipe != base for name, recipe in made.items() if name != ablation.BASE)
    taught = ablation.recipes(base, "somewhere")
    assert {recipe.teacher for name, recipe in taught.items() if name in ablation.TAUGHT} == {"somewhere"}


def test_ablation_resumes_and_compares_with_the_base(tmp_path, monkeypatch):
    base, said = Recipe(**{**TINY, "epochs": 1}), []
    for name in list(ablation.PARTS)[2:]:
        monkeypatch.delitem(ablation.PARTS, name)
    train.finish(run.start(tmp_path / "teacher", shapes(48), None, Recipe(**{**TINY, "epochs": 1}, method="full"), {}))
    arguments = shapes(48), shapes(30, seed=1), tmp_path / "out", base
    ablation.ablate(*arguments, "", said.append)
    ablation.ablate(*arguments, str(tmp_path / "teacher"), said.append)
    assert [line.split()[0] for line in said] == ["2", "base", "no", "3", "teacher's", "teacher's", "teacher's"]
    rows = (tmp_path / "out" / "table.md").read_text().splitlines()
    assert len(rows) == 7 and "| +0.0 | x 1.00 |" in rows[2]
    facts = json.loads((tmp_path / "out" / "no_label_smoothing" / "result.json").read_text())
    given = json.loads((tmp_path / "out" / "base" / "result.json").read_text())
    assert f"| {100 * (facts['val_accuracy'] - given['val_accuracy']):+.1f} |" in rows[3]
    assert np.isfinite(facts["cpu_seconds_an_epoch"])
