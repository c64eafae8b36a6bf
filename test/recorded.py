"""Operations with random arguments and the numpy reference's answers, recorded for test/native/replay.c."""

from __future__ import annotations

import struct

import numpy as np

from bipointnet_ros.core import bits, cells, descriptors
from bipointnet_ros.core.blueprint import Grid
from bipointnet_ros.core.kernels import Native, prepared_bytes
from bipointnet_ros.core.reference import Reference, distance

_LETTERS = {"lift": "L", "layer": "Y", "limits": "S", "dense": "D", "merge": "M", "logits": "G", "argsort": "A"}
_LETTERS |= {"layer_spans": "Z", "distinct": "U", "farthest": "F", "voxels": "V", "match": "H", "link": "K"}
_LETTERS |= {"means": "T", "describe": "B", "search": "W", "terrain": "R", "rectangles": "Q"}
_LETTERS |= {"extremes": "E", "segment_max": "X"}
_LETTERS |= {"signs": "s", "gram": "g", "inside": "i", "scatter": "c", "selected": "e"}


class Recorder(Native):
    """A backend that writes calls down, with outputs as the reference answers them, instead of running them."""

    def __init__(self):
        super().__init__("recorder", None)
        self.data, self.calls = bytearray(), 0
        self._weights = {}  # id of a prepared layout: its weights and inputs
        self._held = []  # ids stay taken

    def record(self, operation: str, arguments: list, outputs: list[int]):
        """``arguments`` as the backend takes them, prepared ones as (reference's, recorder's)."""
        getattr(Reference(), operation)(*(a[0] if isinstance(a, tuple) else a for a in arguments))
        self._outputs, self._before = {id(arguments[i]) for i in outputs}, None
        self.bind(operation, *(a[1] if isinstance(a, tuple) else a for a in arguments))

    def weights(self, weight, inputs):
        return Reference().prepare(weight, inputs), self.prepare(weight, inputs)

    def training(self, operation: str, arguments: list, outputs: list, before=None):
        """``before``: what the only output holds before the call, where it is read, too."""
        self._outputs, self._before = {id(a) for a in outputs}, before
        self._bound(operation, *arguments)

    def _bound(self, operation, *arguments):
        self._held.append(arguments)
        if operation == "prepare":
            weight, outputs, inputs, layout = arguments
            self._weights[id(layout)] = struct.pack("<4i", ord("P"), outputs, inputs, weight.nbytes) + weight.tobytes()
            return lambda: None
        self.calls += 1
        self.data += struct.pack("<2i", ord(_LETTERS[operation]), len(arguments))
        self.data += b"".join(self._argument(a) for a in arguments)

    def _argument(self, a) -> bytes:
        if a is None:
            return struct.pack("<i", ord("N"))
        if not isinstance(a, np.ndarray):
            return struct.pack("<2i", ord("I"), a)
        if id(a) in self._weights:
            return self._weights[id(a)]
        if id(a) in self._outputs and self._before is not None:
            return struct.pack("<2i", ord("U"), a.nbytes) + self._before.tobytes() + a.tobytes()
        return struct.pack("<2i", ord("O" if id(a) in self._outputs else "A"), a.nbytes) + a.tobytes()


def recording(seed: int, rounds: int) -> Recorder:
    """``rounds`` times each operation, with random sizes."""
    rng, recorder = np.random.default_rng(seed), Recorder()
    for _ in range(rounds):
        for case in _CASES:
            case(recorder, rng)
    return recorder


def _codes(rng, rows, width):
    return bits.pack_bits(rng.random((rows, width)) < 0.5)


def _offsets(rng, rows, groups):
    return np.concatenate([[0], np.sort(rng.integers(0, rows + 1, groups - 1)), [rows]]).astype(np.int32)


def _empty(rows, width):
    return np.zeros((rows, bits.words(width)), np.uint64)


