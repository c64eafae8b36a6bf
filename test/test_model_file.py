"""The packed model is untrusted input: every wrong file is one ModelFileError and nothing else."""

import dataclasses
import json

import fabricate
import numpy as np
import pytest

from bipointnet_ros.core import crops, model_file
from bipointnet_ros.core.blueprint import (
    Blueprint,
    BlueprintError,
    Grid,
    Layer,
    cell_classifier,
    cell_segmenter,
    vanilla,
)
from bipointnet_ros.core.model_file import ModelFileError

SMALL = vanilla(5, (8, 70, 90, 33, 20))
CELLS = cell_segmenter(("height", "range"), 3, Grid(0.1, (4, 12)), width=70)
OBJECTS = cell_classifier(("x", "near_plane"), 5, Grid(0.2, (3, 9)), (16, 70, 90, 33, 20))


NAMING = vanilla(3, (8, 70, 90, 33, 20), crops.INPUTS)


def with_objects():
    """A segmenter with a classifier of its objects in the same file."""
    own = dataclasses.replace(fabricate.model(NAMING, 1), normalisation="metric", training={})
    return dataclasses.replace(fabricate.model(CELLS), objects=own)


@pytest.fixture(params=[SMALL, CELLS, OBJECTS, None], ids=["classification", "segmentation", "cells", "objects"])
def model(request):
    return fabricate.model(request.param) if request.param else with_objects()


def split(data):
    length = int.from_bytes(data[:8], "little")
    return json.loads(data[8 : 8 + length]), data[8 + length :]


def join(header, payload):
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + payload


def refused(tmp_path, data, words=""):
    path = tmp_path / "m.safetensors"
    path.write_bytes(data)
    with pytest.raises(ModelFileError) as error:
        model_file.read(path)
    assert words in str(error.value) and "\n" not in str(error.value) and len(str(error.value)) < 1000


def test_vanilla_has_the_weights_of_the_paper():
    assert vanilla(40).weights() == 805_056


def test_round_trip(tmp_path, model):
    path = tmp_path / "m.safetensors"
    model_file.write(path, model)
    again = model_file.read(path)
    assert {p.name for p in tmp_path.iterdir()} == {"m.safetensors"}
    for f in dataclasses.fields(model):
        if f.name not in ("tensors", "objects"):
            assert getattr(again, f.name) == getattr(model, f.name)
    assert (again.objects is None) == (model.objects is None)
    if model.objects:
        empty = {"tensors": {}}
        assert dataclasses.replace(again.objects, **empty) == dataclasses.replace(model.objects, **empty)
    for name, tensor in model.all_tensors().items():
        assert again.all_tensors()[name].dtype == tensor.dtype
        np.testing.assert_array_equal(again.all_tensors()[name], tensor)


def test_other_readers_of_safetensors_open_it(tmp_path, model):
    reader = pytest.importorskip("safetensors.numpy")
    model_file.write(tmp_path / "m.safetensors", model)
    tensors = reader.load_file(tmp_path / "m.safetensors")
    assert tensors.keys() == model.all_tensors().keys()


def test_truncation_at_every_length(tmp_path):
    data = model_file.serialise(fabricate.model(vanilla(2, (2, 3, 4, 5, 6))))
    for n in range(0, len(data), 7):
        refused(tmp_path, data[:n])
    refused(tmp_path, data + b"\0", "without overlap or hole")


def test_random_mutations_give_a_model_or_one_error(tmp_path, model):
    rng = np.random.default_rng(0)
    data = model_file.serialise(model)
    length = 8 + int.from_bytes(data[:8], "little")
    path, refusals = tmp_path / "m.safetensors", 0
    for i in range(1500):
        mutated = bytearray(data)
        top = length if i % 4 else len(data)  # mostly the header: that is where a reader breaks
        for _ in range(rng.integers(1, 5)):
            mutated[rng.integers(top)] = rng.integers(256)
        path.write_bytes(mutated)
        try:
            model_file.read(path)
        except ModelFileError:
            refusals += 1
    assert refusals > 900


