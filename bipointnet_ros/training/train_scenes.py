"""Train a 1-bit segmentation network on labelled scans; every step mixes sensors.

    python -m bipointnet_ros.training.train_scenes A_train.npz:1 B_train.npz:4 --val A_val.npz B_val.npz --run RUN

FILE:COUNT puts COUNT scans of that file into every step; --start takes the weights of another run's folder; --method
full trains the full-precision twin, which may then teach (--teacher, --distil, --temperature). RUN gets config.json,
log.jsonl, curve.svg and checkpoint.pt; the same command resumes it, and bipointnet_ros.training.export packs it.
"""

from __future__ import annotations

import argparse
import copy
import sys
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from torch.nn import functional

from bipointnet_ros.core import features, kernels, looks
from bipointnet_ros.core.blueprint import Grid, cell_segmenter
from bipointnet_ros.dataset import IGNORED
from bipointnet_ros.evaluation import FEWEST_POINTS
from bipointnet_ros.scores import Confusion
from bipointnet_ros.training import data, models, paste, run, scan, scenes, train
from bipointnet_ros.training.augmentation import augmented
from bipointnet_ros.training.command import command
from bipointnet_ros.training.norm import settle
from bipointnet_ros.training.recipe import one_cycle
from bipointnet_ros.training.teacher import divergence

MOST_ROWS = 65536  # what ``points`` of a model means here: how many rows a thinned scan may have


@dataclass(frozen=True)
class Recipe:
    """Everything that decides the result of a run besides the data and the code."""

    epochs: int = 60
    steps: int = 100
    rate: float = 2e-3
    warm_up: float = 0.03
    smoothing: float = 0.05
    things: int = 12
    width: int = 128
    voxel: float = 0.2
    cells: tuple[int, ...] = (4, 12, 36)
    inputs: tuple[str, ...] = features.BLIND
    method: str = "bipointnet"
    start: str = ""
    teacher: str = ""
    distil: float = 0.5
    temperature: float = 2.0
    views: int = 1
    blur: float = 0.0
    average: float = 0.0
    seed: int = 0

    def rate_of(self, progress: float) -> float:
        return one_cycle(self.rate, self.warm_up, progress)


class SceneRun(run.Run):
    """A segmenter on its way through a recipe; each step takes ``counts[i]`` scans of ``sets[i]``.

    fewest: true points in ``val`` of a class whose IoU counts in the mean.
    """

    def __init__(self, folder: Path, sets, counts, val, classes, recipe: Recipe, fewest: float = FEWEST_POINTS):
        self.folder, self.sets, self.counts, self.val, self.classes = Path(folder), sets, counts, val, tuple(classes)
        self.recipe, self.epoch, self.fewest = recipe, 0, fewest
        torch.manual_seed(recipe.seed)
        grid = Grid(recipe.voxel, tuple(recipe.cells))
        self.blueprint = cell_segmenter(recipe.inputs, len(classes), grid, recipe.width)
        self.net = models.build(self.blueprint, recipe.method)
        if recipe.start:
            run.take(self.net, recipe.start)
        self.mean = copy.deepcopy(self.net).eval() if recipe.average else None
        self.teacher = self._teacher() if recipe.teacher else None
        self.optimizer = torch.optim.Adam(self.net.parameters(), recipe.rate)
        self.banks = [paste.things(scans, self.classes) if recipe.things else [] for scans in sets]
        self.weight = torch.from_numpy(class_weights(sets, counts, len(classes)))

    def _teacher(self):
        net = run.load(self.recipe.teacher)[0]
        if (net.blueprint.inputs, net.blueprint.grid) != (self.blueprint.inputs, self.blueprint.grid):
            raise data.DataError(f"expected a teacher of the same inputs and cells, got '{self.recipe.teacher}'")
        return net

    def batches(self, epoch: int, steps: int, blur: float = 0.0, views: int = 1):
        """Yield the augmented batches of an epoch; scans of a set come in a shuffled order, each before any repeats."""
        rng = np.random.default_rng([self.recipe.seed, epoch])
        stream = scenes.mixed(self.sets, self.counts, rng)
        for _ in range(steps):
            scans = [augmented(one, rng, self.banks[i], self.recipe.things) for i, one in next(stream)]
            yield scenes.batch(scans, self.blueprint, rng, blur, views)

    def train_epoch(self, show=lambda part: None) -> dict:
        """``recipe.steps`` steps; returns the mean loss."""
        self.net.train()
        steps, losses = self.recipe.steps, 0.0
        for step, (batch, answer) in enumerate(scenes.ahead(self.taught(self.epoch, steps))):
            for group in self.optimizer.param_groups:
                group["lr"] = self.recipe.rate_of((self.epoch + step / steps) / self.recipe.epochs)
            loss = self.loss(batch, answer)
            self.optimizer.zero_grad()
            loss.backward()
            self.optimizer.step()
            self._average(self.epoch * steps + step)
            losses += loss.item() / steps
            show((step + 1) / steps)
        self.epoch += 1
        return {"loss": losses}

    @torch.no_grad()
    def taught(self, epoch: int, steps: int):
        """Yield the batches of an epoch, each with the teacher's logits of its rows, the mean of all views, or None."""
        for batch in self.batches(epoch, steps, self.recipe.blur, self.recipe.views if self.teacher else 1):
            views = (batch.first, *batch.again) if self.teacher else ()
            yield batch, sum(_logits(self.teacher, view) for view in views) / len(views) if views else None

    def loss(self, batch: scenes.Batch, answer: torch.Tensor | None) -> torch.Tensor:
        """Cross-entropy of the labelled rows, rare classes weighing more, and the distance from a teacher's answer."""
        logits, label = _logits(self.net, batch.first), torch.from_numpy(batch.label)
        rule = {"label_smoothing": self.recipe.smoothing}
        loss = functional.cross_entropy(logits, label, self.weight, ignore_index=IGNORED, **rule)
        if answer is None:
            return loss
        taught = divergence(logits, answer, self.recipe.temperature)
        return (1.0 - self.recipe.distil) * loss + self.recipe.distil * taught

    def settle_norms(self, batches: int = 100):
        """Replace the running statistics by plain means over augmented batches of the mix."""
        mix = self.batches(self.recipe.epochs, batches)
        settle(self.result, ((torch.from_numpy(batch.first.features), batch.first.offsets) for batch in mix))

    def scores(self) -> dict:
        """Mean IoU, and IoU by class, of each validation set; ``val_accuracy`` is the mean of the means."""
        self.ready_mean()
        out = {}
        for name, scans in self.val.items():
            found = confusion(self.result, self.classes, scans)
            out[name] = found.mean(found.iou(), self.fewest)
            out[name + "_iou"] = dict(zip(self.classes, found.iou().round(3).tolist()))
        return {**out, "val_accuracy": float(np.mean([out[name] for name in self.val]))} if out else out


