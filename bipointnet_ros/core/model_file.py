"""The packed model: one safetensors file, read as untrusted input (docs/model_format.md).

Everything is checked before it is used; whatever is wrong is one ModelFileError: what was expected, what came.
"""

from __future__ import annotations

import json
import math
import os
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from bipointnet_ros.core import crops, object_features, share
from bipointnet_ros.core.blueprint import CLASSIFICATION, SEGMENTATION, Blueprint, BlueprintError
from bipointnet_ros.core.points import COORDINATES, SECOND_ORDER

FORMAT, VERSION = "bipointnet", "1"
SUFFIX = ".safetensors"
MAX_HEADER, MAX_FILE = 1 << 20, 1 << 28  # bytes
_DTYPES = {"U64": "<u8", "F32": "<f4", "I16": "<i2"}
_CHOICES = {"sampling": ("random", "voxel", "farthest"), "normalisation": ("unit_sphere", "scene")}
_KEYS = {"format", "version", "name", "blueprint", "classes", "points", "training", *_CHOICES}
_OBJECTS = "objects"  # optional key of a segmenter: the classifier of its objects; prefix of that one's tensors


class ModelFileError(ValueError):
    """The file is not a packed model that this version can run; the message says what was expected and what came."""


@dataclass(frozen=True)
class Model:
    """Blueprint, weights and what a user must know; ``training`` holds free facts (data, seed, licence, command).

    ``objects`` of a segmenter: the classifier that names its objects (core/crops.py), without facts of its own.
    """

    name: str
    blueprint: Blueprint
    classes: tuple[str, ...]
    points: int
    sampling: str
    normalisation: str
    tensors: dict[str, np.ndarray]
    training: dict = field(default_factory=dict)
    objects: Model | None = None

    def all_tensors(self) -> dict[str, np.ndarray]:
        """Name in the file -> tensor."""
        return self.tensors | _prefixed(self.objects.tensors if self.objects else {})


def find(name: str) -> Path:
    """The file of a model given as a path or as the name of a shipped one; ModelFileError lists where it was sought."""
    path = Path(name).expanduser()
    if path.is_file():
        return path
    folders = [folder / "models" for folder in share.folders()]
    if path.name == str(name) and not name.endswith(SUFFIX):
        for folder in folders:
            if (folder / f"{name}{SUFFIX}").is_file():
                return folder / f"{name}{SUFFIX}"
    shipped = sorted({p.stem for folder in folders if folder.is_dir() for p in folder.glob(f"*{SUFFIX}")})
    raise ModelFileError(
        f"no model '{name}': give the path of a {SUFFIX} file or one of: {', '.join(shipped) or 'none found'}"
    )


def read(path) -> Model:
    """Read and check a packed model; the file is read whole, once. ModelFileError if anything is not as it must be."""
    path = Path(path)
    try:
        size = path.stat().st_size
        _need(size <= MAX_FILE, f"expected a file of at most {MAX_FILE} bytes, got {size}")
        return _parse(path.read_bytes())
    except OSError as error:
        raise ModelFileError(f"cannot read the model '{path}': {error.strerror or error}") from None
    except (ModelFileError, BlueprintError) as error:
        raise ModelFileError(f"'{path}' is not a usable model: {error}") from None


def write(path, model: Model):
    """Write the model; a reader never sees half a file (a new file, renamed). ModelFileError for a bad model."""
    data = serialise(model)
    _parse(data)
    path = Path(path)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        temporary.write_bytes(data)
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def serialise(model: Model) -> bytes:
    """The bytes of the file. Tensors lie widest type first, so that each is aligned to its items."""
    specs, tensors = model.blueprint.tensors(), model.all_tensors()
    if model.objects:
        specs |= _prefixed(model.objects.blueprint.tensors())
    _need(set(specs) == set(tensors), f"tensors must be {sorted(specs)}, got {sorted(tensors)}")
    header, parts, offset = {"__metadata__": _metadata(model)}, [], 0
    for name in sorted(specs, key=lambda n: (-np.dtype(_DTYPES[specs[n][0]]).itemsize, n)):
        data = np.ascontiguousarray(tensors[name], _DTYPES[specs[name][0]]).tobytes()
        shape = list(tensors[name].shape)
        header[name] = {"dtype": specs[name][0], "shape": shape, "data_offsets": [offset, offset + len(data)]}
        parts.append(data)
        offset += len(data)
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    return len(text).to_bytes(8, "little") + text + b"".join(parts)


