"""Every operation of the engine in plain numpy: slow, obvious, and what all other backends must equal bit for bit.

Bits as in core/bits.py; n rows, S groups, C outputs, K inputs, W = ceil(K / 64), Cw = ceil(C / 64).
"""

from __future__ import annotations

import functools
from dataclasses import dataclass

import numpy as np

from bipointnet_ros.core import descriptors, rectangles, terrain
from bipointnet_ros.core.bits import pack_bits

VOXEL_REACH = 2**20  # voxels from the origin
DISTINCT_ROWS = 8192  # that are compared with one another
_CHUNK = 4096  # rows whose (rows, C) distances are held at once


@dataclass(frozen=True)
class Weights:
    """(C, W) uint64 rows of K weights; ``layout`` is a backend's own layout of them, where it has one."""

    bits: np.ndarray
    inputs: int
    layout: np.ndarray | None = None

    @property
    def nbytes(self) -> int:
        """Bytes besides the bits themselves."""
        return 0 if self.layout is None else self.layout.nbytes


class Reference:
    """The backend ``numpy``. Outputs are given arrays; a part that is not wanted is None (docs/design.md, Kernels)."""

    name = "numpy"

    def bind(self, operation: str, *arguments):
        """The call ``operation(*arguments)`` as a callable without arguments."""
        return functools.partial(getattr(self, operation), *arguments)

    def pool(self, threads: int):
        """One thread does it all."""
        return None

    def program(self, calls, cuts, pool=None):
        """Bound calls, each with its level, as one callable: in their order, in one piece."""
        return functools.partial(_in_turn, [call for call, _ in calls])

    def prepare(self, weight, inputs: int) -> Weights:
        """Weights (C, W) uint64 of ``inputs`` inputs in the layout of this backend."""
        return Weights(weight, inputs)

    def prepare_logits(self, weight):
        """(K, C) float32 -> tables (ceil(K / 8), 256, C): sums of +-weight over the 8 inputs of a byte, ascending."""
        inputs, outputs = weight.shape
        table = np.zeros((-(-inputs // 8), 256, outputs), np.float32)
        byte = np.arange(256)[:, None]
        for k in range(inputs):
            table[k // 8] += np.where(byte >> (k % 8) & 1, weight[k], -weight[k])
        return table

    def lift(self, x, weight, limit, own, pool_limit, bucket, offsets, pool, shared=None, kept=None, ends=None):
        """own = [sum >= limit]; pool = OR over each group of [sum >= pool_limit[bucket]]; sum = inputs @ weight.

        A row's inputs are those of its group, shared (S, G), then its own, x (n, F). The sum runs over them ascending,
        each product and each sum rounded to float32. What kept and ends tell (native/kernels.h) only saves work.
        """
        if shared is not None:
            x = np.concatenate([np.repeat(shared, np.diff(offsets), axis=0), x], axis=1)
        total = np.zeros((len(x), weight.shape[1]), np.float32)
        for k in range(weight.shape[0]):
            total += x[:, k, None] * weight[k]
        if own is not None:
            own[:] = pack_bits(total >= limit)
        if pool is not None:
            for s, rows in enumerate(_groups(offsets, len(x))):
                pool[s] = pack_bits((total[rows] >= pool_limit[bucket[s]]).any(0))

    def layer(self, x, prepared, own_limit, own, pool_limit, pool, offsets):
        """own = [distance < own_limit of the row's group]; pool = OR over each group of [distance < pool_limit]."""
        for s, group in enumerate(_groups(offsets, len(x))):
            fired = False
            for rows in _chunks(group):
                distances = distance(x[rows], prepared.bits)
                if own is not None:
                    own[rows] = pack_bits(distances < own_limit[s % len(own_limit)])
                if pool is not None:
                    fired |= (distances < pool_limit[s % len(pool_limit)]).any(0)
            if pool is not None:
                pool[s] = pack_bits(fired) if np.ndim(fired) else 0

    def layer_spans(self, x, prepared, own_limit, own, pool_limit, pool, spans):
        """``layer`` for groups of rows that do not touch: spans (S, 2) int32; the rows between are left alone."""
        for s, (a, b) in enumerate(spans.tolist()):
            limits = (None if limit is None else limit[s % len(limit)][None] for limit in (own_limit, pool_limit))
            outputs = (None if own is None else own[a:b], None if pool is None else pool[s : s + 1])
            each = [part for pair in zip(limits, outputs) for part in pair]
            self.layer(x[a:b], prepared, *each, None)

    def distinct(self, x, offsets, spans):
        """The distinct rows of each group, of each DISTINCT_ROWS of its rows, move to its front, in the order in which
        they first appear; spans (S, 2) int32 = where they lie."""
        for s, group in enumerate(_groups(offsets, len(x))):
            kept = [x[:0]]
            for a in range(group.start, group.stop, DISTINCT_ROWS):
                rows = x[a : min(a + DISTINCT_ROWS, group.stop)]
                kept.append(rows[np.sort(np.unique(rows, axis=0, return_index=True)[1])])
            kept = np.concatenate(kept)
            spans[s] = group.start, group.start + len(kept)
            x[group.start : group.start + len(kept)] = kept

    def limits(self, code, prepared, limit, bucket, inputs: int, out):
        """out (S, C) uint8 = limit[bucket] - distance(code, shared weights), clamped to 0..inputs + 1."""
        for rows in _chunks(range(len(code))):
            shifted = limit[bucket[rows]].astype(np.int32) - distance(code[rows], prepared.bits)
            out[rows] = np.clip(shifted, 0, inputs + 1)

    def dense(self, x, prepared, limit, out):
        """out (r, Cw) = [distance < limit]."""
        for rows in _chunks(range(len(x))):
            out[rows] = pack_bits(distance(x[rows], prepared.bits) < limit)

    def merge(self, codes, offsets, out):
        """out (T, Cw) = OR of the codes offsets[t]:offsets[t + 1]."""
        for t, rows in enumerate(_groups(offsets, len(codes))):
            out[t] = np.bitwise_or.reduce(codes[rows], axis=0)

    def logits(self, x, prepared, bias, out):
        """out (r, C) float32 = bias + the table entry of each byte of x, bytes ascending."""
        octets = np.ascontiguousarray(x).view(np.uint8)
        out[:] = bias
        for j, table in enumerate(prepared):
            out += table[octets[:, j]]

    def argsort(self, keys, out):
        """out (N,) int32: the stable order of keys (N,) uint64."""
        out[:] = np.argsort(keys, kind="stable")

    def search(self, sorted_values, value, place):
        """place (n,) int32: how many of sorted_values (m,) float32, NaN last, are less than each value (n,)."""
        place[:] = np.searchsorted(sorted_values, value)

    def farthest(self, xyz, chosen):
        """chosen (count,) int32 rows of xyz (n, 3) float32: the first point, then each time the first of those that are
        farthest from the ones before; squared distances are x x + y y + z z in float32."""
        nearest = np.full(len(xyz), np.inf, np.float32)
        chosen[0] = 0
        for i in range(1, len(chosen)):
            x, y, z = (xyz - xyz[chosen[i - 1]]).T
            np.minimum(nearest, x * x + y * y + z * z, out=nearest)
            chosen[i] = nearest.argmax()

    def voxels(self, xyz, edge: float, keys):
        """keys (n,) uint64: equal for points of one voxel of that edge, rising with its x, then y, then z.

        Places farther than 2^20 voxels from the origin share the outermost one."""
        place = np.floor(xyz / np.float32(edge))
        x, y, z = (np.clip(place, -VOXEL_REACH, VOXEL_REACH - 1).astype(np.int64) + VOXEL_REACH).astype(np.uint64).T
        keys[:] = (x << np.uint64(42)) | (y << np.uint64(21)) | z

    def match(self, table, wanted, out):
        """out (n,) int32: the first index into table (m,) uint64 of each wanted key (n,), -1 where there is none."""
        keys, first = np.unique(table, return_index=True)
        out[:] = -1
        if len(keys):
            place = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
            out[:] = np.where(keys[place] == wanted, first[place], -1)

    def link(self, xy, reach, root):
        """root (n,) int32: the first cell of the component of each cell xy (n, 2) int32, distinct and in order.

        Cells are joined when their squared distance is at most the reach (n,) int32 of both.
        """
        root[:] = np.arange(len(xy))
        pairs = np.concatenate([np.zeros((2, 0), np.int64), *_near(xy.astype(np.int64), reach)], axis=1)
        while True:
            low, high = np.sort(root[pairs], axis=0)
            if (low == high).all():
                return
            np.minimum.at(root, high, low)
            while (root != root[root]).any():
                root[:] = root[root]

    def means(self, xyz, order, floor, column, voxel, height, answer, mean):
        """height (N,) float32 [m] of points xyz (N, 3) over the floor (C,) of their column; answer (N,) int32: their
        voxel; mean (V, 4) float32 of x, y, z and height over the points of each voxel, summed in float64.

        order (N,) int32: the points by cell; column (C + 1,), voxel (V + 1,) int32: starts in it.
        """
        x, y, z = xyz[order].T
        over = z - np.repeat(floor, np.diff(column))
        height[order] = over
        answer[order] = np.repeat(np.arange(len(mean), dtype=np.int32), np.diff(voxel))
        for k, value in enumerate((x, y, z, over)):
            mean[:, k] = descriptors.total(value, voxel) / np.diff(voxel)

    def terrain(self, low, rise: float, tolerance: float, out):
        """out (X, Y) float32 [m]: ``terrain.through`` of the map low (X, Y), inf where nothing is known."""
        out[:] = terrain.through(low, rise, tolerance)

    def rectangles(self, xyz, starts, turns, turn, extents):
        """turn (K,) int32 and extents (K, 4) float32 [m]: ``rectangles.around`` of runs of points xyz (M, 3)."""
        turn[:], extents[:] = rectangles.around(xyz, starts, turns)

    def describe(self, mean, voxel, block, pillar, column, cube, place, ratios, sizes, wanted, shared, own):
        """``descriptors.DESCRIBED`` of rows mean (n, 4) of cells, starts each: what the rows of a cube share to the
        columns ``wanted`` of shared (S, G), the others to those of own (n, F); -1 = not wanted."""
        levels = (block, pillar, column, cube)
        values = descriptors.describe(mean, np.diff(voxel), levels, place, ratios, sizes)
        for names, starts in zip(descriptors.LEVELS, levels):
            parent = np.searchsorted(starts, cube[:-1], "right") - 1
            _place(values, names, wanted, shared, parent)
        _place(values, descriptors.LEVELS[-1], wanted, own, slice(None))


def _place(values, names, wanted, out, rows):
    for name in names:
        to = wanted[descriptors.DESCRIBED.index(name)]
        if to >= 0:
            out[:, to] = values[name][rows]


def _near(xy, reach):
    """Pairs (2, m) of cells that reach one another, by their offset."""
    if len(xy) == 0:
        return
    widest = int(np.sqrt(reach.max()))
    height = int(np.ptp(xy[:, 1])) + 2 * widest + 1
    key = (xy[:, 0] - xy[0, 0]) * height + xy[:, 1] - xy[:, 1].min()
    for x in range(widest + 1):
        for y in range(-widest if x else 1, widest + 1):
            place = np.minimum(np.searchsorted(key, key + x * height + y), len(key) - 1)
            hit = key[place] == key + x * height + y
            hit &= (x * x + y * y <= reach) & (x * x + y * y <= reach[place])
            yield np.stack([np.flatnonzero(hit), place[hit]])


def distance(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """(n, W) and (C, W) uint64 -> (n, C) int32: popcount(a ^ b)."""
    total = np.zeros((len(a), len(b)), np.int32)
    for i in range(a.shape[1]):
        total += popcount(a[:, i, None] ^ b[:, i])
    return total


def popcount(words: np.ndarray) -> np.ndarray:
    """Set bits of each uint64, by sums of neighbouring fields of 1, 2 and 4 bits (numpy < 2 has no function for it)."""
    one, two, four = (np.uint64(m) for m in (0x5555555555555555, 0x3333333333333333, 0x0F0F0F0F0F0F0F0F))
    words = words - (words >> np.uint64(1) & one)
    words = (words & two) + (words >> np.uint64(2) & two)
    words = words + (words >> np.uint64(4)) & four
    return (words * np.uint64(0x0101010101010101) >> np.uint64(56)).astype(np.uint8)


def _in_turn(calls):
    for call in calls:
        call()


def _groups(offsets, rows: int) -> list[slice]:
    if offsets is None:
        return [slice(0, rows)]
    return [slice(a, b) for a, b in zip(offsets[:-1].tolist(), offsets[1:].tolist())]


def _chunks(rows) -> list[slice]:
    return [slice(a, min(a + _CHUNK, rows.stop)) for a in range(rows.start, rows.stop, _CHUNK)]
