"""Further looks: the rows of a scene in moved cells, which of them, and the mean of the answers."""

from dataclasses import replace

import fabricate
import numpy as np
import pytest
from test_features import street
from test_pipeline import SEGMENTER

from bipointnet_ros.core import cells, features, kernels, looks, model_file
from bipointnet_ros.core.blueprint import Grid
from bipointnet_ros.core.config import Config
from bipointnet_ros.core.pipeline import Pipeline

GRID = Grid(0.25, (4, 12, 36))  # a voxel's edge without rounding
SHUFFLED = features.INPUTS[::-1]


@pytest.mark.parametrize("inputs", [features.ordered(features.INPUTS), SHUFFLED])
def test_rows_look_as_those_of_the_cloud_moved_the_other_way(inputs):
    xyz = np.round(street(n=6000)[0] * 64.0).astype(np.float32) / np.float32(64.0)  # sums without rounding, either way
    strength = np.random.default_rng(0).random(len(xyz)).astype(np.float32)
    backend = kernels.choose()
    scene = features.scene(xyz, strength, GRID, inputs, backend)
    for shift in ((18, 18), (18, 0), (5, 31)):
        look = looks.again(scene, xyz, np.arange(len(scene.own)), GRID, inputs, shift, backend)
        away = xyz - np.float32([shift[0] * 0.25, shift[1] * 0.25, 0.0])
        run = cells.build(away, GRID, backend)
        rows = scene.rows.take(look.row)
        assert (scene.index[look.row] == run.order[run.voxel[:-1]]).all() and (rows.size == np.diff(run.voxel)).all()
        assert all((a == b).all() for a, b in zip(look.offsets, run.scales))
        rows.mean[:, :2] -= np.float32(shift) * np.float32(0.25)
        shared, own = features.described(rows, run, GRID, inputs, backend)
        told = [
            replace(scene, shared=s, own=o, offsets=run.scales).features
            for s, o in ((look.shared, look.own), (shared, own))
        ]
        near = inputs.index("range")  # is counted from the sensor, wherever the cells lie
        np.testing.assert_allclose(np.delete(told[0], near, 1), np.delete(told[1], near, 1), atol=1e-4)
        np.testing.assert_array_equal(told[0][:, near], scene.features[look.row, near])
        assert (look.row != np.arange(len(look.row))).any()


def test_shifts_differ_and_the_first_are_about_half_a_cell_of_every_scale():
    for edges, half in (((4, 12, 36), 18), ((4, 8), 2), ((6,), 3), ((3, 9), 4), ((2, 6, 18, 54), 27)):
        shifts = [shift for shift, _ in looks.further(looks.MOST, Grid(0.2, edges))]
        assert shifts[:3] == [(half, half), (half, 0), (0, half)] and len({*shifts, (0, 0)}) == looks.MOST + 1, edges
        assert all(edge / 4 <= half % edge <= 3 * edge / 4 for edge in edges)
    shifts = [shift for shift, _ in looks.further(looks.MOST, GRID)]
    assert {x % 4 for x, _ in shifts} == {0, 1, 2, 3}  # every place of a voxel in its cube


def test_parts_of_looks_add_up_to_the_share():
    for share in (0.0, 0.25, 1.0, 1.5, 7.0):
        parts = [part for _, part in looks.further(share, GRID)]
        assert sum(parts) == pytest.approx(share) and all(0.0 < part <= 1.0 for part in parts)
    assert looks.afforded(0.4, 5) == 0.4 and looks.afforded(0.0, 5) == 0.0
    rows = {10: looks.MOST, 20_000: 1.0, 19_000: 1.0, 32_000: 0.25, 34_000: 40 / 34 - 1, 35_000: 0.0, 10**6: 0.0}
    assert {n: looks.afforded(-1.0, n) for n in rows} == pytest.approx(rows)  # no look at a few rows alone


def test_the_most_doubtful_blocks_are_seen_again_whole():
    blocks = np.array([0, 4, 6, 10])
    sure, torn = [5.0, 3.9, -7.0], [-1.0, 2.0, 1.1]
    doubt = looks.doubt(np.float32([sure] * 4 + [torn] * 2 + [sure, torn] * 2))
    assert doubt.tolist() == [False] * 4 + [True] * 2 + [False, True] * 2
    assert looks.doubtful(blocks, doubt, 0.1).tolist() == []
    assert looks.doubtful(blocks, doubt, 0.2).tolist() == [4, 5]
    assert looks.doubtful(blocks, doubt, 0.6).tolist() == [4, 5, 6, 7, 8, 9]
    assert looks.doubtful(blocks, doubt, 1.0).tolist() == list(range(10))


def test_an_answer_is_the_mean_of_its_looks(tmp_path):
    path = tmp_path / "m.safetensors"
    model_file.write(path, fabricate.model(SEGMENTER, seed=7))
    xyz = street(n=3000)[0]
    pipes = [Pipeline(Config(model=str(path), threads=1, further_looks=share)) for share in (0.0, 1.0, 0.5)]
    once, twice, partly = (pipe.process(xyz) for pipe in pipes)
    network, grid = pipes[0]._network, pipes[0].model.blueprint.grid
    inputs = pipes[0].model.blueprint.inputs
    seen = xyz[once.label > 0]
    scene = features.scene(seen, None, grid, inputs, network.backend)
    first = network.segment(scene.own, scene.offsets, scene.shared).copy()
    ((shift, _),) = looks.further(1.0, grid)
    look = looks.again(scene, seen, np.arange(len(first)), grid, inputs, shift, network.backend)
    second = np.empty_like(first)
    second[look.row] = network.segment(look.own, look.offsets, look.shared)
    power = np.exp((first + second) / 2.0)
    label, sure = power.argmax(1) + 1, power.max(1) / power.sum(1)
    assert (twice.label[once.label > 0] == label[scene.answer]).all() and (twice.label != once.label).any()
    np.testing.assert_allclose(twice.confidence[once.label > 0], sure[scene.answer], rtol=1e-4)
    assert 0 < (partly.label != once.label).sum() < (twice.label != once.label).sum()
    assert "further_looks" in twice.stages
