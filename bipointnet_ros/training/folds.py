"""Cross-validate the classifier that names objects: every thing of a set is named by a network that never saw it.

    python -m bipointnet_ros.training.folds crops_train.npz:200 clusters.npz:1 [--folds 4 --epochs 10 ...]

The things of the first file are dealt out into folds; the other files are trained on in all of them. For sets whose
validation is decided by a few things. Prints overall and mean class accuracy over the first file, as JSON.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

import numpy as np
import torch

from bipointnet_ros.arrays import read_npz
from bipointnet_ros.core import crops
from bipointnet_ros.scores import Confusion
from bipointnet_ros.training import train, train_scenes
from bipointnet_ros.training.command import command
from bipointnet_ros.training.data import DataError
from bipointnet_ros.training.train_objects import Clouds, ObjectRun, Recipe, load


def dealt(label, thing, folds: int, rng) -> np.ndarray:
    """(S,) fold of each cluster: all clusters of a thing (S,) in one, the things of each label (S,) spread evenly."""
    _, first, number = np.unique(thing, return_index=True, return_inverse=True)
    fold = np.empty(len(first), np.int64)
    for name in np.unique(label[first]):
        some = rng.permutation(np.flatnonzero(label[first] == name))
        fold[some] = np.arange(len(some)) % folds
    return fold[number]


def named(clouds: Clouds, fold: np.ndarray, recipe: Recipe, say=print) -> np.ndarray:
    """(S,) name of each cluster of a fold (S,) >= 0, by a network that was trained on all others; -1 = never asked."""
    out = np.full(len(fold), -1)
    for k in range(fold.max() + 1):
        asked, shown = np.flatnonzero(fold == k), np.flatnonzero(fold != k)
        some = Clouds([clouds.clouds[i] for i in shown], clouds.label[shown], clouds.weight[shown])
        trained = ObjectRun(Path(), some, None, recipe)
        while trained.epoch < recipe.epochs:
            facts = trained.train_epoch()
        trained.settle_norms()
        out[asked] = _answers(trained.net, crops.rows([clouds.clouds[i] for i in asked], recipe.points))
        right = np.mean(out[asked] == clouds.label[asked])
        say(
            f"fold {k + 1} of {fold.max() + 1}: {right:.3f} of {len(asked)} clusters; training loss {facts['loss']:.3f}"
        )
    return out


@torch.no_grad()
def _answers(net, rows) -> np.ndarray:
    """As the pipeline names them: seen with either end of their axis ahead."""
    net.eval()
    return sum(net(torch.from_numpy(seen)) for seen in (rows, crops.turned(rows))).argmax(1).numpy()


@command
def main(arguments):
    options = _parser().parse_args(arguments)
    recipe, files, counts = train_scenes.asked(Recipe, options)
    clouds, first = load(files, counts), read_npz(files[0], ("labels", "thing"))
    asked = len(first["labels"])
    thing = first.get("thing", np.arange(asked))
    if not 2 <= options.folds <= len(np.unique(thing)):
        raise DataError(f"expected 2 to {len(np.unique(thing))} folds, one thing each at least, got {options.folds}")
    fold = np.full(len(clouds.label), -1)
    fold[:asked] = dealt(clouds.label[:asked], thing, options.folds, np.random.default_rng(recipe.seed))
    names = named(clouds, fold, recipe, lambda line: print(line, file=sys.stderr, flush=True))
    found = Confusion(crops.NAMES)
    found.add(clouds.label[:asked], names[:asked])
    recall = found.recall()
    accuracy = {name: share for name, share in zip(crops.NAMES, recall.tolist()) if not np.isnan(share)}
    scores = {"overall_accuracy": found.overall(), "mean_class_accuracy": found.mean(recall), "accuracy": accuracy}
    print(json.dumps({"n": asked, **scores, "confusion": found.counts.tolist()}))


def _parser():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("train", nargs="+", metavar="FILE:COUNT", help="as of train_objects; the first is dealt out")
    parser.add_argument("--folds", type=int, default=4)
    train.add_recipe(parser, Recipe)
    return parser


if __name__ == "__main__":
    sys.exit(main())
