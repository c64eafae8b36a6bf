"""Training: the networks of the blueprints, data, runs that stop and go on."""

import json

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.torch

from bipointnet_ros.core.blueprint import Grid, cell_segmenter, vanilla  # noqa: E402
from bipointnet_ros.dataset import Objects  # noqa: E402
from bipointnet_ros.training import agreement, compare, curve, data, export, layers, models, packed, run, train  # noqa: E402
from bipointnet_ros.training.binarizers import BiPointNet, sign  # noqa: E402
from bipointnet_ros.training.recipe import Recipe  # noqa: E402

TINY = dict(
    epochs=8, batch=8, rate=1e-2, points=40, stages=((20, 0.75), (40, 0.25)), widths=(8, 16, 32, 16, 8), smoothing=0.0
)


def shapes(count, points=40, seed=0):
    """Three kinds that a small network can learn: flat, long, round."""
    rng = np.random.default_rng(seed)
    labels = np.arange(count) % 3
    stretch = np.array([[1.0, 1.0, 0.05], [0.1, 0.1, 1.0], [0.6, 0.6, 0.6]])[labels]
    clouds = rng.uniform(-1.0, 1.0, (count, points, 3)) * stretch[:, None]
    return Objects(data.normalised(clouds.astype(np.float32)), labels, ("flat", "long", "round"))


def test_vanilla_has_the_805056_weights_of_the_method():
    net = models.build(vanilla(40))
    assert vanilla(40).weights() == 805_056
    assert sum(p.numel() for name, p in net.named_parameters() if name.endswith("weight")) == 805_056


def test_optimizer_built_before_the_first_batch_holds_every_scale():
    net = models.build(vanilla(3, TINY["widths"]))
    held = {id(p) for group in torch.optim.Adam(net.parameters()).param_groups for p in group["params"]}
    net(torch.randn(4, 40, 3))
    scales = [m.log_alpha for m in net.modules() if isinstance(m, BiPointNet)]
    assert len(scales) == 4 and all(id(s) in held and s != 0.0 for s in scales)


def test_segmenter_equals_a_dense_forward_and_backward():
    """The cells' half of a join, the maxima over cells and their gradients against plain torch over the points."""
    torch.manual_seed(0)
    rng = np.random.default_rng(0)
    offsets = [np.array([0, 3, 4, 9, 30, 60, 61, 100], np.int32), np.array([0, 4, 60, 100], np.int32)]
    net = models.build(cell_segmenter("abc", 4, Grid(0.1, (2, 4)), 24))
    features = torch.from_numpy(rng.standard_normal((100, 3)).astype(np.float32))
    upstream = torch.randn(100, 4)
    outputs, gradients = [], []
    for forward in (net, lambda x, o: dense_segmenter(net, x, o)):
        net.zero_grad()
        out = forward(features, offsets)
        (out * upstream).sum().backward()
        outputs.append(out.detach())
        gradients.append({n: p.grad.clone() for n, p in net.named_parameters() if p.grad is not None})
    torch.testing.assert_close(*outputs, rtol=2e-4, atol=2e-4)
    assert set(gradients[0]) == set(gradients[1])
    for name, ours in gradients[0].items():
        theirs = gradients[1][name]
        assert (ours - theirs).norm() <= 2e-4 * theirs.norm(), name


def dense_segmenter(net, x, offsets):
    code = None
    for layer in net.blueprint.layers[:-1]:
        stage = net.stages[layer.name]
        if layer.op == "lift":
            y = x @ stage.weight
        else:
            y = torch.cat([sign(x), sign(code)], 1) @ stage.linear.signs().T
        alpha = stage.linear.alpha().item() if layer.op == "join" else 1.0
        x = torch.nn.functional.batch_norm(
            y, None, None, stage.norm.gain, stage.norm.bias, True, 0.0, stage.norm.eps / alpha**2
        )
        if layer.cells is not None:
            bounds = offsets[layer.cells]
            steps = layers._cell_delta(bounds)
            cells = [x[a:b] for a, b in zip(bounds[:-1], bounds[1:])]
            tops = [cell.gather(0, cell.argmax(0)[None]) + step for cell, step in zip(cells, steps)]
            code = torch.cat([top.expand(len(cell), -1) for cell, top in zip(cells, tops)])
    return net.stages[net.blueprint.layers[-1].name](x)


