"""Train the 1-bit classifier that names the objects of a scan; ``export --objects`` puts it into a segmenter's file.

    python -m bipointnet_ros.training.train_objects crops_pandaset.npz:4 clusters.npz:1 --val crops_val.npz --run RUN

FILE:COUNT says how often a cloud of that file is drawn, per cloud. RUN gets config.json, log.jsonl, curve.svg and
checkpoint.pt; the same command resumes it.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from torch.nn import functional

from bipointnet_ros import dataset
from bipointnet_ros.arrays import read_npz
from bipointnet_ros.core import crops
from bipointnet_ros.core.aggregation import delta
from bipointnet_ros.core.blueprint import vanilla
from bipointnet_ros.scores import Confusion
from bipointnet_ros.training import data, models, run, train, train_scenes
from bipointnet_ros.training.command import command
from bipointnet_ros.training.norm import settle
from bipointnet_ros.training.recipe import one_cycle

_NAME_OF = {"bush": "vegetation"}  # a set's own name -> ours
_FEWEST = 12  # points that thinning leaves
_AGAIN = 0.5  # a thing that was seen n times is drawn n ** this times as often as one that was seen once


@dataclass(frozen=True)
class Recipe:
    """Everything that decides the result of a run besides the data and the code."""

    epochs: int = 30
    steps: int = 100
    batch: int = 64
    points: int = 256
    rate: float = 2e-3
    warm_up: float = 0.05
    smoothing: float = 0.05
    balance: float = 0.4
    widths: tuple[int, ...] = (64, 128, 512, 256, 128)
    method: str = "bipointnet"
    seed: int = 0

    def rate_of(self, progress: float) -> float:
        return one_cycle(self.rate, self.warm_up, progress)


@dataclass(frozen=True)
class Clouds:
    """clouds: (n, 3) float32 [m] each; label (S,) into crops.NAMES; weight (S,): how often each is drawn."""

    clouds: list[np.ndarray]
    label: np.ndarray
    weight: np.ndarray


class ObjectRun(run.Run):
    """A classifier of clusters on its way through a recipe."""

    def __init__(self, folder: Path, train_on: Clouds, val: Clouds | None, recipe: Recipe):
        self.folder, self.train, self.val, self.recipe, self.epoch = Path(folder), train_on, val, recipe, 0
        torch.manual_seed(recipe.seed)
        self.blueprint = vanilla(len(crops.NAMES), recipe.widths, crops.INPUTS)
        self.net = models.build(self.blueprint, recipe.method)
        if recipe.method != "full":
            _let_size_through(self.net, recipe.points)
        self.optimizer = torch.optim.Adam(self.net.parameters(), recipe.rate)
        share = np.bincount(train_on.label, train_on.weight, len(crops.NAMES))
        chance = train_on.weight * np.maximum(share, 1e-9)[train_on.label] ** -recipe.balance
        self._chance = chance / chance.sum()

    def batches(self, epoch: int, steps: int):
        """Yield (rows (B, points, 6), label (B,)) tensors, augmented; rare classes are drawn more often."""
        rng = np.random.default_rng([self.recipe.seed, epoch])
        for _ in range(steps):
            some = rng.choice(len(self.train.label), self.recipe.batch, p=self._chance)
            clouds = [varied(self.train.clouds[i], rng) for i in some]
            yield torch.from_numpy(crops.rows(clouds, self.recipe.points)), torch.from_numpy(self.train.label[some])

    def train_epoch(self, show=lambda part: None) -> dict:
        """``recipe.steps`` steps; returns the mean loss and the share of augmented clusters named rightly."""
        self.net.train()
        steps, losses, right = self.recipe.steps, 0.0, 0.0
        for step, (rows, label) in enumerate(self.batches(self.epoch, steps)):
            for group in self.optimizer.param_groups:
                group["lr"] = self.recipe.rate_of((self.epoch + step / steps) / self.recipe.epochs)
            logits = self.net(rows)
            loss = functional.cross_entropy(logits, label, label_smoothing=self.recipe.smoothing)
            self.optimizer.zero_grad()
            loss.backward()
            self.optimizer.step()
            losses += loss.item() / steps
            right += (logits.argmax(1) == label).float().mean().item() / steps
            show((step + 1) / steps)
        self.epoch += 1
        return {"loss": losses, "train_accuracy": right}

    def settle_norms(self, batches: int = 100):
        """Replace the running statistics by plain means over augmented clusters."""
        settle(self.net, ((rows,) for rows, _ in self.batches(self.recipe.epochs, batches)))

    def scores(self) -> dict:
        """Overall and mean class accuracy on the validation clusters, as they are; nothing where there are none."""
        if self.val is None:
            return {}
        rows = crops.rows(self.val.clouds, self.recipe.points)
        found = Confusion(crops.NAMES)
        found.add(self.val.label, run.predict(self.net, rows))
        return {"val_accuracy": found.overall(), "val_mean_class": found.mean(found.recall())}


@torch.no_grad()
def _let_size_through(net, points: int):
    """Half of the pooled channels begin without EMA-max's offset: what all points share would never fire."""
    for layer in net.blueprint.layers:
        if layer.op == "pool":
            net.stages[layer.name].norm.bias[::2] = -delta(points)