@pytest.mark.parametrize(
    "data, words",
    [
        (b"", "got 0 bytes"),
        (b"\xff" * 8, "expected a header"),
        ((2**40).to_bytes(8, "little") + b"{}", "expected a header"),
        (join(b"[]", b""), "JSON object"),
        (join(b"{", b""), "not valid JSON"),
        (join(b"\xff\xfe", b""), "not valid JSON"),
        (join(b"[" * 100_000, b""), "not valid JSON"),
        (join(b'{"a":1,"a":2}', b""), "a key twice"),
        (join(b'{"a":' + b"9" * 5000 + b"}", b""), "JSON"),
        (join(b"{}", b""), "__metadata__"),
        (join(b'{"__metadata__":{"format":"pt"}}', b""), "expected format bipointnet version 1"),
    ],
)
def test_not_a_model(tmp_path, data, words):
    refused(tmp_path, data, words)


def edit_metadata(key, value):
    def edit(header):
        header["__metadata__"][key] = value

    return edit


def edit_tensor(key, value):
    def edit(header):
        header["head0.weight"][key] = value

    return edit


def rename(header):
    header["surprise"] = header.pop("head0.weight")


@pytest.mark.parametrize(
    "edit, words",
    [
        (edit_metadata("version", "2"), "export it again"),
        (edit_metadata("extra", "x"), "expected metadata"),
        (edit_metadata("points", "1e3"), "points"),
        (edit_metadata("points", "٣"), "points"),
        (edit_metadata("points", "9" * 5000), "points"),
        (edit_metadata("sampling", "magic"), "sampling"),
        (edit_metadata("normalisation", "scene"), "unit_sphere"),
        (edit_metadata("classes", '["a","a","b","c","d"]'), "different class names"),
        (edit_metadata("classes", "{}"), "class names"),
        (edit_metadata("training", "[]"), "training"),
        (edit_metadata("blueprint", "[1]"), "blueprint"),
        (edit_metadata("blueprint", '{"task":[],"inputs":[],"layers":[],"grid":null}'), "layers"),
        (edit_metadata("blueprint", "{" * 3), "blueprint"),
        (edit_metadata("format", 3), "strings"),
        (edit_tensor("dtype", "F64"), "must be U64"),
        (edit_tensor("shape", [1, 2]), "must be U64"),
        (edit_tensor("shape", [[1], 2]), "must be U64"),
        (edit_tensor("data_offsets", [0, 8]), "must lie in"),
        (edit_tensor("data_offsets", [-8, 520]), "must lie in"),
        (edit_tensor("data_offsets", [0, 10**30]), "must lie in"),
        (edit_tensor("data_offsets", ["0", "8"]), "two data_offsets"),
        (edit_tensor("extra", 1), "dtype, shape and data_offsets"),
        (rename, "tensors are missing"),
        (lambda header: header.update(more=header["head0.weight"]), "not in the blueprint"),
        (lambda header: header["head0.limit"].update(data_offsets=header["head1.limit"]["data_offsets"]), "must"),
    ],
)
def test_hostile_header(tmp_path, edit, words):
    header, payload = split(model_file.serialise(fabricate.model(SMALL)))
    edit(header)
    refused(tmp_path, join(header, payload), words)


def edit_objects(**change):
    def edit(header):
        facts = json.loads(header["__metadata__"]["objects"]) | change
        header["__metadata__"]["objects"] = json.dumps(facts)

    return edit


def drop_objects(header):
    del header["__metadata__"]["objects"]


