"""What each part of the recipe brings, and what it costs: runs that differ from the first in one part only.

    python -m bipointnet_ros.training.ablation TRAIN VAL --out OUT [--teacher RUN --epochs 12 --points 64 --seed 0]

It says how long it will take first. Every run is a folder of OUT with a result.json; a stopped ablation goes on
where it was. OUT/table.md is drawn from the results that are there. Judge on a validation set, never on the test split.
"""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import replace
from pathlib import Path

from bipointnet_ros.training import data, series
from bipointnet_ros.training.command import command
from bipointnet_ros.training.recipe import Recipe
from bipointnet_ros.training.train import keep_freed_memory

BASE = "base"
PARTS = {
    BASE: {},
    "no label smoothing": {"smoothing": 0.0},
    "no augmentation": {"scale": 1.0, "shift": 0.0, "turn": 0.0, "jitter": 0.0},
    "two steps, 0.4 of the epochs with real weights": {"real_weights": 0.4},
    "surfaces resampled in 0.3 of the clouds": {"resample": 0.3},
    "point mix in 0.3 of the batches": {"mix": 0.3},
    "up to half of the points repeated": {"drop": 0.5},
    "decay 0.01 for half of the time": {"decay": 0.01, "decay_until": 0.5},
    "averaged weights, 0.99": {"average": 0.99},
    "second layer half as wide again": {"widths": (64, 192, 1024, 512, 256)},
    "products of coordinates": {"order": 2},
    "ABC-Net's signs": {"method": "abc"},
    "ReActNet's signs and RPReLU": {"method": "react"},
}
TAUGHT = {
    "teacher's answers": {},
    "teacher's answers and features": {"feature": 1.0},
    "teacher's answers and attention": {"attention": 1.0},
}


def recipes(base: Recipe, teacher: str) -> dict[str, Recipe]:
    """Name of a part -> the recipe with it; what needs a teacher only where there is one."""
    taught = {name: {"teacher": teacher, **change} for name, change in TAUGHT.items()} if teacher else {}
    return {name: replace(base, **change) for name, change in {**PARTS, **taught}.items()}


def ablate(train, val, out: Path, base: Recipe, teacher: str, say=print):
    """Run what has no result yet; ``say`` gets a line before, and one per run."""
    names = {folder(out, name): name for name in (*PARTS, *TAUGHT)}
    made = {folder(out, name): recipe for name, recipe in recipes(base, teacher).items()}

    def judged(run) -> dict:
        return {"part": names[run.folder], "val_accuracy": run.accuracy(val)}

    for _, facts, rest in series.results(train, None, made, judged, say):
        (out / "table.md").write_text(table(out))
        accuracy, seconds = 100 * facts["val_accuracy"], facts["cpu_seconds_an_epoch"]
        say(f"{facts['part']:50} {accuracy:5.1f} %  {seconds:.1f} s an epoch   {rest:.0f} minutes left")


def folder(out, name: str) -> Path:
    return Path(out) / "".join(c if c.isalnum() else "_" for c in name)


def table(out) -> str:
    """Markdown: accuracy and its difference from the base, seconds of CPU an epoch and their ratio to the base's."""
    paths = [series.result(folder(out, name)) for name in (*PARTS, *TAUGHT)]
    rows = [json.loads(path.read_text()) for path in paths if path.is_file()]
    base = next((row for row in rows if row["part"] == BASE), rows[0])
    lines = ["| part | validation | against the base | CPU time |", "|---|---|---|---|"]
    for row in rows:
        gain = 100 * (row["val_accuracy"] - base["val_accuracy"])
        cost = row["cpu_seconds_an_epoch"] / base["cpu_seconds_an_epoch"]
        lines.append(f"| {row['part']} | {100 * row['val_accuracy']:.1f} % | {gain:+.1f} | x {cost:.2f} |")
    return "\n".join(lines) + "\n"


@command
def main(arguments):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("train")
    parser.add_argument("val")
    parser.add_argument("--out", required=True, help="folder of the ablation")
    parser.add_argument("--teacher", default="", help="run folder of a full-precision network")
    parser.add_argument("--epochs", type=int, default=12)
    parser.add_argument("--points", type=int, default=64)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args(arguments)
    keep_freed_memory()
    base = Recipe(epochs=options.epochs, points=options.points, stages=((options.points, 1.0),), seed=options.seed)
    train, val = (data.load(path, options.points) for path in (options.train, options.val))
    ablate(train, val, Path(options.out), base, options.teacher)
    print(table(options.out))


if __name__ == "__main__":
    sys.exit(main())
