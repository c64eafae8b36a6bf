"""The paper's comparison: method x aggregation on one network, data set, budget and seed (paper, table 2).

    python -m bipointnet_ros.training.compare TRAIN TEST --out OUT [--epochs 12 --points 256 --seeds 1]

Every run is a folder OUT/METHOD_AGGREGATION_SEED with a result.json; a stopped comparison goes on where it was.
OUT/table.md and OUT/curves.svg are drawn from the results that are there. The last epoch counts, on the test split.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path

import numpy as np

from bipointnet_ros.training import curve, data
from bipointnet_ros.training.binarizers import METHODS
from bipointnet_ros.training.layers import AGGREGATIONS
from bipointnet_ros.training.recipe import Recipe
from bipointnet_ros.training.run import start
from bipointnet_ros.training.train import finish, keep_freed_memory

FULL = ("full", "max")
PAIRS = [FULL] + [(method, aggregation) for method in METHODS for aggregation in AGGREGATIONS]


def compare(train, test, out: Path, pairs, seeds: int, epochs: int, points: int, say=print):
    """Run what has no result yet; ``say`` gets a line per run, with the time that the rest will take."""
    todo = [(pair, seed) for seed in range(seeds) for pair in pairs if not result(out, *pair, seed).is_file()]
    began = time.perf_counter()
    for done, ((method, aggregation), seed) in enumerate(todo):
        stages = ((points, 1.0),)
        recipe = Recipe(epochs=epochs, points=points, stages=stages, method=method, aggregation=aggregation, seed=seed)
        accuracy = one(train, test, result(out, method, aggregation, seed), recipe)
        left = (time.perf_counter() - began) / (done + 1) * (len(todo) - done - 1) / 60.0
        say(f"{method:10} {aggregation:8} seed {seed}  {100 * accuracy:5.1f} %   {left:.0f} minutes left")
        (out / "table.md").write_text(table(out, seeds))
        (out / "curves.svg").write_text(curve.svg(curves(out, pairs)))


def one(train, test, path: Path, recipe: Recipe) -> float:
    """Train one run and write its result; returns the test accuracy of its last epoch."""
    began = time.perf_counter()
    run = start(path.parent, train, None, recipe, {})
    finish(run)
    accuracy = run.accuracy(test)
    facts = {
        "method": recipe.method,
        "aggregation": recipe.aggregation,
        "seed": recipe.seed,
        "epochs": recipe.epochs,
        "points": recipe.points,
        "test_accuracy": accuracy,
        "seconds": round(time.perf_counter() - began, 1),
    }
    path.write_text(json.dumps(facts) + "\n")
    return accuracy


def result(out, method: str, aggregation: str, seed: int) -> Path:
    return Path(out) / f"{method}_{aggregation}_{seed}" / "result.json"


def accuracies(out, method: str, aggregation: str, seeds: int) -> list[float]:
    paths = [result(out, method, aggregation, seed) for seed in range(seeds)]
    return [json.loads(path.read_text())["test_accuracy"] for path in paths if path.is_file()]


def table(out, seeds: int) -> str:
    """Markdown: a row a method, a column an aggregation; mean, and the spread where there are several seeds, in %."""
    lines = ["| method | " + " | ".join(AGGREGATIONS) + " |", "|---" * (len(AGGREGATIONS) + 1) + "|"]
    for method in (*METHODS, FULL[0]):
        cells = [cell(accuracies(out, method, aggregation, seeds)) for aggregation in AGGREGATIONS]
        lines.append(f"| {method} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def cell(values: list[float]) -> str:
    if not values:
        return "-"
    spread = f" ± {100 * np.std(values):.1f}" if len(values) > 1 else ""
    return f"{100 * np.mean(values):.1f}{spread}"


def curves(out, pairs) -> dict[str, list]:
    """Name -> (epoch, training accuracy) of the first seed of each run."""
    found = {f"{m} {a}": result(out, m, a, 0).with_name("log.jsonl") for m, a in pairs}
    return {
        name: [(row["epoch"], row["train_accuracy"]) for row in map(json.loads, path.read_text().splitlines())]
        for name, path in found.items()
        if path.is_file()
    }


def main(arguments=None) -> int:
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
    try:
        train, test = (data.load(path, options.points) for path in (options.train, options.test))
        pairs = [pair for pair in PAIRS if pair[0] in options.methods]
        compare(train, test, Path(options.out), pairs, options.seeds, options.epochs, options.points)
        print((Path(options.out) / "table.md").read_text())
    except (ValueError, OSError) as error:
        print(f"compare: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
