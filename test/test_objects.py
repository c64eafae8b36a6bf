"""The classifier of objects: clusters out of scenes, its training, its place in a segmenter's file, its use."""

import dataclasses
import json
import types

import fabricate
import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.torch

from bipointnet_ros import evaluation  # noqa: E402
from bipointnet_ros.core import crops, features, model_file  # noqa: E402
from bipointnet_ros.core.blueprint import Grid, cell_segmenter, vanilla  # noqa: E402
from bipointnet_ros.core.config import Config  # noqa: E402
from bipointnet_ros.core.pipeline import CloudError, Pipeline  # noqa: E402
from bipointnet_ros.dataset import Objects  # noqa: E402
from bipointnet_ros.training import export, object_sets, train, train_objects  # noqa: E402

CLASSES = ("ground", "vegetation", "structure", "vehicle", "person", "pole")
TINY = ["--epochs", "2", "--steps", "6", "--points", "32", "--batch", "16", "--widths", "8", "16", "32", "16", "16"]


def things(rng, size, count, n=60):
    return np.stack([rng.uniform(-0.5, 0.5, (n, 3)) * size for _ in range(count)]).astype(np.float32)


@pytest.fixture
def sets(tmp_path):
    rng = np.random.default_rng(0)
    points = np.concatenate([things(rng, (4.3, 1.8, 1.5), 30), things(rng, (0.5, 0.5, 1.7), 30)])
    np.savez(tmp_path / "a.npz", points=points, labels=np.repeat([1, 0], 30), classes=np.array(["pedestrian", "car"]))
    np.savez(tmp_path / "b.npz", points=things(rng, (2, 2, 2), 5), labels=np.zeros(5, int), classes=np.array(["bush"]))
    return tmp_path


def segmenter(path, objects=None):
    blueprint = cell_segmenter(features.INPUTS[:4], 6, Grid(0.2, (4, 16)), 64)
    model_file.write(path, dataclasses.replace(fabricate.model(blueprint), classes=CLASSES, objects=objects))
    return path


def test_clusters_of_simulated_scenes_are_things_by_kind(tmp_path):
    rng = np.random.default_rng(0)
    car, hedge, floor = (things(rng, s, 1, 300)[0] for s in ((4, 2, 1.5), (30, 1, 1.5), (50, 50, 0)))
    xyz = np.concatenate([car, hedge + np.float32([0, 8, 0]), floor])
    kind = np.repeat([crops.NAMES.index("car"), crops.NAMES.index("vegetation"), 255], 300)
    given = {"xyz": xyz, "offsets": [0, 900], "label": np.repeat([3, 1, 0], 300).astype(np.uint8)}
    path = tmp_path / "scenes.npz"
    np.savez(path, **given, classes=np.array(CLASSES), thing=np.repeat([1, 2, 0], 300), kind=kind.astype(np.uint8))
    data = object_sets.cut(path)
    names = [crops.NAMES[k] for k in data["labels"]]
    assert names.count("car") == 1 and names.count("vegetation") > 3 and len(set(names)) == 2
    assert data["points"].shape[1:] == (object_sets.POINTS, 3)
    whole = data["points"][names.index("car")]
    assert np.ptp(whole, axis=0) == pytest.approx(np.ptp(car, axis=0))
    assert max(np.ptp(data["points"][i, :, 0]) for i, name in enumerate(names) if name == "vegetation") <= 6.0


def test_clusters_of_other_scenes_are_pieces_by_class(tmp_path, capsys):
    rng = np.random.default_rng(0)
    pole, wall, car = (things(rng, s, 1, 300)[0] for s in ((0.2, 0.2, 3), (20, 0.3, 3), (4, 2, 1.5)))
    xyz = np.concatenate([pole + np.float32([0, 9, 0]), wall, car + np.float32([0, -9, 0])])
    label = np.repeat([5, 2, 3], 300).astype(np.uint8)
    np.savez(tmp_path / "scenes.npz", xyz=xyz, offsets=[0, 900], label=label, classes=np.array(CLASSES))
    out = tmp_path / "clusters.npz"
    assert object_sets.main([str(tmp_path / "scenes.npz"), "--out", str(out)]) == 0
    assert "pole 1" in capsys.readouterr().out
    with np.load(out) as data:
        assert {crops.NAMES[k] for k in data["labels"]} == {"pole", "other"}  # vehicles come from crops


