#!/usr/bin/env python3
"""make arm: forwards on aarch64, their instructions counted under qemu, and the cycles of their hot loops modelled.

    python benchmarks/arm/measure.py [--json FILE] [--page FILE]

Counted instructions are exact; cycles are llvm-mca's, which knows no caches; no board is measured. Debian packages:
gcc-aarch64-linux-gnu libc6-dev-arm64-cross qemu-user qemu-user-static clang-19 llvm-19. numpy and the built package run
here, to record what the engine does.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parents[1]))
import model  # noqa: E402
from page import page  # noqa: E402
from record import recorded  # noqa: E402

from bipointnet_ros import bench, dataset  # noqa: E402
from bipointnet_ros.core import features, model_file, points, share  # noqa: E402
from bipointnet_ros.core.config import Config  # noqa: E402
from bipointnet_ros.core.pipeline import Pipeline  # noqa: E402

NATIVE = HERE.parents[1] / "bipointnet_ros" / "native"
FLAGS = ["-std=c11", "-O3", "-ffp-contract=off", "-fno-math-errno", "-fno-wrapv"]
COMPILERS = {
    "gcc": ["aarch64-linux-gnu-gcc"],
    "clang": ["clang-19", "--target=aarch64-linux-gnu", "-I/usr/aarch64-linux-gnu/include"],
}
CPUS = ("cortex-a53", "cortex-a72", "cortex-a76")
POINTS = 1024
BARS = {"forward": 4.7e6, "per_128_macs": 3.9, "of_the_floor": 1.15}  # instructions, instructions, cycles


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", type=Path, default=HERE.parent / "arm.json")
    parser.add_argument("--page", type=Path, default=HERE.parents[1] / "docs" / "arm.md")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        files = recordings(folder)
        result = {name: measure(command, files, folder) for name, command in COMPILERS.items()}
        result["gcc"]["scan"] = scan(COMPILERS["gcc"], folder)
    arguments.json.write_text(json.dumps(result, indent=1) + "\n")
    arguments.page.write_text(page(result))
    print(page(result))


def run(*command) -> str:
    done = subprocess.run([str(c) for c in command], capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"make arm: {' '.join(map(str, command))}: {done.stdout}{done.stderr}")
    return done.stdout


def recordings(folder: Path) -> dict[str, Path]:
    """What is counted, by name: recorded here, run there."""
    xyz, intensity, _ = dataset.read(share.path(bench.DRIVE)).scan(0)
    files = {"vanilla, worst case": worst_case()}
    classifier = model_file.read(model_file.find("modelnet40"))
    car = cluster(xyz, intensity, classifier.points)
    files["modelnet40, a car of the demo's drive"] = recorded(classifier, lambda network: network.classify(car))
    segmenter = model_file.read(model_file.find("lidar"))
    scene = features.scene(xyz, intensity, segmenter.blueprint.grid, segmenter.blueprint.inputs)
    name = f"lidar's segmenter, a scan of {len(xyz):,} points"
    files[name] = recorded(segmenter, lambda network: network.segment(scene.own, scene.offsets, scene.shared))
    paths = {}
    for i, (name, data) in enumerate(files.items()):
        paths[name] = folder / f"{i}.recorded"
        paths[name].write_bytes(data)
    return paths


def worst_case() -> bytes:
    cloud = np.random.default_rng(1).normal(size=(1, POINTS, 3)).astype(np.float32)
    return recorded(bench.worst_case(POINTS), lambda network: network.classify(cloud))


def cluster(xyz, intensity, count: int) -> np.ndarray:
    """(1, count, 3): the object with the most points that the pipeline finds in the scan, as the classifier sees it."""
    answer = Pipeline(Config(threads=1)).process(xyz, intensity)
    largest = max(answer.objects, key=lambda thing: (thing.name == "vehicle") * thing.points)
    part = xyz[answer.instance == largest.instance]
    return points.normalised(part[points.sample(part, count, "random", 0)][None])


def measure(compiler: list[str], files: dict[str, Path], folder: Path) -> dict:
    program, bodies = build(compiler, folder), assembly(compiler, folder)
    for cpu in CPUS:  # the same logits as here, on every core
        for path in files.values():
            run("qemu-aarch64-static", "-cpu", cpu, program, path, "neon", 1)
    forwards = {name: counted(program, path, folder) for name, path in files.items()}
    inner = bodies[model.INNER]
    cycles = {core: model.cycles(inner, core) for core in model.CORES}
    return {
        "compiler": run(compiler[0], "--version").splitlines()[0],
        "forwards": {
            name: {
                "instructions": sum(counts.values()),
                "by_function": {f: n for f, n in counts.items() if n >= 1000},
                "boards": model.boards(counts, bodies),
            }
            for name, counts in forwards.items()
        },
        "inner": {
            "function": model.INNER,
            "instructions_per_128_macs": len(inner) / model.UNITS,
            "cycles": cycles,
            "of_the_floor": {core: cycles[core] / model.floor(core) for core in model.CORES},
        },
        "fp32_macs_per_cycle": {core: model.fp32_rate(core) for core in model.CORES},
    }


def scan(compiler: list[str], folder: Path) -> dict:
    """A whole scan: instructions by function and predicted milliseconds."""
    import whole  # not above: it takes the compilers from here

    counts = whole.counted(plugin(folder), folder / "package")
    return {"instructions": counts, "boards": model.whole(counts, assembly(compiler, folder), [*model.REST, "others"])}


def build(compiler: list[str], folder: Path) -> Path:
    objects = []
    for source in [*sorted(NATIVE.glob("*.c")), HERE / "forward.c"]:
        objects.append(folder / f"{source.stem}.o")
        run(*compiler, *FLAGS, "-c", source, "-o", objects[-1])
    run(*COMPILERS["gcc"], "-static", *objects, "-pthread", "-o", folder / "forward")
    return folder / "forward"


def assembly(compiler: list[str], folder: Path) -> dict[str, list[str]]:
    """Hot instructions of every function; neon.c last, since it is what runs where portable.c has the same name."""
    bodies = {}
    for source in sorted(NATIVE.glob("*.c"), key=lambda path: path.stem == "neon"):
        run(*compiler, *FLAGS, "-S", source, "-o", folder / "source.s")
        bodies |= model.hot_bodies((folder / "source.s").read_text())
    return bodies


def plugin(folder: Path) -> Path:
    made = folder / "libcount.so"
    run("gcc", "-O2", "-shared", "-fPIC", "-fvisibility=hidden", HERE / "count.c", "-o", made)
    return made


def counted(program: Path, recording: Path, folder: Path) -> dict[str, int]:
    """Instructions by function of one forward: those of two less those of one."""
    by_runs, counter = [], plugin(folder)
    for repetitions in (1, 2):
        counting = ["qemu-aarch64", "-cpu", "cortex-a72", "-plugin", f"{counter},out={folder / 'counts'}"]
        run(*counting, program, recording, "neon", repetitions)
        lines = [line.split() for line in (folder / "counts").read_text().splitlines()]
        by_runs.append({name: int(count) for count, name in lines})
    less = {name: count - by_runs[0].get(name, 0) for name, count in by_runs[1].items()}
    return {name: count for name, count in sorted(less.items(), key=lambda item: -item[1]) if count > 0}


if __name__ == "__main__":
    main()