def test_spread_and_its_gradient():
    offsets = np.array([0, 2, 3, 7], np.int32)
    values = torch.arange(6.0).reshape(3, 2).requires_grad_()
    out = packed.spread(values, offsets)
    assert out[:, 0].tolist() == [0, 0, 2, 4, 4, 4, 4]
    out.backward(torch.ones(7, 2))
    assert values.grad.tolist() == [[2, 2], [1, 1], [4, 4]]


def test_run_learns_and_its_last_state_does_not_depend_on_a_stop(tmp_path):
    recipe = Recipe(**TINY)
    whole = run.start(tmp_path / "whole", shapes(96), shapes(30, seed=1), recipe, {})
    train.finish(whole)
    stopped = run.start(tmp_path / "parts", shapes(96), shapes(30, seed=1), recipe, {})
    for _ in range(2):
        stopped.train_epoch()
        stopped.save()
    resumed = run.start(tmp_path / "parts", shapes(96), shapes(30, seed=1), recipe, {})
    assert resumed.epoch == 2
    train.finish(resumed)
    ours, theirs = resumed.net.state_dict(), whole.net.state_dict()
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)
    log = [json.loads(line) for line in (tmp_path / "whole" / "log.jsonl").read_text().splitlines()]
    assert [row["epoch"] for row in log] == list(range(1, 9)) and [row["points"] for row in log] == [20] * 6 + [40] * 2
    assert log[-1]["val_accuracy"] >= 0.8 and log[-1]["loss"] < log[0]["loss"]
    assert "validation" in (tmp_path / "whole" / "curve.svg").read_text()


@pytest.mark.parametrize("method", ["bipointnet", "full"])
def test_classifier_over_cells_learns_and_exports(tmp_path, method):
    recipe = Recipe(**TINY, shape="cells", voxel=0.3, cells=(2, 4), average=0.9, resample=0.3, method=method)
    train.finish(run.start(tmp_path, shapes(96), shapes(30, seed=1), recipe, {}))
    log = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert log[-1]["val_accuracy"] >= 0.8 and log[-1]["loss"] < log[0]["loss"]
    if method == "full":
        return
    net, model = export.export(tmp_path, tmp_path / "tiny.safetensors")
    assert model.blueprint == net.blueprint == recipe.blueprint(3)
    found = agreement.of_predictions(net, model, shapes(30, seed=2))
    assert found["different"] == 0 and found["packed_accuracy"] >= 0.8


def test_full_precision_twin_equals_a_dense_forward_and_backward():
    torch.manual_seed(0)
    net = models.build(vanilla(5, (8, 16, 32, 16, 8)), method="full")
    net.stages["head2"][0].p = 0.0
    with torch.no_grad():
        net.stages["encoder2"].norm.gain.copy_(torch.randn(32))
    points, upstream = torch.randn(6, 90, 3), torch.randn(6, 5)
    gradients = []
    for forward in (net, lambda x: dense_classifier(net, x)):
        net.zero_grad()
        (forward(points) * upstream).sum().backward()
        gradients.append({n: p.grad.clone() for n, p in net.named_parameters()})
    for name, ours in gradients[0].items():
        theirs = gradients[1][name]
        assert (ours - theirs).norm() <= 1e-3 * theirs.norm() + 1e-4, name  # some are 0: BatchNorm removes them


def dense_classifier(net, points):
    x = points.reshape(-1, 3)
    *inner, last = net.blueprint.layers
    for layer in inner:
        norm, y = net.stages[layer.name].norm, x @ net.stages[layer.name].weight.T
        x = torch.relu(torch.nn.functional.batch_norm(y, None, None, norm.gain, norm.bias, True, 0.0, norm.eps))
        if layer.op == "pool":
            x = x.reshape(*points.shape[:2], -1).max(1).values
    return net.stages[last.name](x)