def test_what_a_segmenter_takes_for_objects_is_named_by_what_it_is():
    """Instance 1 is mostly a pole, 2 half of each, 3 of what is not known; 0 is none."""
    pole, other, unknown = crops.NAMES.index("pole"), crops.NAMES.index("other"), len(crops.NAMES)
    instance = np.repeat([1, 2, 3, 0], 10)
    kind = np.repeat([pole, other, pole, other, unknown, pole], [8, 2, 5, 5, 10, 10])
    xyz = np.arange(120, dtype=np.float32).reshape(40, 3)
    ((name, cloud),) = object_sets._taken(xyz, instance, kind)
    assert name == "pole" and (cloud == xyz[:10]).all()
    assert not list(object_sets._taken(xyz, np.zeros(40, int), kind))


def test_clusters_that_a_model_finds(tmp_path, monkeypatch, capsys):
    """What is a wall is "other", whatever it was taken for; of what is a vehicle the scene does not tell which."""
    wall, car, floor = (things(np.random.default_rng(0), s, 1, 300)[0] for s in ((1, 1, 3), (4, 2, 1.5), (30, 30, 0)))
    given = {"xyz": np.concatenate([wall, car + np.float32([0, 9, 0]), floor]), "offsets": [0, 900]}
    np.savez(
        tmp_path / "scenes.npz", **given, label=np.repeat([2, 3, 0], 300).astype(np.uint8), classes=np.array(CLASSES)
    )
    answer = types.SimpleNamespace(instance=np.repeat([1, 2, 0], 300))
    monkeypatch.setattr(Pipeline, "process", lambda self, xyz, intensity: answer)
    model, out = segmenter(tmp_path / "plain.safetensors"), tmp_path / "found.npz"
    assert object_sets.main([str(tmp_path / "scenes.npz"), "--model", str(model), "--out", str(out)]) == 0
    with np.load(out) as data:
        assert [crops.NAMES[k] for k in data["labels"]] == ["other"]
    assert object_sets.undoubting(str(model)).model.objects is None


def test_a_thing_seen_again_and_again_is_drawn_less_often(sets):
    cloud = {"points": np.zeros((5, 9, 3), np.float32), "labels": np.zeros(5, int), "classes": np.array(["car"])}
    np.savez(sets / "seen.npz", **cloud, thing=[7, 7, 7, 7, 3])
    assert train_objects.load([f"{sets}/seen.npz"], [2]).weight.tolist() == [1.0] * 4 + [2.0]
    np.savez(sets / "seen.npz", **cloud, thing=[7])
    with pytest.raises(train_objects.data.DataError, match="5 clusters"):
        train_objects.load([f"{sets}/seen.npz"], [1])


def test_varied_clusters_stay_clusters():
    rng = np.random.default_rng(0)
    cloud = things(rng, (4, 2, 1.5), 1, 200)[0]
    seen = [train_objects.varied(cloud, rng) for _ in range(60)]
    counts = [len(one) for one in seen]
    assert min(counts) >= 12 and max(counts) == 200 and len(set(counts)) > 20
    assert all(one.dtype == np.float32 and np.linalg.norm(one, axis=1).max() < 3.5 for one in seen)


def test_training_learns_resumes_and_lies_in_a_segmenters_file(sets, capsys):
    command = [f"{sets}/a.npz:2", f"{sets}/b.npz:1", "--val", f"{sets}/a.npz", "--run", f"{sets}/run", *TINY]
    assert train_objects.main(command) == 0
    assert train_objects.main([*command, "--epochs", "3"]) == 2  # another recipe
    log = [json.loads(line) for line in (sets / "run" / "log.jsonl").read_text().splitlines()]
    assert [row["epoch"] for row in log] == [1, 2] and 0.0 <= log[-1]["val_accuracy"] <= 1.0
    plain, out = segmenter(sets / "plain.safetensors"), sets / "both.safetensors"
    assert export.main([str(plain), "--objects", f"{sets}/run", "--out", str(out)]) == 0
    both = model_file.read(out)
    assert both.objects.classes == crops.NAMES and both.objects.points == 32 and both.classes == CLASSES
    for name, tensor in model_file.read(plain).tensors.items():
        np.testing.assert_array_equal(both.tensors[name], tensor)
    with np.load(out.with_suffix(".golden.npz")) as golden:
        assert golden["objects_logits"].shape == (8, len(crops.NAMES))
    again = sets / "again.safetensors"
    assert export.main([str(plain), "--objects", str(out), "--out", str(again)]) == 0  # its classifier, as it is
    packed = export.model_file.read(again)
    assert packed.objects.blueprint == both.objects.blueprint and packed.training["objects"] == both.training["objects"]
    assert all((packed.objects.tensors[name] == both.objects.tensors[name]).all() for name in both.objects.tensors)
    assert export.main([str(plain), "--objects", str(plain), "--out", str(again)]) == 2  # it has none
    run = train_objects.run.load(sets / "run")[0]
    rows = crops.rows(list(things(np.random.default_rng(1), (2, 1, 1), 20)), 32)
    with torch.no_grad():
        theirs = run(torch.from_numpy(rows)).numpy()
    ours = train_objects_answer(both, rows)
    np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-5)