def _logits(net, view: scenes.View) -> torch.Tensor:
    """(n, K) by the rows of the batch."""
    logits = net(torch.from_numpy(view.features), view.offsets)
    return logits[torch.from_numpy(np.argsort(view.row))]


@torch.no_grad()
def confusion(net, classes, scans, again: int = 0) -> Confusion:
    """Every point of the scans answered by its voxel's row, in evaluation mode, after ``again`` further looks."""
    net.eval()
    found, blueprint, backend = Confusion(classes), net.blueprint, kernels.choose()
    for one in scans:
        seen = features.scene(one.xyz, one.intensity, blueprint.grid, blueprint.inputs, backend)
        logits = net(torch.from_numpy(seen.features), seen.offsets)
        rows = np.arange(len(logits))
        for shift, _ in looks.further(again, blueprint.grid):
            look = looks.again(seen, one.xyz, rows, blueprint.grid, blueprint.inputs, shift, backend)
            logits[look.row] += net(torch.from_numpy(look.features), look.offsets)
        found.add(one.label, logits.argmax(1).numpy()[seen.answer])
    return found


def class_weights(sets, counts, classes: int) -> np.ndarray:
    """(classes,) float32: share in the mix ** -0.5, at most 8 times that of all points; mean 1 over the points."""
    labels = [np.concatenate([one.label for one in scans]) for scans in sets]
    found = [np.bincount(label, minlength=256)[:classes] for label in labels]
    share = sum(count / len(scans) * points for count, scans, points in zip(counts, sets, found))
    share = share / share.sum()
    weight = np.minimum(np.maximum(share, 1e-9) ** -0.5, 8.0)
    return (weight / (weight * share).sum()).astype(np.float32)


def start(folder, files, counts, val, recipe: Recipe, stride: int = 1) -> SceneRun:
    """A fresh run, or the one in the folder; DataError when the folder holds another recipe or the classes differ."""
    folder = Path(folder)
    loaded = [scan.load(path) for path in files]
    if len({classes for _, classes in loaded}) != 1:
        raise data.DataError(f"expected the same classes in all of {', '.join(files)}: prepare them with one table")
    judged = {Path(path).stem: scan.load(path)[0][::stride] for path in val}
    fewest = FEWEST_POINTS / stride  # the classes that count in the whole file count in a part of it
    fresh = SceneRun(folder, [scans for scans, _ in loaded], counts, judged, loaded[0][1], recipe, fewest)
    config = {
        "blueprint": fresh.blueprint.to_json(),
        "classes": list(fresh.classes),
        "points": MOST_ROWS,
        "sampling": "voxel",
        "train": [f"{Path(f).name}:{c}" for f, c in zip(files, counts)],
        "val": [Path(f).name for f in val],
    }
    run.keep_config(folder, {**config, "recipe": asdict(recipe)})
    fresh.resume()
    return fresh


@command
def main(arguments):
    options = _parser().parse_args(arguments)
    recipe, files, counts = asked(Recipe, options)
    train.finish(start(options.run, files, counts, options.val, recipe, options.stride), options.every)


def asked(recipe, options):
    """The recipe, the files and their counts of a command that takes FILE:COUNT ...; torch gets one thread."""
    torch.set_num_threads(1)
    train.keep_freed_memory()
    return train.recipe_of(recipe, options), *zip(*map(counted, options.train))


def counted(item: str) -> tuple[str, int]:
    path, _, count = item.rpartition(":")
    if not path or not count.isdigit() or not int(count):
        raise data.DataError(f"expected FILE:COUNT, got '{item}': say how many scans of the file each step takes")
    return path, int(count)


def _parser():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("train", nargs="+", metavar="FILE:COUNT", help="NAME_train.npz of prepare.py, and scans a step")
    parser.add_argument("--val", nargs="+", default=[], metavar="FILE", help="files without a count; never trained on")
    parser.add_argument("--run", required=True, help="folder of the run")
    parser.add_argument("--every", type=int, default=5, help="epochs between two validations")
    parser.add_argument("--stride", type=int, default=1, help="validate on every n-th scan while training")
    train.add_recipe(parser, Recipe)
    return parser


if __name__ == "__main__":
    sys.exit(main())
