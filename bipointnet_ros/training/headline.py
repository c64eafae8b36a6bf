"""The shipped classifiers of ModelNet40 from nothing but the prepared data: teacher, students, twins, three seeds.

    python -m bipointnet_ros.training.headline DATA --out OUT [--models modelnet40 ... --seeds 3 --twins]

DATA holds modelnet40_{train,val,test}.npz of prepare.py. It says how long it will take before it starts; every run is
a folder of OUT, and a stopped series goes on where it was. OUT gets NAME_SEED.safetensors, exported from the last epoch
and judged by the node's pipeline on the test split, once; no seed and no epoch is picked.
"""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import replace
from pathlib import Path

from bipointnet_ros import evaluation, offline
from bipointnet_ros.core.config import Config
from bipointnet_ros.training import data, export, judge, series
from bipointnet_ros.training.command import command
from bipointnet_ros.training.compare import cell
from bipointnet_ros.training.recipe import Recipe
from bipointnet_ros.training.run import Run, load
from bipointnet_ros.training.train import keep_freed_memory

CELLS = Recipe(
    shape="cells",
    widths=(128, 192, 1024, 512, 256),
    epochs=50,
    stages=((1024, 1.0),),
    drop=0.375,
    jitter=0.004,
    resample=0.25,
    smoothing=0.2,
    average=0.998,
)
TEACHER = replace(CELLS, method="full")  # the full-precision twin of modelnet40_large
TAUGHT = {"teacher": "teacher", "distil": 0.5, "temperature": 2.0}
PLAIN = Recipe(
    method="abc",
    order=2,
    epochs=100,
    stages=((256, 0.7), (512, 0.15), (1024, 0.15)),
    resample=0.3,
    mix=0.2,
    smoothing=0.2,
    average=0.998,
)
SMALL = replace(CELLS, widths=(96, 128, 512, 256, 128), epochs=32)
LONGER = replace(SMALL, method="abc", teacher="teacher", distil=0.7)
STUDENTS = {  # run -> recipe, in the order of training; the last of each is what is exported
    "modelnet40": {
        "modelnet40_plain": PLAIN,
        "modelnet40": replace(
            PLAIN,
            epochs=90,
            stages=((512, 0.25), (1024, 0.75)),
            mix=0.1,  # it underfits what it is shown
            start="modelnet40_plain",
            teacher="teacher",
            distil=0.7,
        ),
    },
    "modelnet40_small": {  # its twin learns in 32 epochs what single bits learn in 164
        "modelnet40_small_first": replace(SMALL, **TAUGHT),
        "modelnet40_small_second": replace(LONGER, epochs=72, start="modelnet40_small_first"),
        "modelnet40_small": replace(LONGER, epochs=60, rate=0.0015, start="modelnet40_small_second"),
    },
    "modelnet40_large": {"modelnet40_large": replace(CELLS, **TAUGHT)},
}
TWINS = {  # run and recipe
    "modelnet40": ("modelnet40_twin", replace(PLAIN, method="full", epochs=30)),  # it learns faster than single bits
    "modelnet40_small": ("modelnet40_small_twin", replace(SMALL, method="full")),
    "modelnet40_large": ("teacher", TEACHER),
}


def recipes(out: Path, models, seeds: int, twins: bool) -> dict[Path, Recipe]:
    """Folder -> recipe, teacher first: one teacher for all, ``seeds`` students of each model, and a twin of each."""
    named = {"teacher": TEACHER}
    for model in models:
        for seed in range(seeds):
            named |= {f"{run}_{seed}": _of_seed(recipe, seed) for run, recipe in STUDENTS[model].items()}
        named |= [TWINS[model]] if twins else []
    return {out / name: _placed(out, recipe) for name, recipe in named.items()}


def _of_seed(recipe: Recipe, seed: int) -> Recipe:
    return replace(recipe, seed=seed, start=f"{recipe.start}_{seed}" * bool(recipe.start))


def _placed(out: Path, recipe: Recipe) -> Recipe:
    """The runs that a recipe names, as folders."""
    return replace(recipe, **{key: str(out / name) for key in ("teacher", "start") if (name := getattr(recipe, key))})


def train_all(train, val, out: Path, models, seeds: int, twins: bool, say=print):
    """Train what has no result yet; ``say`` gets a line before, and one per run."""
    jobs = recipes(out, models, seeds, twins)
    for folder, facts, rest in series.results(train, val, jobs, Run.scores, say):
        accuracy, spent = 100 * facts["val_accuracy"], facts["seconds"] / 60.0
        say(f"{folder.name:20} validation {accuracy:.1f} %, {spent:.0f} minutes; {rest:.0f} minutes left")


def judged(out: Path, model: str, seed: int, test) -> float:
    """Export a student and judge the file on the test split, by the node's pipeline; the result is kept beside it."""
    path = out / f"{model}_{seed}.safetensors"
    score = path.with_suffix(".json")
    if not score.is_file():
        export.export(out / f"{model}_{seed}", path)
        found = evaluation.evaluate(offline.pipeline(Config(model=str(path), threads=1)), test)
        score.write_text(json.dumps(found) + "\n")
    return json.loads(score.read_text())["overall_accuracy"]


def table(out: Path, models, seeds: int, test) -> str:
    """Markdown: accuracy on the test split of each model over the seeds, and of its full-precision twin."""
    lines = ["| model | 1-bit, packed | full precision |", "|---|---|---|"]
    for model in models:
        twin = out / TWINS[model][0]
        full = [_twin(twin, test)] if series.result(twin).is_file() else []
        lines.append(f"| {model} | {cell([judged(out, model, s, test) for s in range(seeds)])} | {cell(full)} |")
    return "\n".join(lines) + "\n"


def _twin(folder: Path, test) -> float:
    return judge.accuracy(*load(folder), test)


@command
def main(arguments):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path, help="folder of modelnet40_train.npz, _val.npz and _test.npz of prepare.py")
    parser.add_argument("--out", type=Path, required=True, help="folder of the runs and of what is exported")
    parser.add_argument("--models", nargs="+", choices=sorted(STUDENTS), default=sorted(STUDENTS))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--twins", action="store_true", help="train the full-precision twins too")
    options = parser.parse_args(arguments)
    keep_freed_memory()
    parts = (options.data / f"modelnet40_{part}.npz" for part in ("train", "val", "test"))
    train, val, test = (data.load(path, TEACHER.points) for path in parts)
    train_all(train, val, options.out, options.models, options.seeds, options.twins)
    print(table(options.out, options.models, options.seeds, test))


if __name__ == "__main__":
    sys.exit(main())
