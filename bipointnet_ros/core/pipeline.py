"""From points to labels, confidences and objects: the one way, used by the node, the command line and the tests."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from bipointnet_ros.core import crops, features, ground, kernels, looks, model_file, points, segments
from bipointnet_ros.core.blueprint import SEGMENTATION
from bipointnet_ros.core.config import Config
from bipointnet_ros.core.network import Network
from bipointnet_ros.core.segments import Object


class CloudError(ValueError):
    """The arrays given to ``Pipeline.process`` are not a cloud."""


@dataclass(frozen=True)
class Result:
    """Answer to one cloud of N points, row i for point i.

    label (N,) uint16: class index + 1, 0 = unknown; instance (N,) uint32: 0 = no object; confidence (N,) float32 0..1;
    objects in the cloud's frame; stages: milliseconds by step; sampled: points that the network saw; up: unit vector
    (3,) in the cloud's frame, perpendicular to the ground around, None where little of it was found.
    """

    label: np.ndarray
    instance: np.ndarray
    confidence: np.ndarray
    objects: tuple[Object, ...]
    stages: dict[str, float]
    sampled: int
    up: np.ndarray | None = None


class Pipeline:
    """A loaded model and the way to it and from it. One cloud at a time: not thread-safe (it owns the scratch).

    ModelFileError, BackendError: one sentence each, at construction; nothing is loaded later.
    """

    def __init__(self, config: Config, network: Network | None = None, naming: Network | None = None):
        self.config = config
        self._network = network or _load(config)
        self._naming = naming or _naming(self._network)
        self.model = self._network.model
        self.backend_name, self.threads = self._network.backend.name, self._network.threads

    def reconfigured(self, config: Config) -> Pipeline:
        """A pipeline with other parameters; the loaded network is shared where model, backend and threads stay."""
        same = all(getattr(config, n) == getattr(self.config, n) for n in ("model", "backend", "threads"))
        return Pipeline(config, self._network, self._naming) if same else Pipeline(config)

    def process(self, xyz: np.ndarray, intensity: np.ndarray | None = None) -> Result:
        """Label every point of xyz (N, 3) float32 [m], z up but for the mount's tilt; intensity (N,) of any scale.

        N may be 0; points may be NaN or infinite (label 0). The same cloud and parameters give the same answer.
        CloudError for arrays of another form.
        """
        _check(xyz, intensity)
        watch = _Stopwatch()
        seen = points.keep(xyz, self.config)
        kept = np.flatnonzero(seen)
        level = self._levelling()
        near = xyz.take(kept, axis=0)  # four times as fast as xyz[kept]
        near = near if level is None else near @ level.T
        used = intensity is not None and self.config.use_intensity
        strength = intensity.take(kept).astype(np.float32) if used else None
        watch("filter")
        answer = self._answer(near, strength, watch)
        objects = answer.objects if level is None else tuple(o.moved(level.T) for o in answer.objects)
        everywhere = (_scattered(values, seen) for values in (answer.label, answer.instance, answer.confidence))
        up = answer.up if level is None or answer.up is None else answer.up @ level
        watch("publish")
        return Result(*everywhere, objects, watch.stages, answer.sampled, up)

    def _levelling(self) -> np.ndarray | None:
        """(3, 3) rotation from the sensor's axes to level ones; None = the sensor is mounted level."""
        roll, pitch = self.config.gravity_roll, self.config.gravity_pitch
        return points.levelling(roll, pitch) if roll or pitch else None

    def _answer(self, xyz, intensity, watch) -> _Answer:
        if len(xyz) == 0:
            return _Answer.unknown(0)
        if self.model.blueprint.task == SEGMENTATION:
            return self._segment(xyz, intensity, watch)
        return self._classify(xyz, watch)

    def _segment(self, xyz, intensity, watch) -> _Answer:
        """Every voxel of the scan is a row of the network, and answers the points in it."""
        blueprint = self.model.blueprint
        seen = self._seen(xyz)
        strength = intensity if intensity is None or seen is None else intensity[seen]
        cloud = xyz if seen is None else xyz[seen]
        scene = features.scene(cloud, strength, blueprint.grid, blueprint.inputs, self._network.backend)
        watch("features")
        logits = self._network.segment(scene.own, scene.offsets, scene.shared)
        watch("network")
        label, confidence = self._best(self._looked_again(scene, cloud, logits))
        watch("further_looks")
        row, height = scene.answer, scene.height
        if seen is not None:
            near = points.answers(xyz, seen, blueprint.grid.voxel, backend=self._network.backend)
            row, height = np.where(near < 0, -1, row[near]), np.where(near < 0, np.float32(0.0), height[near])
        label, confidence = points.spread(label, row), points.spread(confidence, row)
        watch("spread")
        chances = self.chances if self._naming else None
        answer = (xyz, height, label, confidence, self.model.classes)
        instance, objects = segments.objects(*answer, self._network.backend, chances)
        watch("objects")
        return _Answer(label, instance, confidence, objects, len(scene.own), ground.up(xyz, height))

    def _looked_again(self, scene, xyz, logits) -> np.ndarray:
        """(n, K) logits of the scene's rows, their mean over the looks that ``further_looks`` affords."""
        blueprint, share = self.model.blueprint, looks.afforded(self.config.further_looks, len(logits))
        if share == 0.0:
            return logits
        total, seen = logits.copy(), np.ones((len(logits), 1), np.float32)  # the network writes over its logits
        doubt = looks.doubt(logits)
        for shift, part in looks.further(share, blueprint.grid):
            rows = looks.doubtful(scene.offsets[-1], doubt, part)
            if len(rows):
                look = looks.again(scene, xyz, rows, blueprint.grid, blueprint.inputs, shift, self._network.backend)
                answer = self._network.segment(look.own, look.offsets, look.shared)
                total[look.row] = total.take(look.row, axis=0) + answer
                seen[look.row] += 1.0
        return total / seen

    def chances(self, clouds) -> list[dict[str, float]]:
        """Name -> probability of each cluster (n, 3) float32 [m], z up, by the classifier of objects, in one call.

        Which end of its axis is ahead a cluster does not say, so it is seen both ways. CloudError where there is none.
        """
        if self._naming is None:
            raise CloudError(f"expected a model that names objects, got '{self.model.name}': export one with --objects")
        model = self._naming.model
        rows = crops.rows(clouds, model.points, model.blueprint.inputs)
        logits = self._naming.classify(np.concatenate([rows, crops.turned(rows)]))
        logits = (logits[: len(rows)] + logits[len(rows) :]) / 2.0
        power = np.exp(logits - logits.max(1, keepdims=True))
        return [dict(zip(model.classes, row.tolist())) for row in power / power.sum(1, keepdims=True)]

    def _classify(self, xyz, watch) -> _Answer:
        """One class for the whole cloud, or for each cluster that stands on the ground, all clusters in one call."""
        height, up = np.zeros(len(xyz), np.float32), None
        parts = [np.arange(len(xyz))]
        if self.config.split == "clusters":
            height = ground.height(xyz, self._network.backend)
            up = ground.up(xyz, height)
            parts = segments.standing(xyz, height, self._network.backend)
        watch("split")
        if not parts:
            return _Answer.unknown(len(xyz))
        clouds = np.stack([xyz[part[self._sampled(xyz[part])]] for part in parts])
        watch("sample")
        label, confidence = self._best(self._network.classify(points.normalised(clouds)))
        watch("network")
        found = (parts, label, confidence, self.model.classes)
        instance, objects = segments.named(xyz, height, *found, self._network.backend)
        everywhere = _Answer.unknown(len(xyz))
        for part, k, sure in zip(parts, label, confidence):
            everywhere.label[part], everywhere.confidence[part] = k, sure
        watch("objects")
        sampled = clouds.shape[0] * clouds.shape[1]
        return _Answer(everywhere.label, instance, everywhere.confidence, objects, sampled, up)

    def _seen(self, xyz) -> np.ndarray | None:
        """Rows of a scan that ``sampling`` and ``points`` leave; None = every voxel, as the model was trained."""
        if self.config.sampling == "auto" and self.config.points == 0 or len(xyz) <= self._count:
            return None
        return self._sampled(xyz)

    def _sampled(self, xyz) -> np.ndarray:
        method = self.model.sampling if self.config.sampling == "auto" else self.config.sampling
        return points.sample(xyz, self._count, method, self.config.seed, self._network.backend)

    @property
    def _count(self) -> int:
        return self.config.points or self.model.points

    def _best(self, logits):
        """(R, K) logits -> label (R,) uint16 and its softmax (R,) float32, both 0 under ``min_confidence``."""
        columns = np.ascontiguousarray(logits.T)  # few classes, many rows: numpy is fast along the rows
        top, label = columns[0], np.ones(len(logits), np.uint16)
        for k in range(1, len(columns)):
            label = np.maximum(label, (columns[k] > top) * np.uint16(k + 1))  # many times as fast as where
            top = np.maximum(top, columns[k])
        confidence = 1.0 / np.exp(columns - top).sum(0)
        sure = confidence >= self.config.min_confidence
        return label * sure, confidence * sure


