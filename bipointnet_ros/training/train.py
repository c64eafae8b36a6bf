"""Train a 1-bit classifier; everything of a run lies in one folder, and a stopped run goes on where it was.

    python -m bipointnet_ros.training.train TRAIN --val VAL --run RUN [--epochs 200 --seed 0 ...]

RUN gets config.json, log.jsonl (one line an epoch), curve.svg and checkpoint.pt; the same command resumes it.
"""

from __future__ import annotations

import argparse
import ctypes
import json
import math
import os
import sys
import time
from dataclasses import asdict, dataclass, fields
from pathlib import Path

import numpy as np
import torch
from torch.nn import functional

from bipointnet_ros.core.blueprint import Blueprint, vanilla
from bipointnet_ros.dataset import Objects
from bipointnet_ros.training import curve, data, layers, models
from bipointnet_ros.training.prepare import every_tenth


@dataclass(frozen=True)
class Recipe:
    """Everything that decides the result of a run besides the data and the code."""

    epochs: int = 200
    batch: int = 64
    rate: float = 2e-3
    warm_up: float = 0.05
    smoothing: float = 0.1
    points: int = 1024
    early_points: int = 512
    early: float = 0.75
    scale: float = 1.25
    shift: float = 0.05
    turn: float = 10.0
    jitter: float = 0.01
    widths: tuple[int, ...] = (64, 128, 1024, 512, 256)
    aggregation: str = "ema-max"
    precision: str = "binary"
    teacher: str = ""
    distil: float = 0.5
    temperature: float = 2.0
    seed: int = 0

    def points_of(self, epoch: int) -> int:
        """The first ``early`` part of the epochs sees fewer points, anew at random for each batch."""
        return self.early_points if epoch < self.early * self.epochs else self.points

    def rate_of(self, progress: float) -> float:
        """One cycle: a linear rise over ``warm_up``, then half a cosine to 0; progress in 0..1."""
        if progress < self.warm_up:
            return self.rate * progress / self.warm_up
        return self.rate * 0.5 * (1.0 + math.cos(math.pi * (progress - self.warm_up) / (1.0 - self.warm_up)))


