"""The native kernels of training: what the pooled layer needs of (B, N, C) values that are never stored."""

from __future__ import annotations

import numpy as np

from bipointnet_ros.core import kernels, library

MAX_WORDS = 4


def extremes(bits: np.ndarray, weight: np.ndarray, offsets: np.ndarray, backend: str = "") -> tuple:
    """Smallest popcount(x ^ w) per group and channel, and the first row that attains it: there x . w is largest.

    bits (n, W) uint64, weight (C, W) uint64 with W <= 4, offsets (S + 1,) int32: group s is the rows
    offsets[s]:offsets[s + 1], none empty. Returns (S, C) int16 and (S, C) int32, a row of ``bits``.
    ValueError: wrong shapes, an empty group, or no built engine. One thread, the GIL is released.
    """
    bits, weight = np.ascontiguousarray(bits, np.uint64), np.ascontiguousarray(weight, np.uint64)
    channels, words = weight.shape
    if bits.ndim != 2 or bits.shape[1] != words or words > MAX_WORDS:
        raise ValueError(f"bits and weight must have the same 1 to {MAX_WORDS} words a row, got {bits.shape}, {words}")
    offsets = _groups(offsets, len(bits))
    groups = len(offsets) - 1
    scratch = np.empty(kernels.prepared_bytes(channels, words), np.uint8)
    count, row = np.empty((groups, channels), np.int16), np.empty((groups, channels), np.int32)
    run = _functions(backend).extremes
    library.bind(run, bits, weight, offsets, groups, channels, words, scratch, count, row)()
    return count, row


def segment_max(z: np.ndarray, offsets: np.ndarray, backend: str = "") -> tuple:
    """Largest value per group and channel and the first row that attains it; offsets as in ``extremes``.

    z (n, C) float32 without NaN. Returns (S, C) float32 and (S, C) int32.
    """
    z = np.ascontiguousarray(z, np.float32)
    if z.ndim != 2:
        raise ValueError(f"z must be (n, C), got {z.shape}")
    offsets = _groups(offsets, len(z))
    shape = (len(offsets) - 1, z.shape[1])
    largest, row = np.empty(shape, np.float32), np.empty(shape, np.int32)
    library.bind(_functions(backend).segment_max, z, offsets, *shape, largest, row)()
    return largest, row


def argsort(keys: np.ndarray) -> np.ndarray:
    """(N,) int32: the stable order of keys (N,) uint64."""
    order = np.empty(len(keys), np.int32)
    kernels.choose().argsort(keys, order)
    return order


def _groups(offsets, rows: int) -> np.ndarray:
    offsets = np.ascontiguousarray(offsets, np.int32)
    if offsets.ndim != 1 or len(offsets) < 1 or offsets[0] < 0 or offsets[-1] > rows or (np.diff(offsets) < 1).any():
        raise ValueError(f"offsets must rise from group to group within the {rows} rows, got {offsets}")
    return offsets


def _functions(backend: str):
    found = library.backends()
    if not found:
        raise ValueError("the engine is not built: run 'pip install .' or 'python setup.py build_ext --inplace'")
    if backend and backend not in found:
        raise ValueError(f"backend must be one of {', '.join(found)}, which run here, got '{backend}'")
    return found[backend or next(iter(found))]


def signs(bits: np.ndarray, width: int, out: np.ndarray):
    """out (n, width) float32 becomes the +-1 that the rows of bits (n, W) uint64 stand for."""
    _functions("").signs(library.address(bits), len(bits), width, library.address(_rows(out, bits, width)))


def gram(bits: np.ndarray, width: int) -> np.ndarray:
    """(width, width) int32: in how many rows two inputs differ; on the diagonal, in how many the input is +1."""
    out = np.empty((width, width), np.int32)
    _functions("").gram(library.address(_packed(bits, width)), len(bits), width, library.address(out))
    return out


def inside(mask: np.ndarray, gradient: np.ndarray):
    """gradient (n, K) float32 becomes 0 where the bit of mask (n, W) uint64 is."""
    width = gradient.shape[1]
    _functions("").inside(library.address(mask), len(mask), width, library.address(_rows(gradient, mask, width)))


def scatter(gradient, row, weight, first: int, out):
    """out[row[s, c] - first] += gradient[s, c] weight[c], for row (S, C) int32, weight (C, K), out (n, K) float32."""
    if row.size and not (first <= row.min() and row.max() < first + len(out)):
        raise ValueError(f"rows must lie within {first} to {first + len(out)}, got {row.min()} to {row.max()}")
    (channels, width), where = weight.shape, (library.address(a) for a in (gradient, row))
    _functions("").scatter(*where, row.size, channels, library.address(weight), width, first, library.address(out))


def selected(gradient, row, bits: np.ndarray, width: int) -> np.ndarray:
    """(C, width) float32: for each channel the sum over s of gradient[s, c] times the signs of bits[row[s, c]]."""
    out = np.empty((row.shape[1], width), np.float32)
    where = [library.address(a) for a in (gradient, row)]
    _functions("").selected(*where, row.size, row.shape[1], library.address(bits), width, library.address(out))
    return out


def _packed(bits, width: int):
    words = -(-width // 64)
    if bits.dtype != np.uint64 or bits.shape[1:] != (words,) or words > MAX_WORDS or not bits.flags.c_contiguous:
        raise ValueError(f"bits must be contiguous uint64 (n, {words}) of up to {MAX_WORDS} words, got {bits.shape}")
    return bits


def _rows(values, bits, width: int):
    _packed(bits, width)
    if values.dtype != np.float32 or values.shape != (len(bits), width) or not values.flags.c_contiguous:
        raise ValueError(f"values must be contiguous float32 ({len(bits)}, {width}), got {values.dtype} {values.shape}")
    return values
