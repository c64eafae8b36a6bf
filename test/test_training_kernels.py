"""The native kernels of training on every backend against numpy."""

import numpy as np
import pytest

from bipointnet_ros.core import library
from bipointnet_ros.core.reference import distance
from bipointnet_ros.training import native

BACKENDS = list(library.backends())


def words(rng, shape):
    return rng.integers(0, 2**64, shape, np.uint64)


def cut(rng, rows, most):
    return np.unique([0, rows, *rng.integers(0, rows, most)]).astype(np.int32)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("width", [1, 2, 3, 4])
@pytest.mark.parametrize("channels", [1, 63, 64, 100, 1024])
@pytest.mark.parametrize("rows", [1, 5, 240, 241, 700])
def test_extremes(backend, width, channels, rows):
    rng = np.random.default_rng([width, channels, rows])
    x, weight, offsets = words(rng, (rows, width)), words(rng, (channels, width)), cut(rng, rows, 3)
    check_extremes(x, weight, offsets, backend)


def check_extremes(x, weight, offsets, backend):
    smallest, row = native.extremes(x, weight, offsets, backend)
    every = distance(x, weight)
    for s, (a, b) in enumerate(zip(offsets, offsets[1:])):
        np.testing.assert_array_equal(smallest[s], every[a:b].min(0))
        np.testing.assert_array_equal(row[s], a + every[a:b].argmin(0))


@pytest.mark.parametrize("backend", BACKENDS)
def test_the_first_of_equal_rows_is_answered(backend):
    rng = np.random.default_rng(0)
    x = np.repeat(words(rng, (3, 2)), 300, 0)
    check_extremes(x, words(rng, (70, 2)), np.array([0, 450, 900], np.int32), backend)


@pytest.mark.parametrize("backend", BACKENDS)
def test_distances_of_255_and_256(backend):
    """A byte counts to 255: all 256 inputs differ in some channels, all but one in others."""
    x = np.full((9, 4), 2**64 - 1, np.uint64)
    weight = np.zeros((66, 4), np.uint64)
    weight[::2, 3] = 1 << 63
    weight[::3, 0] = 1
    check_extremes(x, weight, np.array([0, 2, 9], np.int32), backend)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("channels", [1, 7, 64, 130])
def test_segment_max(backend, channels):
    rng = np.random.default_rng(channels)
    z = rng.integers(-3, 4, (500, channels)).astype(np.float32)  # many ties
    offsets = cut(rng, 500, 60)
    largest, row = native.segment_max(z, offsets, backend)
    for s, (a, b) in enumerate(zip(offsets, offsets[1:])):
        np.testing.assert_array_equal(largest[s], z[a:b].max(0))
        np.testing.assert_array_equal(row[s], a + z[a:b].argmax(0))


@pytest.mark.parametrize("offsets", [[0, 3, 3, 5], [0, 6], [4, 2], []])
def test_an_empty_group_or_a_row_that_is_not_there_is_refused(offsets):
    with pytest.raises(ValueError, match="offsets must rise from group to group within the 5 rows"):
        native.extremes(np.zeros((5, 1), np.uint64), np.zeros((3, 1), np.uint64), np.array(offsets, np.int32))
    with pytest.raises(ValueError, match="offsets must rise from group to group within the 5 rows"):
        native.segment_max(np.zeros((5, 1), np.float32), np.array(offsets, np.int32))


def test_rows_of_other_widths_are_refused():
    with pytest.raises(ValueError, match="same 1 to 4 words a row"):
        native.extremes(np.zeros((5, 2), np.uint64), np.zeros((3, 1), np.uint64), np.array([0, 5], np.int32))


def test_an_unknown_backend_is_refused():
    with pytest.raises(ValueError, match="backend must be one of .*portable.*, got 'cuda'"):
        native.extremes(np.zeros((5, 1), np.uint64), np.zeros((3, 1), np.uint64), np.array([0, 5], np.int32), "cuda")
