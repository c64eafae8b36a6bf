"""Arrays of .npy and .npz files, read as untrusted input: nothing is allocated that the file does not hold."""

from __future__ import annotations

import math
import tokenize
import zipfile
import zlib
from pathlib import Path

import numpy as np

MAX_BYTES = 1 << 31  # of one array
_HEADERS = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
_BROKEN = (  # what numpy and zipfile raise for broken files, besides ValueError
    *(ValueError, TypeError, SyntaxError, KeyError, EOFError, RecursionError, OverflowError, MemoryError),
    *(NotImplementedError, RuntimeError, tokenize.TokenError, zipfile.BadZipFile, zlib.error),
)


class FileError(ValueError):
    """A file is missing, broken, or does not hold what is needed; one sentence says what was expected and what came."""


def read_npy(path) -> np.ndarray:
    """The array of a .npy file. FileError if it is broken, holds Python objects or is larger than MAX_BYTES."""
    try:
        with open(path, "rb") as stream:
            return _array(stream, Path(path).stat().st_size)
    except _BROKEN as error:
        raise _unreadable(path, "a .npy array", error) from None
    except OSError as error:
        raise FileError(f"cannot read '{path}': {error.strerror or error}") from None


def read_npz(path, names) -> dict[str, np.ndarray]:
    """Those of the named arrays that a .npz file holds. FileError as for read_npy."""
    try:
        with zipfile.ZipFile(path) as archive:
            held = {info.filename: info.file_size for info in archive.infolist()}
            return {name: _member(archive, name, held[f"{name}.npy"]) for name in names if f"{name}.npy" in held}
    except _BROKEN as error:
        raise _unreadable(path, "a .npz file of arrays", error) from None
    except OSError as error:
        raise FileError(f"cannot read '{path}': {error.strerror or error}") from None


def _unreadable(path, expected: str, error: Exception) -> FileError:
    reason = " ".join(str(error).split())[:120] or type(error).__name__
    return FileError(f"expected {expected} in '{path}', got a broken file ({reason}): write it again")


def _member(archive: zipfile.ZipFile, name: str, size: int) -> np.ndarray:
    with archive.open(f"{name}.npy") as stream:
        return _array(stream, size)


def _array(stream, available: int) -> np.ndarray:
    """The array at the start of a stream of ``available`` bytes."""
    version = np.lib.format.read_magic(stream)
    if version not in _HEADERS:
        raise ValueError(f"format version {version}")
    shape, fortran, dtype = _HEADERS[version](stream)
    size = math.prod(shape) * dtype.itemsize
    if dtype.hasobject or min(shape, default=0) < 0 or not 0 <= size <= min(available, MAX_BYTES):
        raise ValueError(f"{dtype} {shape} in {available} bytes"[:100])
    data = stream.read(size)
    if len(data) != size:
        raise ValueError(f"{size} bytes expected, {len(data)} left")
    return np.ndarray(shape, dtype, bytearray(data), order="F" if fortran else "C")
