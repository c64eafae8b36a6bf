"""Evaluation by a pipeline whose answers are known, and by the real one."""

from types import SimpleNamespace

import fabricate
import numpy as np
import pytest

from bipointnet_ros import evaluation, offline
from bipointnet_ros.arrays import FileError
from bipointnet_ros.core import model_file
from bipointnet_ros.core.blueprint import CLASSIFICATION, SEGMENTATION, vanilla
from bipointnet_ros.core.config import Config
from bipointnet_ros.core.segments import Object
from bipointnet_ros.dataset import IGNORED, Objects, Scenes
from bipointnet_ros.scores import Confusion


class Known:
    """A pipeline that answers what it was told to, one label array a cloud, once it has been warmed up."""

    backend_name = "known"
    config = Config()
    objects = ()

    def __init__(self, task, classes, answers):
        self.model = SimpleNamespace(name="known", classes=classes, objects=None, blueprint=SimpleNamespace(task=task))
        self._answers = [answers[0], *answers]

    def process(self, xyz, intensity=None):
        label = np.asarray(self._answers.pop(0), np.uint16)
        assert len(label) == len(xyz)
        return SimpleNamespace(label=label, objects=self.objects)


def objects():
    return Objects(np.ones((4, 2, 3), np.float32), np.array([0, 0, 1, 1]), ("car", "tree"))


def test_objects_match_by_name_and_unknown_is_wrong():
    """The model's classes stand in another order, and one of them is not in the file."""
    answers = [[2, 2], [1, 1], [3, 3], [0, 0]]  # car, house, tree, unknown
    scores = evaluation.evaluate(Known(CLASSIFICATION, ("house", "car", "tree"), answers), objects())
    assert (scores["task"], scores["model"], scores["backend"], scores["n"]) == ("classification", "known", "known", 4)
    assert scores["overall_accuracy"] == 0.5 and scores["mean_class_accuracy"] == 0.5
    assert scores["accuracy"] == {"car": 0.5, "tree": 0.5}
    assert scores["ms_per_cloud"] > 0 and "iou" not in scores


def scenes():
    """Two scans: 3,000 points of flat ground, 2,000 of a wall 1 to 2 m up, 100 of a person, 900 ignored."""
    rng = np.random.default_rng(0)
    xyz = rng.uniform(-10, 10, (6000, 3)).astype(np.float32)
    xyz[:3000, 2] = 0.0
    xyz[3000:, 2] = rng.uniform(1.0, 2.0, 3000)
    label = np.repeat([0, 1, 2, IGNORED], [3000, 2000, 100, 900]).astype(np.uint8)
    order = rng.permutation(6000)
    return Scenes(xyz[order], np.array([0, 2500, 6000]), ("ground", "structure", "person"), label[order])


def test_scenes_by_hand():
    """Everything right but persons, which become unknown."""
    data = scenes()
    truth = np.where(data.label == IGNORED, 2, data.label + 1)
    answer = np.where(truth == 3, 0, truth)
    steps = []
    scores = evaluation.evaluate(
        Known(SEGMENTATION, data.classes, [answer[:2500], answer[2500:]]), data, lambda *step: steps.append(step)
    )
    assert steps == [(1, 2), (2, 2)]
    assert scores["iou"] == {"ground": 1.0, "structure": 1.0, "person": 0.0}
    assert scores["miou"] == 1.0, "100 points of a person are listed, not averaged"
    assert scores["mean_class_accuracy"] == 1.0 and scores["overall_accuracy"] == pytest.approx(5000 / 5100)
    assert scores["true_points"] == {"ground": 3000, "structure": 2000, "person": 100}
    assert scores["coverage"] == pytest.approx(5900 / 6000)
    assert scores["rule_miou"] == pytest.approx((1.0 + 2000 / 2100) / 2)