def train_objects_answer(model, rows):
    from bipointnet_ros.core import kernels
    from bipointnet_ros.core.network import Network

    return Network(model.objects, kernels.choose("numpy")).classify(rows)


def test_it_learns_what_size_tells(sets):
    recipe = train_objects.Recipe(epochs=6, steps=25, batch=32, points=32, widths=(16, 32, 64, 32, 16), rate=1e-2)
    going = train_objects.start(sets / "long", [f"{sets}/a.npz"], [1], [f"{sets}/a.npz"], recipe)
    train.finish(going, every=6)
    assert going.scores()["val_accuracy"] > 0.9


def test_what_all_points_of_a_cluster_share_passes_the_pool():
    """A value that is the same in every row fires half of the pooled channels of a fresh network as often as not."""
    net = train_objects.models.build(vanilla(7, (16, 32, 64, 32, 16), crops.INPUTS))
    train_objects._let_size_through(net, 32)
    bias = net.stages["encoder2"].norm.bias
    assert (bias[::2] == -train_objects.delta(32)).all() and (bias[1::2] == 0).all() and bias[0] > 1.5


@pytest.mark.parametrize("change", ["scenes", "unknown"])
def test_wrong_files_are_one_sentence(sets, change, capsys):
    path = sets / "wrong.npz"
    cloud = {"points": np.zeros((1, 9, 3), np.float32), "labels": [0], "classes": np.array(["dragon"])}
    scene = {"xyz": np.zeros((9, 3), np.float32), "offsets": [0, 9]}
    np.savez(path, **(cloud if change == "unknown" else scene))
    assert train_objects.main([f"{path}:1", "--run", f"{sets}/none"]) == 2
    assert len(capsys.readouterr().err.strip().splitlines()) == 1


@pytest.fixture(params=[crops.PLAIN, crops.INPUTS], ids=["plain", "bands"])
def naming(tmp_path, request):
    own = fabricate.model(vanilla(len(crops.NAMES), (8, 16, 32, 16, 16), request.param), points=32)
    own = dataclasses.replace(own, classes=crops.NAMES, normalisation="metric", training={})
    return str(segmenter(tmp_path / "naming.safetensors", own))


def test_the_pipeline_names_all_clusters_in_one_call(naming, monkeypatch):
    pipe = Pipeline(Config(model=naming, threads=1))
    clouds = list(things(np.random.default_rng(0), (4, 2, 1.5), 5))
    given = pipe.chances(clouds)
    assert [set(one) for one in given] == [set(crops.NAMES)] * 5
    assert all(sum(one.values()) == pytest.approx(1.0) for one in given)
    assert given[3] == pytest.approx(pipe.chances(clouds[3:4])[0])
    assert given[3] == pytest.approx(pipe.chances([clouds[3] * np.float32([-1, -1, 1])])[0])  # seen both ways
    rng = np.random.default_rng(0)
    scan = np.concatenate([rng.uniform(-20, 20, (4000, 3)) * (1, 1, 0), *(c + (9, 9, 1) for c in clouds)])
    calls = []
    monkeypatch.setattr(pipe, "chances", lambda parts: calls.append(len(parts)) or [{"car": 1.0}] * len(parts))
    result = pipe.process(scan.astype(np.float32))
    assert len(calls) <= 1 and len(result.objects) == sum(calls)
    assert pipe.reconfigured(pipe.config.replace(seed=1)).chances(clouds)


def test_a_model_without_a_classifier_says_so(tmp_path):
    pipe = Pipeline(Config(model=str(segmenter(tmp_path / "plain.safetensors")), threads=1))
    with pytest.raises(CloudError, match="--objects"):
        pipe.chances([np.zeros((3, 3), np.float32)])


def test_eval_judges_the_classifier_of_objects_by_names(naming):
    pipe = Pipeline(Config(model=naming, threads=1))
    points = things(np.random.default_rng(0), (4, 2, 1.5), 6)
    told = [max(one, key=one.get) for one in pipe.chances([np.unique(p, axis=0) for p in points])]
    right = evaluation.evaluate(pipe, Objects(points, np.zeros(6, int), (told[0], "dragon")))
    assert right["task"] == "objects" and right["n"] == 6
    assert right["overall_accuracy"] == pytest.approx(told.count(told[0]) / 6)
    assert evaluation.evaluate(pipe, Objects(points, np.ones(6, int), (told[0], "dragon")))["overall_accuracy"] == 0.0