FULL_RECIPE = dict(
    average=0.9, decay=1e-2, decay_until=0.5, real_weights=0.5, mix=0.5, resample=0.5, drop=0.3, stages=((20, 1.0),)
)


def test_every_part_of_the_recipe_together_stops_and_goes_on_and_exports(tmp_path):
    train.finish(run.start(tmp_path / "teacher", shapes(96), None, Recipe(**TINY, method="full"), {}))
    recipe = Recipe(
        **{**TINY, **FULL_RECIPE, "epochs": 4},
        teacher=str(tmp_path / "teacher"),
        teacher_points=10,
        feature=1.0,
        distil=0.3,
    )
    whole = run.start(tmp_path / "whole", shapes(96), shapes(30, seed=1), recipe, {})
    train.finish(whole)
    stopped = run.start(tmp_path / "parts", shapes(96), shapes(30, seed=1), recipe, {})
    for _ in range(2):
        stopped.train_epoch()
        stopped.accuracy(stopped.val)
        stopped.save()
    assert run.load(tmp_path / "parts")[0].stages["encoder2"].real
    with pytest.raises(export.ExportError, match="still real numbers"):
        export.pack(stopped.result, "tiny", stopped.train.classes, 40)
    resumed = run.start(tmp_path / "parts", shapes(96), shapes(30, seed=1), recipe, {})
    train.finish(resumed)
    ours, theirs = resumed.result.state_dict(), whole.result.state_dict()
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs if not name.endswith("log_alpha"))
    assert not torch.equal(whole.net.stages["encoder0"].weight, whole.result.stages["encoder0"].weight)
    loaded, _ = run.load(tmp_path / "whole")
    assert torch.equal(loaded.stages["encoder0"].weight, whole.result.stages["encoder0"].weight)
    export.pack(loaded, "tiny", whole.train.classes, 40)


def test_second_step_begins_with_the_weights_of_the_first(tmp_path):
    first = run.start(tmp_path / "first", shapes(96), None, Recipe(**TINY, real_weights=1.0), {})
    train.finish(first)
    assert first.net.stages["encoder2"].real and first.accuracy(shapes(30, seed=1)) > 0.8
    second = run.start(tmp_path / "second", shapes(96), None, Recipe(**TINY, start=str(tmp_path / "first")), {})
    assert torch.equal(second.net.stages["head0"].linear.weight, first.net.stages["head0"].linear.weight)
    second.train_epoch()
    assert not second.net.stages["encoder2"].real
    other = Recipe(**{**TINY, "widths": (8, 16, 32, 16, 9)}, start=str(tmp_path / "first"))
    with pytest.raises(data.DataError, match="the network that is to be trained"):
        run.start(tmp_path / "third", shapes(96), None, other, {})


@torch.no_grad()
@pytest.mark.parametrize("methods", [("bipointnet", "abc"), ("abc", "bipointnet"), ("xnor++", "react")])
@pytest.mark.parametrize("blueprint", [vanilla(3, TINY["widths"]), cell_segmenter("xyz", 4, Grid(0.1, (2, 4)), 24)])
def test_a_run_of_another_binarizer_gives_its_signs(blueprint, methods, monkeypatch):
    torch.manual_seed(0)
    first, second = (models.build(blueprint, method) for method in methods)
    offsets = [np.array([0, 3, 4, 40], np.int32), np.array([0, 4, 40], np.int32)]
    seen = (torch.randn(16, 40, 3),) if blueprint.grid is None else (torch.randn(40, 3), offsets)
    for _ in range(3):
        first(*seen)  # sets scales and statistics
    monkeypatch.setattr(run, "load", lambda folder: (first, {}))
    run.take(second, "first")
    if "react" in methods:  # a slope keeps the sign, and its learned shifts begin at 0
        assert second.stages[blueprint.layers[1].name].linear.slope.mean() == 0.25
    torch.testing.assert_close(second.eval()(*seen), first.eval()(*seen), rtol=1e-4, atol=1e-4)


@torch.no_grad()
def test_a_full_precision_run_is_no_start_of_a_binary_one(monkeypatch):
    monkeypatch.setattr(run, "load", lambda folder: (models.build(vanilla(3, TINY["widths"]), "full"), {}))
    with pytest.raises(data.DataError, match="the network that is to be trained"):
        run.take(models.build(vanilla(3, TINY["widths"])), "first")


