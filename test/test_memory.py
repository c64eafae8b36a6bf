"""What the network holds, and that it takes nothing more once it has met its largest cloud."""

from __future__ import annotations

import tracemalloc

import fabricate
import numpy as np
import pytest

from bipointnet_ros.core import kernels
from bipointnet_ros.core.blueprint import Grid, cell_segmenter, vanilla
from bipointnet_ros.core.network import Network

NATIVE = [name for name in kernels.available() if name != "numpy"]
STACK = (
    22 * 64 * 3 * 32 + 256 * 32
)  # of the pooling layer, planes of 256 rows: sums of 22 groups of inputs, planes (slices.h)

pytestmark = pytest.mark.skipif(not NATIVE, reason="the engine is not built")


@pytest.fixture
def traced():
    """A function: bytes that numpy and Python hold now."""
    tracemalloc.start()
    yield lambda: tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()


def peak(traced, call) -> int:
    """Bytes that a call takes, even if it gives them back."""
    tracemalloc.reset_peak()
    before = traced()
    call()
    return tracemalloc.get_traced_memory()[1] - before


@pytest.mark.parametrize("backend", NATIVE)
def test_vanilla_with_its_scratch_fits_into_512_kib(traced, backend):
    cloud, chosen = np.zeros((1, 1024, 3), np.float32), kernels.choose(backend)
    Network(fabricate.model(vanilla(40)), chosen).classify(cloud)  # what Python imports and keeps the first time
    before = traced()
    network = Network(fabricate.model(vanilla(40)), chosen)
    network.classify(cloud)
    told = network.weight_bytes() + network.prepared_bytes() + network.scratch_bytes()
    assert told <= traced() - before <= told + 32768  # what Python adds: names, bound calls
    assert traced() - before + STACK <= 512 * 1024


@pytest.mark.parametrize("threads", [1, 2])
def test_classifying_allocates_nothing(traced, threads):
    network = Network(fabricate.model(vanilla(40)), kernels.choose(NATIVE[0]), threads)
    batch = np.zeros((4, 1024, 3), np.float32)
    network.classify(batch)
    assert peak(traced, lambda: [network.classify(batch) for _ in range(5)]) < 2048


def test_a_smaller_batch_reuses_the_scratch_of_a_larger_one(traced):
    network = Network(fabricate.model(vanilla(40)), kernels.choose(NATIVE[0]))
    network.classify(np.zeros((4, 1024, 3), np.float32))
    size = network.scratch_bytes()
    assert peak(traced, lambda: network.classify(np.zeros((3, 500, 3), np.float32))) < 40000  # the input, bound calls
    assert network.scratch_bytes() == size


def test_a_scan_takes_little_besides_its_scratch(traced):
    """Cells differ from scan to scan: only what is made of their offsets is new, and is given back."""
    blueprint = cell_segmenter(tuple("abcdefg"), 6, Grid(0.1, (4, 12, 36)))
    network = Network(fabricate.model(blueprint), kernels.choose(NATIVE[0]))
    features = np.zeros((9000, 7), np.float32)
    offsets = [np.arange(0, 9001, step, dtype=np.int32) for step in (10, 100, 1000)]
    network.segment(features, offsets)
    size, held = network.scratch_bytes(), traced()
    assert peak(traced, lambda: [network.segment(features, offsets) for _ in range(3)]) < size / 10
    assert network.scratch_bytes() == size and traced() < held + 32768
