"""One labelled scan, and the scans of a file."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from bipointnet_ros import dataset
from bipointnet_ros.training.data import DataError


@dataclass(frozen=True)
class Scan:
    """One frame: xyz (N, 3) float32 [m], intensity (N,) float32 or None, label (N,) uint8, 255 = ignored."""

    xyz: np.ndarray
    intensity: np.ndarray | None
    label: np.ndarray

    def __getitem__(self, rows) -> Scan:
        return Scan(self.xyz[rows], None if self.intensity is None else self.intensity[rows], self.label[rows])


def load(path) -> tuple[list[Scan], tuple[str, ...]]:
    """Scans and class names of a file in scene form (docs/lidar.md); DataError or FileError when it is none."""
    scenes = dataset.read(path)
    if not isinstance(scenes, dataset.Scenes) or scenes.label is None or not len(scenes):
        raise DataError(f"expected scenes (xyz, offsets, label, classes) in '{path}', got none: prepare it again")
    parts = (scenes.scan(f) for f in range(len(scenes)))
    return [Scan(xyz, intensity, label) for xyz, intensity, label in parts], scenes.classes
