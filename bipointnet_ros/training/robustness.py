"""How much a packed classifier and its full-precision twin lose under what robots meet: one table.

    python -m bipointnet_ros.training.robustness MODEL TWIN_RUN --data OBJECTS.npz [--out TABLE.md] [--most 500]

MODEL is a packed file or a shipped name, TWIN_RUN the run folder of the same network in full precision. Both judge the
same clouds: the packed one by the node's pipeline, the twin by torch after the same sampling and scaling. 2048 points
and "another sampling" are new points in the triangles of neighbouring given ones, not points of the CAD surface.
"""

from __future__ import annotations

import argparse
import sys
from functools import partial
from pathlib import Path

import numpy as np

from bipointnet_ros import offline
from bipointnet_ros.core import points as cloud_points
from bipointnet_ros.core.config import Config
from bipointnet_ros.core.pipeline import Pipeline
from bipointnet_ros.dataset import Objects
from bipointnet_ros.training import data, disturbances, run, views
from bipointnet_ros.training.command import command


def rows(points: np.ndarray, seed: int = 0):
    """Yield (name, clouds) of each disturbance of points (S, N, 3) in the unit sphere, in the order of the table."""
    surface = views.Surface(points)
    everything = np.arange(len(points))
    changes = {
        "as given": lambda p, rng: p,
        "turned about z": disturbances.turned,
        "any rotation": disturbances.tumbled,
        **{f"jitter {d}": partial(disturbances.noisy, deviation=d) for d in (0.01, 0.02, 0.05)},
        **{f"{n} points": partial(disturbances.thinned, count=n) for n in (512, 256, 128) if n < points.shape[1]},
        "2048 points": lambda p, rng: surface.resampled(everything, 2048, rng, 0.0),
        "another sampling": lambda p, rng: surface.resampled(everything, p.shape[1], rng, 0.0),
        "another sampling, denser to one side": lambda p, rng: surface.resampled(everything, p.shape[1], rng),
        "seen from one side": disturbances.seen_from_one_side,
    }
    for name, change in changes.items():
        yield name, change(points, np.random.default_rng(seed))


def packed_accuracy(pipe: Pipeline, clouds, labels) -> float:
    """Share of clouds (n, 3) that the node's pipeline names right; labels index the model's classes."""
    return float(np.mean([pipe.process(c).label.max(initial=0) == k + 1 for c, k in zip(clouds, labels)]))


def twin_accuracy(net, clouds, labels, count: int, method: str) -> float:
    """The same of the torch network, fed as the pipeline feeds the packed one."""
    seen = [c[cloud_points.sample(c, count, method, Config().seed)] for c in clouds]
    return float((run.predict(net, cloud_points.normalised(np.stack(seen))) == labels).mean())


def measure(pipe: Pipeline, twin, objects: Objects, say=lambda line: None) -> list[tuple[str, float, float]]:
    """(disturbance, accuracy of the packed model, of the twin) of each row; ``say`` gets a line for each."""
    model, found = pipe.model, []
    labels = np.array([model.classes.index(name) for name in objects.classes])[objects.labels]
    for name, clouds in rows(objects.points):
        clouds = [np.ascontiguousarray(c, np.float32) for c in clouds]
        pair = packed_accuracy(pipe, clouds, labels), twin_accuracy(twin, clouds, labels, model.points, model.sampling)
        found.append((name, *pair))
        say(f"{name:40} {100 * pair[0]:5.1f} % {100 * pair[1]:5.1f} %")
    return found


def table(found) -> str:
    """Markdown; in brackets what a row loses against the clouds as given."""
    lines = ["| disturbance | 1-bit, packed | full precision |", "|---|---|---|"]
    _, *base = found[0]
    for name, *pair in found:
        cells = [f"{100 * v:.1f}" + f" ({100 * (v - b):+.1f})" * (name != found[0][0]) for v, b in zip(pair, base)]
        lines.append(f"| {name} | {cells[0]} | {cells[1]} |")
    return "\n".join(lines) + "\n"


@command
def main(arguments):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", help="packed file, or the name of a shipped model")
    parser.add_argument("twin", help="run folder of the full-precision twin")
    parser.add_argument("--data", required=True, help="objects (.npz)")
    parser.add_argument("--most", type=int, default=0, help="use this many of the objects, evenly taken; 0 = all")
    parser.add_argument("--out", help="markdown file to write")
    options = parser.parse_args(arguments)
    pipe = offline.pipeline(Config(model=options.model, threads=1))
    twin, config = run.load(options.twin)
    objects = data.load(options.data, pipe.model.points)
    if config["classes"] != list(pipe.model.classes) or not set(objects.classes) <= set(pipe.model.classes):
        raise data.DataError(f"expected the classes of {options.model} in the twin and the data, got others")
    if options.most:
        objects = data.select(objects, np.arange(0, len(objects), -(-len(objects) // options.most)))
    drawn = table(measure(pipe, twin, objects, print))
    if options.out:
        Path(options.out).write_text(drawn)
    print(f"{len(objects)} objects of {Path(options.data).name}\n\n{drawn}", end="")


if __name__ == "__main__":
    sys.exit(main())
