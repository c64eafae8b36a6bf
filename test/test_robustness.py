"""Disturbed clouds, and the table that judges a packed model and its full-precision twin on them."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.torch

from test_training import TINY, shapes  # noqa: E402

from bipointnet_ros.training import disturbances, export, judge, robustness, run, train  # noqa: E402
from bipointnet_ros.training.recipe import Recipe  # noqa: E402


def test_rotations_keep_lengths_and_only_a_turn_keeps_z():
    rng = np.random.default_rng(0)
    points = rng.normal(size=(200, 30, 3)).astype(np.float32)
    length = np.linalg.norm(points, axis=2)
    turned, tumbled = disturbances.turned(points, rng), disturbances.tumbled(points, rng)
    np.testing.assert_allclose(np.linalg.norm(turned, axis=2), length, rtol=1e-5)
    np.testing.assert_allclose(np.linalg.norm(tumbled, axis=2), length, rtol=1e-5)
    np.testing.assert_array_equal(turned[..., 2], points[..., 2])
    one = disturbances.tumbled(np.repeat(np.eye(3, dtype=np.float32)[None], 20_000, 0), rng)
    assert np.abs(one.mean(0)).max() < 0.02 and np.linalg.det(one).min() > 0.999  # no mirror, no preferred direction


def test_the_far_wall_of_a_box_is_hidden_and_the_near_one_seen():
    rng = np.random.default_rng(0)
    wall = rng.uniform(-0.5, 0.5, (4000, 3))
    wall[:2000, 0], wall[2000:, 0] = 0.5, -0.5
    seen = disturbances.visible(wall, np.array([1.0, 0.0, 0.0]))
    assert seen[:2000].all() and seen[2000:].mean() < 0.1
    assert disturbances.visible(wall, np.array([-1.0, 0.0, 0.0]))[2000:].all()
    parts = disturbances.seen_from_one_side(np.repeat(wall[None].astype(np.float32), 5, 0), rng)
    assert all(0.3 < len(part) / 4000 < 1.0 for part in parts)


def test_command_writes_a_row_for_each_disturbance(tmp_path, capsys):
    objects = shapes(60)
    for name, method in (("bits", "bipointnet"), ("twin", "full")):
        train.finish(run.start(tmp_path / name, objects, None, Recipe(**TINY, method=method), {}))
    export.export(tmp_path / "bits", tmp_path / "packed" / "bits.safetensors")
    np.savez(tmp_path / "set.npz", points=objects.points, labels=objects.labels, classes=np.array(objects.classes))
    arguments = [
        str(tmp_path / "packed" / "bits.safetensors"),
        str(tmp_path / "twin"),
        "--data",
        str(tmp_path / "set.npz"),
    ]
    capsys.readouterr()
    assert robustness.main([*arguments, "--most", "30", "--out", str(tmp_path / "table.md")]) == 0
    table = (tmp_path / "table.md").read_text()
    assert "30 objects" in capsys.readouterr().out
    lines = table.splitlines()
    assert len(lines) == 12 and lines[2].startswith("| as given | ")
    given = [float(cell) for cell in lines[2].split("|")[2:4]]
    assert judge.main([str(tmp_path / "bits"), "--data", str(tmp_path / "set.npz")]) == 0
    assert "overall accuracy" in capsys.readouterr().out
    net = run.load(tmp_path / "bits")[0]
    some = objects.points[::2], objects.labels[::2]
    assert given[0] == pytest.approx(100 * (run.predict(net, some[0]) == some[1]).mean(), abs=0.06)
    assert given[1] > 80


def test_other_classes_are_refused_in_one_sentence(tmp_path, capsys):
    run.start(tmp_path / "twin", shapes(60), None, Recipe(**TINY, method="full"), {}).save()
    arguments = ["modelnet40", str(tmp_path / "twin"), "--data", str(tmp_path / "none.npz")]
    assert robustness.main(arguments) == 2
    assert capsys.readouterr().err.count("\n") == 1