def _lift(recorder, rng):
    n, inputs, channels, groups = rng.integers(1, [300, 14, 140, 9])
    x, weight = rng.normal(size=(n, inputs)).astype(np.float32), rng.normal(size=(inputs, channels)).astype(np.float32)
    limit, pool_limit = rng.normal(size=channels).astype(np.float32), rng.normal(size=(16, channels)).astype(np.float32)
    bucket = rng.integers(0, 16, groups).astype(np.uint8)
    own, pool = _empty(n, channels), _empty(groups, channels)
    arguments = [x, weight, limit, own, pool_limit, bucket, _offsets(rng, n, groups), pool]
    recorder.record("lift", arguments, [3, 7])
    shared, kept, ends = shared_inputs(rng, groups)
    weight = rng.normal(size=(inputs + ends[-1], channels)).astype(np.float32)
    arguments = [x, weight, limit, _empty(n, channels), *arguments[4:7], _empty(groups, channels), shared, kept, ends]
    recorder.record("lift", arguments, [3, 7])


def shared_inputs(rng, groups):
    """Levels of inputs that the rows of a group share, and how many levels are those of the group before."""
    ends = np.cumsum(rng.integers(1, 6, rng.integers(1, 9))).astype(np.int32)
    kept = rng.integers(0, len(ends) + 1, groups).astype(np.uint8)
    kept[0] = 0
    shared = rng.normal(size=(groups, ends[-1])).astype(np.float32)
    for s in range(1, groups):
        end = ends[kept[s] - 1] if kept[s] else 0
        shared[s, :end] = shared[s - 1, :end]
    return shared, kept, ends


def _layer(recorder, rng):
    """Shared limits and one output (sliced) or limits by group (tiles); sizes around the edges of both."""
    width, channels, groups = rng.integers(1, [249, 200, 6])
    n = int(rng.choice([1, 5, 63, 64, 65, 127, 128, 129, 256, 257, 700]))
    weight = _codes(rng, channels, width)
    x = weight[rng.integers(0, channels, n)] ^ bits.pack_bits(rng.random((n, width)) < 0.3)
    wanted = rng.integers(1, 4)
    own = _empty(n, channels) if wanted & 1 else None
    pool = _empty(groups, channels) if wanted & 2 else None
    limits = [rng.integers(0, width + 2, (rng.choice([1, groups]), channels)).astype(np.uint8) for _ in "op"]
    limits[1] //= 3
    arguments = [x, recorder.weights(weight, width), limits[0], own, limits[1], pool, _offsets(rng, n, groups)]
    recorder.record("layer", arguments, [i for i in (3, 5) if arguments[i] is not None])


