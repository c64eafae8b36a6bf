"""Several training runs one after another: what has a result is kept, and the time that is left is told."""

from __future__ import annotations

import json
import time
from dataclasses import replace
from pathlib import Path

from bipointnet_ros.training.recipe import Recipe
from bipointnet_ros.training.run import Run, start
from bipointnet_ros.training.train import finish


def results(train, val, recipes: dict[Path, Recipe], judge, say):
    """Yield (folder, facts, minutes left) of every run that had no result yet, as it gets one.

    recipes: folder -> recipe, in the order of training; a teacher comes before its students. judge(run) -> what is to
    be in result.json besides the times; ``say`` gets a line before the first run.
    """
    todo = {folder: recipe for folder, recipe in recipes.items() if not result(folder).is_file()}
    left = [_seconds(train, folder, recipe) for folder, recipe in todo.items()]
    say(f"{len(todo)} runs, {sum(left) / 60.0:.0f} minutes at today's speed")
    began, expected = time.perf_counter(), sum(left)
    for done, (folder, recipe) in enumerate(todo.items(), 1):
        facts = _trained(train, val, folder, recipe, judge)
        pace = (time.perf_counter() - began) / max(expected - sum(left[done:]), 1e-9)
        yield folder, facts, pace * sum(left[done:]) / 60.0


def _trained(train, val, folder: Path, recipe: Recipe, judge) -> dict:
    run = start(folder, train, val, recipe, {})
    first, wall, cpu = run.epoch, time.perf_counter(), time.process_time()
    finish(run)
    seconds = time.process_time() - cpu
    facts = judge(run) | {
        "seconds": round(time.perf_counter() - wall, 1),
        "cpu_seconds_an_epoch": round(seconds / max(recipe.epochs - first, 1), 2),
    }
    result(folder).write_text(json.dumps(facts) + "\n")
    return facts


def result(folder) -> Path:
    return Path(folder) / "result.json"


def _seconds(train, folder: Path, recipe: Recipe) -> float:
    """What a run will take; as if untaught, or from scratch, where the run that it needs is not there yet."""
    there = {key: _there(getattr(recipe, key)) for key in ("teacher", "start")}
    run = Run(folder, train, None, replace(recipe, **there))
    if (Path(folder) / "config.json").is_file():
        run.resume()
    return run.seconds_left()


def _there(folder: str) -> str:
    return folder if folder and (Path(folder) / "checkpoint.pt").is_file() else ""