def _metadata(model: Model) -> dict[str, str]:
    def dump(value):
        return json.dumps(value, separators=(",", ":"))

    facts = {
        "format": FORMAT,
        "version": VERSION,
        "name": model.name,
        "blueprint": dump(model.blueprint.to_json()),
        "classes": dump(list(model.classes)),
        "points": str(model.points),
        "sampling": model.sampling,
        "normalisation": model.normalisation,
        "training": dump(model.training),
    }
    if model.objects:
        own = model.objects
        parts = {"blueprint": own.blueprint.to_json(), "classes": list(own.classes), "points": own.points}
        facts[_OBJECTS] = dump(parts)
    return facts


def _prefixed(named: dict) -> dict:
    return {f"{_OBJECTS}.{name}": value for name, value in named.items()}


def _need(condition, sentence: str):
    if not condition:
        raise ModelFileError(sentence)


def _parse(data: bytes) -> Model:
    _need(len(data) >= 8, f"expected a safetensors file, got {len(data)} bytes")
    length = int.from_bytes(data[:8], "little")
    _need(
        length <= min(MAX_HEADER, len(data) - 8),
        f"expected a header of at most {min(MAX_HEADER, len(data) - 8)} bytes, got {length}",
    )
    header = _json(data[8 : 8 + length], "the header")
    _need(isinstance(header, dict), "the header must be a JSON object")
    metadata = header.pop("__metadata__", None)
    blueprint, facts = _facts(metadata)
    inner = _classifier(metadata, blueprint, facts["name"])
    specs = blueprint.tensors() | _prefixed(inner.blueprint.tensors() if inner else {})
    tensors = _tensors(header, memoryview(data)[8 + length :], specs)
    own = {name: tensors[name] for name in blueprint.tensors()}
    _check_values(blueprint, own)
    if inner:
        inner.tensors.update({name: tensors[f"{_OBJECTS}.{name}"] for name in inner.blueprint.tensors()})
        _check_values(inner.blueprint, inner.tensors)
    return Model(blueprint=blueprint, tensors=own, objects=inner, **facts)


def _json(text, what: str):
    try:
        return json.loads(text, object_pairs_hook=_unique)
    except (ValueError, RecursionError) as error:
        if isinstance(error, ModelFileError):
            raise
        raise ModelFileError(f"{what} is not valid JSON ({str(error)[:80]})") from None


def _unique(pairs):
    value = dict(pairs)
    _need(len(value) == len(pairs), "a JSON object holds a key twice")
    return value


def _facts(metadata) -> tuple[Blueprint, dict]:
    _need(
        isinstance(metadata, dict) and all(isinstance(v, str) for v in metadata.values()),
        "expected __metadata__ of strings in the header",
    )
    kind = metadata.get("format"), metadata.get("version")
    _need(
        kind == (FORMAT, VERSION), f"expected format {FORMAT} version {VERSION}, got {str(kind)[:80]}: export it again"
    )
    keys = set(metadata) - {_OBJECTS}
    _need(keys == _KEYS, f"expected metadata {sorted(_KEYS)}, got {str(sorted(keys))[:200]}")
    blueprint = Blueprint.from_json(_json(metadata["blueprint"], "the blueprint"))
    _check_inputs(blueprint)
    classes = _json(metadata["classes"], "classes")
    _check_classes(classes, blueprint)
    points = metadata["points"]
    _need(
        points.isascii() and points.isdigit() and len(points) <= 7 and 0 < int(points) <= 1_000_000,
        f"expected points 1 to 1000000, got {points[:20]!r}",
    )
    for key, choices in _CHOICES.items():
        _need(metadata[key] in choices, f"expected {key} to be one of {', '.join(choices)}, got {metadata[key][:40]!r}")
    normal = "scene" if blueprint.task == SEGMENTATION else "unit_sphere"
    _need(metadata["normalisation"] == normal, f"expected normalisation {normal} for {blueprint.task}")
    training = _json(metadata["training"], "training")
    _need(isinstance(training, dict), "training must be a JSON object")
    facts = {"name": metadata["name"], "classes": tuple(classes), "points": int(points), "training": training}
    return blueprint, facts | {key: metadata[key] for key in _CHOICES}


def _classifier(metadata, blueprint: Blueprint, name: str) -> Model | None:
    """The classifier of a segmenter's objects, its tensors still to come."""
    if _OBJECTS not in metadata:
        return None
    _need(blueprint.task == SEGMENTATION, "only a segmentation model has a classifier of objects")
    facts = _json(metadata[_OBJECTS], _OBJECTS)
    expected = {"blueprint", "classes", "points"}
    _need(isinstance(facts, dict) and set(facts) == expected, f"{_OBJECTS} must be an object of {sorted(expected)}")
    own = Blueprint.from_json(facts["blueprint"])
    _need(
        own.task == CLASSIFICATION and own.grid is None and own.inputs in (crops.PLAIN, crops.INPUTS),
        f"the classifier of objects must be a classification network without a grid, of {', '.join(crops.INPUTS)}",
    )
    _check_classes(facts["classes"], own)
    points = facts["points"]
    _need(type(points) is int and 0 < points <= 4096, f"expected 1 to 4096 points an object, got {str(points)[:20]}")
    return Model(name, own, tuple(facts["classes"]), points, "random", "metric", {})


