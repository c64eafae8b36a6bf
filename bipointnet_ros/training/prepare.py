"""Turn the raw sets of docs/training.md into the two forms that training and ``bipointnet eval`` read.

    python -m bipointnet_ros.training.prepare NAME SRC DST      NAME: modelnet40 pandaset ika semantickitti ...

Objects: points (S, N, 3) float32, labels (S,) int64 into classes, and where things were seen again thing (S,) int32,
their numbers. Scenes: xyz (P, 3) float32 [m] with z up, offsets (F + 1,) int32, label (P,) uint8 into classes or 255 =
ignored, intensity (P,) float32 in 0..1, and where the set has boxes: boxes (B, 7) float32 x y z l w h yaw, box_frame
(B,) int32, box_class (B,) uint8, and where things are followed box_track (B,) int32 and stamp (F,) float64 [s].
Files: DST/NAME_SPLIT.npz.
"""

from __future__ import annotations

import argparse
import json
import sys
import zlib
from pathlib import Path

import numpy as np

from bipointnet_ros.dataset import IGNORED
from bipointnet_ros.training.command import command

PANDASET_FIRST_VALIDATION_FRAME = 44
CROP_POINTS = 1024
CROP_CLASSES = ("car", "large", "pedestrian", "cycle")
_CROP_NAMES = {
    "car": "car",
    "van": "car",
    "truck": "large",
    "construction_vehicle": "large",
    "pedestrian": "pedestrian",
    "cyclist": "cycle",
    "two_wheeler": "cycle",
}
_LIDARNET_UNITS_PER_METRE = 5.0


class PrepareError(ValueError):
    """A raw file is missing or does not hold what it should."""


# ---------------------------------------------------------------------------------------------------------- raw files


def load(folder, name: str, *keys: str) -> dict[str, np.ndarray]:
    """Arrays of one raw .npz; PrepareError names what is missing."""
    path = Path(folder) / name
    if not path.is_file():
        raise PrepareError(f"expected {name} in {folder}, found none: give the folder that holds it as SRC")
    with np.load(path, allow_pickle=False) as raw:
        missing = [key for key in keys if key not in raw.files]
        if missing:
            raise PrepareError(f"expected {', '.join(missing)} in {path}, found {', '.join(raw.files)}: wrong file?")
        return {key: raw[key] for key in raw.files}


def text(names) -> list[str]:
    """Names as str; the raw files hold byte strings, which would match no class name."""
    return [name.decode() if isinstance(name, bytes) else str(name) for name in names]


def class_table() -> dict:
    """classes.json: the six LiDAR classes, and for each set the class that each of its own names counts as."""
    return json.loads((Path(__file__).parent / "classes.json").read_text())


def translation(names, mapping: dict[str, str], classes) -> np.ndarray:
    """(256,) uint8: a set's own label -> index into classes, or 255; a name outside the mapping is ignored."""
    table = np.full(256, IGNORED, np.uint8)
    for i, name in enumerate(text(names)):
        if name in mapping:
            table[i] = classes.index(mapping[name])
    return table


# ------------------------------------------------------------------------------------------------------------ objects


def modelnet40(folder):
    """Official splits; validation = every tenth training shape of each class, by index."""
    for split in ("train", "test"):
        raw = load(folder, f"modelnet40_1024_{split}.npz", "points", "scale", "labels", "classes")
        points = raw["points"].astype(np.float32) * raw["scale"]
        labels = raw["labels"].astype(np.int64)
        rest = np.ones(len(labels), bool)
        if split == "train":
            rest[every_tenth(labels)] = False
            yield "val", objects(points[~rest], labels[~rest], raw["classes"])
        yield split, objects(points[rest], labels[rest], raw["classes"])


def every_tenth(labels: np.ndarray) -> np.ndarray:
    """Indices of the first, eleventh, ... shape of each class."""
    return np.sort(np.concatenate([np.flatnonzero(labels == k)[::10] for k in np.unique(labels)]))


def crops(folder):
    """Object crops of PandaSet and KITTI in four classes; an instance whose crc32 modulo 5 is 0 is validation.

    ``pandaset`` holds those of ``train`` that come from PandaSet, whose licence allows any use.
    """
    names = "xyz_cm", "offsets", "labels", "instance", "classes", "source", "sources"
    raw = load(folder, "lidar_object_crops.npz", *names)
    table = translation(raw["classes"], _CROP_NAMES, CROP_CLASSES)[raw["labels"]]
    held = np.array([zlib.crc32(name.encode()) % 5 == 0 for name in text(raw["instance"])])
    thing = np.unique(raw["instance"], return_inverse=True)[1].reshape(-1)
    xyz = raw["xyz_cm"] / np.float32(100.0)
    yield from _ragged_objects(xyz, raw["offsets"], table, held, CROP_CLASSES, thing)
    foreign = np.array([not name.startswith("pandaset") for name in text(raw["sources"])])[raw["source"]]
    table[foreign] = IGNORED
    own = dict(_ragged_objects(xyz, raw["offsets"], table, held, CROP_CLASSES, thing))
    yield "pandaset", own["train"]


