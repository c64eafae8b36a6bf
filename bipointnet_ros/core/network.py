"""The 1-bit network: blueprint, weights and scratch are three things; scratch is allocated once and reused.

Nothing but the first and the last layer touches a float; in between bit = [popcount(x ^ w) < limit] (docs/design.md).
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from bipointnet_ros.core.aggregation import bucket
from bipointnet_ros.core.blueprint import MAX_POINT_WIDTH
from bipointnet_ros.core.model_file import Model

_ROWS_PER_THREAD = 4096  # fewer rows are done sooner than another thread is woken


class Network:
    """A packed model on one backend. Not thread-safe: one caller at a time owns the scratch.

    ``threads`` share the cells of a scan or the clouds of a batch; the answer is the same for any number of them.
    """

    def __init__(self, model: Model, backend, threads: int = 1):
        self.model, self.backend, self.threads = model, backend, max(1, threads)
        self._layers = model.blueprint.layers
        self._weights = {layer.name: _Weights(layer, model.tensors, backend) for layer in self._layers}
        self._scratch: dict[str, np.ndarray] = {}
        self._calls: _Calls | None = None
        self._pool = ThreadPoolExecutor(self.threads) if self.threads > 1 else None

    def classify(self, points: np.ndarray) -> np.ndarray:
        """(B, N, 3) float32 normalised clouds -> (B, K) float32 logits; N = ``model.points``."""
        if self._calls is None or self._calls.shape != points.shape:
            self._calls = self._bind(points.shape)
        np.copyto(self._calls.rows, points.reshape(self._calls.rows.shape))
        self._run(self._calls.encoders)
        for call in self._calls.head:
            call()
        return self._calls.logits.copy()

    def segment(self, features: np.ndarray, offsets: list[np.ndarray]) -> np.ndarray:
        """(n, F) float32 features, rows grouped by cell -> (n, K) float32 logits.

        ``offsets[k]`` (S_k + 1,) int32 are the cells of scale k, nested, the finest first.
        """
        lift, *joins, _ = self._layers
        rows, codes = self._lift(lift, np.ascontiguousarray(features, np.float32), offsets[0])
        for k, layer in enumerate(joins):
            coarser = offsets[k + 1] if layer.cells is not None else None
            rows, codes = self._join(layer, rows, codes, offsets[k], coarser)
        return self._logits(rows)

    def scratch_bytes(self) -> int:
        """Bytes of scratch allocated so far."""
        return sum(a.nbytes for a in self._scratch.values())

    def weight_bytes(self) -> int:
        """Bytes of weights and limits as the model file holds them."""
        return sum(a.nbytes for a in self.model.tensors.values())

    def _bind(self, shape) -> _Calls:
        """The calls of a classifier for (B, N, 3) clouds and their arrays; an encoder for each share of the clouds."""
        clouds, n, inputs = shape
        depth = [layer.op for layer in self._layers].index("pool") + 1
        shares = max(1, min(self.threads, clouds, clouds * n // _ROWS_PER_THREAD))
        cuts = [clouds * i // shares for i in range(shares + 1)]
        encoders, head = [[] for _ in range(shares)], []
        first = rows = self._array("points", clouds * n, inputs, np.float32)
        for layer in self._layers[:depth]:
            step = 1 if layer.op == "pool" else n  # rows of output that a cloud has
            out = self._bits(layer.name, clouds * step, layer.outputs)
            for calls, a, b in zip(encoders, cuts, cuts[1:]):
                calls.append(self._bind_points(layer, rows[a * n : b * n], n, out[a * step : b * step]))
            rows = out
        for layer in self._layers[depth:-1]:
            weights, out = self._weights[layer.name], self._bits(layer.name, clouds, layer.outputs)
            head.append(self.backend.bind("dense", rows, weights.prepared, weights.limit, out))
            rows = out
        last = self._weights[self._layers[-1].name]
        logits = np.empty((clouds, self._layers[-1].outputs), np.float32)
        head.append(self.backend.bind("logits", rows, last.prepared, last.bias, logits))
        return _Calls(shape, first, encoders, head, logits)

    def _bind_points(self, layer, rows, n, out):
        """One encoder layer: lift or binary (bits of each point), or pool (one code for each n points)."""
        weights, bind = self._weights[layer.name], self.backend.bind
        if layer.op == "lift":
            return bind("lift", rows, weights.float_weight, weights.limit, out, None, None, None, None)
        if layer.op == "pool":
            offsets = np.arange(len(out) + 1, dtype=np.int32) * np.int32(n)
            return bind("layer", rows, weights.prepared, None, None, weights.byte_limit, out, offsets)
        return bind("layer", rows, weights.prepared, weights.byte_limit, out, None, None, None)

    def _run(self, chains):
        """Each chain of calls in its own thread."""
        jobs = [self._pool.submit(_in_turn, chain) for chain in chains[1:]]
        _in_turn(chains[0])
        for job in jobs:
            job.result()

    def _lift(self, layer, rows, offsets):
        """Bits of each point, and the code of each finest cell."""
        weights = self._weights[layer.name]
        own = self._bits(layer.name, len(rows), layer.outputs)
        codes = self._bits(f"{layer.name}.codes", len(offsets) - 1, layer.outputs)
        buckets = bucket(np.diff(offsets))

        def part(r, g, local):
            self.backend.lift(
                rows[r], weights.float_weight, weights.limit, own[r], weights.pool_limit, buckets[g], local, codes[g]
            )

        self._share(part, offsets)
        return own, codes

    def _join(self, layer, rows, codes, offsets, coarser):
        """Bits of each point from its own bits and its cell's code; codes of the coarser cells, unless there are none.

        A cell lies in one coarser cell, so the limits of own and pooled bits depend on the cell alone.
        """
        weights = self._weights[layer.name]
        own = self._bits(layer.name, len(rows), layer.outputs)
        own_limit = self._limits(layer, weights.limit[None], codes, np.zeros(len(codes), np.uint8), "own")
        pool_limit = parts = None
        if coarser is not None:
            nesting = np.searchsorted(offsets, coarser).astype(np.int32)
            buckets = np.repeat(bucket(np.diff(coarser)), np.diff(nesting))
            pool_limit = self._limits(layer, weights.pool_limit, codes, buckets, "pool")
            parts = self._bits(f"{layer.name}.parts", len(codes), layer.outputs)

        def part(r, g, local):
            self.backend.layer(
                rows[r],
                weights.prepared,
                own_limit[g],
                own[r],
                pool_limit if pool_limit is None else pool_limit[g],
                parts if parts is None else parts[g],
                local,
            )

        self._share(part, offsets)
        if coarser is None:
            return own, None
        merged = self._bits(f"{layer.name}.codes", len(coarser) - 1, layer.outputs)
        self.backend.merge(parts, nesting, merged)
        return own, merged

    def _limits(self, layer, table, codes, buckets, kind):
        """(S, C) uint8: the cell's half of a join as a shift of the limit."""
        out = self._array(f"{layer.name}.{kind}", len(codes), layer.outputs, np.uint8)
        self.backend.limits(codes, self._weights[layer.name].shared, table, buckets, layer.inputs, out)
        return out

    def _logits(self, rows):
        layer = self._layers[-1]
        weights = self._weights[layer.name]
        out = np.empty((len(rows), layer.outputs), np.float32)
        self.backend.logits(rows, weights.prepared, weights.bias, out)
        return out

    def _share(self, part, offsets):
        """part(rows, groups, local offsets) over the groups, in about equal numbers of rows for each thread."""
        groups, rows = len(offsets) - 1, int(offsets[-1])
        shares = min(self.threads, groups, max(1, rows // _ROWS_PER_THREAD))
        if shares <= 1:
            return part(slice(0, rows), slice(0, groups), offsets)
        cuts = np.searchsorted(offsets, np.linspace(0, rows, shares + 1).astype(np.int64))
        cuts[0], cuts[-1] = 0, groups
        jobs = []
        for a, b in zip(cuts[:-1].tolist(), cuts[1:].tolist()):
            rows = slice(int(offsets[a]), int(offsets[b]))
            jobs.append(self._pool.submit(part, rows, slice(a, b), offsets[a : b + 1] - offsets[a]))
        for job in jobs:
            job.result()

    def _bits(self, name, rows, width):
        return self._array(name, rows, -(-width // 64), np.uint64)

    def _array(self, name, rows, columns, dtype):
        """Scratch by name; it grows to the largest number of rows seen and is then reused."""
        held = self._scratch.get(name)
        if held is None or len(held) < rows:
            held = self._scratch[name] = np.zeros((rows, columns), dtype)
        return held[:rows]


@dataclass(frozen=True)
class _Calls:
    """Everything that a batch of one shape needs to be classified: arrays bound once, so that nothing is looked up."""

    shape: tuple[int, int, int]
    rows: np.ndarray  # (B N, 3) float32, the input
    encoders: list[list]  # by share of the clouds
    head: list
    logits: np.ndarray  # (B, K) float32, the output


def _in_turn(calls):
    for call in calls:
        call()


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
            self.byte_limit = self.limit.astype(np.uint8)[None]
