"""Distillation: a student follows its teacher's answers, features and maps."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.torch

from test_training import TINY, shapes  # noqa: E402

from bipointnet_ros.dataset import Objects  # noqa: E402
from bipointnet_ros.training import data, run, train  # noqa: E402
from bipointnet_ros.training.recipe import Recipe  # noqa: E402
from bipointnet_ros.training.teacher import alike  # noqa: E402


def test_student_follows_its_teacher(tmp_path):
    """With ``distil`` 1 the labels say nothing: the student learns what the teacher answers."""
    objects = shapes(96)
    teacher = run.start(tmp_path / "teacher", objects, None, Recipe(**TINY, method="full"), {})
    train.finish(teacher)
    assert teacher.accuracy(objects) > 0.9
    recipe = Recipe(**TINY, teacher=str(tmp_path / "teacher"), distil=1.0)
    wrong = Objects(objects.points, np.zeros_like(objects.labels), objects.classes)
    student = run.start(tmp_path / "student", wrong, None, recipe, {})
    train.finish(student)
    assert student.accuracy(objects) > 0.6


def test_a_teacher_sees_more_points_than_its_student(tmp_path):
    """A student that sees 4 of 40 points follows a teacher that sees them all; the batches carry what both need."""
    objects = shapes(96)
    train.finish(run.start(tmp_path / "teacher", objects, None, Recipe(**TINY, method="full"), {}))
    few = {**TINY, "stages": ((4, 1.0),)}
    recipe = Recipe(**few, teacher=str(tmp_path / "teacher"), teacher_points=40, attention=1.0)
    student = run.start(tmp_path / "student", objects, None, recipe, {})
    points, _ = next(student.batches(0))
    assert points.shape[1] == 40 and recipe.points_of(0) == 4
    asked = []
    student.teacher.net.answer, plain = lambda x: asked.append(x.shape[1]) or plain(x), student.teacher.net.answer
    student.net.answer, own = lambda x: asked.append(x.shape[1]) or own(x), student.net.answer
    student.train_epoch()
    assert set(asked[::2]) == {4} and set(asked[1::2]) == {40}
    alone = run.start(tmp_path / "alone", objects, None, Recipe(**few, teacher_points=40), {})
    assert next(alone.batches(0))[0].shape[1] == 4


def test_a_teacher_of_another_shape_gives_answers_and_features_but_no_maps(tmp_path):
    objects, cells = shapes(96), {**TINY, "shape": "cells", "widths": (8, 16, 24, 16, 8), "method": "full", "epochs": 1}
    train.finish(run.start(tmp_path / "teacher", objects, None, Recipe(**cells), {}))
    taught = {**TINY, "teacher": str(tmp_path / "teacher"), "teacher_points": 20, "feature": 1.0}
    student = run.start(tmp_path / "student", objects, None, Recipe(**taught), {})
    plain = run.start(tmp_path / "plain", objects, None, Recipe(**{**taught, "feature": 0.0}), {})
    losses = [one.train_epoch()["loss"] for one in (student, plain)]
    assert losses[0] > losses[1] > 0.0  # what the features add
    with pytest.raises(data.DataError, match="layers encoder0, encoder1 for --attention, got row0, row1"):
        run.start(tmp_path / "looking", objects, None, Recipe(**taught, attention=1.0), {})


def test_clouds_that_are_alike_for_both_cost_nothing():
    ours = torch.tensor([[1.0, 0.0], [-1.0, 0.0]], requires_grad=True)
    assert alike(ours, torch.tensor([[3.0, 1.0, 1.0], [-3.0, 1.0, 1.0]])).item() == pytest.approx(0.0, abs=1e-6)
    theirs = torch.tensor([[1.0], [1.0]])  # no difference from the mean: no cosine at all; ours are 1, -1
    assert alike(ours, theirs).item() == pytest.approx(2.0)
