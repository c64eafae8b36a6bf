"""The packed network against an independent forward pass in plain +-1 arithmetic, on every backend."""

import dataclasses

import fabricate
import numpy as np
import pytest

from bipointnet_ros.core import bits, kernels
from bipointnet_ros.core.aggregation import bucket
from bipointnet_ros.core.blueprint import Grid, Layer, cell_classifier, cell_segmenter, vanilla
from bipointnet_ros.core.network import Network
from bipointnet_ros.core.points import normalised

CLASSIFIERS = [vanilla(5, (8, 70, 90, 33, 20)), vanilla(40)]
SEGMENTERS = [
    cell_segmenter(("a", "b"), 3, Grid(0.1, (4, 12)), width=70),
    cell_segmenter(tuple("abcdefg"), 6, Grid(0.1, (4, 12, 36)), width=128),
    cell_segmenter(("a",), 2, Grid(0.1, (4,)), width=5),
]
OVER_CELLS = [
    cell_classifier(("x", "y"), 3, Grid(0.2, (3,)), (70, 66, 130, 33, 20)),
    cell_classifier(("x", "y", "near_line"), 5, Grid(0.1, (3, 9)), (128, 192, 200, 64, 65)),
]
_first, *_others = OVER_CELLS[0].layers
_deep = [*_others[:1], Layer("binary", "between", 66, 66), *_others[1:]]
OVER_CELLS.append(dataclasses.replace(OVER_CELLS[0], layers=(_first, *_deep)))


def mismatches(x, weight, inputs):
    """(n, K) +-1, packed (C, W) -> (n, C) number of inputs whose sign differs."""
    dot = x.astype(np.float32) @ bits.unpack(weight, inputs).astype(np.float32).T  # exact: integers under 2**24
    return (inputs - dot) / 2


def lifted(rows, weight):
    total = np.zeros((len(rows), weight.shape[1]), np.float32)
    for k in range(weight.shape[0]):
        total = total + rows[:, k, None] * weight[k]
    return total


def signs(condition):
    return np.where(condition, 1, -1)


def any_of(condition, offsets):
    return signs(np.stack([condition[a:b].any(0) for a, b in zip(offsets, offsets[1:])]))


def plain_classify(model, points):
    tensors, logits = model.tensors, []
    for cloud in points:
        x = cloud
        for layer in model.blueprint.layers[:-1]:
            weight, limit = tensors[f"{layer.name}.weight"], tensors[f"{layer.name}.limit"]
            if layer.op == "lift":
                x = signs(lifted(x, weight) >= limit)
            else:
                x = mismatches(x, weight, layer.inputs) < limit
                x = signs(x.any(0)[None] if layer.op == "pool" else x)
        logits.append(plain_logits(model, x)[0])
    return np.stack(logits)


def plain_logits(model, x):
    name = model.blueprint.layers[-1].name
    return x @ model.tensors[f"{name}.weight"].astype(np.float64) + model.tensors[f"{name}.bias"]


def plain_segment(model, features, offsets):
    """Of a classifier over cells too, whose last offsets are the clouds."""
    tensors, x, code, before = model.tensors, features, None, None
    for layer in model.blueprint.layers[:-1]:
        own, pool = tensors.get(f"{layer.name}.limit"), tensors.get(f"{layer.name}.pool_limit")
        if layer.op in ("binary", "pool"):
            value = mismatches(x, tensors[f"{layer.name}.weight"], layer.inputs)
            counts = np.diff(offsets[-1])
            fires = value < own if layer.op == "binary" else value < np.repeat(pool[bucket(counts)], counts, axis=0)
            x = signs(fires) if layer.op == "binary" else any_of(fires, offsets[-1])
            continue
        if layer.op == "lift":
            value = -lifted(x, tensors[f"{layer.name}.weight"])
            own, pool = -own, -pool
            x_next = signs(value <= own)
        else:
            cell = np.repeat(np.arange(len(code)), np.diff(offsets[before]))
            value = mismatches(x, tensors[f"{layer.name}.weight"], layer.inputs)
            value = value + mismatches(code, tensors[f"{layer.name}.shared"], layer.shared)[cell]
            x_next = signs(value < own)
        if layer.cells is not None:
            before = layer.cells
            rows = np.repeat(bucket(np.diff(offsets[before])), np.diff(offsets[before]))
            code = any_of(value <= pool[rows] if layer.op == "lift" else value < pool[rows], offsets[before])
        x = x_next
    return plain_logits(model, x)


