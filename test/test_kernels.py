"""Every operation on every backend against the numpy reference, bit for bit, and the reference against plain loops."""

import numpy as np
import pytest
from recorded import shared_inputs

from bipointnet_ros.core import bits, kernels, library
from bipointnet_ros.core.reference import Reference

NATIVE = [name for name in kernels.available() if name != "numpy"]
GUARD = 0xA5
REFERENCE = Reference()


@pytest.fixture(params=NATIVE)
def backend(request):
    return kernels.choose(request.param)


def codes(rng, rows, width):
    return bits.pack_bits(rng.random((rows, width)) < 0.5)


def near(rng, weight, rows, width, flips):
    """Rows that differ from random weight rows in about ``flips`` bits: distances near small limits."""
    flipped = bits.pack_bits(rng.random((rows, width)) < flips / width)
    return weight[rng.integers(0, len(weight), rows)] ^ flipped


def guarded(shape, dtype):
    """(array inside a larger one, function that tells whether what surrounds it is untouched)."""
    size = int(np.prod(shape)) * np.dtype(dtype).itemsize
    held = np.full(size + 256, GUARD, np.uint8)
    inside = held[128 : 128 + size].view(dtype).reshape(shape)
    return inside, lambda: bool((held[:128] == GUARD).all() and (held[128 + size :] == GUARD).all())


def same(backend, operation, arguments, outputs):
    """Run the backend and the reference; ``outputs`` are (position, shape, dtype) of the given output arrays.

    A tuple among the arguments is (for the reference, for the backend).
    """
    want, got, guards = list(arguments), list(arguments), []
    for position, shape, dtype in outputs:
        want[position] = np.zeros(shape, dtype)
        got[position], untouched = guarded(shape, dtype)
        guards.append(untouched)
    getattr(REFERENCE, operation)(*(a[0] if isinstance(a, tuple) else a for a in want))
    getattr(backend, operation)(*(a[1] if isinstance(a, tuple) else a for a in got))
    for position, _, _ in outputs:
        np.testing.assert_array_equal(got[position], want[position], err_msg=f"{backend.name} {operation}")
    assert all(untouched() for untouched in guards), "written beyond an output"
    return [want[position] for position, _, _ in outputs]


def prepared(backend, weight, width):
    return REFERENCE.prepare(weight, width), backend.prepare(weight, width)


def cut(rng, rows, groups):
    """offsets of ``groups`` groups, some of them perhaps empty."""
    return np.concatenate([[0], np.sort(rng.integers(0, rows + 1, groups - 1)), [rows]]).astype(np.int32)


LAYERS = [(n, 64, 128) for n in (1, 2, 5, 6, 7, 12, 251, 252, 253, 2048)] + [
    (1024, 128, 1024), (300, 1, 1), (300, 3, 65), (77, 63, 63), (77, 65, 130), (260, 127, 200), (100, 129, 64),
    (64, 192, 96), (50, 200, 31), (40, 241, 64), (513, 248, 256), (9, 248, 1),
]  # fmt: skip


