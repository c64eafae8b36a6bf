"""The bipointnet command: arguments in, lines out. 0 = done; 2 = usage or bad input, said in one line."""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from pathlib import Path

import numpy as np

from bipointnet_ros import bench, dataset, evaluation, offline
from bipointnet_ros.arrays import FileError
from bipointnet_ros.core.blueprint import CLASSIFICATION
from bipointnet_ros.core.classes import UNKNOWN
from bipointnet_ros.core.config import Config, ConfigError
from bipointnet_ros.core.kernels import BackendError
from bipointnet_ros.core.model_file import ModelFileError
from bipointnet_ros.core.pipeline import CloudError
from bipointnet_ros.files import SUFFIXES

_REFUSALS = (FileError, ConfigError, BackendError, ModelFileError, CloudError)


def main(arguments=None) -> int:
    """Run one command; the answer is its exit status."""
    options = _parser().parse_args(arguments)
    try:
        return options.run(options)
    except _REFUSALS as error:
        print(f"bipointnet {options.command}: {error}", file=sys.stderr)
        return 2
    except BrokenPipeError:  # the reader of our output has gone
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except KeyboardInterrupt:
        return 130


class _Parser(argparse.ArgumentParser):
    def error(self, message):
        self.exit(2, f"{self.prog}: {message} (see {self.prog} --help)\n")


def _parser() -> _Parser:
    parser = _Parser(
        prog="bipointnet", description="Label, evaluate and describe with packed 1-bit models; no ROS needed."
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="{label,eval,info,bench}")
    defaults = Config()
    kinds = f"{' '.join(SUFFIXES)}, a folder of these, or a rosbag2"
    label = commands.add_parser("label", help=f"label clouds: {kinds}")
    label.add_argument("files", nargs="+", metavar="FILE", help=kinds)
    label.add_argument("--topic", default="", help="of the clouds in a bag, if it has several")
    where = label.add_mutually_exclusive_group()
    where.add_argument("--out", default=".", metavar="DIR", help="folder for STEM.labels.npz and STEM.labeled.ply (.)")
    where.add_argument("--bag", metavar="NEW", help=f"of a bag: write it anew, with {offline.LABELED_TOPIC} in it")
    label.set_defaults(run=_label)
    evaluate = commands.add_parser("eval", help="score a model on labelled data")
    evaluate.add_argument(
        "--data", required=True, nargs="+", metavar="F.npz", help="objects or scenes, see docs/design.md; a table each"
    )
    evaluate.set_defaults(run=_evaluate)
    for command in (label, evaluate):
        command.add_argument(
            "--model", default=defaults.model, help=f"path or name of a shipped model ({defaults.model})"
        )
        command.add_argument("--backend", default=defaults.backend, help=f"kernels to use ({defaults.backend})")
        command.add_argument("--json", action="store_true", help="print JSON only")
    info = commands.add_parser("info", help="what a packed model holds")
    info.add_argument("model", metavar="MODEL")
    info.set_defaults(run=_info)
    speed = commands.add_parser("bench", help="how fast this machine is, by backend, threads and size of cloud")
    speed.add_argument("--json", action="store_true", help="print JSON only")
    speed.add_argument("--quick", action="store_true", help="few sizes and few calls: that it works, not how fast")
    speed.set_defaults(run=_bench)
    return parser


def _label(options) -> int:
    pipe = offline.pipeline(Config(model=options.model, backend=options.backend))
    for one in _labelled(pipe, options):
        summary = _summary(one, pipe.model.classes)
        print(json.dumps(summary) if options.json else _sentence(summary), flush=True)
    return 0


def _labelled(pipe, options):
    if options.bag is None:
        return offline.label(pipe, options.files, options.out, options.topic)
    if len(options.files) > 1:
        raise FileError(f"expected one bag with --bag, got {len(options.files)} inputs: label them one by one")
    return offline.label_bag(pipe, options.files[0], options.bag, options.topic, _not_copied)