@dataclass(frozen=True)
class _Answer:
    """Of the M points kept: label uint16, instance uint32, confidence float32; objects and up in level axes."""

    label: np.ndarray
    instance: np.ndarray
    confidence: np.ndarray
    objects: tuple[Object, ...]
    sampled: int
    up: np.ndarray | None = None

    @staticmethod
    def unknown(m: int) -> _Answer:
        return _Answer(np.zeros(m, np.uint16), np.zeros(m, np.uint32), np.zeros(m, np.float32), (), 0)


class _Stopwatch:
    """Milliseconds since the last call, by the name of the step that ended."""

    def __init__(self):
        self.stages: dict[str, float] = {}
        self._last = time.perf_counter()

    def __call__(self, step: str):
        now = time.perf_counter()
        self.stages[step] = (now - self._last) * 1e3
        self._last = now


def _load(config: Config) -> Network:
    backend = kernels.choose(config.backend)
    threads = config.threads or max(1, physical_cores() - 1)
    return Network(model_file.read(model_file.find(config.model)), backend, threads)


def _naming(network: Network) -> Network | None:
    """The network that names the objects of a segmenter, if its file holds one."""
    own = network.model.objects
    return Network(own, network.backend, network.threads) if own else None


def physical_cores() -> int:
    """Cores without their hyper-threads, where the system tells; else the CPUs this process may use."""
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    siblings = Path("/sys/devices/system/cpu").glob("cpu[0-9]*/topology/thread_siblings_list")
    return min(usable, len({path.read_text() for path in siblings}) or usable)


def _scattered(values, kept):
    """(M,) values of the points that are kept, by truth (N,), -> (N,), 0 for the others."""
    out = np.zeros(len(kept), values.dtype)
    out[kept] = values
    return out


def _check(xyz, intensity):
    if not (isinstance(xyz, np.ndarray) and xyz.ndim == 2 and xyz.shape[1] == 3 and xyz.dtype == np.float32):
        got = f"{xyz.dtype} {xyz.shape}" if isinstance(xyz, np.ndarray) else type(xyz).__name__
        raise CloudError(f"a cloud must be a float32 array (N, 3) of metres, got {got}")
    if intensity is not None and np.shape(intensity) != (len(xyz),):
        raise CloudError(f"intensity must hold one value for each of the {len(xyz)} points, got {np.shape(intensity)}")