def test_real_weights_take_part_as_they_are():
    """Step one: y = sign(x) . W~ in training and evaluation; its pooled maximum equals the dense one."""
    torch.manual_seed(0)
    pool = layers.Pool(9, 5)
    pool.real = True
    x, offsets = torch.randn(12, 9), np.array([0, 5, 12], np.int32)
    dense = torch.nn.functional.batch_norm(sign(x) @ pool.linear.latent().T, None, None, training=True)
    expected = torch.stack([dense[:5].amax(0), dense[5:].amax(0)]) + pool.offset(np.diff(offsets))
    torch.testing.assert_close(pool(x, offsets), expected, rtol=1e-4, atol=1e-4)


def test_stages_rates_and_decay_follow_the_progress():
    recipe = Recipe(
        epochs=10, stages=((256, 0.5), (512, 0.3), (2048, 0.2)), real_weights=0.5, warm_up=0.2, rate=1.0, decay=0.1
    )
    assert [recipe.points_of(e) for e in range(10)] == [256] * 5 + [512] * 3 + [1024] * 2
    assert [recipe.rate_of(p) for p in (0.0, 0.1, 0.5, 0.6)] == pytest.approx([0.0, 1.0, 0.0, 1.0])
    assert recipe.rate_of(0.4999) < 1e-3 and recipe.rate_of(1.0) == 0.0
    assert [recipe.decay_of(p) for p in (0.0, 0.7, 0.8)] == [0.1, 0.1, 0.0]


def test_only_matrices_decay(tmp_path):
    one = run.start(tmp_path, shapes(16), None, Recipe(**TINY, decay=1.0), {})
    one.train_epoch()
    matrices, others = one.optimizer.param_groups
    assert matrices["weight_decay"] == 1.0 and others["weight_decay"] == 0.0
    assert all(p.ndim == 2 for p in matrices["params"]) and all(p.ndim < 2 for p in others["params"])


def test_settled_norms_are_plain_means_over_the_training_clouds(tmp_path):
    one = run.start(tmp_path, shapes(16), None, Recipe(**TINY), {})
    one.settle_norms()
    norm = one.net.stages["encoder0"].norm
    rows = torch.from_numpy(shapes(16).points).reshape(2, -1, 3) @ one.net.stages["encoder0"].weight.detach()
    order = np.random.default_rng(0).permutation(16)
    rows = torch.from_numpy(shapes(16).points[order]).reshape(2, -1, 3) @ one.net.stages["encoder0"].weight.detach()
    torch.testing.assert_close(norm.mean, rows.mean((0, 1)))
    torch.testing.assert_close(norm.var, rows.var(1).mean(0), rtol=1e-4, atol=1e-5)
    assert norm.momentum == 0.1


def test_another_recipe_in_the_same_folder_is_refused(tmp_path):
    run.start(tmp_path, shapes(16), None, Recipe(**TINY), {})
    with pytest.raises(data.DataError, match="choose another --run folder"):
        run.start(tmp_path, shapes(16), None, Recipe(**{**TINY, "seed": 1}), {})


def test_rate_rises_and_falls_to_zero():
    recipe = Recipe(rate=1.0, warm_up=0.1)
    rates = [recipe.rate_of(p) for p in np.linspace(0.0, 1.0, 101)]
    assert rates[0] == 0.0 and max(rates) == pytest.approx(1.0) and int(np.argmax(rates)) == 10 and rates[-1] == 0.0


def test_a_folder_of_classes_is_read(tmp_path):
    for k, name in enumerate(("cup", "bowl")):
        (tmp_path / name).mkdir()
        for i in range(2):
            np.save(tmp_path / name / f"{i}.npy", np.random.default_rng(i).normal(size=(30 + 40 * i, 3)) + k)
    objects = data.load(tmp_path, 50)
    assert objects.classes == ("bowl", "cup") and objects.labels.tolist() == [0, 0, 1, 1]
    assert objects.points.shape == (4, 50, 3) and np.abs(np.linalg.norm(objects.points, axis=2).max(1) - 1).max() < 1e-5


