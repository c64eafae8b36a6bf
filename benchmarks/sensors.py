#!/usr/bin/env python3
"""One scan of each of several sensors through the pipeline as it is: a table, and one picture of all from above.

    python benchmarks/sensors.py SCAN.pcd ... [--model lidar] [--out docs/images/twelve_sensors.jpg]

docs/lidar.md shows those of github.com/tier4/nebula (decoder_ground_truth of its test resources). Needs matplotlib.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from bipointnet_ros import files, render  # noqa: E402
from bipointnet_ros.core.config import Config  # noqa: E402
from bipointnet_ros.core.pipeline import Pipeline  # noqa: E402

COLUMNS, TILE = 3, (640, 360)  # pictures in a row, pixels of each


def tiled(pictures: list[Path], out: Path) -> None:
    """Write one picture of all, in rows of COLUMNS."""
    from PIL import Image

    rows = -(-len(pictures) // COLUMNS)
    sheet = Image.new("RGB", (COLUMNS * TILE[0], rows * TILE[1]))
    for i, path in enumerate(pictures):
        with Image.open(path) as one:
            sheet.paste(one.convert("RGB").resize(TILE, Image.LANCZOS), (i % COLUMNS * TILE[0], i // COLUMNS * TILE[1]))
    sheet.save(out, quality=82)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("scans", nargs="+", type=Path, metavar="SCAN")
    parser.add_argument("--model", default="lidar")
    parser.add_argument("--out", type=Path, help="the picture; none without it")
    options = parser.parse_args()
    pipe = Pipeline(Config(model=options.model, threads=1))
    names = pipe.model.classes
    print(f"| scan | points | ms | {' | '.join(f'{name} %' for name in names)} | objects |")
    print("|---" * (len(names) + 4) + "|")
    with tempfile.TemporaryDirectory() as folder:
        pictures = []
        for path in options.scans:
            xyz, intensity = files.read_cloud(path)
            pipe.process(xyz, intensity)  # scratch of this size
            begin = time.perf_counter()
            result = pipe.process(xyz, intensity)
            spent = (time.perf_counter() - begin) * 1e3
            share = np.bincount(result.label, minlength=len(names) + 1)[1:] / max(len(xyz), 1)
            shares = " | ".join(f"{100 * value:.0f}" for value in share)
            print(f"| {path.stem} | {len(xyz)} | {spent:.0f} | {shares} | {len(result.objects)} |", flush=True)
            if options.out:
                pictures.append(Path(folder) / f"{len(pictures)}.png")
                render.birds_eye(pictures[-1], xyz, result.label, result.objects, names, path.stem)
        if options.out:
            tiled(pictures, options.out)


if __name__ == "__main__":
    main()