def _check_classes(classes, blueprint: Blueprint):
    outputs = blueprint.layers[-1].outputs
    _need(
        isinstance(classes, list)
        and all(isinstance(c, str) and c for c in classes)
        and len(classes) == len(set(classes)) == outputs,
        f"expected {outputs} different class names, got {str(classes)[:80]}",
    )


def _check_inputs(blueprint: Blueprint):
    if blueprint.task != CLASSIFICATION:
        return
    known = SECOND_ORDER if blueprint.grid is None else object_features.names(blueprint.grid)
    unknown = sorted(set(blueprint.inputs) - set(known))
    _need(not unknown, f"expected inputs that this version computes, got {str(unknown)[:120]}")
    _need(
        blueprint.grid is not None or blueprint.inputs in (COORDINATES, SECOND_ORDER),
        f"expected the inputs {', '.join(COORDINATES)}, or {', '.join(SECOND_ORDER)}, got {str(blueprint.inputs)[:99]}",
    )


def _tensors(header: dict, payload: memoryview, specs: dict) -> dict[str, np.ndarray]:
    missing, unknown = sorted(set(specs) - set(header)), sorted(set(header) - set(specs))
    _need(not missing, f"tensors are missing: {str(missing)[:120]}")
    _need(not unknown, f"tensors are not in the blueprint: {str(unknown)[:120]}")
    ranges, tensors = [], {}
    for name, (dtype, shape) in specs.items():
        begin, end = _range(name, header[name], dtype, shape, len(payload))
        ranges.append((begin, end))
        tensors[name] = np.frombuffer(payload[begin:end], _DTYPES[dtype]).reshape(shape).astype(_DTYPES[dtype][1:])
    ends = [0] + [end for _, end in sorted(ranges)]
    _need(
        [begin for begin, _ in sorted(ranges)] == ends[:-1] and ends[-1] == len(payload),
        f"tensors must fill the {len(payload)} bytes of the file without overlap or hole",
    )
    return tensors


def _range(name: str, entry, dtype: str, shape: tuple, available: int) -> tuple[int, int]:
    _need(
        isinstance(entry, dict) and set(entry) == {"dtype", "shape", "data_offsets"},
        f"tensor {name} must have dtype, shape and data_offsets",
    )
    _need(
        entry["dtype"] == dtype and entry["shape"] == list(shape),
        f"tensor {name} must be {dtype} {list(shape)}, got {str(entry['dtype'])[:20]} {str(entry['shape'])[:40]}",
    )
    offsets = entry["data_offsets"]
    size = math.prod(shape) * np.dtype(_DTYPES[dtype]).itemsize
    _need(
        isinstance(offsets, list) and len(offsets) == 2 and all(type(o) is int for o in offsets),
        f"tensor {name} must have two data_offsets",
    )
    begin, end = offsets
    _need(
        0 <= begin <= end <= available and end - begin == size,
        f"tensor {name} must lie in {size} of the {available} bytes, got offsets {str(offsets)[:60]}",
    )
    return begin, end


def _check_values(blueprint: Blueprint, tensors: dict):
    for layer in blueprint.layers:
        for name in layer.tensors():
            kind = name.rpartition(".")[2]
            if tensors[name].dtype == np.float32:
                _check_floats(name, tensors[name], infinite=kind in ("limit", "pool_limit"))
            elif kind in ("limit", "pool_limit"):
                high = layer.inputs + layer.shared + 1
                low, top = int(tensors[name].min()), int(tensors[name].max())
                _need(low >= 0 and top <= high, f"tensor {name} must hold 0 to {high}, got {low} to {top}")
            else:
                _check_padding(name, tensors[name], layer.shared if kind == "shared" else layer.inputs)


def _check_floats(name: str, values: np.ndarray, infinite: bool):
    bad = np.isnan(values) if infinite else ~np.isfinite(values)
    _need(not bad.any(), f"tensor {name} holds values that are not finite numbers")


def _check_padding(name: str, words: np.ndarray, inputs: int):
    used = inputs % 64
    if used:
        _need(not (words[:, -1] >> np.uint64(used)).any(), f"tensor {name} has bits set beyond its {inputs} inputs")
