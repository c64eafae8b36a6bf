"""The native library: found beside the package, opened with ctypes (which releases the GIL in every call)."""

from __future__ import annotations

import ctypes
import functools
from pathlib import Path
from types import SimpleNamespace
from zlib import crc32

import numpy as np

_KINDS = {"p": ctypes.c_void_p, "i": ctypes.c_int32}
# In the order of struct bpn_backend in native/kernels.h: p = pointer to an array or None, i = int32.
_SIGNATURES = {
    "prepare": "piip",
    "lift": "piipipppppippipp",
    "layer": "pipipippippi",
    "layer_spans": "pipipippippi",
    "distinct": "pipip",
    "limits": "piippippip",
    "dense": "piipipp",
    "merge": "pipip",
    "logits": "piippiipp",
    "argsort": "pipp",
    "search": "pipip",
    "farthest": "pipip",
    "voxels": "pipp",
    "match": "pipipip",
    "link": "ppip",
    "means": "pipppipippp",
    "describe": "ppipipipipippppippipi",
    "terrain": "piippp",
    "rectangles": "ppipipp",
    "extremes": "pppiiippp",
    "segment_max": "ppiipp",
    "signs": "piip",
    "gram": "piip",
    "inside": "piip",
    "scatter": "ppiipiip",
    "selected": "ppiipip",
}


class _Backend(ctypes.Structure):
    _fields_ = [
        ("name", ctypes.c_char_p),
        ("supported", ctypes.CFUNCTYPE(ctypes.c_int)),
        *((operation, ctypes.c_void_p) for operation in _SIGNATURES),
    ]


class Program(ctypes.Structure):
    """struct bpn_program of native/program.h."""

    _fields_ = [
        ("backend", ctypes.c_void_p),
        ("steps", ctypes.c_void_p),
        ("cuts", ctypes.c_void_p),
        ("count", ctypes.c_int32),
        ("pieces", ctypes.c_int32),
    ]


class BackendError(ValueError):
    """The named backend does not exist, does not run here, or was built from other sources."""


@functools.cache
def opened() -> ctypes.CDLL | None:
    """The library, or None where it was not built; BackendError for one that was built from another kernels.h."""
    native = Path(__file__).parents[1] / "native"
    found = sorted(native.glob("_engine*.so"))
    if not found:
        return None
    library = ctypes.CDLL(str(found[0]))
    _check_built_from(library, native / "kernels.h")
    library.bpn_backends.restype = ctypes.POINTER(ctypes.POINTER(_Backend))
    library.bpn_pool_bytes.restype = ctypes.c_size_t
    library.bpn_pool_run.restype = library.bpn_pool_stop.restype = None
    library.bpn_pool_start.argtypes = [ctypes.c_void_p, ctypes.c_int32]
    library.bpn_pool_run.argtypes = [ctypes.c_void_p, ctypes.POINTER(Program)]
    library.bpn_pool_stop.argtypes = [ctypes.c_void_p]
    return library


def _check_built_from(library, header: Path):
    """An installed package has no header and cannot be out of step; a source tree that moved on can."""
    if not header.is_file():
        return
    if not hasattr(library, "bpn_interface") or library.bpn_interface() & 0xFFFFFFFF != crc32(header.read_bytes()):
        advice = "build it again with 'pip install -e .' or 'python setup.py build_ext --inplace'"
        raise BackendError(f"'{library._name}' was built from other sources than those beside it: {advice}")


@functools.cache
def backends() -> dict[str, SimpleNamespace]:
    """Functions by backend name, best backend first, of those that this CPU runs; empty where nothing was built.

    ``table`` is the address of the backend's struct bpn_backend."""
    library = opened()
    if library is None:
        return {}
    listed, tables = library.bpn_backends(), []
    while listed[len(tables)]:
        tables.append(listed[len(tables)].contents)
    return {table.name.decode(): _functions(table) for table in tables if table.supported()}


def _functions(table: _Backend) -> SimpleNamespace:
    functions = {"table": ctypes.addressof(table)}
    for operation, kinds in _SIGNATURES.items():
        prototype = ctypes.CFUNCTYPE(None, *(_KINDS[kind] for kind in kinds))
        functions[operation] = prototype(getattr(table, operation))
    return SimpleNamespace(**functions)


def bind(function, *arguments) -> functools.partial:
    """The call with its pointers taken once: arrays and numbers in, a callable without arguments out (0.7 us a call).

    The arrays live as long as the callable; they must stay C contiguous and are read and written at each call.
    """
    call = functools.partial(function, *(address(a) if isinstance(a, np.ndarray) else a for a in arguments))
    call.arrays = arguments
    return call


def address(array: np.ndarray) -> int:
    return array.__array_interface__["data"][0]
