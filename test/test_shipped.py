"""Shipped models: each answers its golden input bit for bit on every backend, without torch, and has its card."""

import json
from pathlib import Path

import numpy as np
import pytest

from bipointnet_ros.core import features, kernels, model_file
from bipointnet_ros.core.blueprint import CLASSIFICATION
from bipointnet_ros.core.network import Network

FOLDER = Path(__file__).parents[1] / "models"
SHIPPED = sorted(path.stem for path in FOLDER.glob("*.safetensors"))


def answer(model, golden, backend):
    network = Network(model, kernels.choose(backend))
    offsets = [golden[name] for name in sorted(golden.files) if name.startswith("offsets")]
    if not offsets:
        return network.classify(golden["input"])
    rows = network.classify_rows if model.blueprint.task == CLASSIFICATION else network.segment
    return rows(golden["input"], offsets)


@pytest.mark.parametrize("backend", kernels.available())
@pytest.mark.parametrize("name", SHIPPED)
def test_golden_answer(name, backend):
    model = model_file.read(FOLDER / f"{name}.safetensors")
    with np.load(FOLDER / f"{name}.golden.npz", allow_pickle=False) as golden:
        logits = answer(model, golden, backend)
        np.testing.assert_array_equal(logits, golden["logits"])
        np.testing.assert_array_equal(logits.argmax(1), golden["label"])
        if model.objects:
            named = Network(model.objects, kernels.choose(backend)).classify(golden["objects_input"])
            np.testing.assert_array_equal(named, golden["objects_logits"])


@pytest.mark.parametrize("name", SHIPPED)
def test_card_says_what_a_user_must_know(name):
    card = (FOLDER / f"{name}.md").read_text()
    for heading in ("Data", "Licence", "Command", "Numbers", "Limits"):
        assert f"## {heading}" in card
    path = FOLDER / f"{name}.safetensors"
    training = model_file.read(path).training
    assert {"data", "licence", "command", "seed"} <= set(training)
    assert ("ModelNet40" in training["data"]) == name.startswith("modelnet40"), "the facts of another model"
    assert f"{path.stat().st_size:,} bytes" in card
    assert '"/' not in json.dumps(training), "a path of the machine that trained it"


def test_modelnet40_is_the_vanilla_network_in_172000_bytes():
    path = FOLDER / "modelnet40.safetensors"
    blueprint = model_file.read(path).blueprint
    assert [layer.outputs for layer in blueprint.layers] == [64, 128, 1024, 512, 256, 40]
    assert blueprint.weights() == 805_056 + 6 * 64  # six products of coordinates besides x, y, z
    assert path.stat().st_size <= 172_000


@pytest.mark.parametrize("name", ["lidar", "lidar_research"])
def test_segmenters_take_what_rows_share_first(name):
    inputs = model_file.read(FOLDER / f"{name}.safetensors").blueprint.inputs
    assert inputs == features.ordered(inputs)
