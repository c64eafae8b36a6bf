"""A model judged on labelled data, every cloud through the node's own pipeline."""

from __future__ import annotations

import time

import numpy as np

from bipointnet_ros.arrays import FileError
from bipointnet_ros.box_scores import BoxScores, TrackScores
from bipointnet_ros.core import ground
from bipointnet_ros.core.blueprint import CLASSIFICATION
from bipointnet_ros.core.pipeline import Pipeline, Result
from bipointnet_ros.core.tracking import Tracker
from bipointnet_ros.dataset import Objects, Scenes
from bipointnet_ros.scores import Confusion

FEWEST_POINTS = 2000  # true points of a class whose IoU counts in the mean
RULE_HEIGHT = 0.3  # m: the rule calls ground what lies lower over the estimated ground


def evaluate(pipe: Pipeline, data: Objects | Scenes, step=lambda done, of: None) -> dict:
    """Scores of a pipeline on labelled data, as ``bipointnet eval`` prints them; step(done, of) is called as it goes.

    Every cloud goes through the whole pipeline, which should have one thread for ``ms_per_cloud``. FileError if the
    data do not fit the model's task.
    """
    objects, task = isinstance(data, Objects), pipe.model.blueprint.task
    if objects and pipe.model.objects:
        return _named(pipe, data, step)
    if objects != (task == CLASSIFICATION):
        form = "objects (points, labels)" if task == CLASSIFICATION else "scenes (xyz, offsets, label)"
        raise FileError(f"expected {form} for the {task} model '{pipe.model.name}', got {type(data).__name__.lower()}")
    if not len(data) or not objects and data.label is None:
        raise FileError("expected at least one labelled cloud, got none: choose another file")
    if not set(data.classes) & set(pipe.model.classes):
        ours, theirs = ", ".join(pipe.model.classes), ", ".join(data.classes)
        raise FileError(f"expected some of the model's classes ({ours[:200]}), got {theirs[:200]}: rename them")
    run = _Run(pipe, data.classes)
    scores = run.objects(data, step) if objects else run.scenes(data, step)
    facts = {"task": task, "model": pipe.model.name, "backend": pipe.backend_name, "n": len(data)}
    return {**facts, **scores, "ms_per_cloud": float(np.median(run.milliseconds))}


def _named(pipe: Pipeline, data: Objects, step) -> dict:
    """Scores of the classifier of objects that lies in a segmenter's file, each cloud a cluster in metres."""
    confusion, milliseconds = Confusion(data.classes), []
    for i, (cloud, truth) in enumerate(zip(data.points, data.labels)):
        start = time.perf_counter()
        chance = pipe.chances([np.unique(cloud, axis=0)])[0]
        milliseconds.append((time.perf_counter() - start) * 1e3)
        name = max(chance, key=chance.get)
        confusion.add([truth], [data.classes.index(name) if name in data.classes else len(data.classes)])
        step(i + 1, len(data))
    facts = {"task": "objects", "model": pipe.model.name, "backend": pipe.backend_name, "n": len(data)}
    recall = confusion.recall()
    scores = {"overall_accuracy": _number(confusion.overall()), "mean_class_accuracy": _number(confusion.mean(recall))}
    accuracy = {"accuracy": _by_name(confusion.classes, recall), "ms_per_cloud": float(np.median(milliseconds))}
    return {**facts, **scores, **accuracy, "confusion": confusion.counts.tolist()}