def lidarnet(folder):
    """LiDARNet clusters, z up and in metres; copies of one thing (same origin and class) stay on one side."""
    raw = load(folder, "lidarnet_v2_objects.npz", "points", "offsets", "labels", "origin", "classes")
    x, y, z = raw["points"].T / _LIDARNET_UNITS_PER_METRE
    groups = [np.round(o, 1).tobytes() + bytes([k]) for o, k in zip(raw["origin"] + 0.0, raw["labels"])]
    held = np.array([zlib.crc32(group) % 5 == 0 for group in groups])
    return _ragged_objects(np.stack([x, -z, y], 1), raw["offsets"], raw["labels"], held, raw["classes"])


def _ragged_objects(xyz, offsets, labels, held, classes, thing=None):
    rng = np.random.default_rng(0)
    clouds = np.stack([resample(xyz[a:b], CROP_POINTS, rng) for a, b in zip(offsets[:-1], offsets[1:])])
    for split, side in (("train", ~held), ("val", held)):
        rows = side & (labels != IGNORED)
        data = objects(clouds[rows], labels[rows], classes)
        yield split, data if thing is None else {**data, "thing": thing[rows].astype(np.int32)}


def resample(cloud: np.ndarray, count: int, rng) -> np.ndarray:
    """(n, 3) -> (count, 3): without repetition where there are enough points, else all of them and repetitions."""
    more = rng.choice(len(cloud), max(count - len(cloud), 0))
    return cloud[np.concatenate([rng.permutation(len(cloud))[:count], more])]


def objects(points, labels, classes) -> dict[str, np.ndarray]:
    return {
        "points": np.ascontiguousarray(points, np.float32),
        "labels": np.asarray(labels, np.int64),
        "classes": np.array(text(classes)),
    }


# ------------------------------------------------------------------------------------------------------------- scenes


def pandaset(folder):
    """Sequence 002, split by time: frames 0-43 train, 44-63 validation; human cuboids as boxes."""
    raw = load(
        folder, "pandaset_002_pandar64.npz", "xyz_cm", "intensity", "label", "offsets", "frame", "stamp", "classes"
    )
    table = class_table()
    label = translation(raw["classes"], table["pandaset"], table["classes"])[raw["label"]]
    boxes = _pandaset_boxes(raw, table)
    late = raw["frame"] >= PANDASET_FIRST_VALIDATION_FRAME
    for split, frames in (("train", np.flatnonzero(~late)), ("val", np.flatnonzero(late))):
        data = scenes(raw["xyz_cm"], raw["intensity"], label, raw["offsets"], frames, boxes)
        yield split, {**data, "stamp": raw["stamp"][frames].astype(np.float64)}


def _pandaset_boxes(raw, table):
    names = text(raw["cuboid_label"])
    mapped = [table["pandaset"].get(name) for name in names]
    rows = np.array([i for i, name in enumerate(mapped) if name is not None])
    return (
        raw["cuboid_xyzlwhyaw"][rows],
        np.searchsorted(raw["frame"], raw["cuboid_frame"][rows]),
        np.array([table["classes"].index(mapped[i]) for i in rows], np.uint8),
        np.unique(raw["cuboid_uuid"], return_inverse=True)[1].reshape(-1)[rows].astype(np.int32),
    )


def ika(folder):
    """The given split of the front-view VLP-32 scans (labels are automatic and noisy)."""
    for split in ("train", "val"):
        yield split, _range_images(folder, f"ika_vlp32_semseg_{split}.npz", "ika")


def semantickitti(folder):
    """test = the three full scans; train = these and samples 3-11; val = samples 12-20 (0-2 are the full scans again).

    A model whose unseen sensor this is takes ``test`` alone and must not have trained on ``train``.
    """
    full = _full_scans(folder)
    yield "test", full
    images = "semantickitti_sample_train.npz"
    yield "train", joined(full, _range_images(folder, images, "semantickitti", range(3, 12)))
    yield "val", _range_images(folder, images, "semantickitti", range(12, 21))


def _full_scans(folder):
    raw = load(folder, "semantickitti_full_scans.npz", "xyz_cm", "intensity", "label", "offsets", "classes")
    table = class_table()
    label = translation(raw["classes"], table["semantickitti"], table["classes"])[raw["label"]]
    return scenes(raw["xyz_cm"], raw["intensity"], label, raw["offsets"])


