"""Which layer follows which, and which tensors that asks for (docs/design.md, "Blueprint").

A blueprint says nothing of weights or scratch: those are two other things (model_file.py, network.py).
"""

from __future__ import annotations

from dataclasses import asdict, dataclass

from bipointnet_ros.core.aggregation import BUCKETS

CLASSIFICATION, SEGMENTATION = "classification", "segmentation"
MAX_WIDTH = 8192  # of a layer; keeps every size product far from overflow
MAX_POINT_WIDTH = 248  # inputs of a per-point layer: popcounts stay in a byte
SCENE_VOXELS = (0.001, 100.0)  # m
OBJECT_VOXELS, MAX_OBJECT_CELL = (0.05, 1.0), 2.0  # radii of the unit sphere; bound the table of a cloud's voxels
_ORDER = {
    CLASSIFICATION: ("lift", "join*", "binary*", "pool", "binary*", "logits"),
    SEGMENTATION: ("lift", "join*", "logits"),
}


class BlueprintError(ValueError):
    """The layers do not follow one another, or a size is out of bounds."""


@dataclass(frozen=True)
class Layer:
    """One layer: own ``inputs``, ``shared`` inputs from the cell's code (join), pooled over the ``cells`` scale.

    A pool over the scale after the last one takes whole clouds, whose rows differ in number.
    """

    op: str
    name: str
    inputs: int
    outputs: int
    shared: int = 0
    cells: int | None = None

    def tensors(self) -> dict[str, tuple[str, tuple[int, ...]]]:
        """Tensor name -> (safetensors dtype, shape) that this layer needs."""
        c, words = self.outputs, -(-self.inputs // 64)
        if self.op == "lift":
            kinds = {"weight": ("F32", (self.inputs, c)), "limit": ("F32", (c,)), "pool_limit": ("F32", (BUCKETS, c))}
        elif self.op == "logits":
            kinds = {"weight": ("F32", (self.inputs, c)), "bias": ("F32", (c,))}
        else:
            kinds = {"weight": ("U64", (c, words)), "limit": ("I16", (c,)), "pool_limit": ("I16", (BUCKETS, c))}
        if self.op == "join":
            kinds["shared"] = ("U64", (c, -(-self.shared // 64)))
        if self.cells is None:
            kinds.pop("pool_limit", None)
        elif self.op == "pool":
            kinds.pop("limit")
        return {f"{self.name}.{kind}": spec for kind, spec in kinds.items()}


@dataclass(frozen=True)
class Grid:
    """Voxel edge, in metres (segmentation) or radii of the unit sphere (classification); edge of each scale's cells in
    voxels: cubes, but pillars from the second scale on in segmentation."""

    voxel: float
    cells: tuple[int, ...]


@dataclass(frozen=True)
class Blueprint:
    """A checked sequence of layers; BlueprintError at construction when they do not fit one another."""

    task: str
    inputs: tuple[str, ...]
    layers: tuple[Layer, ...]
    grid: Grid | None = None

    def __post_init__(self):
        _check_order(self)
        _check_widths(self)
        _check_grid(self)

    def tensors(self) -> dict[str, tuple[str, tuple[int, ...]]]:
        """Every tensor the model file must hold: name -> (dtype, shape)."""
        return {name: spec for layer in self.layers for name, spec in layer.tensors().items()}

    def weights(self) -> int:
        """Number of weights, 1-bit and float together, without limits and biases."""
        return sum((layer.inputs + layer.shared) * layer.outputs for layer in self.layers)

    def to_json(self) -> dict:
        """Plain lists and numbers; ``from_json`` takes them back."""
        layers = [
            {k: v for k, v in asdict(layer).items() if v not in (None, 0) or k == "cells" and v == 0}
            for layer in self.layers
        ]
        grid = {"voxel": self.grid.voxel, "cells": list(self.grid.cells)} if self.grid else None
        return {"task": self.task, "inputs": list(self.inputs), "layers": layers, "grid": grid}

    @staticmethod
    def from_json(value) -> Blueprint:
        """BlueprintError for anything that is not what ``to_json`` gives."""
        _need(
            isinstance(value, dict) and set(value) == {"task", "inputs", "layers", "grid"},
            "a blueprint is an object with task, inputs, layers and grid",
        )
        _need(isinstance(value["layers"], list) and 0 < len(value["layers"]) <= 64, "layers must be a list of 1 to 64")
        _need(
            isinstance(value["inputs"], list) and all(isinstance(n, str) for n in value["inputs"]),
            "inputs must be a list of names",
        )
        return Blueprint(
            value["task"], tuple(value["inputs"]), tuple(map(_layer, value["layers"])), _grid(value["grid"])
        )


def vanilla(classes: int, widths=(64, 128, 1024, 512, 256), inputs=("x", "y", "z")) -> Blueprint:
    """BiPointNet without T-Nets (paper, section 4): 3-64-128-1024, EMA-max, 1024-512-256-classes."""
    lift, binary, pool, *head = widths
    layers = [
        Layer("lift", "encoder0", len(inputs), lift),
        Layer("binary", "encoder1", lift, binary),
        Layer("pool", "encoder2", binary, pool),
    ]
    layers += [Layer("binary", f"head{i}", a, b) for i, (a, b) in enumerate(zip([pool, *head], head))]
    layers.append(Layer("logits", f"head{len(head)}", widths[-1], classes))
    return Blueprint(CLASSIFICATION, tuple(inputs), tuple(layers))


def cell_segmenter(inputs, classes: int, grid: Grid, width: int = 128) -> Blueprint:
    """Per-point network whose context is an OR over nested grid cells, one join a scale (docs/design.md)."""
    scales = len(grid.cells)
    layers = [Layer("lift", "point0", len(inputs), width, cells=0)]
    for k in range(1, scales + 1):
        layers.append(Layer("join", f"point{k}", width, width, shared=width, cells=k if k < scales else None))
    layers.append(Layer("logits", "head", width, classes))
    return Blueprint(SEGMENTATION, tuple(inputs), tuple(layers), grid)


def cell_classifier(inputs, classes: int, grid: Grid, widths=(128, 192, 1024, 512, 256)) -> Blueprint:
    """Classifier with local context: lift and a join a scale as in ``cell_segmenter``, then vanilla's pool and head.

    widths: of the rows, of the last join, of the pool, and of the head's layers.
    """
    width, last, pool, *head = widths
    scales = len(grid.cells)
    layers = [Layer("lift", "row0", len(inputs), width, cells=0)]
    for k in range(1, scales + 1):
        end = k == scales
        layers.append(Layer("join", f"row{k}", width, last if end else width, shared=width, cells=None if end else k))
    layers.append(Layer("pool", "cloud", last, pool, cells=scales))
    layers += [Layer("binary", f"head{i}", a, b) for i, (a, b) in enumerate(zip([pool, *head], head))]
    layers.append(Layer("logits", f"head{len(head)}", widths[-1], classes))
    return Blueprint(CLASSIFICATION, tuple(inputs), tuple(layers), grid)


def _need(condition, sentence: str):
    if not condition:
        raise BlueprintError(sentence)


def _is_size(value, high=MAX_WIDTH) -> bool:
    return type(value) is int and 0 < value <= high


def _layer(value) -> Layer:
    known = {"op", "name", "inputs", "outputs", "shared", "cells"}
    _need(
        isinstance(value, dict) and {"op", "name", "inputs", "outputs"} <= set(value) <= known,
        f"a layer is an object with op, name, inputs, outputs and perhaps shared, cells, got {str(value)[:80]}",
    )
    return Layer(**value)


def _grid(value) -> Grid | None:
    if value is None:
        return None
    _need(
        isinstance(value, dict) and set(value) == {"voxel", "cells"} and isinstance(value["cells"], list),
        "grid must be an object with voxel and cells",
    )
    _need(type(value["voxel"]) in (int, float), "grid voxel must be a number of metres")
    return Grid(float(value["voxel"]), tuple(value["cells"]))


def _check_order(blueprint: Blueprint):
    _need(
        isinstance(blueprint.task, str) and blueprint.task in _ORDER,
        f"task must be one of {', '.join(_ORDER)}, got {str(blueprint.task)[:40]!r}",
    )
    expected = _ORDER[blueprint.task]
    ops = [layer.op for layer in blueprint.layers]
    _need(all(isinstance(op, str) for op in ops), "the op of a layer must be a string")
    rest = list(ops)
    for pattern in expected:
        if pattern.endswith("*"):
            while rest and rest[0] == pattern[:-1]:
                rest.pop(0)
        else:
            _need(
                rest and rest.pop(0) == pattern,
                f"the layers of a {blueprint.task} network are {', '.join(expected)} (* = any number), "
                f"got {', '.join(ops)[:120]}",
            )
    _need(not rest, f"the layers of a {blueprint.task} network end with logits, got {', '.join(ops)[:120]}")


def _check_widths(blueprint: Blueprint):
    previous, pooled, names = len(blueprint.inputs), False, set()
    for layer in blueprint.layers:
        _need(
            isinstance(layer.name, str) and layer.name.isidentifier() and layer.name not in names,
            f"layer names must be identifiers, each once, got {str(layer.name)[:40]!r}",
        )
        names.add(layer.name)
        _need(
            _is_size(layer.inputs) and _is_size(layer.outputs),
            f"layer {layer.name}: sizes must be 1 to {MAX_WIDTH}, got {str((layer.inputs, layer.outputs))[:60]}",
        )
        _need(
            layer.inputs == previous, f"layer {layer.name} takes {layer.inputs} inputs, the one before gives {previous}"
        )
        per_point = layer.op in ("pool", "join") or layer.op == "binary" and not pooled
        _need(
            not per_point or layer.inputs <= MAX_POINT_WIDTH,
            f"layer {layer.name} works point by point and takes at most {MAX_POINT_WIDTH} inputs, got {layer.inputs}",
        )
        previous, pooled = layer.outputs, pooled or layer.op == "pool"


def _check_grid(blueprint: Blueprint):
    grid, classifies = blueprint.grid, blueprint.task == CLASSIFICATION
    if classifies and grid is None:
        plain = all(layer.op != "join" and layer.cells is None and layer.shared == 0 for layer in blueprint.layers)
        _need(plain, "a classification network without a grid has no joins, no cells and no shared inputs")
        return
    low, high = OBJECT_VOXELS if classifies else SCENE_VOXELS
    _need(
        grid is not None and low <= grid.voxel <= high,
        f"a {blueprint.task} network needs a grid with voxel {low} to {high}",
    )
    cells = grid.cells
    _need(0 < len(cells) <= 8 and all(_is_size(c, 4096) for c in cells), "grid cells must be 1 to 8 sizes in voxels")
    _need(
        all(b % a == 0 and b > a for a, b in zip(cells, cells[1:])),
        f"each scale of cells must be a multiple of the one before, got {list(cells)}",
    )
    _need(
        not classifies or grid.voxel * cells[-1] <= MAX_OBJECT_CELL,
        f"cells of a classification network are at most {MAX_OBJECT_CELL} wide, got {grid.voxel * cells[-1]:g}",
    )
    _check_scales(blueprint.layers, len(cells))


def _check_scales(layers, scales: int):
    """The layer before a join pools over the next scale, and every scale is used once, finest first; a pool comes last
    and pools over clouds, scale ``scales``."""
    given = [layer.cells for layer in layers if layer.op != "pool"]
    joins = sum(layer.op == "join" for layer in layers)
    _need(
        joins == scales and given[:scales] == [*range(scales)] and not any(c is not None for c in given[scales:]),
        f"{scales} scales of cells need {scales} joins, and cells 0 to {scales - 1} before them, got {str(given)[:80]}",
    )
    for before, layer in zip(layers, layers[1:]):
        shared = before.outputs if layer.op == "join" else 0
        _need(
            type(layer.shared) is int and layer.shared == shared and shared <= MAX_POINT_WIDTH,
            f"layer {layer.name} must share {shared} inputs, got {str(layer.shared)[:20]}",
        )
        _need(
            layer.op != "pool" or layer.cells == scales and type(layer.cells) is int,
            f"layer {layer.name} must pool over cells {scales}, the clouds, got {str(layer.cells)[:20]}",
        )