def _spans(recorder, rng):
    width, channels, groups = rng.integers(1, [249, 200, 6])
    n = int(rng.choice([5, 64, 129, 256, 700]))
    weight, pool = _codes(rng, channels, width), _empty(groups, channels)
    x = weight[rng.integers(0, channels, n)] ^ bits.pack_bits(rng.random((n, width)) < 0.3)
    offsets = _offsets(rng, n, groups)
    spans = np.stack([offsets[:-1], offsets[:-1] + np.diff(offsets) // 2], 1)
    limit = rng.integers(0, width // 3 + 2, (rng.choice([1, groups]), channels)).astype(np.uint8)
    recorder.record("layer_spans", [x, recorder.weights(weight, width), None, None, limit, pool, spans], [5])


def _distinct(recorder, rng):
    width, n, groups = rng.integers(1, [200, 600, 5])
    x, offsets = _codes(rng, 40, width)[rng.integers(0, 40, n)], _offsets(rng, n, groups)
    recorder.record("distinct", [x, offsets, np.zeros((groups, 2), np.int32)], [2])


def _limits(recorder, rng):
    groups, shared, channels, inputs = rng.integers(1, [60, 300, 140, 249])
    limit = rng.integers(0, inputs + shared + 2, (16, channels)).astype(np.int16)
    bucket, out = rng.integers(0, 16, groups).astype(np.uint8), np.zeros((groups, channels), np.uint8)
    weights = recorder.weights(_codes(rng, channels, shared), shared)
    recorder.record("limits", [_codes(rng, groups, shared), weights, limit, bucket, int(inputs), out], [5])


def _dense(recorder, rng):
    rows, width, channels = rng.integers(1, [5, 1100, 140])
    limit, out = rng.integers(width // 3, width - width // 3 + 1, channels).astype(np.int16), _empty(rows, channels)
    weights = recorder.weights(_codes(rng, channels, width), width)
    recorder.record("dense", [_codes(rng, rows, width), weights, limit, out], [3])


def _merge(recorder, rng):
    rows, width, groups = rng.integers(1, [90, 200, 20])
    recorder.record("merge", [_codes(rng, rows, width), _offsets(rng, rows, groups), _empty(groups, width)], [2])


def _logits(recorder, rng):
    rows, inputs, outputs = rng.integers(1, [40, 300, 45])
    weight, bias = rng.normal(size=(inputs, outputs)).astype(np.float32), rng.normal(size=outputs).astype(np.float32)
    tables = Reference().prepare_logits(weight), recorder.prepare_logits(weight)
    out = np.zeros((rows, outputs), np.float32)
    recorder.record("logits", [_codes(rng, rows, inputs), tables, bias, out], [3])


def _argsort(recorder, rng):
    keys = rng.integers(0, 2**64, rng.integers(1, 500), np.uint64) >> np.uint64(rng.integers(0, 64))
    recorder.record("argsort", [keys, np.zeros(len(keys), np.int32)], [1])


def _link(recorder, rng):
    xy = np.unique(rng.integers(-20, 20, (int(rng.integers(0, 300)), 2), np.int32), axis=0)
    reach = rng.integers(0, 32**2, len(xy), np.int32) >> int(rng.integers(0, 10))
    recorder.record("link", [xy, reach, np.zeros(len(xy), np.int32)], [2])


def _extremes(recorder, rng):
    width, channels, n = rng.integers(1, [5, 140, 500])
    x, weight = rng.integers(0, 2**64, (n, width), np.uint64), rng.integers(0, 2**64, (channels, width), np.uint64)
    offsets, every = np.unique(_offsets(rng, n, 4)), distance(x, weight)
    ranges = list(zip(offsets, offsets[1:]))
    value = np.array([every[a:b].min(0) for a, b in ranges], np.int16)
    row = np.array([a + every[a:b].argmin(0) for a, b in ranges], np.int32)
    scratch = np.zeros(prepared_bytes(channels, width), np.uint8)
    recorder.training("extremes", [x, weight, offsets, len(ranges), channels, width, scratch, value, row], [value, row])


def _segment_max(recorder, rng):
    channels, n = rng.integers(1, [140, 300])
    z, offsets = rng.integers(-3, 4, (n, channels)).astype(np.float32), np.unique(_offsets(rng, n, 30))
    ranges = list(zip(offsets, offsets[1:]))
    value = np.array([z[a:b].max(0) for a, b in ranges], np.float32)
    row = np.array([a + z[a:b].argmax(0) for a, b in ranges], np.int32)
    recorder.training("segment_max", [z, offsets, len(ranges), channels, value, row], [value, row])


def _packed_rows(recorder, rng):
    width, n = rng.integers(1, [257, 1500])
    signs = rng.random((n, width)) < 0.5
    x, values = bits.pack_bits(signs), rng.standard_normal((n, width), np.float32)
    plain = np.where(signs, np.float32(1.0), np.float32(-1.0))
    recorder.training("signs", [x, n, width, plain], [plain])
    kept = np.where(signs, values, np.float32(0.0))
    recorder.training("inside", [x, n, width, kept], [kept], values)
    counts = ((n - plain.T @ plain) / 2).astype(np.int32)
    np.fill_diagonal(counts, signs.sum(0))
    recorder.training("gram", [x, n, width, counts], [counts])


def _chosen(recorder, rng):
    """One entry after the other, so that the sums are rounded as the kernels round them."""
    (groups, channels, width), n, first = rng.integers(1, [4, 40, 257]), 30, 7
    gradient = rng.standard_normal((groups, channels), np.float32) * (rng.random((groups, channels)) < 0.7)
    gradient, row = gradient.astype(np.float32), rng.integers(first, first + n, (groups, channels)).astype(np.int32)
    weight, before = (rng.standard_normal(shape, np.float32) for shape in ((channels, width), (n, width)))
    signs = rng.random((first + n, width)) < 0.5
    rows, sums = before.copy(), np.zeros((channels, width), np.float32)
    for s, c in np.argwhere(gradient):
        rows[row[s, c] - first] += gradient[s, c] * weight[c]
        sums[c] += gradient[s, c] * np.where(signs[row[s, c]], np.float32(1.0), np.float32(-1.0))
    entries = [gradient, row, gradient.size, channels]
    recorder.training("scatter", [*entries, weight, width, first, rows], [rows], before)
    recorder.training("selected", [*entries, bits.pack_bits(signs), width, sums], [sums])


def _search(recorder, rng):
    m, n = rng.integers(1, 300, 2)
    values = rng.integers(0, 200, m + n).astype(np.float32)
    recorder.record("search", [np.sort(values[:m]), values[m:], np.zeros(n, np.int32)], [2])


def _farthest(recorder, rng):
    n = int(rng.integers(1, 300))
    chosen = np.zeros(rng.integers(1, n + 1), np.int32)
    recorder.record("farthest", [np.round(rng.normal(0, 9, (n, 3))).astype(np.float32), chosen], [1])


def _voxels(recorder, rng):
    n = int(rng.integers(1, 300))
    xyz = rng.normal(0, 10.0 ** rng.integers(0, 9), (n, 3)).astype(np.float32)
    recorder.record("voxels", [xyz, 0.1, np.zeros(n, np.uint64)], [2])


def _match(recorder, rng):
    m, n = rng.integers(1, 300, 2)
    table, wanted = rng.integers(0, 200, m, np.uint64), rng.integers(0, 200, n, np.uint64)
    recorder.record("match", [table, wanted, np.zeros(n, np.int32)], [2])


def _scan(recorder, rng):
    """Rows in nested cells; wanted are any of the inputs, in any order."""
    n = int(rng.integers(1, 200))
    xyz = (rng.normal(size=(n, 3)) * rng.choice([0.5, 5.0, 500.0])).astype(np.float32)
    run = cells.build(xyz, Grid(0.2, (4, 12, 36)))
    (cube, pillar, block), column, voxels = run.scales, run.column, len(run.voxel) - 1
    floor, mean = rng.normal(size=len(column) - 1).astype(np.float32), np.zeros((voxels, 4), np.float32)
    outputs = [np.zeros(n, np.float32), np.zeros(n, np.int32), mean]
    recorder.record("means", [xyz, run.order, floor, run.voxel[column], run.voxel, *outputs], [5, 6, 7])
    own = len(descriptors.LEVELS[-1])
    parts = [_some(rng, len(descriptors.DESCRIBED) - own), _some(rng, own)]
    wanted = np.concatenate(parts)
    tables = [np.zeros((n, part.max() + 1), np.float32) for n, part in zip((len(cube) - 1, voxels), parts)]
    sizes = np.array([0.2, 0.8, *(run.low * 0.2), *rng.choice([0.0, 0.4], 2)], np.float32)
    where = [run.voxel, block, pillar, column, cube, run.column_xy, np.array([9, 3], np.int32), sizes, wanted]
    recorder.record("describe", [mean, *where, *tables], [10, 11])


def _terrain(recorder, rng):
    low = rng.normal(size=rng.integers(1, 40, 2)).astype(np.float32)
    low[rng.random(low.shape) < 0.5] = np.inf
    recorder.record("terrain", [low, 0.5, 0.1, np.zeros_like(low)], [3])


def _rectangles(recorder, rng):
    runs = int(rng.integers(1, 9))
    starts = np.cumsum([0, *rng.integers(1, 400, runs)]).astype(np.int32)
    xyz, angle = rng.normal(size=(starts[-1], 3)).astype(np.float32), rng.uniform(0.0, 1.5, rng.integers(1, 33))
    turns = np.stack([np.cos(angle), np.sin(angle)], 1).astype(np.float32)
    outputs = [np.zeros(runs, np.int32), np.zeros((runs, 4), np.float32)]
    recorder.record("rectangles", [xyz, starts, turns, *outputs], [3, 4])


def _some(rng, count):
    """(count,) int32: the places of some of so many inputs, in any order; -1 for the others."""
    chosen = np.flatnonzero(rng.random(count) < 0.7)
    places = np.full(count, -1, np.int32)
    places[chosen] = rng.permutation(len(chosen))
    return places


_CASES = (_lift, _layer, _spans, _distinct, _limits, _dense, _merge, _logits)
_CASES += (_argsort, _search, _farthest, _voxels, _match, _link, _scan, _terrain, _rectangles)
_CASES += (_extremes, _segment_max, _packed_rows, _chosen)
