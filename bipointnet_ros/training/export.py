"""Pack a trained run into the file that core/network.py runs; what cannot be packed exactly is refused.

    python -m bipointnet_ros.training.export RUN --out models/NAME.safetensors [--data TEST.npz] [--facts FACTS.json]
        [--objects RUN]

Either RUN may be a packed segmenter instead of a folder: its segmenter or its classifier of objects is taken as it is.

Beside NAME.safetensors it writes NAME.golden.npz (input, logits, label of synthetic rows), and it prints the share of
bits in which the packed layers equal torch's (docs/training.md, "Export").
"""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from bipointnet_ros.core import bits, crops, features, kernels, model_file
from bipointnet_ros.core.aggregation import BUCKETS, bucket_deltas
from bipointnet_ros.core.blueprint import CLASSIFICATION, SEGMENTATION
from bipointnet_ros.core.model_file import Model
from bipointnet_ros.core.network import Network
from bipointnet_ros.core.points import normalised
from bipointnet_ros.training import agreement, data, layers, run
from bipointnet_ros.training.command import command


class ExportError(ValueError):
    """The network cannot be packed exactly; the message says why."""


@torch.no_grad()
def pack(net, name: str, classes, points: int, training: dict | None = None) -> Model:
    """The packed model of a trained network, every limit read off the network's own evaluation mode. ExportError."""
    net.eval()
    tensors = {}
    for layer in net.blueprint.layers:
        stage = net.stages[layer.name]
        _check(layer.name, stage)
        packed = _PACKERS[type(stage)](layer, stage, points)
        tensors |= {f"{layer.name}.{kind}": np.ascontiguousarray(values) for kind, values in packed.items()}
    segments = net.blueprint.task == SEGMENTATION
    return Model(
        name,
        net.blueprint,
        tuple(classes),
        points,
        "voxel" if segments else "random",
        "scene" if segments else "unit_sphere",
        tensors,
        training or {},
    )


def _check(name: str, stage):
    if type(stage) not in _PACKERS:
        raise ExportError(
            f"layer {name}: expected one of {', '.join(k.__name__ for k in _PACKERS)}, which fold into "
            f"integer limits, got {type(stage).__name__}"
        )
    if getattr(stage, "real", False):
        raise ExportError(
            f"layer {name}: its weights are still real numbers: train the second step (binary weights) before export"
        )
    reason = getattr(getattr(stage, "linear", None), "unpackable", "")
    if reason:
        raise ExportError(f"layer {name}: {type(stage.linear).__name__} cannot be packed, for {reason}")
    if getattr(stage, "aggregation", "max") == "ema-avg":
        raise ExportError(
            f"layer {name}: ema-avg cannot be packed, for the sign of a mean is not an OR of bits: "
            "train with ema-max or max"
        )
    if not all(torch.isfinite(v).all() for v in stage.state_dict().values()):
        raise ExportError(f"layer {name} holds values that are not finite: the training diverged, take another run")
    if hasattr(stage, "norm") and not stage.norm.batches:
        raise ExportError(f"layer {name} has no running statistics: train it for at least one batch")


def _lift(layer, stage, points):
    weight, limit, pool_limit = (t.numpy() for t in stage.folded())
    return {"weight": weight, "limit": limit} | ({} if layer.cells is None else {"pool_limit": pool_limit})


def _binary(layer, stage, points):
    return {"weight": _packed_weight(stage), "limit": _limit(layer, stage)}


def _pool(layer, stage, points):
    return {"weight": _packed_weight(stage), "limit": _limit(layer, stage, stage.offset(np.array([points])))}


def _cell_pool(layer, stage, points):
    return {"weight": _packed_weight(stage), "pool_limit": _pool_limit(layer, stage)}


def _join(layer, stage, points):
    signs = _signs(stage)
    packed = {
        "weight": bits.pack(signs[:, : layer.inputs]),
        "shared": bits.pack(signs[:, layer.inputs :]),
        "limit": _limit(layer, stage),
    }
    if layer.cells is not None:
        packed["pool_limit"] = _pool_limit(layer, stage)
    return packed


