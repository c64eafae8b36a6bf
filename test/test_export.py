"""What is exported equals torch bit for bit, also at ties and at gains negative or zero; the rest is refused."""

import json

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.torch

from bipointnet_ros.core import kernels, model_file  # noqa: E402
from bipointnet_ros.core.aggregation import BUCKETS  # noqa: E402
from bipointnet_ros.core.blueprint import Grid, cell_classifier, cell_segmenter, vanilla  # noqa: E402
from bipointnet_ros.core.network import Network  # noqa: E402
from bipointnet_ros.core.points import SECOND_ORDER, normalised  # noqa: E402
from bipointnet_ros.training import agreement, export, models  # noqa: E402
from bipointnet_ros.training.binarizers import METHODS, BiPointNet, ReAct  # noqa: E402
from bipointnet_ros.training.full import FullLayer  # noqa: E402
from bipointnet_ros.training.norm import BatchNorm  # noqa: E402

POINTS = 50


def awkward(net, seed):
    """Random statistics; gains of every sign; biases that put limits on products themselves (ties) or beyond all."""
    rng = torch.Generator().manual_seed(seed)
    for stage in net.modules():
        if isinstance(stage, BatchNorm):
            width = len(stage.gain)
            stage.gain.copy_(torch.randn(width, generator=rng))
            stage.gain[::7] = 0.0
            stage.gain[1::7] = -stage.gain[1::7].abs()
            stage.mean.copy_(torch.randint(-6, 7, (width,), generator=rng).float())
            stage.var.copy_(torch.rand(width, generator=rng) * 20 + 0.1)
            stage.bias.copy_(torch.randn(width, generator=rng))
            stage.bias[::2] = 0.0
            stage.bias[3::11] = 50.0
            stage.bias[4::11] = -50.0
            stage.batches.fill_(1)
        if isinstance(stage, ReAct):
            stage.gamma.copy_(torch.randn(len(stage.gamma), generator=rng))
            stage.beta.copy_(torch.randn(len(stage.beta), generator=rng))
            stage.slope[::3] = 0.0
        if isinstance(stage, BiPointNet):
            stage.log_alpha.copy_(torch.randn((), generator=rng))


@torch.no_grad()
def network(blueprint, seed=0, method="bipointnet", aggregation="ema-max"):
    torch.manual_seed(seed)
    net = models.build(blueprint, method, aggregation)
    awkward(net, seed)
    return net.eval()


CLASSIFIERS = [
    vanilla(5, (8, 70, 90, 33, 20)),
    vanilla(40),
    vanilla(3, (64, 130, 200, 64, 65)),
    vanilla(4, (40, 70, 90, 33, 20), SECOND_ORDER),
]
SEGMENTERS = [cell_segmenter("abcdefg", 6, Grid(0.1, (2, 4, 8)), 48), cell_segmenter("ab", 3, Grid(0.1, (2, 6)), 70)]
OVER_CELLS = [
    cell_classifier(("x", "y", "near_line"), 5, Grid(0.2, (3,)), (48, 70, 90, 33, 20)),
    cell_classifier(("x", "z"), 4, Grid(0.1, (3, 9)), (64, 130, 200, 64, 65)),
]


KINDS = [(method, "ema-max") for method, kind in METHODS.items() if not kind.unpackable] + [("bipointnet", "max")]


