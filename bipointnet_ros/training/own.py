"""Scenes to train on from your own labelled clouds, as ``bipointnet label`` writes them and an editor mends them.

    python -m bipointnet_ros.training.own CLOUDS DST --classes ground vegetation ... [--name own] [--val 0.2]

CLOUDS is a folder of .ply with a property ``label`` (CloudCompare calls it scalar_label) or of .labels.npz: 0 = not
labelled, k = the k-th of --classes. The last part of the clouds, by name, is DST/NAME_val.npz, the rest NAME_train.npz.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np

from bipointnet_ros import files, ply
from bipointnet_ros.arrays import FileError, read_npz
from bipointnet_ros.dataset import IGNORED
from bipointnet_ros.training.command import command

_LABELS = ("label", "scalar_label", "scalar_Label")


def read(path) -> tuple[np.ndarray, np.ndarray | None, np.ndarray]:
    """xyz (N, 3) float32 [m], intensity or None, label (N,) int64 from 0 of the finite points of a cloud. FileError."""
    path = Path(path)
    xyz, intensity = files.read_cloud(path)
    held = ply.fields(path.read_bytes()) if path.suffix == ".ply" else read_npz(path, _LABELS)
    label = next((held[name] for name in _LABELS if name in held), None)
    if label is None or label.shape != (len(xyz),):
        raise FileError(f"expected a label for each point in '{path}', found none: save the clouds with their labels")
    with np.errstate(invalid="ignore"):
        whole = np.nan_to_num(label, nan=-1.0, posinf=-1.0, neginf=-1.0).astype(np.int64)
    if np.any(whole != label) or np.any(whole < 0):
        raise FileError(f"expected labels 0, 1, 2, ... in '{path}', got others: 0 = not labelled")
    good = np.isfinite(xyz).all(1)
    return xyz[good], None if intensity is None else intensity[good], whole[good]


def scenes(paths, classes) -> dict[str, np.ndarray]:
    """The scene form (docs/lidar.md, "Your own scans") of labelled clouds. FileError: a label beyond them."""
    clouds = [read(path) for path in paths]
    for path, (_, _, label) in zip(paths, clouds):
        if label.max(initial=0) > len(classes):
            raise FileError(
                f"expected labels up to {len(classes)}, the number of --classes, in '{path}', got {label.max()}"
            )
    table = np.array([IGNORED, *range(len(classes))], np.uint8)
    intensities = [intensity for _, intensity, _ in clouds]
    seen = {}
    if all(one is not None for one in intensities):
        seen["intensity"] = np.concatenate(intensities) / max(max(one.max(initial=0) for one in intensities), 1e-9)
    return {
        **seen,
        "xyz": np.concatenate([xyz for xyz, _, _ in clouds]),
        "label": table[np.concatenate([label for _, _, label in clouds])],
        "offsets": np.cumsum([0, *(len(xyz) for xyz, _, _ in clouds)]).astype(np.int32),
        "classes": np.array(classes),
    }


def split(folder, share: float) -> tuple[list[Path], list[Path]]:
    """The labelled clouds of a folder by name: those to train on, and the last ``share`` of them to judge by."""
    if not Path(folder).is_dir():
        raise FileError(f"expected a folder of labelled clouds, got '{folder}'")
    paths = sorted(p for p in Path(folder).iterdir() if p.name.endswith((".ply", ".labels.npz")))
    stems = [p.name.split(".labeled")[0].split(".labels")[0] for p in paths]
    twice = [p for p, stem in zip(paths, stems) if stems.count(stem) > 1 and p.name.endswith(".labels.npz")]
    paths = [p for p in paths if p not in twice]  # of both forms of one cloud the .ply counts: it can be edited
    if len(paths) < 2:
        raise FileError(f"expected at least 2 labelled clouds (.ply, .labels.npz) in '{folder}', found {len(paths)}")
    last = min(max(1, round(share * len(paths))), len(paths) - 1)
    return paths[:-last], paths[-last:]


@command
def main(arguments):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("clouds", metavar="CLOUDS", help="folder of labelled clouds")
    parser.add_argument("dst", metavar="DST", help="folder for the prepared files")
    parser.add_argument("--classes", nargs="+", required=True, help="names of the labels 1, 2, ...")
    parser.add_argument("--name", default="own", help="of the files (own)")
    parser.add_argument("--val", type=float, default=0.2, help="share of the clouds, the last ones, to judge by (0.2)")
    options = parser.parse_args(arguments)
    if len(set(options.classes)) != len(options.classes):
        raise FileError(f"expected classes that differ, got {' '.join(options.classes)}")
    Path(options.dst).mkdir(parents=True, exist_ok=True)
    for part, paths in zip(("train", "val"), split(options.clouds, options.val)):
        arrays = scenes(paths, options.classes)
        out = Path(options.dst) / f"{options.name}_{part}.npz"
        np.savez_compressed(out, **arrays)
        counts = np.bincount(arrays["label"], minlength=256)
        told = [f"{name} {count}" for name, count in zip(options.classes, counts)]
        print(f"{out}: {len(paths)} clouds; {', '.join(told)}, not labelled {counts[IGNORED]}")


if __name__ == "__main__":
    sys.exit(main())
