"""The node's own pipeline over files: label clouds, describe a model. Nothing here prints."""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np

from bipointnet_ros import files, recordings
from bipointnet_ros.arrays import FileError
from bipointnet_ros.bags import Bag, LabeledBag
from bipointnet_ros.core import features, kernels, model_file
from bipointnet_ros.core.blueprint import CLASSIFICATION
from bipointnet_ros.core.classes import colours
from bipointnet_ros.core.config import Config
from bipointnet_ros.core.network import Network
from bipointnet_ros.core.pipeline import Pipeline, Result
from bipointnet_ros.core.tracking import Tracker
from bipointnet_ros.pointcloud2 import labeled_cloud
from bipointnet_ros.view import View, boxes

LABELED_TOPIC = "/bipointnet/labeled_points"  # as the node calls it
_ANY_RANGE = {"range_min": 0.0, "range_max": 1000.0}  # an object has no sensor at its origin


@dataclass(frozen=True)
class Labelled:
    """One labelled cloud: where it is from, the answer, the time that it took, and the files that were written."""

    source: str
    xyz: np.ndarray
    result: Result
    milliseconds: float
    written: tuple[Path, ...]


def pipeline(config: Config) -> Pipeline:
    """The pipeline of a configuration; a classifier of whole clouds takes every finite point, whatever its range."""
    loaded = Pipeline(config)
    whole = loaded.model.blueprint.task == CLASSIFICATION and config.split != "clusters"
    return loaded.reconfigured(config.replace(**_ANY_RANGE)) if whole else loaded


def label(pipe: Pipeline, sources, folder, topic: str = ""):
    """Label each cloud of the recordings and write its answer to ``folder``; yields Labelled. FileError, CloudError.

    topic: of a bag that has several topics of clouds.
    """
    sources = [Path(source) for source in sources]
    stem, times = Counter(source.stem for source in sources).most_common(1)[0]
    if times > 1:
        raise FileError(f"{times} inputs would all be written as '{stem}.labels.npz': label them one by one")
    for source in sources:
        tracker = Tracker()
        for cloud in recordings.clouds(source, topic):
            result, spent = _timed(pipe, cloud, tracker)
            written = files.write_labels(folder, cloud.name, cloud.xyz, cloud.intensity, result, pipe.model.classes)
            yield Labelled(cloud.source, cloud.xyz, result, spent, written)


def label_bag(pipe: Pipeline, source, out, topic: str = "", tell=lambda left_out: None):
    """Copy a bag to ``out`` and add each cloud as the node answers it, at the cloud's own time; yields Labelled.

    tell: is called with the topics that cannot be copied, if there are any.
    """
    palette, tracker = colours(pipe.model.classes), Tracker()
    with LabeledBag(Bag(source, topic), out, LABELED_TOPIC) as copy:
        if copy.left_out:
            tell(copy.left_out)
        for cloud in recordings.bag_clouds(copy.bag, copy.clouds()):
            result, spent = _timed(pipe, cloud, tracker)
            copy.write(cloud.time, labeled_cloud(cloud.msg, result, palette))
            yield Labelled(cloud.source, cloud.xyz, result, spent, (Path(out),))


def show(pipe: Pipeline, sources, view: View, topic: str = "", most: int = 0) -> None:
    """Label and show the clouds of the recordings, at most ``most`` (0 = all). FileError, CloudError."""
    view.classes(pipe.model.classes)
    found = ((cloud, tracker) for s in sources for tracker in (Tracker(),) for cloud in recordings.clouds(s, topic))
    for cloud, tracker in islice(found, most or None):
        result, spent = _timed(pipe, cloud, tracker)
        view.show(cloud.xyz, result.label, cloud.stamp)
        view.objects(boxes(result.objects))
        view.times({"all": spent, **result.stages})
    view.close()


def _timed(pipe: Pipeline, cloud: recordings.Cloud, tracker: Tracker) -> tuple[Result, float]:
    """The answer, and the milliseconds that it took; objects of a bag are followed as the node follows them."""
    start = time.perf_counter()
    result = pipe.process(cloud.xyz, cloud.intensity)
    if cloud.msg is not None:
        result = tracker.follow(result, cloud.stamp, cloud.msg.header.frame_id, pipe.config)
    return result, (time.perf_counter() - start) * 1e3


@dataclass(frozen=True)
class Description:
    """A model, the bytes of its file, of weights and limits, of what the backend adds, of scratch for its points."""

    path: Path
    model: model_file.Model
    file_bytes: int
    weight_bytes: int
    prepared_bytes: int
    scratch_bytes: int
    backend: str


def describe(name: str, backend: str = "auto") -> Description:
    """What ``bipointnet info`` tells of a model given by name or path. ModelFileError, BackendError."""
    path = model_file.find(name)
    network = Network(model_file.read(path), kernels.choose(backend), 1)
    cloud = np.random.default_rng(0).uniform((-40, -40, 0), (40, 40, 4), (network.model.points, 3)).astype(np.float32)
    blueprint = network.model.blueprint
    if blueprint.task == CLASSIFICATION:
        network.classify(cloud[None])
    else:
        scene = features.scene(cloud, None, blueprint.grid, blueprint.inputs)
        network.segment(scene.own, scene.offsets, scene.shared)
    held = network.weight_bytes(), network.prepared_bytes(), network.scratch_bytes()
    return Description(path, network.model, path.stat().st_size, *held, network.backend.name)
