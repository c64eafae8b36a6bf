"""The 1-bit network: blueprint, weights and scratch are three things; scratch is allocated once and reused.

Nothing but the first and the last layer touches a float; in between bit = [popcount(x ^ w) < limit] (docs/design.md).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from bipointnet_ros.core import object_features
from bipointnet_ros.core.aggregation import bucket
from bipointnet_ros.core.blueprint import MAX_POINT_WIDTH
from bipointnet_ros.core.model_file import Model
from bipointnet_ros.core.points import told

_PIECE = 1024  # rows that go through all layers at once: enough to fill the kernels' lanes, few enough for the cache
_LANES = 256  # rows that a kernel takes at once, at most; of fewer it does not pay to find the equal ones
_SHARE = 512  # rows of one cloud that are worth waking a thread


class Network:
    """A packed model on one backend. Not thread-safe: one caller at a time owns the scratch.

    ``threads`` share the cells of a scan or the clouds of a batch; the answer is the same for any number of them. They
    are made here and end with the network. Scratch grows only when a larger scan or batch comes than any before.
    """

    def __init__(self, model: Model, backend, threads: int = 1):
        self.model, self.backend = model, backend
        self._pool = backend.pool(threads)
        self.threads = self._pool.threads if self._pool else 1
        self._layers = model.blueprint.layers
        self._weights = {layer.name: _Weights(layer, model.tensors, backend) for layer in self._layers}
        self._scratch: dict[tuple[str, int], np.ndarray] = {}
        self._batch: _Batch | None = None

    def classify(self, points: np.ndarray) -> np.ndarray:
        """(B, N, 3) float32 normalised clouds -> (B, K) float32 logits, which hold until the next call.

        Of a network with other inputs than coordinates and their products: those, (B, N, F).
        """
        blueprint = self.model.blueprint
        if blueprint.grid is not None:
            seen = object_features.rows(points, blueprint.grid, blueprint.inputs, self._argsort)
            return self.classify_rows(seen.features, seen.offsets)
        clouds, n, _ = points.shape
        if self._batch is None or self._batch.inputs.shape[:2] != (clouds, n):
            self._batch = self._bind(clouds, n, len(blueprint.inputs))
        told(points, blueprint.inputs, self._batch.inputs)
        for program in self._batch.programs:
            program()
        return self._batch.logits

    def segment(self, features: np.ndarray, offsets: list[np.ndarray], shared=None) -> np.ndarray:
        """(n, F) float32 features, rows grouped by cell -> (n, K) float32 logits, which hold until the next call.

        ``offsets[k]`` (S_k + 1,) int32 are the cells of scale k, nested, none empty, the finest first. ``shared``: the
        first inputs, which the rows of a finest cell share (core/features.py), if features (n, F) are only the others.
        """
        calls = []  # and the level of each: 0 = rows, k + 1 = cells of scale k
        logits = self._logits(calls, 0, self._in_context(calls, features, offsets, shared))
        self.backend.program(calls, _pieces(offsets), self._pool)()
        return logits

    def classify_rows(self, features: np.ndarray, offsets: list[np.ndarray]) -> np.ndarray:
        """The same of a classifier over cells, -> (B, K) float32 logits; ``offsets[-1]`` (B + 1,) are the clouds."""
        calls, clouds, level, depth = [], offsets[-1], len(offsets), self._depth
        rows = self._in_context(calls, features, offsets)
        spans = self._distinct(calls, level, rows, clouds) if len(rows) >= _LANES * (len(clouds) - 1) else None
        for i, layer in enumerate(self._layers[level : depth + 1], level):
            pools = layer.op == "pool"
            name, n = (layer.name, len(clouds) - 1) if pools else (f"rows{i % 2}", len(rows))
            out = self._bits(name, n, layer.outputs)
            calls.append((self._bind_points(layer, rows, out, clouds, spans), level))
            rows = out
        logits = self._head(calls, level, rows)
        self.backend.program(calls, _pieces(offsets), self._pool)()
        return logits

    def _in_context(self, calls, features, offsets, shared=None) -> np.ndarray:
        """Bits of each row after the lift and the joins."""
        lift, *rest = self._layers
        rows, codes = self._lift(calls, lift, np.ascontiguousarray(features, np.float32), offsets[0], shared)
        for k, layer in enumerate(layer for layer in rest if layer.op == "join"):
            coarser = offsets[k + 1] if layer.cells is not None else None
            rows, codes = self._join(calls, k + 1, layer, rows, codes, offsets[k], coarser)
        return rows

    def scratch_bytes(self) -> int:
        """Bytes of scratch allocated so far."""
        return sum(a.nbytes for a in self._scratch.values())

    def weight_bytes(self) -> int:
        """Bytes of weights and limits as the model file holds them."""
        return sum(a.nbytes for a in self.model.tensors.values())

    def prepared_bytes(self) -> int:
        """Bytes that the backend adds to them: weights once more, in its own layout."""
        return sum(weights.prepared_bytes() for weights in self._weights.values())

    def _bind(self, clouds: int, n: int, inputs: int) -> _Batch:
        """What classifies (clouds, n, inputs) points; few clouds are cut into parts, so that every thread has some."""
        parts = max(1, min(-(-self.threads // max(clouds, 1)), n // _SHARE))
        offsets = _parts(clouds, n, parts)
        depth = self._depth + 1
        seen = rows = self._array("inputs", clouds * n, inputs, np.float32)
        encoder, head, spans = [], [], None
        for layer in self._layers[:depth]:
            out = self._bits(layer.name, len(offsets) - 1 if layer.op == "pool" else clouds * n, layer.outputs)
            encoder.append((self._bind_points(layer, rows, out, offsets, spans), 0))
            rows = out
            if layer.op == "lift" and n >= _LANES:
                spans = self._distinct(encoder, 0, rows, offsets)
        if parts > 1:
            out = self._bits("whole", clouds, self._layers[depth - 1].outputs)
            nesting = np.arange(clouds + 1, dtype=np.int32) * np.int32(parts)
            head.append((self.backend.bind("merge", rows, nesting, out), 0))
            rows = out
        logits = self._head(head, 0, rows)
        some = np.append(np.arange(0, clouds, max(1, _PIECE // max(n, 1))), clouds)[None]
        chains = [(encoder + head, some)] if parts == 1 else [(encoder, np.arange(len(offsets))[None]), (head, some)]
        programs = [self.backend.program(calls, cuts, self._pool) for calls, cuts in chains]
        return _Batch(seen.reshape(clouds, n, inputs), programs, logits)

    def _distinct(self, calls, level, rows, offsets) -> np.ndarray:
        """From here on equal rows of a group are done once -> where the distinct ones lie, (S, 2)."""
        spans = self._array("spans", len(offsets) - 1, 2, np.int32)
        calls.append((self.backend.bind("distinct", rows, offsets, spans), level))
        return spans

    def _bind_points(self, layer, rows, out, offsets, spans):
        """One encoder layer: lift or binary (bits of each point), or pool (one code for each group of points)."""
        weights, bind = self._weights[layer.name], self.backend.bind
        if layer.op == "lift":
            return bind("lift", rows, weights.float_weight, weights.limit, out, None, None, offsets, None)
        parts = (weights.byte_limit, out, None, None)
        if layer.op == "pool":
            limit = weights.byte_limit if layer.cells is None else weights.byte_limit[bucket(np.diff(offsets))]
            parts = (None, None, limit, out)
        if spans is None:
            return bind("layer", rows, weights.prepared, *parts, offsets)
        return bind("layer_spans", rows, weights.prepared, *parts, spans)

    def _lift(self, calls, layer, rows, offsets, shared):
        """Bits of each point, and the code of each finest cell."""
        weights, bind = self._weights[layer.name], self.backend.bind
        own = self._bits("rows0", len(rows), layer.outputs)
        codes = self._bits(f"{layer.name}.codes", len(offsets) - 1, layer.outputs)
        buckets = bucket(np.diff(offsets))
        limits = (weights.limit, own, weights.pool_limit, buckets, offsets, codes)
        parts = () if shared is None else (shared.values, shared.kept, shared.ends)
        calls.append((bind("lift", rows, weights.float_weight, *limits, *parts), 1))
        return own, codes

    def _join(self, calls, level, layer, rows, codes, offsets, coarser):
        """Bits of each point from its own bits and its cell's code; codes of the coarser cells, unless there are none.

        A cell lies in one coarser cell, so the limits of own and pooled bits depend on the cell alone.
        """
        weights, bind = self._weights[layer.name], self.backend.bind
        own = self._bits(f"rows{level % 2}", len(rows), layer.outputs)  # written while the other one is read
        none = np.zeros(len(codes), np.uint8)
        own_limit = self._limits(calls, level, layer, "own", weights.limit[None], codes, none)
        pool_limit = parts = None
        if coarser is not None:
            nesting = np.searchsorted(offsets, coarser).astype(np.int32)
            buckets = np.repeat(bucket(np.diff(coarser)), np.diff(nesting))
            pool_limit = self._limits(calls, level, layer, "pool", weights.pool_limit, codes, buckets)
            parts = self._bits(f"{layer.name}.parts", len(codes), layer.outputs)
        call = bind("layer", rows, weights.prepared, own_limit, own, pool_limit, parts, offsets)
        calls.append((call, level))
        if coarser is None:
            return own, None
        merged = self._bits(f"{layer.name}.codes", len(coarser) - 1, layer.outputs)
        calls.append((bind("merge", parts, nesting, merged), level + 1))
        return own, merged

    def _limits(self, calls, level, layer, kind, table, codes, buckets):
        """(S, C) uint8: the cell's half of a join as a shift of the limit."""
        out = self._array(f"{layer.name}.{kind}", len(codes), layer.outputs, np.uint8)
        shared = self._weights[layer.name].shared
        calls.append((self.backend.bind("limits", codes, shared, table, buckets, layer.inputs, out), level))
        return out

    @property
    def _depth(self) -> int:
        return [layer.op for layer in self._layers].index("pool")

    def _head(self, calls, level, rows):
        """The layers after the pool, one row a cloud -> the array of the logits."""
        for layer in self._layers[self._depth + 1 : -1]:
            weights, out = self._weights[layer.name], self._bits(layer.name, len(rows), layer.outputs)
            calls.append((self.backend.bind("dense", rows, weights.prepared, weights.limit, out), level))
            rows = out
        return self._logits(calls, level, rows)

    def _logits(self, calls, level, rows):
        layer = self._layers[-1]
        weights = self._weights[layer.name]
        out = self._array("logits", len(rows), layer.outputs, np.float32)
        calls.append((self.backend.bind("logits", rows, weights.prepared, weights.bias, out), level))
        return out

    def _argsort(self, keys):
        order = np.empty(len(keys), np.int32)
        self.backend.argsort(keys, order)
        return order

    def _bits(self, name, rows, width):
        return self._array(name, rows, -(-width // 64), np.uint64)

    def _array(self, name, rows, columns, dtype):
        """Scratch by name; it grows to the largest number of rows seen and is then reused."""
        held = self._scratch.get((name, columns))
        if held is None or len(held) < rows:
            held = self._scratch[name, columns] = np.zeros((rows, columns), dtype)
        return held[:rows]


@dataclass(frozen=True)
class _Batch:
    """Everything that a batch of one shape needs to be classified: arrays bound once, so that nothing is looked up."""

    inputs: np.ndarray  # (B, N, F) float32
    programs: list
    logits: np.ndarray  # (B, K) float32, the output


class _Weights:
    """The tensors of one layer in the backend's own layout."""

    def __init__(self, layer, tensors, backend):
        held = {name.rpartition(".")[2]: tensors[name] for name in layer.tensors()}
        self.limit, self.pool_limit = held.get("limit"), held.get("pool_limit")
        if layer.op == "lift":
            self.float_weight = held["weight"]
        elif layer.op == "logits":
            self.prepared, self.bias = backend.prepare_logits(held["weight"]), held["bias"]
        else:
            self.prepared = backend.prepare(held["weight"], layer.inputs)
        if layer.op == "join":
            self.shared = backend.prepare(held["shared"], layer.shared)
        if layer.op in ("binary", "pool") and layer.inputs <= MAX_POINT_WIDTH:
            limit = self.limit[None] if layer.cells is None else self.pool_limit
            self.byte_limit = limit.astype(np.uint8)  # (1, C), or (BUCKETS, C)

    def prepared_bytes(self) -> int:
        names = ("prepared", "shared", "byte_limit")
        return sum(getattr(self, name).nbytes for name in names if hasattr(self, name))


def _parts(clouds: int, n: int, parts: int) -> np.ndarray:
    """(clouds * parts + 1,) int32: offsets of the parts of each cloud, whole lanes but for the last."""
    step = -(-n // (parts * _LANES)) * _LANES if parts > 1 else n
    starts = np.arange(clouds)[:, None] * n + np.minimum(np.arange(parts) * step, n)
    return np.append(starts, clouds * n).astype(np.int32)


def _pieces(offsets) -> np.ndarray:
    """Cuts of rows and of the cells of each scale, between the coarsest cells, which need nothing of one another."""
    coarsest = offsets[-1]
    wanted = coarsest[np.searchsorted(coarsest, np.arange(0, coarsest[-1], _PIECE))]
    rows = np.unique(np.append(wanted, coarsest[-1]))
    return np.stack([rows, *(np.searchsorted(scale, rows) for scale in offsets)])
