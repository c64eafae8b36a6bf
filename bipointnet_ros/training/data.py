"""Objects to train a classifier on: the .npz form of ``bipointnet eval``, or a user's folder of one folder a class."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from bipointnet_ros import dataset, files
from bipointnet_ros.core.points import normalised, sample
from bipointnet_ros.dataset import Objects


class DataError(ValueError):
    """The training data is not there or not as expected; one sentence says what to do."""


def load(path, count: int = 1024) -> Objects:
    """Objects of ``count`` points, each centred and in the unit sphere, as the pipeline gives them to a network.

    ``path`` is a .npz of points, labels, classes, or a folder with one folder of clouds per class.
    DataError and FileError say what was expected.
    """
    objects = _folder(Path(path), count) if Path(path).is_dir() else dataset.read(path)
    if not isinstance(objects, Objects) or not len(objects):
        raise DataError(f"expected objects (points, labels, classes) in '{path}', got none: choose another file")
    if objects.points.shape[1] < count:
        raise DataError(
            f"expected clouds of at least {count} points in '{path}', got {objects.points.shape[1]}: "
            f"ask for fewer with --points"
        )
    return Objects(normalised(objects.points[:, :count]), objects.labels, objects.classes)


def _folder(folder: Path, count: int) -> Objects:
    classes = tuple(sorted(p.name for p in folder.iterdir() if p.is_dir()))
    paths = [
        (k, p)
        for k, name in enumerate(classes)
        for p in sorted((folder / name).iterdir())
        if p.suffix in files.SUFFIXES
    ]
    if len(classes) < 2 or not paths:
        raise DataError(
            f"expected '{folder}' to hold a folder per class with {', '.join(files.SUFFIXES)} files, "
            f"found {len(classes)} folders and {len(paths)} clouds"
        )
    clouds = np.stack([_cloud(path, count) for _, path in paths])
    return Objects(clouds, np.array([k for k, _ in paths], np.int64), classes)


def _cloud(path: Path, count: int) -> np.ndarray:
    xyz, _ = files.read_cloud(path)
    xyz = xyz[np.isfinite(xyz).all(1)]
    if len(xyz) == 0:
        raise DataError(f"expected at least one finite point in '{path}', found none: remove the file")
    return xyz[sample(xyz, count)]


def select(objects: Objects, rows) -> Objects:
    return Objects(objects.points[rows], objects.labels[rows], objects.classes)
