"""The paper's comparison: method x aggregation on one network, data set, budget and seeds (paper, table 2).

    python -m bipointnet_ros.training.compare TRAIN TEST --out OUT [--epochs 12 --points 256 --seeds 1 --methods ...]

It says how long it will take before it starts. Every run is a folder OUT/METHOD_AGGREGATION_SEED with a result.json; a
stopped comparison goes on where it was. OUT/table.md and OUT/curves.svg are drawn from the results that are there.
The last epoch counts, on the test split. r2b is taught by the full-precision run of its seed, which must come before.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

import numpy as np

from bipointnet_ros.training import curve, data, series
from bipointnet_ros.training.binarizers import METHODS
from bipointnet_ros.training.command import command
from bipointnet_ros.training.layers import AGGREGATIONS
from bipointnet_ros.training.recipe import Recipe
from bipointnet_ros.training.train import keep_freed_memory

FULL = ("full", "max")
TAUGHT = "r2b"
COLUMNS = ("max", "ema-avg", "ema-max")
PAIRS = [FULL] + [(method, aggregation) for method in METHODS for aggregation in AGGREGATIONS]


def compare(train, test, out: Path, pairs, seeds: int, epochs: int, points: int, say=print):
    """Run what has no result yet; ``say`` gets a line before, and one per run, each with the time that is left."""
    recipes = {
        folder(out, *pair, seed): recipe(Path(out), *pair, seed, epochs, points)
        for seed in range(seeds)
        for pair in pairs
    }
    for _, facts, rest in series.results(train, None, recipes, lambda run: judged(run, test), say):
        accuracy = 100 * facts["test_accuracy"]
        named = f"{facts['method']:10} {facts['aggregation']:8} seed {facts['seed']}"
        say(f"{named}  {accuracy:5.1f} %   {rest:.0f} minutes left")
        (out / "table.md").write_text(table(out))
        (out / "curves.svg").write_text(curve.svg(curves(out)))


def recipe(out: Path, method: str, aggregation: str, seed: int, epochs: int, points: int) -> Recipe:
    """The budget that every method gets; Real-to-Binary's attention matching needs a teacher and gets ours."""
    teacher = str(folder(out, *FULL, seed)) if method == TAUGHT else ""
    loss = {"teacher": teacher, "distil": 0.0, "attention": 1.0} if teacher else {}
    stages = ((points, 1.0),)
    return Recipe(
        epochs=epochs, points=points, stages=stages, method=method, aggregation=aggregation, seed=seed, **loss
    )


def judged(run, test) -> dict:
    """What is kept of a run: what it was, and the accuracy of its last epoch on the test split."""
    keys = ("method", "aggregation", "seed", "epochs", "points")
    return {key: getattr(run.recipe, key) for key in keys} | {"test_accuracy": run.accuracy(test)}


def folder(out, method: str, aggregation: str, seed: int) -> Path:
    return Path(out) / f"{method}_{aggregation}_{seed}"


def accuracies(out, method: str, aggregation: str) -> list[float]:
    """Of all seeds that are there."""
    paths = sorted(Path(out).glob(f"{method}_{aggregation}_*/result.json"))
    return [json.loads(path.read_text())["test_accuracy"] for path in paths]


def table(out) -> str:
    """Markdown: a row a method, a column an aggregation; mean, spread and number of seeds where several, in %."""
    lines = ["| method | " + " | ".join(COLUMNS) + " |", "|---" * (len(COLUMNS) + 1) + "|"]
    for method in (*METHODS, FULL[0]):
        cells = [cell(accuracies(out, method, aggregation)) for aggregation in COLUMNS]
        lines.append(f"| {method} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def cell(values: list[float]) -> str:
    if not values:
        return "-"
    spread = f" ± {100 * np.std(values):.1f} ({len(values)})" if len(values) > 1 else ""
    return f"{100 * np.mean(values):.1f}{spread}"


def curves(out) -> dict[str, list]:
    """Name -> (epoch, training accuracy) of the first seed of each method with EMA-max, and of full precision."""
    found = {m: folder(out, m, COLUMNS[-1], 0) / "log.jsonl" for m in METHODS}
    found[FULL[0]] = folder(out, *FULL, 0) / "log.jsonl"
    return {
        name: [(row["epoch"], row["train_accuracy"]) for row in map(json.loads, path.read_text().splitlines())]
        for name, path in found.items()
        if path.is_file()
    }


@command
def main(arguments):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("train")
    parser.add_argument("test")
    parser.add_argument("--out", required=True, help="folder of the comparison")
    parser.add_argument("--epochs", type=int, default=12)
    parser.add_argument("--points", type=int, default=256)
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--methods", nargs="+", choices=[*METHODS, FULL[0]], default=[*METHODS, FULL[0]])
    options = parser.parse_args(arguments)
    keep_freed_memory()
    train, test = (data.load(path, options.points) for path in (options.train, options.test))
    pairs = [pair for pair in PAIRS if pair[0] in options.methods]
    compare(train, test, Path(options.out), pairs, options.seeds, options.epochs, options.points)
    print(table(options.out))


if __name__ == "__main__":
    sys.exit(main())
