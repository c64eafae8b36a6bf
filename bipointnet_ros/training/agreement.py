"""Does the packed model answer what torch answers? Layer by layer in plain arithmetic, and prediction by prediction."""

from __future__ import annotations

import numpy as np
import torch

from bipointnet_ros.core import bits, kernels
from bipointnet_ros.core.aggregation import bucket
from bipointnet_ros.core.model_file import Model
from bipointnet_ros.core.network import Network
from bipointnet_ros.core.reference import distance
from bipointnet_ros.dataset import Objects
from bipointnet_ros.training import models


@torch.no_grad()
def by_layer(net, model: Model, golden: dict[str, np.ndarray]) -> dict[str, float]:
    """Layer name -> share of its bits (own and pooled) that equal torch's signs, each layer fed with torch's signs."""
    seen = _traced(net, golden)
    shares = {}
    for layer in model.blueprint.layers[:-1]:
        tensors = {kind: model.tensors[f"{layer.name}.{kind}"] for kind in _kinds(layer)}
        inputs, outputs = seen[layer.name]
        pairs = [
            (ours, np.asarray(theirs) >= 0)
            for ours, theirs in zip(_BITS[layer.op](tensors, *inputs), outputs)
            if theirs is not None
        ]
        equal = sum(int((ours == theirs).sum()) for ours, theirs in pairs)
        shares[layer.name] = equal / sum(theirs.size for _, theirs in pairs)
    return shares


def _kinds(layer):
    return [name.rpartition(".")[2] for name in layer.tensors()]


def _traced(net, golden) -> dict:
    """Layer name -> (inputs, outputs) of its torch stage in evaluation mode, as tuples."""
    seen = {}

    def record(name):
        def hook(stage, inputs, output):
            seen[name] = inputs, output if isinstance(output, tuple) else (output,)

        return hook

    hooks = [net.stages[layer.name].register_forward_hook(record(layer.name)) for layer in net.blueprint.layers]
    net.eval()
    offsets = [golden[f"offsets{k}"] for k in range(len(golden) - 3)]
    rows = torch.from_numpy(golden["input"])
    models.Network.answer(net, rows, offsets) if offsets else net(rows)
    for hook in hooks:
        hook.remove()
    return seen


def _any(fires, offsets):
    return np.maximum.reduceat(fires, offsets[:-1], axis=0)


def _pooled(value, limit, offsets):
    """OR over each cell of [value < limit of the cell's bucket]."""
    counts = np.diff(offsets)
    return _any(value < np.repeat(limit[bucket(counts)], counts, axis=0), offsets)


def _lift(t, x, offsets=None):
    total = np.zeros((len(x), t["weight"].shape[1]), np.float32)
    for k, row in enumerate(t["weight"]):
        total += x.numpy()[:, k, None] * row
    fires = total >= t["limit"]
    if offsets is None:
        return fires, None
    counts = np.diff(offsets)
    return fires, _any(total >= np.repeat(t["pool_limit"][bucket(counts)], counts, axis=0), offsets)


def _popcount(x, weight):
    return distance(bits.pack(x.numpy()), weight)


def _binary(t, x):
    return (_popcount(x, t["weight"]) < t["limit"],)


def _pool(t, x, offsets):
    value = _popcount(x, t["weight"])
    return (_pooled(value, t["pool_limit"], offsets) if "pool_limit" in t else _any(value < t["limit"], offsets),)


def _join(t, x, code, fine, coarse=None):
    value = _popcount(x, t["weight"]) + np.repeat(_popcount(code, t["shared"]), np.diff(fine), axis=0)
    return value < t["limit"], None if coarse is None else _pooled(value, t["pool_limit"], coarse)


_BITS = {"lift": _lift, "binary": _binary, "pool": _pool, "join": _join}


def of_predictions(net, model: Model, objects: Objects, batch: int = 64) -> dict:
    """Torch and the packed model on the best backend over a labelled set: accuracies, and how many answers differ.

    ``ties`` counts the differing answers whose two classes torch's own logits hold equal to one part in 100,000.
    """
    network = Network(model, kernels.choose("auto"))
    names = [model.classes.index(name) for name in objects.classes]
    truth, ours, theirs, ties = np.array(names)[objects.labels], [], [], 0
    for i in range(0, len(objects), batch):
        points = objects.points[i : i + batch]
        ours.append(network.classify(points).argmax(1))
        with torch.no_grad():
            logits = net(torch.from_numpy(points)).numpy()
        theirs.append(logits.argmax(1))
        rows = np.arange(len(points))
        gap = logits.max(1) - logits[rows, ours[-1]]
        ties += int(((gap > 0) & (gap <= 1e-5 * np.abs(logits).max(1))).sum())
    ours, theirs = np.concatenate(ours), np.concatenate(theirs)
    return {
        "n": len(truth),
        "backend": network.backend.name,
        "packed_accuracy": float((ours == truth).mean()),
        "torch_accuracy": float((theirs == truth).mean()),
        "different": int((ours != theirs).sum()),
        "ties": ties,
    }
