"""Entropy, likeness and scale of trained networks, by hand and through the command."""

from xml.etree import ElementTree

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.torch

from test_training import TINY, shapes  # noqa: E402

from bipointnet_ros.core.blueprint import vanilla  # noqa: E402
from bipointnet_ros.training import chart, insight, models, run, train  # noqa: E402
from bipointnet_ros.training.recipe import Recipe  # noqa: E402


def test_entropy_is_one_bit_at_half_and_none_at_a_constant():
    bits = np.array([[True, True, False], [False, True, False]])
    assert insight.entropy(bits[:, :1]) == pytest.approx(1.0) and insight.entropy(bits[:, 1:]) < 1e-9
    assert insight.entropy(bits) == pytest.approx(1.0 / 3.0)


def test_likeness_is_the_share_of_equal_bits_of_each_pair():
    bits = np.array([[1, 1, 0, 0], [1, 1, 1, 1], [0, 0, 1, 1]], bool)
    assert insight.alike(bits).tolist() == [0.5, 0.0, 0.5]
    assert insight.histogram(np.array([0.0, 1.0, 0.99]), 2) == [
        (0.25, pytest.approx(1 / 3)),
        (0.75, pytest.approx(2 / 3)),
    ]


def test_lsr_undoes_the_scale_of_signs_at_its_first_batch():
    torch.manual_seed(0)
    net = models.build(vanilla(3, TINY["widths"]))
    points = shapes(16).points
    net.train()(torch.from_numpy(points))
    for before, after in insight.scales(net, points).values():
        assert before > 2.0 and after == pytest.approx(1.0, abs=0.25)


def test_command_draws_max_more_alike_than_ema(tmp_path, capsys):
    objects = shapes(60)
    np.savez(tmp_path / "set.npz", points=objects.points, labels=objects.labels, classes=np.array(objects.classes))
    for name in ("max", "ema-max"):
        train.finish(run.start(tmp_path / name, objects, None, Recipe(**{**TINY, "epochs": 2}, aggregation=name), {}))
    train.finish(run.start(tmp_path / "full", objects, None, Recipe(**{**TINY, "epochs": 1}, method="full"), {}))
    runs, rest = [str(tmp_path / name) for name in ("max", "ema-max")], ["--data", str(tmp_path / "set.npz")]
    capsys.readouterr()
    assert insight.main([*runs, *rest, "--out", str(tmp_path / "out")]) == 0
    rows = [line.split("|") for line in capsys.readouterr().out.splitlines()[2:]]
    set_bits, equal = ([float(row[k].strip(" %")) for row in rows] for k in (2, 3))
    assert set_bits[0] > 90.0 > set_bits[1] and equal[0] > equal[1]
    for name in ("alike", "set_bits", "entropy", "scale"):
        drawn = ElementTree.parse(tmp_path / "out" / f"{name}.svg").getroot()
        assert "ema-max" in ElementTree.tostring(drawn, "unicode")
    assert insight.main([str(tmp_path / "full"), *rest, "--out", str(tmp_path)]) == 2
    assert "full precision: leave it out" in capsys.readouterr().err


def test_bars_stand_on_the_axis_and_lines_span_it():
    drawn = chart.bars("", {"a": {"x": 1.0, "y": 0.5}, "b": {"x": 0.0}})
    assert 'height="242.0"' in drawn and 'height="121.0"' in drawn and 'height="0.0"' in drawn
    assert chart.lines("", "", {"<a>": [(2.0, 0.0), (4.0, 20.0)]}).count("&lt;a&gt;") == 1