def _not_copied(topics) -> None:
    sentence = f"not copied, for neither the bag nor rosbags defines the type: {', '.join(topics)}"
    print(f"bipointnet label: {sentence}", file=sys.stderr)


def _summary(one: offline.Labelled, classes) -> dict:
    counts = np.bincount(one.result.label, minlength=len(classes) + 1).tolist()
    facts = ("instance", "name", "confidence", "yaw", "points")
    objects = [
        {**{fact: getattr(thing, fact) for fact in facts}, "centre": thing.centre.tolist(), "size": thing.size.tolist()}
        for thing in one.result.objects
    ]
    return {
        "file": one.source,
        "points": len(one.xyz),
        "milliseconds": round(one.milliseconds, 3),
        "labels": dict(zip([UNKNOWN, *classes], counts)),
        "objects": objects,
        "written": [str(path) for path in one.written],
    }


def _sentence(summary: dict) -> str:
    share = {name: count / max(summary["points"], 1) for name, count in summary["labels"].items() if count}
    largest = sorted(share.items(), key=lambda item: -item[1])[:8]
    names = [thing["name"] for thing in summary["objects"]]
    things = "".join(f", {names.count(name)} {name}" for name in dict.fromkeys(names))
    labels = ", ".join(f"{name} {value:.0%}" for name, value in largest)
    return (
        f"{summary['file']}: {summary['points']} points in {summary['milliseconds']:.1f} ms ({labels})"
        f"; {len(names)} objects{things}; wrote {' and '.join(summary['written'])}"
    )


def _evaluate(options) -> int:
    pipe = offline.pipeline(Config(model=options.model, backend=options.backend, threads=1))
    sets = {}
    for path in options.data:
        scores = sets[Path(path).stem] = evaluation.evaluate(pipe, dataset.read(path), _Progress())
        if not options.json:
            print("\n".join([*([f"{path}:"] if options.data[1:] else []), *_table(scores), ""]))
    if options.data[1:] and not options.json:
        print("\n".join(_side_by_side(sets)))
    print(json.dumps({"sets": sets} if options.data[1:] else scores))
    return 0


def _side_by_side(sets: dict):
    """A line for each set, a column for each score that any of them has."""
    columns = ("overall_accuracy", "mean_class_accuracy", "miou", "rule_miou", "coverage")
    names = list(dict.fromkeys(name for scores in sets.values() for name in scores.get("iou", scores.get("accuracy"))))
    wide = max(map(len, ("set", *sets)))
    heads = [*columns, *names[:12]]  # forty classes would fit no line
    yield "  ".join([f"{'set':{wide}}", *(f"{head:>8}" for head in heads), "ms_per_cloud"])
    for stem, scores in sets.items():
        each = {**scores, **scores.get("iou", scores.get("accuracy"))}
        cells = [_percent(each.get(head)).rjust(max(8, len(head))) for head in heads]
        yield "  ".join([f"{stem:{wide}}", *cells, f"{scores['ms_per_cloud']:12.2f}"])


def _table(scores: dict):
    """Lines for people: one a class, then one a score."""
    per_class = scores.get("iou") or scores["accuracy"]
    wide = max(map(len, per_class))
    yield f"{'class':{wide}}  {'IoU' if 'iou' in scores else 'accuracy'}"
    for name, value in per_class.items():
        few = scores.get("true_points", {}).get(name, evaluation.FEWEST_POINTS) < evaluation.FEWEST_POINTS
        note = f"  (only {scores['true_points'][name]} points: not averaged)" if few else ""
        yield f"{name:{wide}}  {_percent(value)}{note}"
    yield ""
    for key in ("overall_accuracy", "mean_class_accuracy", "miou", "coverage", "rule_miou"):
        if key in scores:
            yield f"{key:20} {_percent(scores[key])}"
    how = f"median of {scores['n']}, {scores['backend']}, one thread"
    yield f"{'ms_per_cloud':20} {scores['ms_per_cloud']:7.2f}   ({how})"
    if "boxes" in scores:
        yield from ("", *_box_table(scores["boxes"]))
    if "tracks" in scores:
        yield "instances: {seen_again} times a thing was seen again, {switches} times under another number".format(
            **scores["tracks"]
        )


