"""What the bipointnet command prints: answers as lines for people."""

from __future__ import annotations

import json

import numpy as np

from bipointnet_ros import evaluation, offline
from bipointnet_ros.core.blueprint import CLASSIFICATION
from bipointnet_ros.core.classes import UNKNOWN


def summary(one: offline.Labelled, classes) -> dict:
    """What is told of a labelled cloud."""
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


def sentence(summary: dict) -> str:
    """A summary in one line."""
    share = {name: count / max(summary["points"], 1) for name, count in summary["labels"].items() if count}
    largest = sorted(share.items(), key=lambda item: -item[1])[:8]
    names = [thing["name"] for thing in summary["objects"]]
    things = "".join(f", {names.count(name)} {name}" for name in dict.fromkeys(names))
    labels = ", ".join(f"{name} {value:.0%}" for name, value in largest)
    return (
        f"{summary['file']}: {summary['points']} points in {summary['milliseconds']:.1f} ms ({labels})"
        f"; {len(names)} objects{things}; wrote {' and '.join(summary['written'])}"
    )


def side_by_side(sets: dict):
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


def table(scores: dict):
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


def speeds(answer: dict):
    """A line for the machine, and one for each row of the benchmark."""
    yield ", ".join(f"{key} {value}" for key, value in answer["machine"].items())
    yield f"{'':24} {'backend':10} threads  points batch   ms least  ms median"
    for row in answer["rows"]:
        sizes = f"{row['threads']:7} {row['points']:7} {row['batch']:5}"
        yield f"{row['name']:24} {row['backend']:10} {sizes} {row['ms_min']:10.3f} {row['ms_median']:10.3f}"


def description(it: offline.Description):
    """Lines on a model."""
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
