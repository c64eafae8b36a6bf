"""Cross-validation of the classifier of objects: no thing is named by a network that saw it."""

import json

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.torch

from bipointnet_ros.core import crops  # noqa: E402
from bipointnet_ros.training import folds  # noqa: E402

TINY = [
    "--epochs",
    "6",
    "--steps",
    "20",
    "--rate",
    "0.01",
    "--points",
    "32",
    "--batch",
    "16",
    "--widths",
    "8",
    "16",
    "32",
    "16",
    "16",
]


@pytest.fixture
def sets(tmp_path):
    """Cars and pedestrians, each thing seen three times; bushes."""
    rng = np.random.default_rng(0)

    def things(size, count):
        return rng.uniform(-0.5, 0.5, (count, 60, 3)).astype(np.float32) * np.float32(size)

    points = np.concatenate([things((4.3, 1.8, 1.5), 24), things((0.5, 0.5, 1.7), 24)])
    facts = {"points": points, "labels": np.repeat([1, 0], 24), "classes": np.array(["pedestrian", "car"])}
    np.savez(tmp_path / "a.npz", **facts, thing=np.arange(48) // 3)
    np.savez(tmp_path / "b.npz", points=things((2, 2, 2), 6), labels=np.zeros(6, int), classes=np.array(["bush"]))
    return tmp_path


def test_things_are_dealt_out_whole_and_evenly():
    thing = np.repeat(np.arange(20), 3)[::-1]
    label = np.where(thing < 12, 0, 2)
    fold = folds.dealt(label, thing, 4, np.random.default_rng(0))
    assert all(len(set(fold[thing == t])) == 1 for t in range(20))
    for name, each in ((0, 9), (2, 6)):
        assert np.bincount(fold[label == name]).tolist() == [each] * 4
    assert (fold != folds.dealt(label, thing, 4, np.random.default_rng(1))).any()


def test_every_cluster_is_named_by_a_network_that_saw_the_others_only(sets, monkeypatch):
    shown = []

    class Spy(folds.ObjectRun):
        def __init__(self, folder, train_on, val, recipe):
            shown.append({cloud.tobytes() for cloud in train_on.clouds})
            super().__init__(folder, train_on, val, recipe)

    monkeypatch.setattr(folds, "ObjectRun", Spy)
    clouds = folds.load([str(sets / "a.npz"), str(sets / "b.npz")], [1, 1])
    fold = np.append(np.arange(48) % 2, np.full(6, -1))
    recipe = folds.Recipe(epochs=1, steps=2, points=32, batch=16, widths=(8, 16, 32, 16, 16))
    out = folds.named(clouds, fold, recipe, lambda line: None)
    assert (out[48:] == -1).all() and (out[:48] >= 0).all()
    for k, seen in enumerate(shown):
        assert [cloud.tobytes() in seen for cloud in clouds.clouds] == (fold != k).tolist()


def test_the_command_says_how_well_things_are_named(sets, capsys):
    files = [f"{sets}/a.npz:1", f"{sets}/b.npz:1"]
    assert folds.main([*files, "--folds", "2", *TINY]) == 0
    told, progress = capsys.readouterr()
    scores = json.loads(told)
    assert scores["n"] == 48 and scores["overall_accuracy"] > 0.8 and set(scores["accuracy"]) == {"car", "pedestrian"}
    counts = np.array(scores["confusion"])
    assert counts.sum() == 48 and counts.shape == (len(crops.NAMES), len(crops.NAMES) + 1)
    assert progress.count("fold") == 2
    assert folds.main([*files, "--folds", "17", *TINY]) == 2
    assert "expected 2 to 16 folds" in capsys.readouterr().err
