"""Train a 1-bit classifier; everything of a run lies in one folder, and a stopped run goes on where it was.

    python -m bipointnet_ros.training.train TRAIN --val VAL --run RUN [--epochs 200 --seed 0 ...]

RUN gets config.json, log.jsonl (one line an epoch), curve.svg and checkpoint.pt; the same command resumes it.
"""

from __future__ import annotations

import argparse
import ctypes
import json
import sys
import time
from dataclasses import fields

import numpy as np

from bipointnet_ros.training import curve, data, layers
from bipointnet_ros.training.binarizers import METHODS
from bipointnet_ros.training.command import command
from bipointnet_ros.training.prepare import every_tenth
from bipointnet_ros.training.recipe import Recipe
from bipointnet_ros.training.run import Run, start


def finish(run: Run, every: int = 5):
    """Train to the last epoch, with a line in log.jsonl and a checkpoint after each; then settle the norms.

    Every ``every`` epochs, and after the last, the run's ``scores`` are in the line.
    """
    began, first = time.perf_counter(), run.epoch
    while run.epoch < run.recipe.epochs:
        tick = time.perf_counter()
        row = {"epoch": run.epoch + 1} | run.train_epoch(lambda part: progress(run, part, began, first))
        row["seconds"] = time.perf_counter() - tick
        last = run.epoch == run.recipe.epochs
        if last:
            run.settle_norms()
        if last or run.epoch % every == 0:
            row |= run.scores()
        record(run, row)
        run.save()


def record(run: Run, row: dict):
    row = {k: round(v, 5) if isinstance(v, float) else v for k, v in row.items()}
    with open(run.folder / "log.jsonl", "a") as log:
        log.write(json.dumps(row) + "\n")
    curve.write(run.folder)
    print("\r\033[K" * sys.stderr.isatty() + json.dumps(row), file=sys.stderr, flush=True)


def progress(run: Run, part: float, began: float, first: int):
    if not sys.stderr.isatty():
        return
    done, total = run.epoch + part, run.recipe.epochs
    left = (time.perf_counter() - began) / max(done - first, 1e-9) * (total - done)
    bar = "#" * int(30 * done / total)
    sys.stderr.write(f"\r[{bar:<30}] epoch {done:6.2f} of {total}, {left / 60.0:.1f} minutes left ")


def keep_freed_memory():
    """Let glibc reuse large blocks, those of other threads too: fresh pages for every activation would cost a third of
    the time."""
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(-3, 1 << 30)  # M_MMAP_THRESHOLD
        mallopt(-1, 2**31 - 1)  # M_TRIM_THRESHOLD
        mallopt(-8, 1)  # M_ARENA_MAX


@command
def main(arguments):
    options = _parser().parse_args(arguments)
    recipe = recipe_of(Recipe, options)
    keep_freed_memory()
    train = data.load(options.train, recipe.points)
    val = data.load(options.val, recipe.points) if options.val else None
    if val is None and not options.no_validation:
        held = np.isin(np.arange(len(train)), every_tenth(train.labels))
        train, val = data.select(train, ~held), data.select(train, held)
    run = start(options.run, train, val, recipe, {"train": options.train, "val": options.val})
    if run.epoch < recipe.epochs:
        minutes = f"about {run.seconds_left() / 60.0:.0f} minutes at today's speed"
        print(f"epochs {run.epoch + 1} to {recipe.epochs}: {minutes}", file=sys.stderr)
    finish(run)


def add_recipe(parser, recipe, kinds=None):
    """An option for each field of a recipe's dataclass; ``kinds``: name -> what argparse is told of it instead."""
    for f in fields(recipe):
        many = type(f.default) is tuple
        kind = {"type": type(f.default[0]), "nargs": "+"} if many else {"type": type(f.default)}
        option = "--" + f.name.replace("_", "-")
        parser.add_argument(option, default=f.default, **(kinds or {}).get(f.name, kind))


def recipe_of(recipe, options):
    """The recipe that the options of ``add_recipe`` ask for."""
    values = {f.name: getattr(options, f.name) for f in fields(recipe)}
    return recipe(**{name: tuple(v) if isinstance(v, list) else v for name, v in values.items()})


def _parser():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("train", help="NAME_train.npz of prepare.py, or a folder with one folder of clouds per class")
    parser.add_argument("--val", help="the same form; default: every tenth training object of each class")
    parser.add_argument("--no-validation", action="store_true", help="train on everything, measure nothing")
    parser.add_argument("--run", required=True, help="folder of the run")
    add_recipe(parser, Recipe, _KINDS)
    return parser


def _stage(item: str) -> tuple[int, float]:
    points, _, share = item.partition(":")
    return int(points), float(share)


_KINDS = {
    "method": {"choices": (*METHODS, "full")},
    "aggregation": {"choices": layers.AGGREGATIONS},
    "shape": {"choices": ("vanilla", "cells")},
    "order": {"type": int, "choices": (1, 2)},
    "widths": {"type": int, "nargs": 5},
    "stages": {"type": _stage, "nargs": "+", "metavar": "POINTS:SHARE"},
}


if __name__ == "__main__":
    sys.exit(main())
