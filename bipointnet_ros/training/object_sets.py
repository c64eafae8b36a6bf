"""Clusters cut out of labelled scenes, as training data of the classifier that names objects.

    python -m bipointnet_ros.training.object_sets simulated_train.npz pandaset_train.npz --out clusters.npz
    python -m bipointnet_ros.training.object_sets simulated_train.npz pandaset_train.npz --model lidar --out found.npz

Of simulated scenes every thing by its kind; of others pieces of vegetation, structure and poles. Vegetation and
structure are cut to pieces of random size, for a robot meets pieces of hedges and walls where it is mistaken. With a
model: what that takes for objects, by what it is, so that a classifier learns what to doubt.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import replace

import numpy as np

from bipointnet_ros import dataset
from bipointnet_ros.arrays import read_npz
from bipointnet_ros.core import crops, kernels, model_file
from bipointnet_ros.core.clusters import clusters, runs
from bipointnet_ros.core.config import Config
from bipointnet_ros.core.network import Network
from bipointnet_ros.core.pipeline import Pipeline
from bipointnet_ros.training.command import command
from bipointnet_ros.training.data import DataError
from bipointnet_ros.training.prepare import objects, resample

POINTS = 512  # of a cluster; fewer are repeated
FEWEST = 12
_EDGE = 0.5  # m: cells that touch belong together
_LONGEST = 15.0  # m
_PIECES = ("vegetation", "other")
_KIND_OF = {"vegetation": "vegetation", "structure": "other", "pole": "pole"}  # scene class -> kind
_FOUND_OF = {**_KIND_OF, "ground": "other", "person": "pedestrian"}  # of a vehicle the scene does not tell which
_OTHER, _UNKNOWN = crops.NAMES.index("other"), len(crops.NAMES)
_PURE = 0.7  # share of a found cluster's points that must be of its kind


def cut(path, most: int = 1500, seed: int = 0, pipe: Pipeline | None = None) -> dict[str, np.ndarray]:
    """Objects form of up to ``most`` clusters of each kind, taken at random from a scene file. DataError, FileError.

    pipe: only what it takes for objects, by the kind of most of its points.
    """
    scenes = dataset.read(path)
    if not isinstance(scenes, dataset.Scenes) or scenes.label is None:
        raise DataError(f"expected scenes (xyz, offsets, label, classes) in '{path}', got none: choose another file")
    more = read_npz(path, ("thing", "kind"))
    rng = np.random.default_rng(seed)
    found = {name: [] for name in crops.NAMES}
    for f in range(len(scenes)):
        xyz, intensity, label = scenes.scan(f)
        rows = slice(scenes.offsets[f], scenes.offsets[f + 1])
        told = (more["thing"][rows], more["kind"][rows]) if "kind" in more else None
        if pipe:
            some = _taken(xyz, pipe.process(xyz, intensity).instance, _kinds(label, scenes.classes, told))
        else:
            some = _clusters(xyz, *(told or _by_class(xyz, label, scenes.classes)), rng)
        for name, cloud in some:
            found[name].append(cloud)
    chosen = [(k, clouds[i]) for k, clouds in enumerate(found.values()) for i in rng.permutation(len(clouds))[:most]]
    if not chosen:
        raise DataError(f"expected clusters of at least {FEWEST} points in '{path}', found none: choose another file")
    points = np.stack([resample(cloud, POINTS, rng) for _, cloud in chosen])
    return objects(points, [k for k, _ in chosen], crops.NAMES)


def _by_class(xyz, label, classes):
    """thing (N,) and kind (N,) of the points whose class says what kind of thing they are."""
    thing, kind = np.zeros(len(xyz), np.int64), np.full(len(xyz), len(crops.NAMES))
    for name, as_kind in _KIND_OF.items():
        rows = np.flatnonzero(label == classes.index(name)) if name in classes else []
        if len(rows):
            thing[rows] = clusters(xyz[rows, :2], _EDGE) + thing.max() + 1
            kind[rows] = crops.NAMES.index(as_kind)
    return thing, kind


def _kinds(label, classes, told) -> np.ndarray:
    """(N,) kind of what each point is of: as it was simulated, else as far as its class tells, else _UNKNOWN."""
    if told is not None:
        return np.where(told[1] < len(crops.NAMES), told[1], _OTHER)
    table = np.full(256, _UNKNOWN)
    for name, as_kind in _FOUND_OF.items():
        if name in classes:
            table[classes.index(name)] = crops.NAMES.index(as_kind)
    return table[label]


def _taken(xyz, instance, kind):
    """Yield (name of the kind, points (n, 3)) of every instance that is mostly of one known kind."""
    rows = np.flatnonzero(instance)
    order, starts = runs(instance[rows] - 1)
    for part in np.split(rows[order], starts[1:-1]) if len(rows) else []:
        count = np.bincount(kind[part], minlength=_UNKNOWN + 1)
        most = int(count.argmax())
        if most != _UNKNOWN and count[most] >= _PURE * len(part):
            yield crops.NAMES[most], xyz[part]


def _clusters(xyz, thing, kind, rng):
    """Yield (name of the kind, points (n, 3)) of every thing or piece that is large enough."""
    rows = np.flatnonzero((thing > 0) & (kind < len(crops.NAMES)))
    if len(rows) == 0:
        return
    order, starts = runs(np.unique(thing[rows], return_inverse=True)[1].reshape(-1))
    for a, b in zip(starts[:-1], starts[1:]):
        part = rows[order[a:b]]
        name = crops.NAMES[kind[part[0]]]
        for cloud in _pieces(xyz[part], rng) if name in _PIECES else [xyz[part]]:
            if len(cloud) >= FEWEST and np.ptp(cloud[:, :2], axis=0).max() < _LONGEST:
                yield name, cloud


def _pieces(xyz, rng):
    """A thing cut by a grid of random edge and place, and at a random height."""
    edge = rng.uniform(0.6, 6.0)
    low = xyz[xyz[:, 2] < xyz[:, 2].min() + rng.uniform(0.6, 3.5)]
    cell = np.floor(low[:, :2] / edge + rng.random(2)).astype(np.int64)
    order, starts = runs(np.unique(cell, axis=0, return_inverse=True)[1].reshape(-1))
    return [low[order[a:b]] for a, b in zip(starts[:-1], starts[1:])]


def undoubting(model) -> Pipeline:
    """The pipeline of a model, by path or name, that names no objects and so leaves out none. ModelFileError."""
    packed = replace(model_file.read(model_file.find(model)), objects=None)
    return Pipeline(Config(threads=1), Network(packed, kernels.choose("auto")))


@command
def main(arguments):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("scenes", nargs="+", help="scene files of prepare.py or simulate.py")
    parser.add_argument("--model", help="a packed segmenter, by path or name: only what it takes for objects")
    parser.add_argument("--most", type=int, default=1500, help="clusters of a kind out of a file")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", required=True, help="NAME.npz to write")
    options = parser.parse_args(arguments)
    pipe = undoubting(options.model) if options.model else None
    parts = [cut(path, options.most, options.seed, pipe) for path in options.scenes]
    data = {key: np.concatenate([part[key] for part in parts]) for key in ("points", "labels")}
    np.savez_compressed(options.out, **data, classes=np.array(crops.NAMES))
    counts = np.bincount(data["labels"], minlength=len(crops.NAMES))
    print(f"{options.out}: " + ", ".join(f"{name} {count}" for name, count in zip(crops.NAMES, counts)))


if __name__ == "__main__":
    sys.exit(main())
