"""Polygon files (.ply 1.0): ascii and binary of either byte order, their vertices, read as untrusted input."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

_TYPES = {
    **{"char": "i1", "uchar": "u1", "short": "i2", "ushort": "u2", "int": "i4", "uint": "u4"},
    **{"int8": "i1", "uint8": "u1", "int16": "i2", "uint16": "u2", "int32": "i4", "uint32": "u4"},
    **{"float": "f4", "double": "f8", "float32": "f4", "float64": "f8"},
}
_ORDERS = {"binary_little_endian": "<", "binary_big_endian": ">"}
_LONGEST_HEADER = 65536


@dataclass
class _Element:
    """A table of the file: its rows, and its properties as (name, numpy type), None = a list."""

    name: str
    count: int
    properties: list[tuple[str, str | None]] = field(default_factory=list)

    @property
    def size(self) -> int:
        """Bytes of a row."""
        return sum(np.dtype(kind).itemsize for _, kind in self.properties)


def fields(data: bytes) -> dict[str, np.ndarray]:
    """Property name -> its values (N,) of the vertices in the bytes of a .ply file. ValueError says what is wrong."""
    header, body = _header(data)
    form, elements = _elements(header)
    before, vertex = _up_to_vertex(elements)
    if form == "ascii":
        return _ascii(body, before, vertex)
    return _binary(body, before, vertex, _ORDERS[form])


def _header(data: bytes) -> tuple[list[list[str]], bytes]:
    """The words of each line up to end_header, and the bytes after it."""
    end = data.find(b"\nend_header", 0, _LONGEST_HEADER)
    if not data.startswith(b"ply") or end < 0:
        raise ValueError("expected a header from 'ply' to 'end_header', found none")
    after = end + len(b"\nend_header")
    after += 2 if data[after : after + 2] == b"\r\n" else 1
    return [line.split() for line in data[:end].decode("ascii", "replace").splitlines()], data[after:]


def _elements(header) -> tuple[str, list[_Element]]:
    form, elements = "", []
    for words in header:
        if words[:1] == ["format"] and len(words) == 3:
            form = words[1]
        elif words[:1] == ["element"]:
            if len(words) != 3 or not words[2].isdecimal() or len(words[2]) > 12:
                raise ValueError(f"expected 'element', a name and a number, got {' '.join(words)[:60]!r}")
            elements.append(_Element(words[1], int(words[2])))
        elif words[:1] == ["property"]:
            if not elements:
                raise ValueError("expected an element before its properties")
            elements[-1].properties.append(_property(words))
    if form not in ("ascii", *_ORDERS):
        raise ValueError(f"expected format ascii, {', '.join(_ORDERS)}, got {form[:40]!r}")
    return form, elements


def _property(words) -> tuple[str, str | None]:
    if len(words) == 5 and words[1] == "list":
        return words[4], None
    if len(words) != 3 or words[1] not in _TYPES:
        raise ValueError(f"expected 'property', a type and a name, got {' '.join(words)[:60]!r}")
    return words[2], _TYPES[words[1]]


def _up_to_vertex(elements) -> tuple[list[_Element], _Element]:
    """The elements before the vertices, and the vertices; what follows is not read."""
    names = [element.name for element in elements]
    if "vertex" not in names:
        raise ValueError(f"expected an element 'vertex', got {', '.join(names)[:60] or 'no element'}")
    at = names.index("vertex")
    for element in elements[: at + 1]:
        if any(kind is None for _, kind in element.properties):
            raise ValueError(f"expected no list up to the vertices, got one in element {element.name[:40]!r}")
    vertex = elements[at]
    properties = [name for name, _ in vertex.properties]
    if not properties or len(set(properties)) != len(properties):
        raise ValueError("expected vertices with properties of different names")
    return elements[:at], vertex


def _expect(name: str, expected: int, got: int):
    if got < expected:
        raise ValueError(f"the header promises {expected} {name}, {got} follow")


def _ascii(body: bytes, before, vertex: _Element) -> dict[str, np.ndarray]:
    skipped = sum(element.count * len(element.properties) for element in before)
    width = len(vertex.properties)
    end = skipped + vertex.count * width
    _expect("numbers", end, len(body) // 2 + 1)  # before anything of that size is allocated
    words = body.split()
    _expect("numbers", end, len(words))
    table = np.array(words[skipped:end], np.float64).reshape(vertex.count, width)
    return {name: table[:, i] for i, (name, _) in enumerate(vertex.properties)}


def _binary(body: bytes, before, vertex: _Element, order: str) -> dict[str, np.ndarray]:
    skipped = sum(element.count * element.size for element in before)
    _expect("bytes", skipped + vertex.count * vertex.size, len(body))
    kind = np.dtype([(name, order + kind) for name, kind in vertex.properties])
    rows = np.frombuffer(body, kind, vertex.count, skipped)
    return {name: rows[name] for name, _ in vertex.properties}
