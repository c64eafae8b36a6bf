"""What entropy and scale do in trained networks: the pictures behind BiPointNet's argument, from our own runs.

    python -m bipointnet_ros.training.insight RUN... --data OBJECTS.npz --out FOLDER [--clouds 200]

Writes FOLDER/alike.svg (share of equal pooled bits of any two clouds: 1 = all look the same), set_bits.svg (share of a
cloud's pooled bits that are +1), entropy.svg (bits a channel, by layer), scale.svg (spread of a layer's products
against those of its real values and weights), and prints the same as a table. Runs of binary networks only.
"""

from __future__ import annotations

import argparse
import copy
import sys
from pathlib import Path

import numpy as np
import torch

from bipointnet_ros.training import chart, data, layers, run
from bipointnet_ros.training.codes import dense
from bipointnet_ros.training.command import command


@torch.no_grad()
def signs(net, points: np.ndarray, batch: int = 50) -> dict[str, np.ndarray]:
    """Layer -> (rows, C) bool: which bits the clouds (S, N, 3) set in evaluation mode."""
    net.eval()
    parts = [net.answer(torch.from_numpy(points[i : i + batch]))[1] for i in range(0, len(points), batch)]
    return {name: np.concatenate([(part[name] >= 0).numpy() for part in parts]) for name in list(parts[0])[:-1]}


def entropy(bits: np.ndarray) -> float:
    """Mean over the channels of the entropy of a bit (rows, C), in bits."""
    p = bits.mean(0).clip(1e-12, 1.0 - 1e-12)
    return float(-(p * np.log2(p) + (1.0 - p) * np.log2(1.0 - p)).mean())


def alike(bits: np.ndarray) -> np.ndarray:
    """(S (S - 1) / 2,) share of equal bits of each pair of rows (S, C)."""
    code = np.where(bits, 1.0, -1.0).astype(np.float32)
    return ((code @ code.T / bits.shape[1] + 1.0) / 2.0)[np.triu_indices(len(bits), 1)]


@torch.no_grad()
def scales(net, points: np.ndarray, rows: int = 2048) -> dict[str, tuple[float, float]]:
    """Layer -> spread of its products against that of the real ones, without and with its scale alpha.

    The real product is that of the values, cut to -1..1, with the weights before their signs are taken.
    """
    net = copy.deepcopy(net).train()
    _, seen = net.answer(torch.from_numpy(points))
    names, found = list(net.stages), {}
    for before, name in zip(names, names[1:]):
        stage = net.stages[name]
        if not isinstance(stage, layers.Binary):
            continue
        x = dense(seen[before])
        x = x[:: -(-len(x) // rows)].clamp(-1.0, 1.0)
        real = (x @ stage.linear.latent().T).std()
        binary = stage.linear.activate(x) @ stage.linear.signs().T
        found[name] = float(binary.std() / real), float((binary * stage.linear.alpha()).std() / real)
    return found


def histogram(values: np.ndarray, bins: int = 50) -> list[tuple[float, float]]:
    """(value in 0..1, share) pairs."""
    share, edges = np.histogram(values, bins, (0.0, 1.0))
    return [(float(e), float(s / len(values))) for e, s in zip((edges[:-1] + edges[1:]) / 2, share)]


@command
def main(arguments):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("runs", nargs="+", help="folders of runs; their names stand in the pictures")
    parser.add_argument("--data", required=True, help="objects (.npz)")
    parser.add_argument("--out", required=True, help="folder of the pictures")
    parser.add_argument("--clouds", type=int, default=200, help="how many objects to look at, evenly taken")
    options = parser.parse_args(arguments)
    pictures, table = draw(options.runs, options.data, options.clouds)
    Path(options.out).mkdir(parents=True, exist_ok=True)
    for name, picture in pictures.items():
        (Path(options.out) / f"{name}.svg").write_text(picture)
    print(table, end="")


def draw(folders, path, clouds: int) -> tuple[dict[str, str], str]:
    """Picture name -> SVG, and the table in markdown."""
    pooled, by_layer, spread = {}, {}, {}
    for folder in folders:
        net, config = run.load(folder)
        if not any(isinstance(stage, layers.Binary) for stage in net.stages.values()):
            raise data.DataError(f"expected a binary network in '{folder}', got one of full precision: leave it out")
        objects = data.load(path, config["points"])
        points = objects.points[np.linspace(0, len(objects) - 1, min(clouds, len(objects))).astype(int)]
        name, bits = Path(folder).name, signs(net, points)
        pool = next(layer.name for layer in net.blueprint.layers if layer.op == "pool")
        pooled[name], spread[name] = bits[pool], scales(net, points[:64])
        by_layer[name] = {layer: entropy(rows) for layer, rows in bits.items()}
    pictures = {
        "alike": chart.lines(
            "Share of equal pooled bits of any two clouds", "1 = the same", _each(pooled, lambda b: histogram(alike(b)))
        ),
        "set_bits": chart.lines(
            "Pooled bits that are +1", "share of a cloud's bits", _each(pooled, lambda b: histogram(b.mean(1)))
        ),
        "entropy": chart.bars("Entropy of a bit, mean over the channels", by_layer),
        "scale": chart.bars(
            "Spread of the products with alpha against that of real ones (1 = undistorted)",
            _each(spread, lambda layer: {name: after for name, (_, after) in layer.items()}),
        ),
    }
    return pictures, _table(pooled, by_layer, spread)


def _each(values: dict, change) -> dict:
    return {name: change(value) for name, value in values.items()}


def _table(pooled, by_layer, spread) -> str:
    head = "| run | pooled bits +1 | equal bits of two clouds | pooled entropy | spread without alpha | with alpha |"
    lines = [head, "|---" * 6 + "|"]
    for name, bits in pooled.items():
        before, after = (_range([pair[k] for pair in spread[name].values()]) for k in (0, 1))
        lines.append(
            f"| {name} | {100 * bits.mean():.1f} % | {100 * alike(bits).mean():.1f} % | {entropy(bits):.2f} "
            f"| {before} | {after} |"
        )
    return "\n".join(lines) + "\n"


def _range(values) -> str:
    return f"{min(values):.3g} to {max(values):.3g}"


if __name__ == "__main__":
    sys.exit(main())