@pytest.mark.parametrize(
    "edit, words",
    [
        (edit_metadata("objects", "[]"), "must be an object"),
        (edit_metadata("objects", "{"), "not valid JSON"),
        (edit_objects(more=1), "must be an object"),
        (edit_objects(points=0), "1 to 4096 points"),
        (edit_objects(points=True), "1 to 4096 points"),
        (edit_objects(points=10**30), "1 to 4096 points"),
        (edit_objects(classes=["a", "a", "b"]), "different class names"),
        (edit_objects(blueprint=CELLS.to_json()), "classification network without a grid"),
        (edit_objects(blueprint=OBJECTS.to_json()), "classification network without a grid"),
        (edit_objects(blueprint=vanilla(3, (8, 70, 90, 33, 20)).to_json()), "of x, y, z, length"),
        (edit_objects(blueprint=None), "blueprint"),
        (drop_objects, "not in the blueprint"),
    ],
)
def test_hostile_classifier_of_objects(tmp_path, edit, words):
    header, payload = split(model_file.serialise(with_objects()))
    edit(header)
    refused(tmp_path, join(header, payload), words)


def test_only_a_segmenter_has_a_classifier_of_objects(tmp_path):
    model = dataclasses.replace(fabricate.model(SMALL), objects=with_objects().objects)
    refused(tmp_path, model_file.serialise(model), "only a segmentation model")


def test_hostile_values_of_the_classifier_of_objects(tmp_path):
    model = with_objects()
    model.objects.tensors["head2.bias"][0] = np.nan
    refused(tmp_path, model_file.serialise(model), "finite")


@pytest.mark.parametrize(
    "name, index, value, words",
    [
        ("encoder0.weight", (0, 0), np.nan, "finite"),
        ("encoder0.limit", 0, np.nan, "finite"),
        ("head2.bias", 0, np.inf, "finite"),
        ("encoder1.limit", 0, 10, "must hold 0 to 9"),
        ("encoder2.limit", 0, -1, "must hold 0 to 71"),
        ("encoder2.weight", (0, 1), 1 << 63, "bits set beyond its 70 inputs"),
    ],
)
def test_hostile_values(tmp_path, name, index, value, words):
    model = fabricate.model(SMALL)
    model.tensors[name][index] = value
    refused(tmp_path, model_file.serialise(model), words)
    with pytest.raises(ModelFileError, match=words):
        model_file.write(tmp_path / "never.safetensors", model)
    assert not (tmp_path / "never.safetensors").exists()


@pytest.mark.parametrize(
    "change, words",
    [
        ({"op": "binary"}, "layers of a classification network"),
        ({"op": ["pool"]}, "op of a layer"),
        ({"outputs": 0}, "sizes must be"),
        ({"outputs": 10**30}, "sizes must be"),
        ({"outputs": True}, "sizes must be"),
        ({"inputs": 71}, "takes 71 inputs"),
        ({"name": "head0"}, "each once"),
        ({"name": "a.b"}, "identifiers"),
        ({"cells": 0}, "without a grid"),
        ({"shared": 4}, "without a grid"),
    ],
)
def test_bad_blueprint(change, words):
    value = SMALL.to_json()
    value["layers"][2] |= change
    with pytest.raises(BlueprintError, match=words):
        Blueprint.from_json(value)


@pytest.mark.parametrize(
    "change, words",
    [
        ({"grid": None}, "needs a grid"),
        ({"grid": {"voxel": 0.1, "cells": [4, 10]}}, "multiple"),
        ({"grid": {"voxel": 0.1, "cells": [4]}}, "1 scales"),
        ({"grid": {"voxel": float("nan"), "cells": [4, 12]}}, "voxel"),
        ({"grid": {"voxel": 0.1, "cells": [4, "12"]}}, "sizes in voxels"),
        ({"grid": {"voxel": "0.1", "cells": [4, 12]}}, "number of metres"),
    ],
)
def test_bad_grid(change, words):
    with pytest.raises(BlueprintError, match=words):
        Blueprint.from_json(CELLS.to_json() | change)