def _logits(layer, stage, points):
    return {"weight": stage.linear.weight.numpy().T, "bias": stage.linear.bias.numpy()}


_PACKERS = {
    layers.Lift: _lift,
    layers.Binary: _binary,
    layers.Pool: _pool,
    layers.CellPool: _cell_pool,
    layers.Join: _join,
    layers.Logits: _logits,
}


def _falls(stage) -> np.ndarray:
    """(C,) bool: channels whose value falls as the product rises; their weights are flipped."""
    return (stage.norm.frozen(stage.linear.alpha())[0] < 0).numpy()


def _signs(stage) -> np.ndarray:
    return stage.linear.signs().numpy() * np.where(_falls(stage), -1.0, 1.0)[:, None]


def _packed_weight(stage) -> np.ndarray:
    return bits.pack(_signs(stage))


def _limit(layer, stage, offset=0.0) -> np.ndarray:
    """(C,) int16 with [value + offset >= 0] = [popcount < limit], from the layer's values at every possible product."""
    inputs = stage.linear.weight.shape[1]
    popcount = np.arange(inputs + 1)[:, None]
    fires = (stage.values(torch.from_numpy(inputs - 2 * popcount).float(), offset) >= 0).numpy()
    fires = np.where(_falls(stage), fires[::-1], fires)
    limit = fires.sum(0)
    if (fires != (popcount < limit)).any():
        raise ExportError(f"layer {layer.name} is not monotone in its products: no integer limit is equal to it")
    return limit.astype(np.int16)


def _pool_limit(layer, stage) -> np.ndarray:
    """(BUCKETS, C) int16: the limit of a group of each bucket's smallest size."""
    deltas = torch.from_numpy(bucket_deltas())
    return np.stack([_limit(layer, stage, deltas[b]) for b in range(BUCKETS)])


def golden(model: Model, seed: int = 0) -> dict[str, np.ndarray]:
    """Synthetic input and the reference backend's answer to it: input, logits, label (argmax), and offsets0, ..."""
    rng = np.random.default_rng(seed)
    network, blueprint = Network(model, kernels.choose("numpy")), model.blueprint
    if blueprint.inputs in (crops.PLAIN, crops.INPUTS):
        rows = rng.standard_normal((8, model.points, len(blueprint.inputs))).astype(np.float32)
        logits, cells = network.classify(rows), {}
    elif blueprint.grid is None:
        stretch = rng.uniform(0.1, 1.0, (8, 1, 3))
        rows = normalised((rng.standard_normal((8, model.points, 3)) * stretch).astype(np.float32))
        logits, cells = network.classify(rows), {}
    else:
        rows = rng.standard_normal((2000, len(blueprint.inputs))).astype(np.float32)
        scales = len(blueprint.grid.cells) + (blueprint.task == CLASSIFICATION)  # the last one bounds clouds
        offsets = nested_offsets(rng, len(rows), scales)
        answer = network.classify_rows if blueprint.task == CLASSIFICATION else network.segment
        logits, cells = answer(rows, offsets), {f"offsets{k}": o for k, o in enumerate(offsets)}
    return {"input": rows, "logits": logits, "label": logits.argmax(1), **cells}