def nested_offsets(rng, n, ratios):
    offsets = [np.unique(np.r_[0, n, rng.integers(0, n, n // 3)])]
    for ratio in ratios:
        fine = offsets[-1]
        offsets.append(np.unique(np.r_[0, n, rng.choice(fine, len(fine) // ratio + 1)]))
    return [o.astype(np.int32) for o in offsets]


@pytest.mark.parametrize("backend", kernels.available())
@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize("blueprint", CLASSIFIERS, ids=["small", "vanilla"])
def test_classifier_equals_plain_arithmetic(blueprint, backend, threads):
    rng = np.random.default_rng(1)
    model = fabricate.model(blueprint, seed=2)
    network = Network(model, kernels.choose(backend), threads)
    for clouds, n in ((1, 1), (3, 70), (2, 4200)):
        points = rng.normal(size=(clouds, n, 3)).astype(np.float32)
        np.testing.assert_allclose(network.classify(points), plain_classify(model, points), rtol=0, atol=2e-5)


@pytest.mark.parametrize("backend", kernels.available())
@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize("blueprint", SEGMENTERS, ids=["70", "128", "5"])
def test_segmenter_equals_plain_arithmetic(blueprint, backend, threads):
    rng = np.random.default_rng(3)
    model = fabricate.model(blueprint, seed=4)
    network = Network(model, kernels.choose(backend), threads)
    for n in (1, 2, 100, 9000):
        features = rng.normal(size=(n, len(blueprint.inputs))).astype(np.float32)
        offsets = nested_offsets(rng, n, [3] * (len(blueprint.grid.cells) - 1))
        expected = plain_segment(model, features, offsets)
        np.testing.assert_allclose(network.segment(features, offsets), expected, rtol=0, atol=2e-5)


@pytest.mark.parametrize("backend", kernels.available())
@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize("blueprint", OVER_CELLS, ids=["one", "two", "deep"])
def test_classifier_over_cells_equals_plain_arithmetic(blueprint, backend, threads):
    rng = np.random.default_rng(9)
    model = fabricate.model(blueprint, seed=10)
    network = Network(model, kernels.choose(backend), threads)
    for n in (1, 2, 100, 9000):
        features = rng.normal(size=(n, len(blueprint.inputs))).astype(np.float32)
        offsets = nested_offsets(rng, n, [3] * len(blueprint.grid.cells))
        expected = plain_segment(model, features, offsets)
        np.testing.assert_allclose(network.classify_rows(features, offsets), expected, rtol=0, atol=2e-5)


def test_a_batch_over_cells_is_its_clouds_to_the_last_bit():
    rng = np.random.default_rng(11)
    points = normalised(rng.normal(size=(5, 200, 3)).astype(np.float32))
    model = fabricate.model(OVER_CELLS[1], seed=12)
    expected = [Network(model, kernels.choose("numpy")).classify(cloud[None])[0] for cloud in points]
    for backend in kernels.available():
        for threads in (1, 2):
            answer = Network(model, kernels.choose(backend), threads).classify(points)
            np.testing.assert_array_equal(answer, np.stack(expected))


@pytest.mark.parametrize("backend", [name for name in kernels.available() if name != "numpy"])
def test_a_thousand_clouds_of_any_size(backend):
    """The vanilla network on 1,000 clouds of 1 to 2,048 points; limits are such that many popcounts tie with them."""
    rng = np.random.default_rng(7)
    model = fabricate.model(CLASSIFIERS[1], seed=8)
    network = Network(model, kernels.choose(backend))
    sizes = np.exp(rng.uniform(0.0, np.log(2048.5), 1000)).astype(int)
    sizes[:2] = 1, 2048
    for n, clouds in zip(*np.unique(sizes, return_counts=True)):
        points = rng.normal(size=(clouds, n, 3)).astype(np.float32)
        np.testing.assert_allclose(network.classify(points), plain_classify(model, points), rtol=0, atol=2e-5)


def test_backends_and_threads_agree_to_the_last_bit():
    rng = np.random.default_rng(5)
    model = fabricate.model(SEGMENTERS[1], seed=6)
    features = rng.normal(size=(9000, 7)).astype(np.float32)
    offsets = nested_offsets(rng, 9000, (3, 3))
    answers = [
        Network(model, kernels.choose(backend), threads).segment(features, offsets)
        for backend in kernels.available()
        for threads in (1, 2)
    ]
    for answer in answers[1:]:
        np.testing.assert_array_equal(answer.view(np.uint32), answers[0].view(np.uint32))


def test_scratch_is_allocated_once():
    network = Network(fabricate.model(CLASSIFIERS[0]), kernels.choose())
    points = np.zeros((2, 64, 3), np.float32)
    network.classify(points)
    size, held = network.scratch_bytes(), dict(network._scratch)
    network.classify(points[:1])
    network.classify(points)
    assert network.scratch_bytes() == size and all(network._scratch[k] is v for k, v in held.items())
