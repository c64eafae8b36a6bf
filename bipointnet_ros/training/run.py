"""A training run: a network, what it learns from, and a folder from which it goes on where it was stopped."""

from __future__ import annotations

import json
import os
from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch
from torch.nn import functional

from bipointnet_ros.core.blueprint import Blueprint, vanilla
from bipointnet_ros.dataset import Objects
from bipointnet_ros.training import data, models
from bipointnet_ros.training.norm import settle
from bipointnet_ros.training.recipe import Recipe


class Run:
    """A network on its way through a recipe; random choices follow from (seed, epoch), so it can stop and go on."""

    def __init__(self, folder: Path, train: Objects, val: Objects | None, recipe: Recipe):
        self.folder, self.train, self.val, self.recipe = folder, train, val, recipe
        torch.manual_seed(recipe.seed)
        self.net = models.build(vanilla(len(train.classes), recipe.widths), recipe.method, recipe.aggregation)
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
        self.net.set_progress(self.epoch / self.recipe.epochs)
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

    def settle_norms(self, batches: int = 100):
        """Replace the running statistics by plain means over training clouds without augmentation."""
        order = np.random.default_rng(self.recipe.seed).permutation(len(self.train.labels))
        some = np.array_split(order, max(len(order) // self.recipe.batch, 1))[:batches]
        clouds = self.train.points[:, : self.recipe.points]
        settle(self.net, ((torch.from_numpy(clouds[rows]),) for rows in some))

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
    kinds = recipe.get("method", "bipointnet"), recipe.get("aggregation", "ema-max")
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