def _range_images(folder, name, mapping, frames=None):
    """Cells without a return are (0, 0, 0) and dropped by that, whatever their label."""
    raw = load(folder, name, "xyz_cm", "intensity", "label", "classes")
    table = class_table()
    label = translation(raw["classes"], table[mapping], table["classes"])[raw["label"]]
    hit = (raw["xyz_cm"] != 0).any(-1)
    counts = hit.reshape(len(hit), -1).sum(1)
    offsets = np.concatenate([[0], np.cumsum(counts)])
    return scenes(raw["xyz_cm"][hit], raw["intensity"][hit], label[hit], offsets, frames)


def kitti_object(folder):
    """100 training frames with boxes, all validation: points off the boxes are not labelled, so they are ignored."""
    raw = load(folder, "kitti_object_100_fov.npz", "xyz_cm", "intensity", "label", "offsets", "classes")
    table, rows = class_table(), raw["box_frame_class_xyzlwhyaw_trunc_occ_npts"]
    translate = translation(raw["classes"], table["kitti_object"], table["classes"])
    kind = translate[rows[:, 1].astype(np.uint8)]
    known = kind != IGNORED
    boxes = rows[known, 2:9], rows[known, 0].astype(np.int64), kind[known]
    yield "val", scenes(raw["xyz_cm"], raw["intensity"], translate[raw["label"]], raw["offsets"], boxes=boxes)


def scenes(xyz_cm, intensity, label, offsets, frames=None, boxes=None) -> dict[str, np.ndarray]:
    """The scene form of some frames (None = all) of centimetre points and 0..255 intensities."""
    frames = np.arange(len(offsets) - 1) if frames is None else np.asarray(frames)
    rows = np.concatenate([np.arange(offsets[f], offsets[f + 1]) for f in frames])
    data = {
        "xyz": xyz_cm[rows].astype(np.float32) / 100.0,
        "offsets": np.concatenate([[0], np.cumsum(np.diff(offsets)[frames])]).astype(np.int32),
        "label": label[rows],
        "intensity": intensity[rows].astype(np.float32) / 255.0,
        "classes": np.array(class_table()["classes"]),
    }
    if boxes is not None:
        data.update(_boxes_of(frames, *boxes))
    return data


def _boxes_of(frames, boxes, box_frame, box_class, box_track=None):
    kept = np.isin(box_frame, frames)
    data = {
        "boxes": boxes[kept].astype(np.float32),
        "box_frame": np.searchsorted(frames, box_frame[kept]).astype(np.int32),
        "box_class": box_class[kept],
    }
    return data if box_track is None else {**data, "box_track": box_track[kept]}


def joined(first, second) -> dict[str, np.ndarray]:
    """Two scene sets of the same classes as one."""
    both = {key: np.concatenate([first[key], second[key]]) for key in ("xyz", "label", "intensity")}
    offsets = np.concatenate([first["offsets"], second["offsets"][1:] + first["offsets"][-1]])
    return {**both, "offsets": offsets, "classes": first["classes"]}


# ------------------------------------------------------------------------------------------------------- command line

SETS = {f.__name__: f for f in (modelnet40, pandaset, ika, semantickitti, kitti_object, lidarnet, crops)}


def prepare(name: str, source, target):
    """Write target/NAME_SPLIT.npz for every split of the set; yields (path, arrays) as each is written."""
    if name not in SETS:
        raise PrepareError(f"expected one of {', '.join(SETS)}, got '{name}'")
    Path(target).mkdir(parents=True, exist_ok=True)
    for split, arrays in SETS[name](source):
        path = Path(target) / f"{name}_{split}.npz"
        np.savez(path, **arrays)
        yield path, arrays


@command
def main(arguments):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("name", choices=sorted(SETS))
    parser.add_argument("source", help="folder of the raw .npz files")
    parser.add_argument("target", help="folder to write to")
    options = parser.parse_args(arguments)
    for path, arrays in prepare(options.name, options.source, options.target):
        print(f"{path}: {summary(arrays)}", flush=True)


def summary(arrays) -> str:
    if "points" in arrays:
        count, size, _ = arrays["points"].shape
        return f"{count} objects of {size} points, {len(arrays['classes'])} classes"
    counts = np.bincount(arrays["label"], minlength=256)
    shares = ", ".join(f"{name} {counts[i]}" for i, name in enumerate(arrays["classes"]))
    return f"{len(arrays['offsets']) - 1} scenes, {len(arrays['xyz'])} points ({shares}, ignored {counts[IGNORED]})"


if __name__ == "__main__":
    sys.exit(main())