def varied(cloud: np.ndarray, rng) -> np.ndarray:
    """A cluster as it might be seen from elsewhere: mirrored, scaled, half hidden, cut, thinned, turned, noisy."""
    cloud = cloud * np.float32([1.0, rng.choice([-1.0, 1.0]), 1.0]) * np.float32(rng.uniform(0.95, 1.05))
    for cut, chance in ((_half_hidden, 0.3), (_cut_below, 0.5), (_thinned, 0.5)):
        if rng.random() < chance:
            kept = cut(cloud, rng)
            cloud = kept if len(kept) >= _FEWEST else cloud
    angle = rng.uniform(0.0, 2.0 * np.pi)
    c, s = np.cos(angle), np.sin(angle)
    turn = np.array([[c, -s, 0.0], [s, c, 0.0], [0.0, 0.0, 1.0]])
    noise = rng.normal(0.0, rng.choice([0.0, 0.02, 0.04]), cloud.shape)
    return rng.permutation(cloud @ turn.T + noise).astype(np.float32)


def _half_hidden(cloud, rng):
    """What lies on one side of an upright plane."""
    angle = rng.uniform(0.0, 2.0 * np.pi)
    along = cloud[:, 0] * np.cos(angle) + cloud[:, 1] * np.sin(angle)
    return cloud[along > np.quantile(along, rng.uniform(0.1, 0.6))]


def _cut_below(cloud, rng):
    """Without its lowest part, which may be taken for ground."""
    return cloud[cloud[:, 2] > cloud[:, 2].min() + rng.uniform(0.0, 0.4)]


def _thinned(cloud, rng):
    """Down to a dozen points."""
    count = int(np.exp(rng.uniform(np.log(_FEWEST), np.log(max(len(cloud), _FEWEST + 1)))))
    return cloud[rng.permutation(len(cloud))[:count]]


def load(files, counts) -> Clouds:
    """The clusters of files in objects form, in metres, z up. DataError, FileError."""
    clouds, labels, weights = [], [], []
    for path, count in zip(files, counts):
        one = dataset.read(path)
        if not isinstance(one, dataset.Objects) or not len(one):
            raise data.DataError(f"expected objects (points, labels, classes) in '{path}', got none: prepare it again")
        names = [_NAME_OF.get(name, name) for name in one.classes]
        unknown = [name for name in names if name not in crops.NAMES]
        if unknown:
            raise data.DataError(f"expected classes among {', '.join(crops.NAMES)} in '{path}', got {unknown[0][:40]}")
        clouds += [np.unique(cloud, axis=0) for cloud in one.points]
        labels.append(np.array([crops.NAMES.index(name) for name in names])[one.labels])
        weights.append(count * _novelty(path, len(one)))
    return Clouds(clouds, np.concatenate(labels), np.concatenate(weights))


def _novelty(path, count: int) -> np.ndarray:
    """(count,) weight of each cluster of a file: less where its thing was seen again and again."""
    thing = read_npz(path, ("thing",)).get("thing")
    if thing is None:
        return np.ones(count)
    if thing.shape != (count,):
        raise data.DataError(f"expected the thing of each of the {count} clusters in '{path}', got {thing.shape}")
    _, number, seen = np.unique(thing, return_inverse=True, return_counts=True)
    return seen[number.reshape(-1)] ** (_AGAIN - 1.0)


def start(folder, files, counts, val, recipe: Recipe) -> ObjectRun:
    """A fresh run, or the one in the folder; DataError when the folder holds another recipe."""
    folder = Path(folder)
    fresh = ObjectRun(folder, load(files, counts), load(val, [1] * len(val)) if val else None, recipe)
    facts = {"train": [f"{Path(f).name}:{c}" for f, c in zip(files, counts)], "val": [Path(f).name for f in val]}
    config = {"blueprint": fresh.blueprint.to_json(), "classes": list(crops.NAMES), "points": recipe.points, **facts}
    run.keep_config(folder, {**config, "recipe": asdict(recipe)})
    fresh.resume()
    return fresh


@command
def main(arguments):
    options = _parser().parse_args(arguments)
    recipe, files, counts = train_scenes.asked(Recipe, options)
    train.finish(start(options.run, files, counts, options.val, recipe), options.every)


def _parser():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "train", nargs="+", metavar="FILE:COUNT", help="objects, and how often a cloud of them is drawn"
    )
    parser.add_argument("--val", nargs="+", default=[], metavar="FILE", help="files without a count; never trained on")
    parser.add_argument("--run", required=True, help="folder of the run")
    parser.add_argument("--every", type=int, default=5, help="epochs between two validations")
    train.add_recipe(parser, Recipe)
    return parser


if __name__ == "__main__":
    sys.exit(main())
