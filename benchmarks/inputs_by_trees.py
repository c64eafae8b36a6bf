#!/usr/bin/env python3
"""What each group of a segmenter's inputs is worth, asked of boosted trees, and what it costs a scan.

    pip install scikit-learn scipy
    python benchmarks/inputs_by_trees.py --train A_train.npz B_train.npz --val A_val.npz C_val.npz

Trees learn in minutes what a network learns in an hour, so groups can be compared. All see the same rows, as many of
each training file; each row is asked alone, so what a network adds by its joins over cells is not in it. Nearest
neighbours (16 rows, by a k-d tree) are given the same shapes as cells; the robot does not compute them.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

import numpy as np
from scipy.spatial import cKDTree
from sklearn.ensemble import HistGradientBoostingClassifier

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from bipointnet_ros.core import descriptors, features, kernels  # noqa: E402
from bipointnet_ros.core.blueprint import Grid  # noqa: E402
from bipointnet_ros.dataset import IGNORED  # noqa: E402
from bipointnet_ros.evaluation import FEWEST_POINTS  # noqa: E402
from bipointnet_ros.scores import Confusion  # noqa: E402
from bipointnet_ros.training import scan  # noqa: E402

GRID, NEIGHBOURS = Grid(0.2, (4, 12, 36)), 16
BACKEND = kernels.choose()
OWN = tuple(name for name in features.BLIND if features.level(name) == len(descriptors.LEVELS) - 1)
WIDE = tuple(name for name in features.BLIND if name.startswith(("blocks_", "pillars_"))) + tuple(
    f"block_{key}" for key in descriptors.SHAPE
)
CELLS = tuple(name for name in features.BLIND if name not in WIDE)
GROUPS = {  # row of the table -> inputs of core/features.py, with nearest neighbours?
    "of the row alone": (OWN, False),
    "and its 16 nearest rows": (OWN, True),
    "and its cells": (CELLS, False),
    "and its cells and 16 nearest rows": (CELLS, True),
    "and its cells and those around": (features.BLIND, False),
}


def neighbours(xyz) -> np.ndarray:
    """(n, 8) float32 of rows xyz (n, 3): shape, lowest and highest over the row [m], of its nearest rows."""
    k = min(NEIGHBOURS, len(xyz))
    near = xyz[cKDTree(xyz).query(xyz, k)[1].reshape(len(xyz), k)] - xyz[:, None]
    centred = near - near.mean(1, keepdims=True)
    moments = np.stack([(centred[:, :, i] * centred[:, :, j]).mean(1) for i, j in descriptors.PAIRS])
    shape = descriptors.of_covariance(moments, GRID.voxel)
    return np.column_stack([*shape.values(), near[:, :, 2].min(1), near[:, :, 2].max(1)]).astype(np.float32)


def rows_of(scans, names, with_neighbours: bool):
    """Inputs (n, F) of all scans, [(answer, label of each point)], label (n,), milliseconds of CPU a scan."""
    rows, answers, labels, start = [], [], [], time.process_time()
    for one in scans:
        scene = features.scene(one.xyz, one.intensity, GRID, features.ordered(names), BACKEND)
        more = [neighbours(one.xyz[scene.index].astype(np.float64))] if with_neighbours else []
        rows.append(np.column_stack([scene.features, *more]))
        answers.append((scene.answer, one.label))
        labels.append(one.label[scene.index])
    spent = (time.process_time() - start) * 1e3 / len(scans)
    return np.concatenate(rows), answers, np.concatenate(labels), spent


def judged(model, rows, answers, classes, fewest: float) -> float:
    """mIoU over the classes that have enough true points, of every point by its row."""
    confusion, first = Confusion(classes), 0
    for answer, label in answers:
        count = answer.max() + 1
        confusion.add(label, model.predict(rows[first : first + count])[answer])
        first += count
    return confusion.mean(confusion.iou(), fewest)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--train", type=Path, nargs="+", required=True)
    parser.add_argument("--val", type=Path, nargs="+", required=True)
    parser.add_argument("--scans", type=int, default=25, help="of each file, evenly spread")
    parser.add_argument("--rows", type=int, default=40_000, help="of each training file")
    parser.add_argument("--rounds", type=int, default=100, help="of boosting")
    given = parser.parse_args()
    scans, fewest, classes = {}, {}, None
    for path in (*given.train, *given.val):
        every, classes = scan.load(path)
        scans[path] = every[:: max(1, len(every) // given.scans)]
        fewest[path] = FEWEST_POINTS * len(scans[path]) / len(every)
    print(f"| inputs | number | ms of CPU a scan | {' | '.join(p.stem for p in given.val)} |")
    print("|---" * (3 + len(given.val)) + "|")
    for name, (names, near) in GROUPS.items():
        rng, chosen, truth, spent = np.random.default_rng(0), [], [], []
        for path in given.train:
            rows, _, label, milliseconds = rows_of(scans[path], names, near)
            some = rng.permutation(np.flatnonzero(label != IGNORED))[: given.rows]
            chosen.append(rows[some])
            truth.append(label[some])
            spent.append(milliseconds)
        model = HistGradientBoostingClassifier(max_iter=given.rounds, early_stopping=False, random_state=0)
        model.fit(np.concatenate(chosen), np.concatenate(truth))
        scores = []
        for path in given.val:
            rows, answers, _, _ = rows_of(scans[path], names, near)
            scores.append(f"{judged(model, rows, answers, classes, fewest[path]):.3f}")
        print(f"| {name} | {chosen[0].shape[1]} | {np.mean(spent):.0f} | {' | '.join(scores)} |", flush=True)


if __name__ == "__main__":
    main()