@pytest.mark.parametrize("method, aggregation", KINDS)
@pytest.mark.parametrize("blueprint", CLASSIFIERS)
def test_classifier_equals_torch_bit_for_bit(blueprint, method, aggregation):
    net = network(blueprint, 1, method, aggregation)
    model = export.pack(net, "tiny", [f"c{i}" for i in range(blueprint.layers[-1].outputs)], POINTS)
    golden = export.golden(model)
    assert set(agreement.by_layer(net, model, golden).values()) == {1.0}
    with torch.no_grad():
        logits = net(torch.from_numpy(golden["input"])).numpy()
    np.testing.assert_allclose(golden["logits"], logits, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("method", [method for method, aggregation in KINDS if aggregation == "ema-max"])
@pytest.mark.parametrize("blueprint", SEGMENTERS + OVER_CELLS)
def test_network_over_cells_equals_torch_bit_for_bit(blueprint, method):
    net = network(blueprint, 2, method)
    model = export.pack(net, "tiny", [f"c{i}" for i in range(blueprint.layers[-1].outputs)], POINTS)
    golden = export.golden(model)
    assert set(agreement.by_layer(net, model, golden).values()) == {1.0}
    offsets = [golden[name] for name in sorted(golden) if name.startswith("offsets")]
    with torch.no_grad():
        logits = models.Network.answer(net, torch.from_numpy(golden["input"]), offsets)[0].numpy()
    np.testing.assert_allclose(golden["logits"], logits, rtol=1e-4, atol=1e-4)


@torch.no_grad()
def test_classifier_over_cells_answers_clouds_as_torch_does():
    net = network(OVER_CELLS[1], 4)
    model = export.pack(net, "tiny", list("abcd"), POINTS)
    clouds = normalised(np.random.default_rng(5).standard_normal((6, POINTS, 3)).astype(np.float32))
    logits = Network(model, kernels.choose()).classify(clouds)
    np.testing.assert_allclose(logits, net(torch.from_numpy(clouds)).numpy(), rtol=1e-4, atol=1e-4)
    assert np.ptp(logits, axis=0).min() > 0.1  # the clouds are told apart


@torch.no_grad()
def test_ties_really_occur_and_count_as_plus_one():
    """Gain +-1, mean m, bias 0: a product equal to m gives exactly 0, whose sign is +1."""
    net = network(vanilla(5, (8, 70, 90, 33, 20)))
    stage = net.stages["encoder1"]
    stage.norm.bias.zero_()
    stage.norm.mean.fill_(2.0)
    stage.norm.var.fill_(1.0)
    stage.norm.gain.fill_(1.0)
    stage.norm.gain[::2] = -1.0
    stage.linear.log_alpha.zero_()
    assert (stage.values(torch.tensor([[2.0]])) == 0.0).all()
    model = export.pack(net, "tiny", list("abcde"), POINTS)
    rising, falling = model.tensors["encoder1.limit"][1], model.tensors["encoder1.limit"][0]
    assert rising == 4  # products 8 6 4 2 fire
    assert falling == 6  # products -8 -6 -4 -2 0 2 fire


@torch.no_grad()
def test_channel_of_gain_zero_is_the_constant_sign_of_its_bias():
    net = network(vanilla(5, (8, 70, 90, 33, 20)))
    for name in ("encoder0", "encoder1"):
        net.stages[name].norm.gain[:3] = 0.0
        net.stages[name].norm.bias[:3] = torch.tensor([0.0, -0.5, 0.5])
    model = export.pack(net, "tiny", list("abcde"), POINTS)
    assert model.tensors["encoder1.limit"][:3].tolist() == [9, 0, 9]
    assert np.sign(model.tensors["encoder0.limit"][:3]).tolist() == [-1, 1, -1]
    assert not model.tensors["encoder0.weight"][:, :3].any()


def test_limits_of_cells_fall_less_strict_with_their_size():
    model = export.pack(network(SEGMENTERS[0], 3), "tiny", list("abcdef"), POINTS)
    limits = model.tensors["point1.pool_limit"].astype(int)
    assert limits.shape == (BUCKETS, 48) and (np.diff(limits, axis=0) <= 0).all() and (limits[0] > limits[-1]).any()
    assert (model.tensors["point1.pool_limit"][0] == model.tensors["point1.limit"]).all()  # delta(1) = 0


@torch.no_grad()
@pytest.mark.parametrize(
    "spoil, sentence",
    [
        (lambda net: setattr(net.stages["encoder2"], "aggregation", "ema-avg"), "a mean is not an OR"),
        (lambda net: net.stages["head0"].norm.var.fill_(float("nan")), "head0 holds values that are not finite"),
        (lambda net: net.stages["encoder1"].norm.batches.zero_(), "encoder1 has no running statistics"),
        (lambda net: net.stages.update({"encoder1": FullLayer(8, 70)}), "got FullLayer"),
        (lambda net: setattr(net.stages["encoder1"], "values", lambda dot, _: dot.abs() - 3.0), "is not monotone"),
    ],
)
def test_what_cannot_be_exact_is_refused(spoil, sentence):
    net = network(vanilla(5, (8, 70, 90, 33, 20)))
    spoil(net)
    with pytest.raises(export.ExportError, match=sentence):
        export.pack(net, "tiny", list("abcde"), POINTS)


@pytest.mark.parametrize(
    "method, reason", [("xnor-k", "each point's own scale K"), ("abc3", "real weights is no integer")]
)
def test_method_that_does_not_fold_is_refused_with_its_reason(method, reason):
    with pytest.raises(export.ExportError, match=f"encoder1: .* cannot be packed, for .*{reason}"):
        export.pack(network(vanilla(5, (8, 70, 90, 33, 20)), 1, method), "tiny", list("abcde"), POINTS)


def test_falling_slope_of_a_react_net_is_refused():
    net = network(vanilla(5, (8, 70, 90, 33, 20)), 1, "react")
    with torch.no_grad():
        net.stages["encoder1"].linear.slope.fill_(-1.0)
    with pytest.raises(export.ExportError, match="encoder1 is not monotone"):
        export.pack(net, "tiny", list("abcde"), POINTS)


def test_disagreement_is_seen_and_not_written(tmp_path, monkeypatch, capsys):
    folder = run_folder(tmp_path)
    honest = export.pack

    def wrong(*arguments):
        model = honest(*arguments)
        model.tensors["encoder1.limit"][:] = 9 - model.tensors["encoder1.limit"]
        return model

    monkeypatch.setattr(export, "pack", wrong)
    assert export.main([str(folder), "--out", str(tmp_path / "m.safetensors")]) == 2
    assert "layer encoder1: expected all packed bits" in capsys.readouterr().err
    assert not (tmp_path / "m.safetensors").exists()


def run_folder(tmp_path):
    blueprint = vanilla(5, (8, 70, 90, 33, 20))
    config = {"blueprint": blueprint.to_json(), "classes": list("abcde"), "points": POINTS}
    (tmp_path / "config.json").write_text(json.dumps(config))
    torch.save({"net": network(blueprint).state_dict()}, tmp_path / "checkpoint.pt")
    return tmp_path


def test_command_writes_model_and_golden_answer(tmp_path, capsys):
    folder, out = run_folder(tmp_path), tmp_path / "tiny.safetensors"
    objects = tmp_path / "objects.npz"
    rng = np.random.default_rng(0)
    np.savez(objects, points=rng.normal(size=(20, 64, 3)), labels=np.arange(20) % 5, classes=np.array(list("abcde")))
    facts = tmp_path / "facts.json"
    facts.write_text(json.dumps({"licence": "none", "seed": 3}))
    assert export.main([str(folder), "--out", str(out), "--data", str(objects), "--facts", str(facts)]) == 0
    report = capsys.readouterr().out
    assert report.count("1.000000 of the bits equal torch's") == 5 and "'different': 0" in report
    model = model_file.read(out)
    assert model.training["seed"] == 3 and model.points == POINTS and model.name == "tiny"
    golden = np.load(tmp_path / "tiny.golden.npz")
    for name in kernels.available():
        logits = Network(model, kernels.choose(name)).classify(golden["input"])
        np.testing.assert_array_equal(logits, golden["logits"])
        np.testing.assert_array_equal(logits.argmax(1), golden["label"])


def test_missing_run_is_one_sentence(tmp_path, capsys):
    assert export.main([str(tmp_path), "--out", str(tmp_path / "m.safetensors")]) == 2
    assert capsys.readouterr().err.strip() == (
        f"export: expected config.json in '{tmp_path}', found none: give the folder of a training run"
    )


def test_a_folder_of_something_else_is_one_sentence(tmp_path, capsys):
    (run_folder(tmp_path) / "config.json").write_text("{}")
    assert export.main([str(tmp_path), "--out", str(tmp_path / "m.safetensors")]) == 2
    assert capsys.readouterr().err.startswith(f"export: expected blueprint in '{tmp_path / 'config.json'}', found none")