class Run:
    """A network on its way through a recipe; random choices follow from (seed, epoch), so it can stop and go on."""

    def __init__(self, folder: Path, train: Objects, val: Objects | None, recipe: Recipe):
        self.folder, self.train, self.val, self.recipe = folder, train, val, recipe
        torch.manual_seed(recipe.seed)
        self.net = models.build(vanilla(len(train.classes), recipe.widths), recipe.aggregation, recipe.precision)
        self.teacher = load(recipe.teacher)[0] if recipe.teacher else None
        self.optimizer = torch.optim.Adam(self.net.parameters(), recipe.rate)
        self.augment = data.Augmentation(recipe.scale, recipe.shift, recipe.turn, recipe.jitter)
        self.epoch = 0

    def batches(self, epoch: int):
        """Yield (points (B, n, 3), labels (B,)) tensors of one epoch, augmented."""
        rng = np.random.default_rng([self.recipe.seed, epoch])
        order = rng.permutation(len(self.train.labels))
        steps = max(len(order) // self.recipe.batch, 1)
        for rows in np.array_split(order[: steps * self.recipe.batch], steps):
            some = rng.permutation(self.train.points.shape[1])[: self.recipe.points_of(epoch)]
            points = self.augment(self.train.points[rows][:, some], rng)
            yield torch.from_numpy(points), torch.from_numpy(self.train.labels[rows])

    def train_epoch(self, show=lambda progress: None) -> dict:
        """One pass; returns the mean loss, and the accuracy on the augmented training clouds as they were seen."""
        self.net.train()
        steps = max(len(self.train.labels) // self.recipe.batch, 1)
        losses, right = 0.0, 0.0
        for step, (points, labels) in enumerate(self.batches(self.epoch)):
            for group in self.optimizer.param_groups:
                group["lr"] = self.recipe.rate_of((self.epoch + step / steps) / self.recipe.epochs)
            logits = self.net(points)
            loss = self.loss(logits, points, labels)
            self.optimizer.zero_grad()
            loss.backward()
            self.optimizer.step()
            losses += loss.item() / steps
            right += (logits.argmax(1) == labels).float().mean().item() / steps
            show((step + 1) / steps)
        self.epoch += 1
        return {"loss": losses, "train_accuracy": right}

    def loss(self, logits, points, labels) -> torch.Tensor:
        """Cross-entropy; with a teacher, ``distil`` of it is the divergence from the teacher's softened answer."""
        loss = functional.cross_entropy(logits, labels, label_smoothing=self.recipe.smoothing)
        if self.teacher is None:
            return loss
        with torch.no_grad():
            target = functional.softmax(self.teacher(points) / self.recipe.temperature, 1)
        ours = functional.log_softmax(logits / self.recipe.temperature, 1)
        divergence = functional.kl_div(ours, target, reduction="batchmean") * self.recipe.temperature**2
        return (1.0 - self.recipe.distil) * loss + self.recipe.distil * divergence

    @torch.no_grad()
    def settle_norms(self, batches: int = 100):
        """Replace the running statistics by plain means over training clouds without augmentation."""
        norms = [m for m in self.net.modules() if isinstance(m, layers.BatchNorm)]
        momentum = [norm.momentum for norm in norms]
        for norm in norms:
            norm.momentum = None
            norm.batches.zero_()
        self.net.train()
        order = np.random.default_rng(self.recipe.seed).permutation(len(self.train.labels))
        for rows in np.array_split(order, max(len(order) // self.recipe.batch, 1))[:batches]:
            self.net(torch.from_numpy(self.train.points[rows][:, : self.recipe.points]))
        for norm, value in zip(norms, momentum):
            norm.momentum = value

    def accuracy(self, objects: Objects) -> float:
        return float((predict(self.net, objects.points[:, : self.recipe.points]) == objects.labels).mean())

    def save(self, name: str = "checkpoint.pt"):
        state = {"net": self.net.state_dict(), "optimizer": self.optimizer.state_dict(), "epoch": self.epoch}
        temporary = self.folder / f".{name}.tmp"
        torch.save(state, temporary)
        os.replace(temporary, self.folder / name)

    def resume(self) -> bool:
        """Take up the last checkpoint if there is one."""
        path = self.folder / "checkpoint.pt"
        if not path.is_file():
            return False
        state = torch.load(path, weights_only=True)
        self.net.load_state_dict(state["net"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.epoch = state["epoch"]
        return True


@torch.no_grad()
def predict(net, points: np.ndarray, batch: int = 64) -> np.ndarray:
    """(S, N, 3) -> (S,) predicted class, in evaluation mode."""
    net.eval()
    parts = [net(torch.from_numpy(points[i : i + batch])).argmax(1).numpy() for i in range(0, len(points), batch)]
    return np.concatenate(parts)


def load(folder) -> tuple[torch.nn.Module, dict]:
    """The network of a run's last checkpoint in evaluation mode, and its config.json. DataError where there is none."""
    folder = Path(folder)
    for name in ("config.json", "checkpoint.pt"):
        if not (folder / name).is_file():
            raise data.DataError(f"expected {name} in '{folder}', found none: give the folder of a training run")
    config = json.loads((folder / "config.json").read_text())
    recipe = config.get("recipe", {})
    kinds = recipe.get("aggregation", "ema-max"), recipe.get("precision", "binary")
    net = models.build(Blueprint.from_json(config["blueprint"]), *kinds)
    net.load_state_dict(torch.load(folder / "checkpoint.pt", weights_only=True)["net"])
    return net.eval(), config


def start(folder, train, val, recipe: Recipe, facts: dict) -> Run:
    """A fresh run, or the one in the folder; DataError when the folder holds a run of another recipe."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    blueprint = vanilla(len(train.classes), recipe.widths).to_json()
    config = {"blueprint": blueprint, "classes": list(train.classes), "points": recipe.points, "sampling": "random"}
    config = json.loads(json.dumps({**config, "recipe": asdict(recipe), **facts}))
    path = folder / "config.json"
    if path.is_file() and json.loads(path.read_text())["recipe"] != config["recipe"]:
        raise data.DataError(f"expected the recipe of {path}, got another: choose another --run folder to start afresh")
    path.write_text(json.dumps(config, indent=1) + "\n")
    run = Run(folder, train, val, recipe)
    run.resume()
    return run


def finish(run: Run, every: int = 5):
    """Train to the last epoch, with a line in log.jsonl and a checkpoint after each; then settle the norms."""
    began, first = time.perf_counter(), run.epoch
    while run.epoch < run.recipe.epochs:
        tick = time.perf_counter()
        row = {"epoch": run.epoch + 1, "points": run.recipe.points_of(run.epoch)}
        row |= run.train_epoch(lambda part: _progress(run, part, began, first))
        row["seconds"] = time.perf_counter() - tick
        if run.epoch == run.recipe.epochs:
            run.settle_norms()
        if run.val and (run.epoch % every == 0 or run.epoch == run.recipe.epochs):
            row["val_accuracy"] = run.accuracy(run.val)
        _record(run, row)
        run.save()


def _record(run: Run, row: dict):
    row = {k: round(v, 5) if isinstance(v, float) else v for k, v in row.items()}
    with open(run.folder / "log.jsonl", "a") as log:
        log.write(json.dumps(row) + "\n")
    curve.write(run.folder)
    print("\r\033[K" * sys.stderr.isatty() + json.dumps(row), file=sys.stderr, flush=True)


def _progress(run: Run, part: float, began: float, first: int):
    if not sys.stderr.isatty():
        return
    done, total = run.epoch + part, run.recipe.epochs
    left = (time.perf_counter() - began) / max(done - first, 1e-9) * (total - done)
    bar = "#" * int(30 * done / total)
    sys.stderr.write(f"\r[{bar:<30}] epoch {done:6.2f} of {total}, {left / 60.0:.1f} minutes left ")


def keep_freed_memory():
    """Let glibc reuse large blocks: fresh pages for every activation would cost a third of the time."""
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(-3, 1 << 30)  # M_MMAP_THRESHOLD
        mallopt(-1, 2**31 - 1)  # M_TRIM_THRESHOLD


def main(arguments=None) -> int:
    options = _parser().parse_args(arguments)
    recipe = Recipe(**{f.name: getattr(options, f.name) for f in fields(Recipe)})
    keep_freed_memory()
    try:
        train = data.load(options.train, recipe.points)
        val = data.load(options.val, recipe.points) if options.val else None
        if val is None and not options.no_validation:
            held = np.isin(np.arange(len(train)), every_tenth(train.labels))
            train, val = data.select(train, ~held), data.select(train, held)
        finish(start(options.run, train, val, recipe, {"train": options.train, "val": options.val}))
    except (ValueError, OSError) as error:
        print(f"train: {error}", file=sys.stderr)
        return 2
    return 0


_CHOICES = {"aggregation": layers.AGGREGATIONS, "precision": ("binary", "full")}


def _parser():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("train", help="NAME_train.npz of prepare.py, or a folder with one folder of clouds per class")
    parser.add_argument("--val", help="the same form; default: every tenth training object of each class")
    parser.add_argument("--no-validation", action="store_true", help="train on everything, measure nothing")
    parser.add_argument("--run", required=True, help="folder of the run")
    for f in fields(Recipe):
        if f.name == "widths":
            parser.add_argument("--widths", type=int, nargs=5, default=f.default)
        else:
            parser.add_argument("--" + f.name.replace("_", "-"), type=type(f.default), default=f.default,
                                choices=_CHOICES.get(f.name))
    return parser


if __name__ == "__main__":
    sys.exit(main())