@pytest.mark.parametrize(("n", "width", "channels"), LAYERS)
@pytest.mark.parametrize("groups", [None, 1, 4, 40])
@pytest.mark.parametrize("wanted", ["own", "pool", "both"])
def test_layer(backend, n, width, channels, groups, wanted):
    rng = np.random.default_rng([n, width, channels, groups or 0])
    weight = codes(rng, channels, width)
    x = near(rng, weight, n, width, width / 3)
    offsets = None if groups is None else cut(rng, n, groups)
    count, words = groups or 1, bits.words(channels)
    own_limit = rng.integers(0, width + 2, (rng.choice([1, count]), channels)).astype(np.uint8)
    pool_limit = rng.integers(0, width // 3 + 2, (rng.choice([1, count]), channels)).astype(np.uint8)
    arguments = [x, prepared(backend, weight, width), own_limit, None, pool_limit, None, offsets]
    outputs = [(3, (n, words), np.uint64)] * (wanted != "pool") + [(5, (count, words), np.uint64)] * (wanted != "own")
    for out in same(backend, "layer", arguments, outputs):
        assert channels % 64 == 0 or not (out[:, -1] >> np.uint64(channels % 64)).any()


@pytest.mark.parametrize(("n", "width", "channels"), [(1, 3, 5), (700, 64, 128), (1500, 128, 70), (90, 248, 64)])
@pytest.mark.parametrize("wanted", ["own", "pool", "both"])
def test_layer_over_groups_that_do_not_touch(backend, n, width, channels, wanted):
    rng = np.random.default_rng([n, width])
    weight, words = codes(rng, channels, width), bits.words(channels)
    x, held = near(rng, weight, n, width, width / 3), prepared(backend, weight, width)
    offsets = cut(rng, n, 4)
    spans = np.stack([offsets[:-1], offsets[:-1] + rng.integers(0, np.diff(offsets) + 1)], 1).astype(np.int32)
    for rows in (1, 4):
        limits = [rng.integers(0, width // 2 + 2, (rows, channels)).astype(np.uint8) for _ in "op"]
        arguments = [x, held, limits[0], None, limits[1], None, spans]
        outputs = [(3, (n, words), np.uint64)] * (wanted != "pool") + [(5, (4, words), np.uint64)] * (wanted != "own")
        untouched = np.concatenate([np.arange(b, c) for b, c in zip(spans[:, 1], offsets[1:])])
        for position, shape, dtype in outputs:
            want, got = list(arguments), list(arguments)
            want[position], (got[position], whole) = np.zeros(shape, dtype), guarded(shape, dtype)
            REFERENCE.layer_spans(*(a[0] if isinstance(a, tuple) else a for a in want))
            backend.layer_spans(*(a[1] if isinstance(a, tuple) else a for a in got))
            if position == 3:
                want[3][untouched] = np.uint64(0x0101010101010101 * GUARD)
            np.testing.assert_array_equal(got[position], want[position])
            assert whole()


@pytest.mark.parametrize("width", [1, 64, 65, 200])
@pytest.mark.parametrize(
    ("n", "different"), [(1, 1), (2, 1), (1000, 1), (1000, 30), (1000, 10**6), (8192, 500), (17000, 9000)]
)
def test_distinct(backend, n, different, width):
    rng = np.random.default_rng([n, different, width])
    rows = codes(rng, min(different, n), width)[rng.integers(0, min(different, n), n)]
    for groups in (1, 3):
        offsets, want, got = cut(rng, n, groups), rows.copy(), rows.copy()
        spans, told = np.zeros((groups, 2), np.int32), np.zeros((groups, 2), np.int32)
        REFERENCE.distinct(want, offsets, spans)
        backend.distinct(got, offsets, told)
        np.testing.assert_array_equal(told, spans)
        for a, b in spans:
            np.testing.assert_array_equal(got[a:b], want[a:b])


def test_distinct_rows_that_collide(backend):
    """Multiples of 2**40 have few hashes: the search of a free place must still end."""
    x = (np.arange(3000, dtype=np.uint64) % np.uint64(2000) << np.uint64(40))[:, None]
    want, spans = x.copy(), np.zeros((1, 2), np.int32)
    backend.distinct(x, np.array([0, 3000], np.int32), spans)
    assert spans.tolist() == [[0, 2000]] and (x[:2000] == want[:2000]).all()


@pytest.mark.parametrize(("width", "channels"), [(64, 128), (128, 1024), (65, 70), (248, 64)])
def test_layer_at_its_limits(backend, width, channels):
    """Distance = limit - 1, limit, limit + 1 in every channel; limits 0 and K + 1 in every channel."""
    rng = np.random.default_rng(width)
    weight, x = codes(rng, channels, width), codes(rng, 13, width)
    distance = np.array([[bin(int.from_bytes((a ^ b).tobytes(), "little")).count("1") for b in weight] for a in x])
    words = bits.words(channels)
    for row in range(len(x)):
        for shift in (-1, 0, 1):
            limit = np.clip(distance[row] + shift, 0, width + 1).astype(np.uint8)[None]
            arguments = [x, prepared(backend, weight, width), limit, None, limit, None, None]
            own, pool = same(backend, "layer", arguments, [(3, (13, words), np.uint64), (5, (1, words), np.uint64)])
            expected = distance < limit
            assert (bits.unpack_bits(own, channels) == expected).all()
            assert (bits.unpack_bits(pool[0], channels) == expected.any(0)).all()
    for constant, bit in ((0, False), (width + 1, True)):
        limit = np.full((1, channels), constant, np.uint8)
        arguments = [x, prepared(backend, weight, width), limit, None, limit, None, None]
        own, pool = same(backend, "layer", arguments, [(3, (13, words), np.uint64), (5, (1, words), np.uint64)])
        assert (bits.unpack_bits(own, channels) == bit).all() and (bits.unpack_bits(pool, channels) == bit).all()


@pytest.mark.parametrize("operation", ["layer", "dense"])
def test_each_input_meets_its_weight_and_each_channel_its_bit(backend, operation):
    """One-hot rows and weights: bit (i, c) is clear only where row i and channel c have the same hot input."""
    width = 130
    one_hot = bits.pack_bits(np.eye(width, dtype=bool))
    weights, words = prepared(backend, one_hot, width), bits.words(width)
    if operation == "layer":
        arguments = [one_hot, weights, np.ones((1, width), np.uint8), None, None, None, None]
        (out,) = same(backend, "layer", arguments, [(3, (width, words), np.uint64)])
    else:
        arguments = [one_hot, weights, np.ones(width, np.int16), None]
        (out,) = same(backend, "dense", arguments, [(3, (width, words), np.uint64)])
    assert (bits.unpack_bits(out, width) == np.eye(width, dtype=bool)).all()


@pytest.mark.parametrize(("rows", "width", "channels"), [
    (1, 1024, 512), (1, 512, 256), (3, 64, 64), (7, 4096, 65), (2, 1, 1), (5, 1000, 130), (33, 249, 40), (0, 64, 64),
])  # fmt: skip
def test_dense(backend, rows, width, channels):
    rng = np.random.default_rng(width)
    weight, x = codes(rng, channels, width), codes(rng, rows, width)
    around = (width / 2 + rng.normal(size=channels) * width**0.5 / 2).clip(0, width + 1).astype(np.int16)
    for limit in (around, np.zeros_like(around), np.full_like(around, width + 1)):
        same(
            backend,
            "dense",
            [x, prepared(backend, weight, width), limit, None],
            [(3, (rows, bits.words(channels)), np.uint64)],
        )


@pytest.mark.parametrize(("n", "inputs", "channels", "groups"), [
    (1024, 3, 64, 1), (500, 12, 128, 90), (1, 1, 1, 1), (37, 4, 65, 5), (64, 3, 70, 3), (11, 13, 7, 11), (9, 9, 200, 2),
])  # fmt: skip
def test_lift(backend, n, inputs, channels, groups):
    rng = np.random.default_rng(n)
    x = rng.normal(size=(n, inputs)).astype(np.float32)
    weight = rng.normal(size=(inputs, channels)).astype(np.float32)
    limit = rng.normal(size=channels).astype(np.float32)
    limit[::3] = exact_sums(x[:1], weight)[0, ::3]  # ties
    pool_limit = rng.normal(1.0, 1.0, (16, channels)).astype(np.float32)
    bucket, offsets = rng.integers(0, 16, groups).astype(np.uint8), cut(rng, n, groups)
    own, pool = (3, (n, bits.words(channels)), np.uint64), (7, (groups, bits.words(channels)), np.uint64)
    arguments = [x, weight, limit, None, pool_limit, bucket, offsets, None]
    same(backend, "lift", arguments, [own, pool])
    same(backend, "lift", arguments, [pool])
    (bit,) = same(backend, "lift", [x, weight, limit, None, None, None, None, None], [own])
    assert bits.unpack_bits(bit, channels)[0, ::3].all()


@pytest.mark.parametrize(("n", "inputs", "channels", "groups"), [(500, 9, 192, 90), (40, 1, 7, 3), (64, 3, 70, 9)])
def test_lift_of_shared_inputs(backend, n, inputs, channels, groups):
    """Sums go on from what the group before had: the same bits as of whole rows."""
    rng = np.random.default_rng(n)
    shared, kept, ends = shared_inputs(rng, groups)
    x = rng.normal(size=(n, inputs)).astype(np.float32)
    weight = rng.normal(size=(inputs + ends[-1], channels)).astype(np.float32)
    limit, pool_limit = (rng.normal(0, 3, shape).astype(np.float32) for shape in (channels, (16, channels)))
    bucket, offsets = rng.integers(0, 16, groups).astype(np.uint8), cut(rng, n, groups)
    whole = np.concatenate([np.repeat(shared, np.diff(offsets), axis=0), x], axis=1)
    limit[::3] = exact_sums(whole[:1], weight)[0, ::3]  # ties
    own, pool = (3, (n, bits.words(channels)), np.uint64), (7, (groups, bits.words(channels)), np.uint64)
    arguments = [x, weight, limit, None, pool_limit, bucket, offsets, None, shared, kept, ends]
    found = same(backend, "lift", arguments, [own, pool])
    for one, other in zip(found, same(backend, "lift", [whole, *arguments[1:8]], [own, pool])):
        np.testing.assert_array_equal(one, other)
    with pytest.raises(ValueError, match="ends must be 1 to 8 rising numbers, the last one"):
        backend.lift(x, weight, limit, None, None, None, offsets, None, shared, kept, ends[::-1].copy() + 1)
    with pytest.raises(ValueError, match="kept must be at most"):
        backend.lift(x, weight, limit, None, None, None, offsets, None, shared, kept + 9, ends)


def exact_sums(x, weight):
    """Plain loops in float32."""
    out = np.zeros((len(x), weight.shape[1]), np.float32)
    for i, c in np.ndindex(*out.shape):
        total = np.float32(0)
        for k in range(x.shape[1]):
            total = np.float32(total + np.float32(x[i, k] * weight[k, c]))
        out[i, c] = total
    return out


def test_lift_with_nan_and_infinity(backend):
    x = np.array([[np.nan, 1, 0], [np.inf, 1, 0], [-np.inf, 1, 0], [np.inf, -np.inf, 0]], np.float32)
    weight = np.random.default_rng(0).normal(size=(3, 70)).astype(np.float32)
    with np.errstate(invalid="ignore"):
        same(
            backend,
            "lift",
            [x, weight, np.zeros(70, np.float32), None, None, None, None, None],
            [(3, (4, 2), np.uint64)],
        )


@pytest.mark.parametrize(("groups", "shared", "channels", "inputs"), [
    (1, 64, 64, 64), (500, 128, 128, 128), (13, 1, 65, 248), (20, 248, 70, 3), (6, 256, 64, 64), (7, 1024, 64, 64),
    (5, 249, 30, 100),
])  # fmt: skip
def test_limits(backend, groups, shared, channels, inputs):
    rng = np.random.default_rng(groups)
    weight, code = codes(rng, channels, shared), codes(rng, groups, shared)
    table = rng.integers(0, inputs + shared + 2, (16, channels)).astype(np.int16)
    table[3] = 0
    table[4] = inputs + shared + 1
    bucket = rng.integers(0, 16, groups).astype(np.uint8)
    (out,) = same(
        backend,
        "limits",
        [code, prepared(backend, weight, shared), table, bucket, inputs, None],
        [(5, (groups, channels), np.uint8)],
    )
    assert out.max() <= inputs + 1


def test_a_split_join_equals_one_layer_over_both_halves(backend):
    """[distance over own and shared inputs < limit] = the layer over own inputs with limits shifted by the code."""
    rng = np.random.default_rng(5)
    own, shared, channels, n = 100, 128, 70, 200
    offsets = np.arange(0, n + 1, 10, dtype=np.int32)
    x, code = codes(rng, n, own), codes(rng, 20, shared)
    own_weight, shared_weight = codes(rng, channels, own), codes(rng, channels, shared)
    limit = rng.integers(90, 140, (1, channels)).astype(np.int16)
    shifted, out = np.zeros((20, channels), np.uint8), np.zeros((n, 2), np.uint64)
    backend.limits(code, backend.prepare(shared_weight, shared), limit, np.zeros(20, np.uint8), own, shifted)
    backend.layer(x, backend.prepare(own_weight, own), shifted, out, None, None, offsets)
    whole = np.concatenate([bits.unpack(x, own), np.repeat(bits.unpack(code, shared), 10, 0)], 1).astype(int)
    weight = np.concatenate([bits.unpack(own_weight, own), bits.unpack(shared_weight, shared)], 1).astype(int)
    popcount = (own + shared - whole @ weight.T) // 2
    assert (bits.unpack_bits(out, channels) == (popcount < limit)).all()


@pytest.mark.parametrize("groups", [1, 7, 300])
def test_merge(backend, groups):
    rng = np.random.default_rng(groups)
    held = codes(rng, 200, 130)
    same(backend, "merge", [held, cut(rng, 200, groups), None], [(2, (groups, 3), np.uint64)])


@pytest.mark.parametrize(("rows", "inputs", "outputs"), [
    (1, 256, 40), (32, 256, 40), (500, 64, 6), (500, 128, 6), (3, 1, 1), (9, 70, 8), (4, 100, 9), (2, 300, 17),
])  # fmt: skip
def test_logits(backend, rows, inputs, outputs):
    rng = np.random.default_rng(inputs)
    weight, bias = rng.normal(size=(inputs, outputs)).astype(np.float32), rng.normal(size=outputs).astype(np.float32)
    x = codes(rng, rows, inputs)
    tables = REFERENCE.prepare_logits(weight), backend.prepare_logits(weight)
    (out,) = same(backend, "logits", [x, tables, bias, None], [(3, (rows, outputs), np.float32)])
    np.testing.assert_allclose(out, bits.unpack(x, inputs) @ weight.astype(np.float64) + bias, atol=1e-4)


@pytest.mark.parametrize("n", [0, 1, 2, 100, 5000])
@pytest.mark.parametrize("shift", [0, 8, 30, 63])
def test_argsort_is_stable(backend, n, shift):
    keys = np.random.default_rng(n).integers(0, 2**64, n, np.uint64) >> np.uint64(shift)
    same(backend, "argsort", [keys, None], [(1, (n,), np.int32)])


@pytest.mark.parametrize(("m", "n"), [(0, 3), (1, 9), (2, 9), (3, 0), (255, 999), (256, 999), (257, 999)])
def test_search(backend, m, n):
    """Values among them and between them, infinite ones and NaN, which is more than everything else."""
    rng = np.random.default_rng(m)
    some, value = (rng.integers(-m - 2, m + 2, size).astype(np.float32) / np.float32(2.0) for size in (m, n))
    some[m // 2 :: 9], value[::7], value[1::7] = np.nan, np.nan, -np.inf
    some.sort()
    same(backend, "search", [some, value, None], [(2, (n,), np.int32)])


@pytest.mark.parametrize("shape", [(1, 1), (1, 9), (7, 1), (2, 2), (5, 3), (67, 33), (64, 64)])
@pytest.mark.parametrize("known", [0.0, 0.1, 0.9, 1.0])
def test_terrain(backend, shape, known):
    rng = np.random.default_rng(shape)
    low = rng.normal(0.0, 0.3, shape).astype(np.float32)
    low[rng.random(shape) >= known] = np.inf
    same(backend, "terrain", [low, 0.3, 0.1, None], [(3, shape, np.float32)])


@pytest.mark.parametrize("sizes", [[1], [1, 2, 128], [129, 1, 3], [5000, 256, 257, 7]])
@pytest.mark.parametrize("turns", [1, 30, 32])
def test_rectangles(backend, sizes, turns):
    rng = np.random.default_rng(sizes)
    starts, angle = np.cumsum([0, *sizes]).astype(np.int32), np.radians(np.arange(turns) * 2.9)
    xyz = (rng.normal(size=(starts[-1], 3)) * [4.0, 0.7, 1.0] + [60.0, -9.0, 0.0]).astype(np.float32)
    xyz[::3] = np.round(xyz[::3])  # many in one place
    arguments = [xyz, starts, np.stack([np.cos(angle), np.sin(angle)], 1).astype(np.float32), None, None]
    same(backend, "rectangles", arguments, [(3, (len(sizes),), np.int32), (4, (len(sizes), 4), np.float32)])


def test_rectangles_by_hand(backend):
    """Two sides of a rectangle that is turned by the second of three turns."""
    side = np.linspace(0.0, 1.0, 20)
    u, v = np.r_[4.0 * side, np.zeros(20)], np.r_[np.zeros(20), -2.0 * side]
    c, s = 0.8, 0.6
    xyz, starts = np.c_[u * c - v * s, u * s + v * c, u].astype(np.float32), np.int32([0, 40])
    turn, extents = np.zeros(1, np.int32), np.zeros((1, 4), np.float32)
    backend.rectangles(xyz, starts, np.float32([[1, 0], [c, s], [0.6, 0.8]]), turn, extents)
    assert turn[0] == 1
    np.testing.assert_allclose(extents[0], [0.0, 4.0, -2.0, 0.0], atol=1e-5)
    for turns in (0, 33):
        with pytest.raises(ValueError, match=f"turns must be 1 to 32, got {turns}"):
            backend.rectangles(xyz, starts, np.zeros((turns, 2), np.float32), turn, extents)


@pytest.mark.parametrize("n, wide", [(0, 5), (1, 5), (2, 2), (300, 40), (900, 30), (2000, 2000)])
@pytest.mark.parametrize("reach", [(1, 2), (2, 26), (900, 1024)])
def test_link(backend, n, wide, reach):
    rng = np.random.default_rng(n)
    xy = np.unique(rng.integers(0, wide, (n, 2), np.int32), axis=0)
    same(backend, "link", [xy, rng.integers(*reach, len(xy), np.int32), None], [(2, (len(xy),), np.int32)])


def test_link_by_hand(backend):
    """A chain of knight's moves, one that reaches and is not reached, and a column apart."""
    xy = np.int32([[0, 0], [1, 2], [2, 0], [5, 0], [9, 9], [9, 10]])
    root = np.empty(6, np.int32)
    backend.link(xy, np.int32([5, 5, 5, 9, 1, 0]), root)
    assert root.tolist() == [0, 0, 0, 3, 4, 5]
    with pytest.raises(ValueError, match="reach at most 31 cells"):
        kernels.choose(kernels.available()[0]).link(xy, np.full(6, 1024, np.int32), root)


@pytest.mark.parametrize(("n", "count"), [(1, 1), (2, 2), (15, 15), (16, 9), (17, 17), (1000, 200), (4100, 64)])
@pytest.mark.parametrize("kind", ["spread", "grid", "one place", "far apart"])
def test_farthest(backend, n, count, kind):
    """On a grid, and in one place, most distances tie: the lowest index counts."""
    rng = np.random.default_rng(n)
    xyz = rng.normal(0, 30, (n, 3)).astype(np.float32)
    xyz = {"grid": np.round(xyz / 20), "one place": np.ones_like(xyz), "far apart": xyz * np.float32(1e19)}.get(
        kind, xyz
    )
    with np.errstate(over="ignore"):
        same(backend, "farthest", [np.ascontiguousarray(xyz), None], [(1, (count,), np.int32)])


@pytest.mark.parametrize("edge", [0.1, 0.3, 2.0, 1e-30, 1e30])
@pytest.mark.parametrize("n", [0, 1, 1000])
def test_voxels(backend, n, edge):
    rng = np.random.default_rng(n)
    xyz = (rng.integers(-40, 40, (n, 3)) * np.float32(0.1) * rng.choice([1.0, 1e6, 1e30], (n, 1))).astype(np.float32)
    with np.errstate(over="ignore"):
        same(backend, "voxels", [xyz, edge, None], [(2, (n,), np.uint64)])


@pytest.mark.parametrize(("m", "n", "different"), [(0, 5, 9), (1, 1, 1), (3, 0, 2), (500, 900, 300), (900, 500, 10**9)])
def test_match(backend, m, n, different):
    rng = np.random.default_rng(m)
    keys = rng.integers(0, 2**64, 1000, np.uint64)[rng.integers(0, min(different, 1000), m + n)]
    same(backend, "match", [keys[:m], keys[m:], None], [(2, (n,), np.int32)])


def test_farthest_of_more_than_there_are_is_one_sentence(backend):
    for count in (0, 6):
        with pytest.raises(ValueError, match=f"chosen must have room for 1 to 5 of the points, got {count}"):
            backend.farthest(np.zeros((5, 3), np.float32), np.zeros(count, np.int32))


def test_a_bound_call_reads_the_arrays_anew(backend):
    rng = np.random.default_rng(0)
    weight, x, out = codes(rng, 64, 64), codes(rng, 4, 64), np.zeros((4, 1), np.uint64)
    run = backend.bind("layer", x, backend.prepare(weight, 64), np.full((1, 64), 32, np.uint8), out, None, None, None)
    for _ in range(2):
        x[:] = codes(rng, 4, 64)
        run()
        want = np.zeros_like(out)
        REFERENCE.layer(x, REFERENCE.prepare(weight, 64), np.full((1, 64), 32, np.uint8), want, None, None, None)
        assert (out == want).all()


@pytest.mark.parametrize("wrong", [
    lambda x: x.astype(np.int64), lambda x: x[:, ::-1], lambda x: np.zeros((4, 3), np.uint64), lambda x: x[0],
])  # fmt: skip
def test_a_wrong_array_is_one_sentence(backend, wrong):
    weight = backend.prepare(np.zeros((64, 2), np.uint64), 128)
    x, limit, out = np.zeros((4, 2), np.uint64), np.zeros((1, 64), np.uint8), np.zeros((4, 1), np.uint64)
    with pytest.raises(ValueError, match="x must be a contiguous uint64 array of"):
        backend.layer(wrong(x), weight, limit, out, None, None, None)


@pytest.mark.parametrize("offsets", [[0, 3, 2, 4], [1, 4], [0, 5], []])
def test_wrong_offsets_are_one_sentence(backend, offsets):
    weight = backend.prepare(np.zeros((64, 1), np.uint64), 64)
    pool, limit = np.zeros((max(len(offsets) - 1, 0), 1), np.uint64), np.zeros((1, 64), np.uint8)
    with pytest.raises(ValueError, match="offsets must rise from 0 to the number of rows"):
        backend.layer(np.zeros((4, 1), np.uint64), weight, None, None, limit, pool, np.array(offsets, np.int32))


def test_the_best_backend_comes_first_and_numpy_last(monkeypatch):
    monkeypatch.delenv(kernels.VARIABLE, raising=False)
    assert kernels.available()[-1] == "numpy" and "portable" in kernels.available()
    assert kernels.choose().name == kernels.available()[0]


def test_the_environment_names_the_backend_only_for_auto(monkeypatch):
    monkeypatch.setenv(kernels.VARIABLE, "portable")
    assert kernels.choose().name == "portable" and kernels.choose("numpy").name == "numpy"
    monkeypatch.setenv(kernels.VARIABLE, "abacus")
    with pytest.raises(kernels.BackendError, match="which run here, got 'abacus'"):
        kernels.choose("auto")


def test_an_unknown_backend_is_an_error():
    with pytest.raises(kernels.BackendError, match="backend must be auto or one of .*numpy.*, got 'cuda'"):
        kernels.choose("cuda")


def test_an_engine_of_other_sources_is_one_sentence(tmp_path):
    header = tmp_path / "kernels.h"
    header.write_text("void (*lift)(const double *x);\n")
    library._check_built_from(library.opened(), tmp_path / "none.h")  # installed: no header beside it
    with pytest.raises(kernels.BackendError, match="was built from other sources .*: build it again"):
        library._check_built_from(library.opened(), header)