def test_boxes_are_judged_where_the_data_have_some():
    """One car, and one box that is right: whatever the pipeline says of the points."""
    rng = np.random.default_rng(0)
    xyz = (rng.uniform(-0.5, 0.5, (100, 3)) * [4.4, 1.8, 1.5] + [12, 0, 0.75]).astype(np.float32)
    box = np.float32([[12, 0, 0.75, 4.4, 1.8, 1.5, 0.0]])
    one, zero = np.array([1]), np.array([0])
    data = Scenes(xyz, np.array([0, 100]), ("ground", "vehicle"), np.ones(100, np.uint8), None, None, box, zero, one)
    pipe = Known(SEGMENTATION, data.classes, [[2] * 100])
    pipe.objects = (Object(1, 2, "vehicle", 1.0, box[0, :3], box[0, 3:6], 0.0, 100),)
    scores = evaluation.evaluate(pipe, data)
    right = [row for row in scores["boxes"] if row["class"] == "vehicle" and row["true"]]
    assert len(right) == 4 and all(row["recall"] == row["precision"] == 1.0 for row in right)
    assert "tracks" not in scores


def test_numbers_are_judged_where_the_data_follow_things():
    """A car in three scans, the last of them after a jump back in time."""
    rng = np.random.default_rng(0)
    xyz = (rng.uniform(-0.5, 0.5, (300, 3)) * [4.4, 1.8, 1.5] + [12, 0, 0.75]).astype(np.float32)
    boxes, frames = np.float32([[12, 0, 0.75, 4.4, 1.8, 1.5, 0.0]] * 3), np.arange(3)
    label, stamp = np.ones(300, np.uint8), np.array([5.0, 5.1, 2.0])
    data = Scenes(
        xyz,
        np.arange(4) * 100,
        ("ground", "vehicle"),
        label,
        None,
        stamp,
        boxes,
        frames,
        np.ones(3, int),
        np.full(3, 7),
    )
    pipe = Known(SEGMENTATION, data.classes, [[2] * 100] * 3)
    pipe.objects = (Object(1, 2, "vehicle", 1.0, boxes[0, :3], boxes[0, 3:6], 0.0, 100),)
    tracks = evaluation.evaluate(pipe, data)["tracks"]
    assert (tracks["tracks"], tracks["seen_again"], tracks["switches"]) == (1, 2, 1)


def test_the_rule_needs_a_class_ground():
    data = scenes()
    renamed = Scenes(data.xyz, data.offsets, ("road", "structure", "person"), data.label)
    right = np.where(data.label == IGNORED, 0, data.label + 1)
    scores = evaluation.evaluate(Known(SEGMENTATION, renamed.classes, [right[:2500], right[2500:]]), renamed)
    assert scores["rule_miou"] is None and scores["miou"] == 1.0


@pytest.mark.parametrize(
    ("task", "classes", "data", "words"),
    [
        (CLASSIFICATION, ("ground",), scenes(), "expected objects"),
        (SEGMENTATION, ("car",), objects(), "expected scenes"),
        (CLASSIFICATION, ("plane", "lamp"), objects(), "rename"),
        (SEGMENTATION, ("ground",), Scenes(scenes().xyz, np.array([0, 6000]), ()), "labelled"),
        (
            SEGMENTATION,
            ("ground",),
            Scenes(scenes().xyz[:0], np.array([0]), ("ground",), scenes().label[:0]),
            "labelled",
        ),
    ],
)
def test_data_that_do_not_fit_are_refused(task, classes, data, words):
    with pytest.raises(FileError, match=words):
        evaluation.evaluate(Known(task, classes, [[0]]), data)


def test_objects_inside_the_sensor_range_are_judged_whole(tmp_path):
    """Clouds of the unit sphere lie nearer than range_min; evaluation must not cut them."""
    path = tmp_path / "m.safetensors"
    model_file.write(path, fabricate.model(vanilla(3, (64, 64, 128, 64, 64)), points=32))
    pipe = offline.pipeline(Config(model=str(path), threads=1))
    points = np.random.default_rng(0).normal(size=(8, 32, 3)).astype(np.float32) * 0.1
    logits = pipe.model.classes
    labels = np.array([pipe.process(cloud).label[0] for cloud in points]) - 1
    scores = evaluation.evaluate(pipe, Objects(points, labels.astype(np.int64), logits))
    assert scores["overall_accuracy"] == 1.0 and (labels >= 0).all()


def test_confusion_is_what_the_rule_is_judged_by():
    rule = evaluation.Rule(scenes())
    rule.add(np.full((3, 3), np.nan, np.float32), np.array([0, 1, 2]))
    assert isinstance(rule._confusion, Confusion) and rule._confusion.counts[:, -1].tolist() == [1, 1, 1]
