"""THE bit convention: uint64 little-endian words, element i is bit i % 64 of word i // 64.

A set bit is +1, which is x >= 0 (so sign(0) = +1); a clear bit is -1; padding bits are clear.
The dot product of two packed vectors of K signs is K - 2 popcount(a ^ b).
"""

from __future__ import annotations

import numpy as np

WORD = 64


def words(count: int) -> int:
    """How many uint64 words hold ``count`` bits."""
    return -(-count // WORD)


def pack(signs: np.ndarray) -> np.ndarray:
    """(..., K) numbers -> (..., ceil(K / 64)) uint64: bit = [x >= 0]."""
    return pack_bits(np.asarray(signs) >= 0)


def pack_bits(mask: np.ndarray) -> np.ndarray:
    """(..., K) booleans -> (..., ceil(K / 64)) uint64."""
    mask = np.asarray(mask, bool)
    width = mask.shape[-1]
    packed = np.zeros((*mask.shape[:-1], 8 * words(width)), np.uint8)
    packed[..., : -(-width // 8)] = np.packbits(mask, axis=-1, bitorder="little")
    return packed.view("<u8").astype(np.uint64, copy=False)


def unpack_bits(bits: np.ndarray, count: int) -> np.ndarray:
    """(..., W) uint64 -> (..., count) booleans; ValueError where W words do not fit ``count`` bits."""
    bits = np.ascontiguousarray(bits, "<u8")
    if bits.shape[-1] != words(count):
        raise ValueError(f"{count} bits fill {words(count)} words, got {bits.shape[-1]}")
    return np.unpackbits(bits.view(np.uint8), axis=-1, count=count, bitorder="little").astype(bool)


def unpack(bits: np.ndarray, count: int) -> np.ndarray:
    """(..., ceil(count / 64)) uint64 -> (..., count) int8, +1 and -1."""
    return unpack_bits(bits, count) * np.int8(2) - np.int8(1)