def nested_offsets(rng, rows: int, scales: int) -> list[np.ndarray]:
    """Bounds of random cells of ``rows`` rows, each scale's cells made of about five of the scale before."""
    bounds, offsets = np.arange(1, rows), []
    for _ in range(scales):
        bounds = np.sort(rng.permutation(bounds)[: max(len(bounds) // 5, 1)])
        offsets.append(np.concatenate([[0], bounds, [rows]]).astype(np.int32))
    return offsets


def export(folder, out, facts: dict | None = None, say=lambda line: None, objects=None):
    """Pack the run, compare every layer, then write the model and its golden answer. ExportError if a bit differs.

    objects: the run of the classifier that names a segmenter's objects, or a packed segmenter that has one. ``say``
    gets a line for each layer and one for the file. Returns the network, None for a packed one, and the model.
    """
    out = Path(out)
    net, model, answer = _taken(folder, out.stem) if Path(folder).is_file() else _packed(folder, out.stem, say)
    if model.blueprint.task == SEGMENTATION and model.blueprint.inputs != features.ordered(model.blueprint.inputs):
        model = by_level(model)
        answer = golden(model)
    model = replace(model, training={**model.training, **(facts or {})})
    if objects:
        own, told, more = _classifier(objects, out.stem, say)
        model = replace(model, training={**model.training, "objects": told}, objects=own)
        answer |= {f"objects_{key}": value for key, value in more.items()}
    out.parent.mkdir(parents=True, exist_ok=True)
    model_file.write(out, model)
    np.savez_compressed(out.with_suffix(".golden.npz"), **answer)
    weights = model.blueprint.weights() + (model.objects.blueprint.weights() if model.objects else 0)
    say(f"{out}: {out.stat().st_size} bytes, {weights} weights")
    return net, model


def by_level(model: Model) -> Model:
    """The segmenter with its inputs in the order in which what rows share comes first: the same but for rounding."""
    inputs, name = features.ordered(model.blueprint.inputs), f"{model.blueprint.layers[0].name}.weight"
    weight = model.tensors[name][[model.blueprint.inputs.index(one) for one in inputs]]
    blueprint = replace(model.blueprint, inputs=inputs)
    return replace(model, blueprint=blueprint, tensors={**model.tensors, name: np.ascontiguousarray(weight)})


def _packed(folder, name: str, say) -> tuple[torch.nn.Module, Model, dict]:
    """Network, packed model and golden answer of a run, every bit compared."""
    net, config = run.load(folder)
    recipe = config.get("recipe", {})
    folders = {key: Path(recipe[key]).name for key in ("start", "teacher") if recipe.get(key)}
    facts = {"recipe": {**recipe, **folders}}  # a file tells no paths of the machine that made it
    model = pack(net, name, config["classes"], config["points"], facts)
    answer = golden(model)
    for layer, share in agreement.by_layer(net, model, answer).items():
        say(f"{layer:12} {share:.6f} of the bits equal torch's")
        if share != 1.0:
            raise ExportError(f"layer {layer}: expected all packed bits to equal torch's, got {share:.6f} of them")
    return net, model, answer


def _taken(path, name: str) -> tuple[None, Model, dict]:
    """A packed segmenter as it is, without its classifier of objects."""
    model = replace(model_file.read(path), name=name, objects=None)
    return None, model, golden(model)


def _classifier(objects, name: str, say) -> tuple[Model, dict, dict]:
    """The packed classifier of objects, what is told of its training, its golden answer."""
    if Path(objects).is_file():
        held = model_file.read(objects)
        if held.objects is None:
            raise ExportError(f"expected a segmenter with a classifier of objects in '{objects}', it has none")
        return held.objects, held.training.get("objects", {}), golden(held.objects)
    _, own, answer = _packed(objects, name, say)
    return replace(own, normalisation="metric", training={}), own.training, answer


@command
def main(arguments):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run", help="folder of a training run, or a packed segmenter")
    parser.add_argument("--objects", help="folder of a run of train_objects.py, or a packed segmenter that has one")
    parser.add_argument("--out", required=True, help="NAME.safetensors to write")
    parser.add_argument("--data", help="objects (.npz) on which packed and torch predictions are compared")
    parser.add_argument("--facts", help="JSON file of what the card says: data, licence, seed, command")
    options = parser.parse_args(arguments)
    facts = json.loads(Path(options.facts).read_text()) if options.facts else {}
    net, model = export(options.run, options.out, facts, print, options.objects)
    if options.data and net:
        print(agreement.of_predictions(net, model, data.load(options.data, model.points)))


if __name__ == "__main__":
    sys.exit(main())
