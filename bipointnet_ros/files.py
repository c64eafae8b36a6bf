"""Clouds in (.npy .npz .pcd .ply .bin) and labels out (.labels.npz .labeled.ply)."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from bipointnet_ros import pcd, ply
from bipointnet_ros.arrays import MAX_BYTES, FileError, read_npy, read_npz
from bipointnet_ros.core.classes import colours

_PLY_XYZ = [("x", "<f4"), ("y", "<f4"), ("z", "<f4"), ("red", "u1"), ("green", "u1"), ("blue", "u1")]
_PLY_ANSWER = [("label", "<u2"), ("instance", "<u4"), ("confidence", "<f4")]
_PLY_INTENSITY = ("intensity", "scalar_intensity", "scalar_Intensity")  # the last two are CloudCompare's
_PLY_NAMES = {"f4": "float", "u1": "uchar", "u2": "ushort", "u4": "uint"}


def read_cloud(path) -> tuple[np.ndarray, np.ndarray | None]:
    """One cloud: xyz (N, 3) float32 [m] and intensity (N,) float32 as the file has it, or None.

    .npy: (N, 3) or (N, 4), or fields x, y, z and perhaps intensity. .npz: arrays xyz (or points) and perhaps
    intensity. .pcd, .ply: fields x, y, z and perhaps intensity. .bin: KITTI, four float32 a point. FileError otherwise.
    """
    suffix = Path(path).suffix.lower()
    if suffix not in _READERS:
        raise FileError(f"expected a cloud in {', '.join(SUFFIXES)}, got '{path}': convert it to one of these")
    return _READERS[suffix](path)


def _read_npy(path):
    array = read_npy(path)
    if array.dtype.names:
        return _from_fields(path, {name: array[name] for name in array.dtype.names})
    return _from_columns(path, array)


def _read_npz(path):
    arrays = read_npz(path, ("xyz", "points", "intensity"))
    xyz = arrays.get("xyz", arrays.get("points"))
    if xyz is None:
        raise FileError(f"expected an array 'xyz' of (N, 3) in '{path}', found none: save the points under that name")
    if "intensity" in arrays:
        return _cloud(path, xyz, arrays["intensity"])
    return _from_columns(path, xyz)


def _read_pcd(path):
    return _from_fields(path, _parsed(path, pcd.fields))


def _read_ply(path):
    fields = _parsed(path, ply.fields)
    named = next((fields[name] for name in _PLY_INTENSITY if name in fields), None)
    return _from_fields(path, fields if named is None else {**fields, "intensity": named})


def _parsed(path, parse) -> dict[str, np.ndarray]:
    data = _bytes(path)
    try:
        return parse(data)
    except ValueError as error:
        raise FileError(f"'{path}' is not a readable {Path(path).suffix} file: {error}") from None


def _read_bin(path):
    data = _bytes(path)
    if len(data) % 16:
        raise FileError(f"expected x, y, z, intensity as float32 in '{path}', 16 bytes a point, got {len(data)} bytes")
    return _from_columns(path, np.frombuffer(data, "<f4").reshape(-1, 4))


_READERS = {".npy": _read_npy, ".npz": _read_npz, ".pcd": _read_pcd, ".ply": _read_ply, ".bin": _read_bin}
SUFFIXES = tuple(_READERS)


def _bytes(path) -> bytes:
    try:
        size = Path(path).stat().st_size
        if size > MAX_BYTES:
            raise FileError(f"expected at most {MAX_BYTES} bytes in '{path}', got {size}: split it")
        return Path(path).read_bytes()
    except OSError as error:
        raise FileError(f"cannot read '{path}': {error.strerror or error}") from None


def _from_fields(path, fields: dict):
    if not {"x", "y", "z"} <= set(fields):
        raise FileError(f"expected fields x, y, z in '{path}', got {', '.join(fields)[:120]}")
    columns = [fields[name] for name in "xyz"]
    if any(np.ndim(c) != 1 or c.dtype.kind not in "fiu" for c in columns):
        raise FileError(f"expected x, y, z in '{path}' to be one number a point each")
    return _cloud(path, np.stack([c.astype(np.float64) for c in columns], 1), fields.get("intensity"))


def _from_columns(path, array: np.ndarray):
    if array.ndim != 2 or array.shape[1] not in (3, 4):
        raise FileError(
            f"expected (N, 3) or (N, 4) numbers in '{path}', got {array.dtype} {array.shape}: "
            "save columns x, y, z and perhaps intensity"
        )
    return _cloud(path, array[:, :3], array[:, 3] if array.shape[1] == 4 else None)


def _cloud(path, xyz: np.ndarray, intensity: np.ndarray | None):
    return floats(path, "xyz", xyz, (-1, 3)), None if intensity is None else floats(
        path, "intensity", intensity, (len(xyz),)
    )


def floats(path, name: str, array: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """The array as contiguous float32; FileError unless it is of numbers and of that shape (-1 = any length)."""
    same = array.ndim == len(shape) and all(want in (-1, got) for want, got in zip(shape, array.shape))
    if array.dtype.kind not in "fiu" or not same:
        wanted = ", ".join("N" if n < 0 else str(n) for n in shape)
        raise FileError(f"expected {name} ({wanted}) of numbers in '{path}', got {array.dtype} {array.shape}")
    with np.errstate(over="ignore"):
        return np.ascontiguousarray(array, np.float32)


def write_labels(folder, stem: str, xyz, intensity, result, classes) -> tuple[Path, Path]:
    """Write STEM.labels.npz and STEM.labeled.ply of a core.pipeline.Result and answer their paths. FileError if not.

    intensity (N,) is written as it is, unless it is None.
    """
    npz, ply = Path(folder) / f"{stem}.labels.npz", Path(folder) / f"{stem}.labeled.ply"
    answer = {"label": result.label, "instance": result.instance, "confidence": result.confidence}
    seen = {} if intensity is None else {"intensity": intensity}
    try:
        Path(folder).mkdir(parents=True, exist_ok=True)
        np.savez_compressed(npz, xyz=xyz, **seen, **answer, classes=np.array(classes))
        ply.write_bytes(_ply(xyz, {**seen, **answer}, colours(classes)))
    except OSError as error:
        raise FileError(f"cannot write to '{folder}': {error.strerror or error}") from None
    return npz, ply


def _ply(xyz: np.ndarray, values: dict, palette: np.ndarray) -> bytes:
    seen = [("intensity", "<f4")] if "intensity" in values else []
    rows = np.empty(len(xyz), np.dtype(_PLY_XYZ + seen + _PLY_ANSWER))
    rows["x"], rows["y"], rows["z"] = xyz.T
    rows["red"], rows["green"], rows["blue"] = palette[values["label"]].T
    for name, column in values.items():
        rows[name] = column
    properties = [f"property {_PLY_NAMES[rows.dtype[name].str[1:]]} {name}" for name in rows.dtype.names]
    lines = ["ply", "format binary_little_endian 1.0", f"element vertex {len(xyz)}", *properties, "end_header"]
    return ("\n".join(lines) + "\n").encode() + rows.tobytes()
