"""A training run: a network, what it learns from, and a folder from which it goes on where it was stopped."""

from __future__ import annotations

import copy
import json
import math
import os
import time
from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch
from torch.nn import functional

from bipointnet_ros.core.blueprint import Blueprint
from bipointnet_ros.dataset import Objects
from bipointnet_ros.training import data, models, views
from bipointnet_ros.training.binarizers import Bnn
from bipointnet_ros.training.norm import settle
from bipointnet_ros.training.recipe import Recipe
from bipointnet_ros.training.teacher import Teacher


class Run:
    """A network on its way through a recipe; random choices follow from (seed, epoch), so it can stop and go on."""

    mean = None  # the network of averaged weights, where the recipe asks for one

    def __init__(self, folder: Path, train: Objects, val: Objects | None, recipe: Recipe):
        self.folder, self.train, self.val, self.recipe = folder, train, val, recipe
        torch.manual_seed(recipe.seed)
        self.net = models.build(recipe.blueprint(len(train.classes)), recipe.method, recipe.aggregation)
        if recipe.start:
            take(self.net, recipe.start)
        self.mean = copy.deepcopy(self.net).eval() if recipe.average else None
        self.teacher = Teacher(load(recipe.teacher)[0], self.net.blueprint, recipe) if recipe.teacher else None
        self.optimizer = torch.optim.AdamW(_groups(self.net), recipe.rate, weight_decay=0.0)
        self.move = views.Motion(recipe.scale, recipe.shift, recipe.turn, recipe.jitter)
        self.surface = views.Surface(train.points) if recipe.resample else None
        self.epoch = 0

    def batches(self, epoch: int):
        """Yield (points (B, m, 3), share of each class (B, K)) tensors of one epoch, augmented.

        The network sees the first ``points_of(epoch)`` of the m points, in a random order; a teacher may see more.
        """
        rng = np.random.default_rng([self.recipe.seed, epoch])
        order = rng.permutation(len(self.train.labels))
        steps = max(len(order) // self.recipe.batch, 1)
        one_hot = np.eye(len(self.train.classes), dtype=np.float32)
        for rows in np.array_split(order[: steps * self.recipe.batch], steps):
            most = self.recipe.points_given(epoch)
            points = self.seen(rows, max(int(most * (1.0 - self.recipe.drop * rng.random())), 1), rng)
            points = points[:, np.r_[: points.shape[1], rng.integers(points.shape[1], size=most - points.shape[1])]]
            answers = one_hot[self.train.labels[rows]]
            if rng.random() < self.recipe.mix:
                points, answers = views.mixed(points, answers, rng)
            yield torch.from_numpy(self.move(points, rng)), torch.from_numpy(answers)

    def seen(self, rows, count: int, rng) -> np.ndarray:
        """(R, count, 3): one random choice of points for all clouds; of some clouds a new sampling of the surface."""
        points = self.train.points[rows][:, rng.permutation(self.train.points.shape[1])[:count]]
        anew = rng.random(len(rows)) < self.recipe.resample
        if anew.any():
            points[anew] = self.surface.resampled(rows[anew], count, rng)
        return points

    def train_epoch(self, show=lambda progress: None) -> dict:
        """One pass; returns points a cloud, mean loss, and accuracy on the augmented clouds as they were seen."""
        self.net.train()
        torch.manual_seed(self.recipe.seed + 100_003 * self.epoch)  # dropout follows from (seed, epoch) too
        steps = max(len(self.train.labels) // self.recipe.batch, 1)
        losses, right = 0.0, 0.0
        for step, (points, answers) in enumerate(self.batches(self.epoch)):
            self._schedule((self.epoch + step / steps) / self.recipe.epochs)
            logits, loss = self.gradients(points, answers, self.recipe.points_of(self.epoch))
            self.optimizer.step()
            self._average(self.epoch * steps + step)
            losses += loss.item() / steps
            if not math.isfinite(losses):
                raise data.DataError(f"the training diverged in epoch {self.epoch + 1}: take a smaller --rate")
            right += (logits.argmax(1) == answers.argmax(1)).float().mean().item() / steps
            show((step + 1) / steps)
        self.epoch += 1
        return {"points": self.recipe.points_of(self.epoch - 1), "loss": losses, "train_accuracy": right}

    def gradients(self, points, answers, count: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Logits and loss of a batch of which the network sees ``count`` points; gradients lie in the parameters."""
        logits, seen = self.net.answer(points[:, :count])
        loss = self.loss(logits, seen, points, answers)
        self.optimizer.zero_grad()
        loss.backward()
        return logits.detach(), loss.detach()

    def seconds_left(self) -> float:
        """What the remaining epochs will take here and now, from a step of each of their kinds; changes nothing."""
        trial, epochs = copy.copy(self), self.recipe.epochs
        trial.net = copy.deepcopy(self.net).train()
        kinds = {}  # points of a cloud and real weights? -> epochs
        for e in range(self.epoch, epochs):
            kinds.setdefault((self.recipe.points_of(e), self.recipe.real_at(e / epochs)), []).append(e)
        steps, total = max(len(self.train.labels) // self.recipe.batch, 1), 0.0
        for (count, real), at in kinds.items():
            trial.net.set_real(real)
            trial.gradients(*next(trial.batches(at[0])), count)
            began = time.perf_counter()
            trial.gradients(*next(trial.batches(at[0])), count)
            total += (time.perf_counter() - began) * steps * len(at)
        return total

    def _schedule(self, progress: float):
        matrices, others = self.optimizer.param_groups
        matrices["lr"] = others["lr"] = self.recipe.rate_of(progress)
        matrices["weight_decay"] = self.recipe.decay_of(progress)
        for net in filter(None, (self.net, self.mean)):
            net.set_progress(progress)
            net.set_real(self.recipe.real_at(progress))

    @torch.no_grad()
    def _average(self, step: int):
        """The averaged weights follow the trained ones; over fewer steps at the beginning."""
        if self.mean is not None:
            share = 1.0 - min(self.recipe.average, (1.0 + step) / (10.0 + step))
            torch._foreach_lerp_(list(self.mean.parameters()), list(self.net.parameters()), share)

    def loss(self, logits, seen, points, answers) -> torch.Tensor:
        """Cross-entropy; with a teacher, ``distil`` of it is the distance from what the teacher answers."""
        loss = functional.cross_entropy(logits, answers, label_smoothing=self.recipe.smoothing)
        if self.teacher is None:
            return loss
        return (1.0 - self.recipe.distil) * loss + self.teacher.distance(points, logits, seen)

    @property
    def result(self) -> torch.nn.Module:
        """The network that is judged and exported: of the averaged weights, if there are such."""
        return self.net if self.mean is None else self.mean

    def settle_norms(self, batches: int = 100):
        """Replace the running statistics by plain means over training clouds without augmentation."""
        order = np.random.default_rng(self.recipe.seed).permutation(len(self.train.labels))
        some = np.array_split(order, max(len(order) // self.recipe.batch, 1))[:batches]
        clouds = self.train.points[:, : self.recipe.points]
        settle(self.result, ((torch.from_numpy(clouds[rows]),) for rows in some))

    def ready_mean(self):
        """Give averaged weights their statistics before a validation: nothing else does until the last epoch."""
        if self.mean is not None and self.epoch < self.recipe.epochs:
            self.settle_norms(10)

    def accuracy(self, objects: Objects) -> float:
        self.ready_mean()
        return float((predict(self.result, objects.points[:, : self.recipe.points]) == objects.labels).mean())

    def scores(self) -> dict:
        """Accuracy on the validation clouds, where there are such."""
        return {"val_accuracy": self.accuracy(self.val)} if self.val else {}

    def save(self, name: str = "checkpoint.pt"):
        state = {"net": self.result.state_dict(), "optimizer": self.optimizer.state_dict(), "epoch": self.epoch}
        if self.mean is not None:
            state["trained"] = self.net.state_dict()
        temporary = self.folder / f".{name}.tmp"
        torch.save(state, temporary)
        os.replace(temporary, self.folder / name)

    def resume(self) -> bool:
        """Take up the last checkpoint if there is one."""
        path = self.folder / "checkpoint.pt"
        if not path.is_file():
            return False
        state = torch.load(path, weights_only=True)
        self.result.load_state_dict(state["net"])
        self.net.load_state_dict(state.get("trained", state["net"]))
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
    lacking = [key for key in ("blueprint", "classes", "points") if key not in config]
    if lacking:
        raise data.DataError(f"expected {lacking[0]} in '{folder / 'config.json'}', found none: give a training run")
    recipe = config.get("recipe", {})
    kinds = recipe.get("method", "bipointnet"), recipe.get("aggregation", "ema-max")
    net = models.build(Blueprint.from_json(config["blueprint"]), *kinds)
    state = torch.load(folder / "checkpoint.pt", weights_only=True)
    net.load_state_dict(state["net"])
    net.set_real(0 < state.get("epoch", 0) <= recipe.get("real_weights", 0.0) * recipe.get("epochs", 1))
    return net.eval(), config


def take(net, folder):
    """Give ``net`` the weights of another run's last checkpoint. DataError where they are of another network.

    The run may be of another binarizer: what only one of the two has (scales) stays as it is, and the biases move with
    the threshold, so that no sign changes.
    """
    other, _ = load(folder)
    moved = _threshold(net) - _threshold(other)
    state = {name: value + moved if name.endswith("norm.bias") else value for name, value in other.state_dict().items()}
    try:
        strange = [name for names in net.load_state_dict(state, strict=False) for name in names]
        strange = [name for name in strange if ".linear." not in name or name.endswith(("weight", "bias"))]
        if strange:
            raise RuntimeError(f"one of the two has no {', '.join(strange)}")
    except RuntimeError as error:
        raise data.DataError(f"expected '{folder}' to hold the network that is to be trained: {error}") from error


def _threshold(net) -> float:
    """What a value must reach to become +1 in the network's binarizer; 0 in full precision."""
    return max((m.threshold for m in net.modules() if isinstance(m, Bnn)), default=0.0)


def _groups(net) -> list[dict]:
    """Parameters as two groups: matrices, which may decay, and gains, biases and scales, which never do."""
    matrices = [p for p in net.parameters() if p.ndim > 1]
    return [{"params": matrices}, {"params": [p for p in net.parameters() if p.ndim < 2]}]


def keep_config(folder: Path, config: dict):
    """Write config.json of a run; DataError when the folder holds a run of another recipe."""
    folder.mkdir(parents=True, exist_ok=True)
    config, path = json.loads(json.dumps(config)), folder / "config.json"  # tuples become lists, as in the file
    if path.is_file() and json.loads(path.read_text())["recipe"] != config["recipe"]:
        raise data.DataError(f"expected the recipe of {path}, got another: choose another --run folder to start afresh")
    path.write_text(json.dumps(config, indent=1) + "\n")


def start(folder, train, val, recipe: Recipe, facts: dict) -> Run:
    """A fresh run, or the one in the folder; DataError when the folder holds a run of another recipe."""
    folder = Path(folder)
    blueprint = recipe.blueprint(len(train.classes)).to_json()
    config = {"blueprint": blueprint, "classes": list(train.classes), "points": recipe.points, "sampling": "random"}
    keep_config(folder, {**config, "recipe": asdict(recipe), **facts})
    run = Run(folder, train, val, recipe)
    run.resume()
    return run
