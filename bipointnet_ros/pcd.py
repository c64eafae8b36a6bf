"""Point Cloud Library files (.pcd 0.7): ascii, binary and binary_compressed (LZF), read as untrusted input."""

from __future__ import annotations

import math

import numpy as np

_TYPES = {
    "F": {4: "<f4", 8: "<f8"},
    "I": {1: "i1", 2: "<i2", 4: "<i4", 8: "<i8"},
    "U": {1: "u1", 2: "<u2", 4: "<u4", 8: "<u8"},
}
_LZF_BEST = 88  # three bytes stand for at most 264


def fields(data: bytes) -> dict[str, np.ndarray]:
    """Field name -> its values, (N,) or (N, count), of the bytes of a .pcd file. ValueError says what is wrong."""
    header, body = _header(data)
    columns = _columns(header)
    points = _number(header, "POINTS") if "POINTS" in header else _number(header, "WIDTH") * _number(header, "HEIGHT")
    kind = " ".join(header["DATA"])
    if kind not in _READERS:
        raise ValueError(f"expected DATA {', '.join(_READERS)}, got {kind[:40]!r}")
    return _READERS[kind](body, columns, points)


def _header(data: bytes) -> tuple[dict[str, list[str]], bytes]:
    """KEY -> values of the lines up to DATA, and the bytes after it."""
    header, at = {}, 0
    while "DATA" not in header:
        end = data.find(b"\n", at, at + 65536)
        if end < 0:
            raise ValueError("expected a .pcd header that ends with a DATA line, found none")
        line = data[at:end].decode("ascii", "replace").split()
        if line and not line[0].startswith("#"):
            header[line[0]] = line[1:]
        at = end + 1
    return header, data[at:]


def _number(header: dict, key: str) -> int:
    values = header.get(key, [])
    if len(values) != 1 or not values[0].isdecimal() or len(values[0]) > 12:
        raise ValueError(f"expected {key} and one number in the header, got {' '.join(values)[:40]!r}")
    return int(values[0])


def _columns(header: dict) -> list[tuple[str, str, int]]:
    """(name, numpy type, count) of each field, in the order of the file."""
    names = header.get("FIELDS", [])
    counts = header.get("COUNT", ["1"] * len(names))
    rows = list(zip(names, header.get("SIZE", []), header.get("TYPE", []), counts))
    if not 0 < len(names) == len(rows) <= 256 or len(counts) != len(names):
        raise ValueError("expected as many entries of SIZE, TYPE and COUNT as FIELDS")
    columns = []
    for name, size, kind, count in rows:
        dtype = _TYPES.get(kind, {}).get(int(size) if size.isdecimal() else 0)
        if dtype is None or not count.isdecimal() or not 0 < int(count) <= 65536:
            raise ValueError(f"expected field {name[:40]!r} of TYPE F, I or U, got {kind[:9]} {size[:9]} x {count[:9]}")
        columns.append((name, dtype, int(count)))
    return columns


def _expect(name: str, expected: int, got: int):
    if got < expected:
        raise ValueError(f"the header promises {expected} {name}, {got} follow")


def _ascii(body: bytes, columns, points: int):
    width = sum(count for _, _, count in columns)
    _expect("numbers", points * width, len(body) // 2 + 1)  # before anything of that size is allocated
    words = body.split()
    _expect("numbers", points * width, len(words))
    table = np.array(words[: points * width], np.float64).reshape(points, width)
    ends = np.cumsum([count for _, _, count in columns])
    return {name: _squeezed(table[:, end - count : end]) for (name, _, count), end in zip(columns, ends)}


def _binary(body: bytes, columns, points: int):
    offsets = np.cumsum([0] + [np.dtype(dtype).itemsize * count for _, dtype, count in columns])
    step = int(offsets[-1])
    _expect("bytes", points * step, len(body))
    rows = np.frombuffer(body, np.uint8, points * step).reshape(points, step)
    return {
        name: _squeezed(np.ascontiguousarray(rows[:, a:b]).view(dtype))
        for (name, dtype, _), a, b in zip(columns, offsets, offsets[1:])
    }


def _compressed(body: bytes, columns, points: int):
    """Sizes packed and unpacked as two uint32, then LZF: all of the first field, all of the second, ..."""
    _expect("bytes", 8, len(body))
    packed, size = np.frombuffer(body, "<u4", 2).tolist()
    _expect("compressed bytes", packed, len(body) - 8)
    _expect("bytes", points * sum(np.dtype(dtype).itemsize * count for _, dtype, count in columns), size)
    if size > _LZF_BEST * packed:
        raise ValueError(f"{packed} bytes cannot hold {size} bytes of LZF")
    data, at, found = lzf(body[8 : 8 + packed], size), 0, {}
    for name, dtype, count in columns:
        found[name] = _squeezed(np.frombuffer(data, dtype, points * count, at).reshape(points, count))
        at += found[name].nbytes
    return found


def _squeezed(values: np.ndarray) -> np.ndarray:
    return values[:, 0] if values.shape[1] == 1 else values


_READERS = {"ascii": _ascii, "binary": _binary, "binary_compressed": _compressed}


def lzf(data: bytes, size: int) -> bytes:
    """The ``size`` bytes that LZF data stand for; ValueError if they stand for anything else.

    A byte c < 32 is followed by c + 1 plain bytes; else its upper three bits (7: plus the next byte) give a length
    less two, and its lower five with the byte after that how far back to copy from, less one.
    """
    out, at = bytearray(), 0
    try:
        while at < len(data) and len(out) <= size:
            control, at = data[at], at + 1
            if control < 32:
                out += data[at : at + control + 1]
                at += control + 1
                continue
            length = control >> 5
            if length == 7:
                length, at = 7 + data[at], at + 1
            start, at = len(out) - ((control & 31) << 8) - data[at] - 1, at + 1
            if start < 0:
                raise ValueError("the LZF data point before their beginning")
            chunk = out[start : start + length + 2]
            out += (chunk * math.ceil((length + 2) / len(chunk)))[: length + 2]  # a run repeats what it just wrote
    except IndexError:
        pass  # ends inside a code: too short, said below
    if len(out) != size:
        raise ValueError(f"expected LZF of {size} bytes, got {len(out)}")
    return bytes(out)
