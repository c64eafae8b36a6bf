"""PointCloud2 to arrays and back, whatever class it is of: rclpy's (ros/messages.py) or a bag's (bags.py).

Row i of every array belongs to point i of the cloud, row by row; nothing is dropped or reordered on the way. ``msg`` is
anything with the attributes of sensor_msgs/PointCloud2; an answer is of the same class, with its bytes in an array.
"""

from __future__ import annotations

from array import array

import numpy as np

# sensor_msgs/PointField datatype -> numpy type character
FLOAT32, FLOAT64, _UINT16, _UINT32 = 7, 8, 4, 6
_TYPES = {1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4", 7: "f4", 8: "f8"}
INTENSITY_NAMES = ("intensity", "i", "reflectivity")
# name, datatype, bytes from the start of the appended block, how the block is written (label's 2 padding bytes are 0)
_ANSWER = (
    ("label", _UINT16, 0, "<u4"),
    ("instance", _UINT32, 4, "<u4"),
    ("confidence", FLOAT32, 8, "<f4"),
    ("rgb", FLOAT32, 12, "<u4"),
)
_ANSWER_BYTES = 16
_MAX_POINT_STEP = 65536
ANSWER_NAMES = tuple(name for name, *_ in _ANSWER)


class MessageError(ValueError):
    """A PointCloud2 contradicts itself or lacks what is needed."""


def read_xyz(msg) -> tuple[np.ndarray, np.ndarray | None]:
    """Coordinates (N, 3) float32 in the cloud's frame and unit; intensity (N,) float32 in the sensor's scale, or None.

    Any byte order, row padding, field order and extra fields; float64 coordinates are rounded. NaN and infinity stay
    where they are. Raises MessageError.
    """
    fields = _fields(msg)
    points = _points(msg)
    axes = _axes(fields)
    xyz = _packed_axes(points, axes) if _are_packed(msg, axes) else _gathered_axes(points, axes, msg)
    name = next((n for n in INTENSITY_NAMES if n in fields and fields[n].count == 1), None)
    return xyz, None if name is None else _values(points, fields[name], msg)


def read_label(msg) -> np.ndarray | None:
    """The labels (N,) uint16 of a labelled cloud, or None if it has none. Raises MessageError."""
    field = _fields(msg).get("label")
    if field is None or field.datatype != _UINT16 or field.count != 1:
        return None
    return _column(_points(msg), _field_type(field, msg.is_bigendian), field.offset).astype(np.uint16)


def labeled_cloud(msg, result, colours: np.ndarray):
    """The input cloud with ``label``, ``instance``, ``confidence`` and ``rgb`` appended to each point.

    result: label (N,) uint16, instance (N,) uint32, confidence (N,) float32. colours: (K + 1, 3) uint8 by label.
    Header, height, width and the input's fields stay as they are, each at its offset (a field that bears one of the
    four names is replaced); rows lose their padding and numbers become little-endian. Raises MessageError.
    """
    fields = _fields(msg)
    one = type(_axes(fields)[0])
    points = _points(msg)
    base = -(-msg.point_step // 4) * 4
    step = base + _ANSWER_BYTES
    data = array("B", b"\0") * (len(points) * step)
    kept = _view(data, [("point", points.dtype, 0)], step)["point"]
    kept[:] = points
    if msg.is_bigendian:
        _swap(points, kept, fields.values())
    answer = _view(data, [(n, kind, base + o) for n, _, o, kind in _ANSWER], step)
    answer["label"], answer["instance"], answer["confidence"] = result.label, result.instance, result.confidence
    answer["rgb"] = packed_rgb(colours)[result.label]
    kept_fields = [f for f in msg.fields if f.name not in ANSWER_NAMES]
    return made(
        type(msg),
        data,
        header=msg.header,
        height=msg.height,
        width=msg.width,
        fields=kept_fields + [one(name=n, offset=base + o, datatype=t, count=1) for n, t, o, _ in _ANSWER],
        is_bigendian=False,
        point_step=step,
        row_step=step * msg.width * bool(msg.height),
        is_dense=msg.is_dense,
    )


def subset(msg, rows: np.ndarray):
    """The points whose rows (N,) are true, with their fields as they are, unorganised. Raises MessageError."""
    kept = _points(msg)[rows]
    return made(
        type(msg),
        array("B", kept.tobytes()),
        header=msg.header,
        height=1,
        width=len(kept),
        fields=msg.fields,
        is_bigendian=msg.is_bigendian,
        point_step=msg.point_step,
        row_step=msg.point_step * len(kept),
        is_dense=True,
    )


def moved(msg, header, rotation: np.ndarray, translation: np.ndarray):
    """The same points in the frame of header: x, y and z become rotation (3, 3) @ xyz + translation (3,), in float64.

    Points that are not finite, all other fields and bytes and the order stay as they are; rows lose their padding.
    Raises MessageError.
    """
    points = _points(msg).copy()
    columns = [_column(points, _field_type(f, msg.is_bigendian), f.offset) for f in _axes(_fields(msg))]
    xyz = np.stack([column.astype(np.float64) for column in columns])
    finite = np.isfinite(xyz).all(0)
    for column, values in zip(columns, rotation @ xyz[:, finite] + np.reshape(translation, (3, 1))):
        column[finite] = values
    return made(
        type(msg),
        array("B", points.tobytes()),
        header=header,
        height=msg.height,
        width=msg.width,
        fields=msg.fields,
        is_bigendian=msg.is_bigendian,
        point_step=msg.point_step,
        row_step=msg.point_step * msg.width * bool(msg.height),
        is_dense=msg.is_dense,
    )


def made(kind, data: array, **rest):
    """A message of the class ``kind``; rclpy's get their bytes afterwards: their constructor takes 40 times as long."""
    if not hasattr(kind, "SLOT_TYPES"):
        return kind(data=data, **rest)
    msg = kind(**rest)
    msg.data = data
    return msg


def packed_rgb(colours: np.ndarray) -> np.ndarray:
    """(K, 3) uint8 -> (K,) uint32 0x00RRGGBB, the four bytes that RViz reads whatever type the field declares."""
    red, green, blue = np.asarray(colours, np.uint32).T
    return red << 16 | green << 8 | blue


def _fields(msg) -> dict:
    """Fields by name (the first of a name), each of a known type and inside the point."""
    if msg.point_step > _MAX_POINT_STEP:
        raise MessageError(f"point_step must be at most {_MAX_POINT_STEP} bytes, got {msg.point_step}: mend the driver")
    for f in msg.fields:
        if f.datatype not in _TYPES:
            raise MessageError(f"field '{f.name}' must have a datatype from 1 to 8, got {f.datatype}: mend the driver")
        end = f.offset + f.count * np.dtype(_TYPES[f.datatype]).itemsize
        if end > msg.point_step:
            raise MessageError(
                f"field '{f.name}' must end within point_step, {msg.point_step} bytes, but ends at byte {end}: "
                "mend the driver"
            )
    by_name = {}
    for f in msg.fields:
        by_name.setdefault(f.name, f)
    return by_name


def _axes(fields) -> list:
    """The fields of x, y and z."""
    return [_coordinate(fields, name) for name in "xyz"]


def _coordinate(fields, name):
    """The field of one axis; float32 or float64, one value."""
    field = fields.get(name)
    if field is None:
        names = ", ".join(fields) or "no field at all"
        raise MessageError(f"a cloud must have the fields x, y and z, got {names}: check the topic")
    if field.datatype not in (FLOAT32, FLOAT64) or field.count != 1:
        raise MessageError(
            f"field '{name}' must be one FLOAT32 or FLOAT64, got datatype {field.datatype} and count {field.count}: "
            "convert the cloud"
        )
    return field


def _points(msg) -> np.ndarray:
    """(N,) void of point_step bytes: one item a point; a view of the message unless its rows are padded."""
    used = msg.width * msg.point_step
    row_step = msg.row_step if msg.height > 1 else used  # one row: whatever stands in row_step is of no use
    if row_step < used:
        raise MessageError(
            f"row_step must be at least width * point_step = {used} bytes, got {row_step}: mend the driver"
        )
    if msg.width * msg.height == 0:
        return np.zeros(0, f"V{max(msg.point_step, 1)}")
    needed = (msg.height - 1) * row_step + used
    if len(msg.data) < needed:
        raise MessageError(
            f"{msg.height} rows of {msg.width} points must have {needed} bytes of data, got {len(msg.data)}: "
            "mend the driver"
        )
    shape, strides = (msg.height, msg.width), (row_step, msg.point_step)
    return np.ndarray(shape, f"V{msg.point_step}", memoryview(msg.data), 0, strides).reshape(-1)


def _view(buffer, columns, itemsize) -> np.ndarray:
    """(N,) structured view of a buffer; columns: (name, type, offset)."""
    names, formats, offsets = zip(*columns)
    kind = np.dtype({"names": names, "formats": formats, "offsets": offsets, "itemsize": itemsize})
    return np.frombuffer(buffer, kind) if len(buffer) else np.zeros(0, kind)


def _field_type(field, big_endian) -> np.dtype:
    kind = np.dtype((">" if big_endian else "<") + _TYPES[field.datatype])
    return kind if field.count == 1 else np.dtype((kind, (field.count,)))


def _column(points, kind, offset) -> np.ndarray:
    """One column of the points as a view of the given type."""
    one = np.dtype({"names": ["v"], "formats": [kind], "offsets": [offset], "itemsize": points.itemsize})
    return points.view(one)["v"]


def _values(points, field, msg) -> np.ndarray:
    """(N,) float32 of one field; a float64 beyond float32 becomes infinite (and is filtered later)."""
    with np.errstate(over="ignore", invalid="ignore"):
        return _column(points, _field_type(field, msg.is_bigendian), field.offset).astype(np.float32)


def _are_packed(msg, axes) -> bool:
    """Whether x, y, z are neighbours, float32 and little-endian: then 12 bytes are copied, not 3 fields gathered."""
    first = axes[0].offset
    return not msg.is_bigendian and all(
        axis.datatype == FLOAT32 and axis.offset == first + 4 * i for i, axis in enumerate(axes)
    )


def _packed_axes(points, axes) -> np.ndarray:
    block = np.ascontiguousarray(_column(points, "V12", axes[0].offset))  # unaligned points: 3x faster than fields
    return block.view("<f4").reshape(-1, 3).astype(np.float32, copy=False)


def _gathered_axes(points, axes, msg) -> np.ndarray:
    return np.stack([_values(points, axis, msg) for axis in axes], axis=1)


def _swap(points, kept, fields):
    """Write big-endian fields again, little-endian."""
    for f in fields:
        _column(kept, _field_type(f, False), f.offset)[...] = _column(points, _field_type(f, True), f.offset)
