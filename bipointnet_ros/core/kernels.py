"""The few operations that everything is made of, by backend: numpy (core/reference.py), portable C, AVX2, NEON.

``choose(name)`` answers a backend; all backends have the methods of ``Reference`` and give identical bits.
"""

from __future__ import annotations

import functools
import os
from dataclasses import dataclass

import numpy as np

from bipointnet_ros.core import library
from bipointnet_ros.core.bits import words
from bipointnet_ros.core.descriptors import DESCRIBED
from bipointnet_ros.core.library import BackendError
from bipointnet_ros.core.program import Pool, Program
from bipointnet_ros.core.reference import Reference, Weights

VARIABLE = "BIPOINTNET_BACKEND"
MAX_LAYER_INPUTS = 248  # distances of a layer are counted in bytes
_AXIS_PADDING = 16  # points: BPN_AXIS_PADDING of native/kernels.h
MAX_LEVELS = 8  # of inputs that rows share: BPN_LEVELS of native/kernels.h
MAX_REACH = 31  # cells: BPN_REACH of native/link.h
MAX_TURNS = 32  # BPN_TURNS of native/rectangles.h
_TERMS = 10  # sums of a cell: TERMS of native/describe.c
_TABLE_BYTES = 1 << 18  # larger tables of logits than this are slower than the sums they replace


def available() -> list[str]:
    """Names of the backends that run here, best first; ``numpy`` is always the last."""
    return [*library.backends(), Reference.name]


def choose(name: str = "auto"):
    """The backend of that name; "auto" is $BIPOINTNET_BACKEND, or else the best available. BackendError for others."""
    if name == "auto":
        name = os.environ.get(VARIABLE) or available()[0]
    if name not in available():
        hint = "" if library.backends() else " (the engine is not built: run 'pip install .')"
        names = ", ".join(available())
        raise BackendError(f"backend must be auto or one of {names}, which run here, got '{name}'{hint}")
    return Reference() if name == Reference.name else Native(name, library.backends()[name])