@pytest.mark.parametrize(
    "make, sentence",
    [
        (lambda path: None, "cannot read"),
        (
            lambda path: np.savez(path, points=np.zeros((2, 9, 3)), labels=[0, 1], classes=["a", "b"]),
            "at least 16 points",
        ),
        (lambda path: path.mkdir(), "a folder per class"),
    ],
)
def test_unusable_data_is_one_sentence(tmp_path, capsys, make, sentence):
    path = tmp_path / "set.npz"
    make(path)
    assert train.main([str(path), "--run", str(tmp_path / "run"), "--points", "16"]) == 2
    error = capsys.readouterr().err
    assert sentence in error and error.count("\n") == 1


def test_command_trains_and_holds_out_every_tenth_of_each_class(tmp_path, capsys):
    objects = shapes(60)
    np.savez(tmp_path / "set.npz", points=objects.points, labels=objects.labels, classes=np.array(objects.classes))
    arguments = [str(tmp_path / "set.npz"), "--run", str(tmp_path / "run"), "--epochs", "1", "--points", "40"]
    arguments += ["--stages", "20:1", "--batch", "6", "--widths", "8", "16", "32", "16", "8"]
    assert train.main(arguments) == 0
    assert "epochs 1 to 1: about 0 minutes" in capsys.readouterr().err
    assert train.main(arguments) == 0 and "about" not in capsys.readouterr().err
    row = json.loads((tmp_path / "run" / "log.jsonl").read_text())
    assert row["val_accuracy"] * 6 == pytest.approx(round(row["val_accuracy"] * 6), abs=1e-3)
    config = json.loads((tmp_path / "run" / "config.json").read_text())
    assert config["classes"] == ["flat", "long", "round"] and config["recipe"]["batch"] == 6


def test_curve_places_the_best_at_the_top():
    drawn = curve.svg({"training": [(1, 0.0), (2, 1.0)], "validation": [(2, 0.5)]})
    assert 'points="325.0,330.0 600.0,10.0"' in drawn and 'points="600.0,170.0"' in drawn


def test_comparison_resumes_says_how_long_and_draws_its_table(tmp_path):
    pairs, said = [("full", "max"), ("bnn", "ema-max"), ("bnn", "max"), ("r2b", "ema-max")], []
    arguments = shapes(96), shapes(30, seed=1), tmp_path
    compare.compare(*arguments, pairs[:2], 1, 2, 16, said.append)
    compare.compare(*arguments, pairs, 1, 2, 16, said.append)
    compare.compare(*arguments, pairs[1:2], 2, 2, 16, said.append)
    assert [line.split()[:2] for line in said if "seed 0" in line] == [list(pair) for pair in pairs]
    assert [line.split()[0] for line in said if "at today's speed" in line] == ["2", "2", "1"]
    rows = (tmp_path / "table.md").read_text().splitlines()
    bnn = next(row for row in rows if row.startswith("| bnn |")).split("|")[2:5]
    result = json.loads((tmp_path / "bnn_max_0" / "result.json").read_text())
    assert float(bnn[0]) == pytest.approx(100 * result["test_accuracy"], abs=0.06) and bnn[1].strip() == "-"
    assert "(2)" in bnn[2] and (tmp_path / "curves.svg").read_text().count("<polyline") == 3
    taught = json.loads((tmp_path / "r2b_ema-max_0" / "config.json").read_text())["recipe"]
    assert taught["attention"] == 1.0 and taught["teacher"].endswith("full_max_0")


def test_foretelling_the_time_changes_nothing(tmp_path):
    recipe = Recipe(**{**TINY, "real_weights": 0.5})
    runs = [run.start(tmp_path / name, shapes(96), None, recipe, {}) for name in "ab"]
    assert 0.0 < runs[0].seconds_left() < 60.0
    for one in runs:
        one.train_epoch()
    ours, theirs = (one.net.state_dict() for one in runs)
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)
    runs[0].epoch = recipe.epochs
    assert runs[0].seconds_left() == 0.0