class _Run:
    """One evaluation: the confusion matrix and the times as they come in."""

    def __init__(self, pipe: Pipeline, classes: tuple[str, ...]):
        self.pipe, self.confusion, self.milliseconds = pipe, Confusion(classes), []
        index = [classes.index(name) if name in classes else len(classes) for name in pipe.model.classes]
        self._index = np.array([len(classes), *index])  # by published label

    def objects(self, data: Objects, step) -> dict:
        for i, (points, truth) in enumerate(zip(data.points, data.labels)):
            predicted = self._process(points, None).label.max(initial=0)
            self.confusion.add([truth], self._index[[predicted]])
            step(i + 1, len(data))
        recall = self.confusion.recall()
        return {**self._accuracies(1), "accuracy": _by_name(self.confusion.classes, recall)}

    def scenes(self, data: Scenes, step) -> dict:
        rule, answered, boxes = Rule(data), 0, None if data.boxes is None else _Boxes(data, self.pipe)
        for f in range(len(data)):
            xyz, intensity, truth = data.scan(f)
            result = self._process(xyz, intensity)
            answered += int((result.label > 0).sum())
            self.confusion.add(truth, self._index[result.label])
            rule.add(xyz, truth)
            if boxes is not None:
                boxes.add(f, xyz, result.objects)
            step(f + 1, len(data))
        iou = self.confusion.iou()
        scores = {
            **self._accuracies(FEWEST_POINTS),
            "iou": _by_name(self.confusion.classes, iou),
            "miou": _number(self.confusion.mean(iou, FEWEST_POINTS)),
            "true_points": dict(zip(self.confusion.classes, self.confusion.true.tolist())),
            "confusion": self.confusion.counts.tolist(),
            "coverage": answered / max(len(data.xyz), 1),
            "rule_miou": rule.miou(),
        }
        return scores if boxes is None else {**scores, **boxes.summary()}

    def _process(self, xyz, intensity) -> Result:
        if not self.milliseconds:
            self.pipe.process(xyz, intensity)  # the first call allocates the scratch
        start = time.perf_counter()
        result = self.pipe.process(xyz, intensity)
        self.milliseconds.append((time.perf_counter() - start) * 1e3)
        return result

    def _accuracies(self, fewest: int) -> dict:
        mean = self.confusion.mean(self.confusion.recall(), fewest)
        return {"overall_accuracy": _number(self.confusion.overall()), "mean_class_accuracy": _number(mean)}


class _Boxes:
    """Boxes of one evaluation, and their numbers where the data follow things over time."""

    def __init__(self, data: Scenes, pipe: Pipeline):
        self._data, self._boxes, self._tracks = data, BoxScores(), None
        self._classes = pipe.model.classes
        if data.box_track is not None and data.stamp is not None:
            self._tracks, self._tracker, self._gate = TrackScores(), Tracker(), pipe.config.track_gate

    def add(self, f: int, xyz, objects) -> None:
        truth, true_names, tracks = self._data.boxes_of(f)
        self._boxes.add(xyz, *given_boxes(objects, self._classes), truth, true_names)
        if self._tracks is not None:
            objects = self._tracker.numbered(objects, self._data.stamp[f], "", self._gate)
            numbers = [one.instance for one in objects]
            self._tracks.add(*given_boxes(objects, self._classes), numbers, truth, true_names, tracks)

    def summary(self) -> dict:
        rows = {"boxes": self._boxes.rows()}
        return rows if self._tracks is None else {**rows, "tracks": self._tracks.summary()}


class Rule:
    """What needs no learning: under RULE_HEIGHT = ground, all else = the most frequent other class of the data."""

    def __init__(self, data: Scenes):
        self._confusion, self._classes = Confusion(data.classes), data.classes
        if "ground" in data.classes:
            counts = np.bincount(data.label, minlength=256)[: len(data.classes)]
            counts[data.classes.index("ground")] = -1
            self._other = int(counts.argmax())

    def add(self, xyz, truth) -> None:
        """Judge one scan: xyz (N, 3) float32, truth (N,)."""
        if "ground" not in self._classes:
            return
        finite = np.isfinite(xyz).all(1)
        predicted = np.full(len(xyz), len(self._classes))
        if finite.any():
            low = ground.height(xyz[finite]) < RULE_HEIGHT
            predicted[finite] = np.where(low, self._classes.index("ground"), self._other)
        self._confusion.add(truth, predicted)

    def miou(self) -> float | None:
        """Mean IoU over the classes with FEWEST_POINTS; None where the data know no ground."""
        return _number(self._confusion.mean(self._confusion.iou(), FEWEST_POINTS))


def given_boxes(objects, classes) -> tuple[np.ndarray, list[str]]:
    """Boxes (B, 7) x y z length width height yaw of objects of a level scan, and the names of their classes."""
    rows = [[*one.centre, *one.size, one.yaw] for one in objects]
    return np.reshape(rows, (-1, 7)), [classes[one.label - 1] for one in objects]


def _by_name(classes, values) -> dict:
    return {name: _number(value) for name, value in zip(classes, values)}


def _number(value) -> float | None:
    return float(value) if np.isfinite(value) else None  # JSON knows no NaN