def prepared_bytes(outputs: int, width: int) -> int:
    """Room for the prepared weights of ``width`` words a channel: BPN_PREPARED_BYTES of native/kernels.h."""
    return -(-outputs // 64) * 64 * 16 * width + outputs * {1: 24, 2: 44}.get(width, 84)


@dataclass(frozen=True)
class LogitWeights:
    """Weights (K, lanes) float32, C padded to whole vectors; tables (ceil(K / 8), 256, lanes) where they are small."""

    weight: np.ndarray
    tables: np.ndarray | None
    outputs: int

    @property
    def nbytes(self) -> int:
        return self.weight.nbytes + (0 if self.tables is None else self.tables.nbytes)


class Native:
    """A backend of the native library. ``bind(operation, *arguments)`` checks the arrays and takes their pointers once;
    the callable that it answers costs under a microsecond a call. ``operation(*arguments)`` binds and calls."""

    def __init__(self, name: str, functions):
        self.name = name
        self._functions = functions

    def bind(self, operation: str, *arguments):
        """The call ``operation(*arguments)`` as a callable without arguments; it holds and reuses the same arrays."""
        return getattr(self, f"_bind_{operation}")(*arguments)

    def pool(self, threads: int) -> Pool | None:
        """Threads for programs; None where one is enough."""
        return Pool(threads) if threads > 1 else None

    def program(self, calls, cuts, pool: Pool | None = None) -> Program:
        """Bound calls of layers, each with its level, as one call (core/program.py)."""
        return Program(self._functions.table, calls, cuts, pool)

    def prepare(self, weight, inputs: int) -> Weights:
        weight = np.ascontiguousarray(weight, np.uint64)
        _check("weight", weight, np.uint64, (None, words(inputs)))
        if inputs > MAX_LAYER_INPUTS:
            return Weights(weight, inputs)
        outputs, width = weight.shape
        layout = np.empty(prepared_bytes(outputs, width), np.uint8)
        self._bound("prepare", weight, outputs, inputs, layout)()
        return Weights(weight, inputs, layout)

    def prepare_logits(self, weight) -> LogitWeights:
        inputs, outputs = weight.shape
        padded = np.zeros((inputs, -(-outputs // 8) * 8), np.float32)
        padded[:, :outputs] = weight
        tables = Reference().prepare_logits(padded) if 128 * padded.nbytes // 4 <= _TABLE_BYTES else None
        return LogitWeights(padded, tables, outputs)

    def _bind_lift(self, x, weight, limit, own, pool_limit, bucket, offsets, pool, shared=None, kept=None, ends=None):
        (n, inputs), outputs, offsets = x.shape, weight.shape[1], _offsets(offsets, len(x))
        groups = len(offsets) - 1
        width = 0 if shared is None else shared.shape[1]
        _check("x", x, np.float32, (None, weight.shape[0] - width))
        _check("weight", weight, np.float32, (None, outputs))
        _check("limit", limit, np.float32, (outputs,))
        _check_optional("own", own, np.uint64, (n, words(outputs)))
        _check_optional("pool", pool, np.uint64, (groups, words(outputs)))
        if pool is not None:
            _check("pool_limit", pool_limit, np.float32, (None, outputs))
            _check("bucket", bucket, np.uint8, (groups,))
        if shared is not None:
            _check_shared(shared, kept, ends, groups)
        own_part, pool_part = (limit, own), (pool_limit, bucket, offsets, groups, pool)
        return self._bound("lift", x, n, inputs, weight, outputs, *own_part, *pool_part, shared, width, kept, ends)

    def _bind_layer(self, x, prepared, own_limit, own, pool_limit, pool, offsets):
        offsets = _offsets(offsets, len(x))
        return self._layer("layer", x, prepared, own_limit, own, pool_limit, pool, offsets, len(offsets) - 1)

    def _bind_layer_spans(self, x, prepared, own_limit, own, pool_limit, pool, spans):
        """Spans are read at each call: what ``distinct`` writes must lie within the rows."""
        _check("spans", spans, np.int32, (None, 2))
        return self._layer("layer_spans", x, prepared, own_limit, own, pool_limit, pool, spans, len(spans))

    def _layer(self, operation, x, prepared, own_limit, own, pool_limit, pool, where, groups):
        outputs = len(prepared.bits)
        if prepared.layout is None:
            raise ValueError(f"a layer has at most {MAX_LAYER_INPUTS} inputs, got {prepared.inputs}: use dense")
        _check("x", x, np.uint64, (None, words(prepared.inputs)))
        own_step = _check_limit("own", own, own_limit, len(x), groups, outputs)
        pool_step = _check_limit("pool", pool, pool_limit, groups, groups, outputs)
        own_part, pool_part = (own_limit, own_step, own), (pool_limit, pool_step, pool)
        return self._bound(
            operation, x, prepared.inputs, prepared.layout, outputs, *own_part, *pool_part, where, groups
        )

    def _bind_distinct(self, x, offsets, spans):
        offsets = _offsets(offsets, len(x))
        _check("x", x, np.uint64, (None, None))
        _check("spans", spans, np.int32, (len(offsets) - 1, 2))
        return self._bound("distinct", x, x.shape[1], offsets, len(spans), spans)

    def _bind_limits(self, code, prepared, limit, bucket, inputs, out):
        groups, outputs = len(code), len(prepared.bits)
        _check("code", code, np.uint64, (None, words(prepared.inputs)))
        _check("limit", limit, np.int16, (None, outputs))
        _check("bucket", bucket, np.uint8, (groups,))
        _check("out", out, np.uint8, (groups, outputs))
        return self._bound(
            "limits", code, groups, prepared.inputs, prepared.bits, prepared.layout, outputs, limit, bucket, inputs, out
        )

    def _bind_dense(self, x, prepared, limit, out):
        outputs = len(prepared.bits)
        _check("x", x, np.uint64, (None, words(prepared.inputs)))
        _check("limit", limit, np.int16, (outputs,))
        _check("out", out, np.uint64, (len(x), words(outputs)))
        return self._bound("dense", x, len(x), x.shape[1], prepared.bits, outputs, limit, out)

    def _bind_merge(self, codes, offsets, out):
        _check("codes", codes, np.uint64, (None, None))
        _check("out", out, np.uint64, (len(offsets) - 1, codes.shape[1]))
        return self._bound("merge", codes, codes.shape[1], _offsets(offsets, len(codes)), len(out), out)

    def _bind_logits(self, x, prepared, bias, out):
        inputs, lanes = prepared.weight.shape
        _check("x", x, np.uint64, (None, words(inputs)))
        _check("bias", bias, np.float32, (prepared.outputs,))
        _check("out", out, np.float32, (len(x), prepared.outputs))
        return self._bound(
            "logits", x, len(x), inputs, prepared.weight, prepared.tables, prepared.outputs, lanes, bias, out
        )

    def _bind_argsort(self, keys, out):
        _check("keys", keys, np.uint64, (None,))
        _check("out", out, np.int32, keys.shape)
        return self._bound("argsort", keys, len(keys), np.empty((3, len(keys)), np.uint64), out)

    def _bind_search(self, sorted_values, value, place):
        _check("sorted_values", sorted_values, np.float32, (None,))
        _check("value", value, np.float32, (None,))
        _check("place", place, np.int32, value.shape)
        return self._bound("search", sorted_values, len(sorted_values), value, len(value), place)

    def _bind_farthest(self, xyz, chosen):
        n, count = len(xyz), len(chosen)
        _check("xyz", xyz, np.float32, (None, 3))
        _check("chosen", chosen, np.int32, (None,))
        if not 0 < count <= n:
            raise ValueError(f"chosen must have room for 1 to {n} of the points, got {count}")
        scratch = np.empty(4 * (-(-n // _AXIS_PADDING) * _AXIS_PADDING), np.float32)
        return self._bound("farthest", xyz, n, scratch, count, chosen)

    def _bind_voxels(self, xyz, edge: float, keys):
        _check("xyz", xyz, np.float32, (None, 3))
        _check("keys", keys, np.uint64, (len(xyz),))
        return self._bound("voxels", xyz, len(xyz), np.array([edge], np.float32), keys)

    def _bind_match(self, table, wanted, out):
        for name, keys in (("table", table), ("wanted", wanted)):
            _check(name, keys, np.uint64, (None,))
        _check("out", out, np.int32, wanted.shape)
        bits = 1 + len(table).bit_length()  # at most half of the slots are taken
        slots = np.empty(1 << bits, np.int32)
        return self._bound("match", table, len(table), wanted, len(wanted), slots, bits, out)

    def _bind_link(self, xy, reach, root):
        _check("xy", xy, np.int32, (None, 2))
        _check("reach", reach, np.int32, (len(xy),))
        _check("root", root, np.int32, (len(xy),))
        if len(reach) and reach.max() >= (MAX_REACH + 1) ** 2:
            raise ValueError(f"cells reach at most {MAX_REACH} cells, got {np.sqrt(reach.max())}: take larger cells")
        return self._bound("link", xy, reach, len(xy), root)

    def _bind_means(self, xyz, order, floor, column, voxel, height, answer, mean):
        n, columns, rows = len(xyz), len(floor), len(mean)
        _check("xyz", xyz, np.float32, (None, 3))
        _check("order", order, np.int32, (n,))
        _check("floor", floor, np.float32, (None,))
        _check_starts("column", column, n, columns)
        _check_starts("voxel", voxel, n, rows)
        _check("height", height, np.float32, (n,))
        _check("answer", answer, np.int32, (n,))
        _check("mean", mean, np.float32, (None, 4))
        return self._bound("means", xyz, n, order, floor, column, columns, voxel, rows, height, answer, mean)

    def _bind_describe(self, mean, voxel, block, pillar, column, cube, place, ratios, sizes, wanted, shared, own):
        n, levels = len(mean), []
        _check("mean", mean, np.float32, (None, 4))
        _check("voxel", voxel, np.int32, (n + 1,))
        for name, starts in (("block", block), ("pillar", pillar), ("column", column), ("cube", cube)):
            _check_starts(name, starts, n, len(starts) - 1)
            levels += [starts, len(starts) - 1]
        columns = len(column) - 1
        _check("place", place, np.int32, (columns, 2))
        _check("ratios", ratios, np.int32, (2,))
        _check("sizes", sizes, np.float32, (6,))
        _check("wanted", wanted, np.int32, (len(DESCRIBED),))
        _check("shared", shared, np.float32, (len(cube) - 1, None))
        _check("own", own, np.float32, (n, None))
        bits = 1 + columns.bit_length()  # at most half of the slots are taken
        of_plane = columns + len(pillar) + len(block)
        scratch = np.empty((_TERMS + 2) * of_plane + (2 << bits), np.float64)
        ends = (shared, shared.shape[1], own, own.shape[1])
        return self._bound("describe", mean, voxel, n, *levels, place, ratios, sizes, scratch, bits, wanted, *ends)

    def _bind_terrain(self, low, rise: float, tolerance: float, out):
        _check("low", low, np.float32, (None, None))
        _check("out", out, np.float32, low.shape)
        x, y = low.shape
        scratch = np.empty(4 * (x * y + x + y + 64), np.float32)
        return self._bound("terrain", low, x, y, np.array([rise, tolerance], np.float32), scratch, out)

    def _bind_rectangles(self, xyz, starts, turns, turn, extents):
        runs = len(turn)
        _check("xyz", xyz, np.float32, (None, 3))
        _check_starts("starts", starts, len(xyz), runs)
        _check("turns", turns, np.float32, (None, 2))
        _check("turn", turn, np.int32, (None,))
        _check("extents", extents, np.float32, (runs, 4))
        if not 0 < len(turns) <= MAX_TURNS:
            raise ValueError(f"turns must be 1 to {MAX_TURNS}, got {len(turns)}")
        return self._bound("rectangles", xyz, starts, runs, turns, len(turns), turn, extents)

    def _bound(self, operation: str, *arguments):
        call = library.bind(getattr(self._functions, operation), *arguments)
        call.operation = operation
        return call


def _operation(name: str):
    @functools.wraps(getattr(Reference, name))
    def call(self, *arguments):
        getattr(self, f"_bind_{name}")(*arguments)()

    return call


_LAYERS = ("lift", "layer", "layer_spans", "distinct", "limits", "dense", "merge", "logits")
_OF_SCANS = ("argsort", "search", "voxels", "match", "link", "means", "describe", "terrain", "rectangles")
for _name in (*_LAYERS, *_OF_SCANS, "farthest"):
    setattr(Native, _name, _operation(_name))


def _check(name: str, array, dtype, shape):
    """ValueError unless the array is C contiguous, of that dtype and shape (None: any length)."""
    same = array.ndim == len(shape) and all(want in (None, got) for want, got in zip(shape, array.shape))
    if not (same and array.dtype == dtype and array.flags.c_contiguous):
        want = " x ".join("any" if w is None else str(w) for w in shape)
        got = f"{array.dtype} {array.shape}"
        raise ValueError(f"{name} must be a contiguous {np.dtype(dtype)} array of {want}, got {got}")


def _check_optional(name: str, array, dtype, shape):
    if array is not None:
        _check(name, array, dtype, shape)


def _check_shared(shared, kept, ends, groups: int):
    """Inputs that the rows of a group share, by levels."""
    _check("shared", shared, np.float32, (groups, None))
    _check("kept", kept, np.uint8, (groups,))
    _check("ends", ends, np.int32, (None,))
    levels, width = len(ends), shared.shape[1]
    if not 0 < levels <= MAX_LEVELS or (np.diff(ends, prepend=0) <= 0).any() or ends[-1] != width:
        raise ValueError(f"ends must be 1 to {MAX_LEVELS} rising numbers, the last one {width}, got {ends}")
    if groups and kept.max() > levels:
        raise ValueError(f"kept must be at most {levels}, got {kept.max()}")


def _check_starts(name: str, starts, rows: int, cells: int):
    """Starts of that many cells, none empty, of that many rows."""
    _check(name, starts, np.int32, (cells + 1,))
    if starts[0] != 0 or starts[-1] != rows or (starts[1:] <= starts[:-1]).any():
        raise ValueError(f"{name} must rise from 0 to the number of rows, {rows}, got {starts}")


def _check_limit(name: str, out, limit, rows: int, groups: int, outputs: int) -> int:
    """The step from one group's limits to the next: 0 where one row of limits serves all groups."""
    if out is None:
        return 0
    _check(name, out, np.uint64, (rows, words(outputs)))
    _check(f"{name}_limit", limit, np.uint8, (1 if len(limit) == 1 else groups, outputs))
    return 0 if len(limit) == 1 else outputs


def _offsets(offsets, rows: int) -> np.ndarray:
    """The given offsets, checked, or one group of all rows."""
    if offsets is None:
        return np.array([0, rows], np.int32)
    _check("offsets", offsets, np.int32, (None,))
    if len(offsets) < 1 or offsets[0] != 0 or offsets[-1] != rows or (offsets[1:] < offsets[:-1]).any():
        raise ValueError(f"offsets must rise from 0 to the number of rows, {rows}, got {offsets}")
    return offsets