def _box_table(rows):
    """A line for each class, range and bird's-eye IoU at which there is something to find or something given."""
    yield f"{'boxes':10} {'range':>10}  IoU     recall          precision"
    for row in rows:
        if row["true"] or row["given"]:
            low, high = row["range"]
            recall, precision = (_percent(row[key]) for key in ("recall", "precision"))
            yield (
                f"{row['class']:10} {low:3.0f}-{high:3.0f} m  {row['iou']:.2f} "
                f"{recall} of {row['true']:5} {precision} of {row['given']:5}"
            )


def _percent(value: float | None) -> str:
    return "       -" if value is None else f"{100 * value:7.2f}%"


class _Progress:
    """A bar with the remaining time on standard error, where that is a terminal."""

    def __init__(self):
        self._start = self._last = time.monotonic()

    def __call__(self, done: int, of: int) -> None:
        now = time.monotonic()
        if not sys.stderr.isatty() or now - self._last < 0.1 and done < of:
            return
        self._last, filled = now, 40 * done // of
        left = (now - self._start) / done * (of - done)
        bar = "#" * filled + "." * (40 - filled)
        print(f"\r[{bar}] {done}/{of}, {left:.0f} s left ", end="" if done < of else "\n", file=sys.stderr, flush=True)


def _info(options) -> int:
    print("\n".join(_lines(offline.describe(options.model))))
    return 0


def _bench(options) -> int:
    rows = list(bench.rows(bench.QUICK if options.quick else bench.Effort(), _Progress()))
    answer = {"machine": bench.machine(), "rows": rows}
    print(json.dumps(answer) if options.json else "\n".join(_speeds(answer)))
    return 0


def _speeds(answer: dict):
    yield ", ".join(f"{key} {value}" for key, value in answer["machine"].items())
    yield f"{'':24} {'backend':10} threads  points batch   ms least  ms median"
    for row in answer["rows"]:
        sizes = f"{row['threads']:7} {row['points']:7} {row['batch']:5}"
        yield f"{row['name']:24} {row['backend']:10} {sizes} {row['ms_min']:10.3f} {row['ms_median']:10.3f}"


def _lines(it: offline.Description):
    model, blueprint = it.model, it.model.blueprint
    yield f"{model.name}: {blueprint.task}, {blueprint.weights()} weights, {it.file_bytes} bytes ({it.path})"
    yield f"inputs: {', '.join(blueprint.inputs)}"
    for layer in blueprint.layers:
        shared = f" + {layer.shared} of the cell" if layer.shared else ""
        cells = f", pooled over cells {layer.cells}" if layer.cells is not None else ""
        yield f"  {layer.name:10} {layer.op:7} {layer.inputs}{shared} -> {layer.outputs}{cells}"
    if blueprint.grid:
        edges = ", ".join(f"{blueprint.grid.voxel * cells:g}" for cells in blueprint.grid.cells)
        unit = "radii" if blueprint.task == CLASSIFICATION else "m"
        yield f"grid: voxels of {blueprint.grid.voxel:g} {unit}, cells of {edges} {unit}"
    yield f"classes: {', '.join(f'{i} {name}' for i, name in enumerate(model.classes, 1))}"
    yield f"sees {model.points} points ({model.sampling} sampling, {model.normalisation} normalisation)"
    yield f"weights and limits: {it.weight_bytes} bytes, and {it.prepared_bytes} in the layout of {it.backend}"
    yield f"scratch for {model.points} points: {it.scratch_bytes} bytes"
    for key, value in model.training.items():
        yield f"{key}: {value if isinstance(value, str) else json.dumps(value)}"


if __name__ == "__main__":
    sys.exit(main())