@pytest.mark.parametrize(
    "change, words",
    [
        ({"grid": None}, "without a grid"),
        ({"grid": {"voxel": 0.04, "cells": [3, 9]}}, "voxel 0.05 to 1.0"),
        ({"grid": {"voxel": float("nan"), "cells": [3, 9]}}, "voxel 0.05 to 1.0"),
        ({"grid": {"voxel": 0.2, "cells": [3, 12]}}, "at most 2.0 wide"),
        ({"grid": {"voxel": 0.2, "cells": [3]}}, "1 scales"),
        ({"grid": {"voxel": 0.2, "cells": [3, 10]}}, "multiple"),
        ({"task": "segmentation"}, "layers of a segmentation network"),
    ],
)
def test_bad_grid_of_a_classifier(change, words):
    with pytest.raises(BlueprintError, match=words):
        Blueprint.from_json(OBJECTS.to_json() | change)


@pytest.mark.parametrize(
    "layer, change, words",
    [
        (3, {"cells": 1}, "must pool over cells 2"),
        (3, {"cells": 3}, "must pool over cells 2"),
        (3, {"cells": None}, "must pool over cells 2"),
        (3, {"cells": 2.0}, "must pool over cells 2"),
        (2, {"cells": 2}, "2 scales"),
        (1, {"cells": 0}, "2 scales"),
        (1, {"shared": 15}, "must share 16"),
        (4, {"shared": 3}, "must share 0"),
        (4, {"cells": 2}, "2 scales"),
        (1, {"op": "pool"}, "layers of a classification network"),
        (2, {"op": "binary"}, "2 joins"),
    ],
)
def test_bad_layer_of_a_classifier_over_cells(layer, change, words):
    value = OBJECTS.to_json()
    value["layers"][layer] |= change
    with pytest.raises(BlueprintError, match=words):
        Blueprint.from_json(value)


def test_inputs_that_nothing_computes_are_refused(tmp_path):
    bad = dataclasses.replace(OBJECTS, inputs=("x", "cell2_plane"))
    with pytest.raises(ModelFileError, match="cell2_plane"):
        model_file.write(tmp_path / "m.safetensors", fabricate.model(bad))


@pytest.mark.parametrize(
    "inputs, words",
    [
        ("xyw", "computes, got \\['w'\\]"),
        (("x", "y", "zz"), "expected the inputs x, y, z, or x, y, z, xx"),
        ("zyx", "or x"),
    ],
)
def test_inputs_of_points_are_coordinates_and_perhaps_all_their_products(tmp_path, inputs, words):
    bad = dataclasses.replace(SMALL, inputs=tuple(inputs))
    with pytest.raises(ModelFileError, match=words):
        model_file.write(tmp_path / "m.safetensors", fabricate.model(bad))


def test_a_layer_too_wide_for_byte_popcounts_is_refused():
    with pytest.raises(BlueprintError, match="at most 248"):
        vanilla(5, (256, 128, 64, 64, 64))
    assert Layer("binary", "head0", 1024, 512).tensors()["head0.weight"] == ("U64", (512, 16))


def test_find_names_what_is_shipped(tmp_path, monkeypatch):
    monkeypatch.setenv("AMENT_PREFIX_PATH", f"{tmp_path}:/nowhere")
    folder = tmp_path / "share/bipointnet_ros/models"
    folder.mkdir(parents=True)
    model_file.write(folder / "mine.safetensors", fabricate.model(SMALL))
    assert model_file.find("mine") == folder / "mine.safetensors"
    assert model_file.find(str(folder / "mine.safetensors")) == folder / "mine.safetensors"
    with pytest.raises(ModelFileError, match="no model 'missing'.*mine"):
        model_file.find("missing")
    with pytest.raises(ModelFileError, match="no model"):
        model_file.find("nowhere/mine")


def test_a_folder_is_not_a_model(tmp_path):
    with pytest.raises(ModelFileError, match="cannot read"):
        model_file.read(tmp_path)
