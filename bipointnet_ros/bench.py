"""How fast the engine is on this machine: the rows of ``bipointnet bench``. Nothing here prints."""

from __future__ import annotations

import platform
import statistics
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from bipointnet_ros import dataset
from bipointnet_ros.core import bits, kernels, share
from bipointnet_ros.core.blueprint import vanilla
from bipointnet_ros.core.config import Config
from bipointnet_ros.core.model_file import Model
from bipointnet_ros.core.network import Network
from bipointnet_ros.core.pipeline import Pipeline, physical_cores

DRIVE = "demo/drive/pandaset_002_44-55.npz"
VANILLA, SCAN = "vanilla, worst case", "lidar scan"
CLASSES = 40
MOST_CALLS = 200
SLOW = "numpy"  # the reference: one cloud, one thread, or it would take an hour


@dataclass(frozen=True)
class Effort:
    """Sizes of the clouds, clouds in a call, and for each row: seconds, and calls at least."""

    points: tuple[int, ...] = (256, 1024, 4096, 16384)
    batches: tuple[int, ...] = (1, 32)
    seconds: float = 0.5
    calls: int = 3


QUICK = Effort((256, 1024), (1, 32), 0.01, 1)


def machine() -> dict:
    """What the rows were measured on."""
    return {
        "board": board(),
        "architecture": platform.machine(),
        "cores": physical_cores(),
        "system": platform.platform(),
        "python": platform.python_version(),
        "numpy": np.__version__,
        "date": time.strftime("%Y-%m-%d"),
    }


def board() -> str:
    """The board's name as its device tree has it, or else the CPU's."""
    tree, cpus = Path("/proc/device-tree/model"), Path("/proc/cpuinfo")
    if tree.exists():
        return tree.read_text(errors="replace").strip("\0\n ")
    lines = cpus.read_text().splitlines() if cpus.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or "unknown"


def rows(effort: Effort = Effort(), progress=lambda done, of: None):
    """Every row: {name, backend, threads, points, batch, ms_min, ms_median}; ``progress`` is told after each group."""
    threads = [1, 2] if physical_cores() > 1 else [1]
    shapes = [(n, batch, t) for n in effort.points for batch in effort.batches for t in threads]
    steps = len(shapes) + len(threads)
    for done, (n, batch, t) in enumerate(shapes, 1):
        for backend, times in measured(_forwards(n, batch, t), effort).items():
            yield _row(VANILLA, backend, t, n, batch, times)
        progress(done, steps)
    for done, t in enumerate(threads, len(shapes) + 1):
        yield from _scans(t, effort)
        progress(done, steps)


def measured(calls: dict, effort: Effort) -> dict[str, list[float]]:
    """Milliseconds of every call, by name: one of each in turn, so that a busy moment hits all alike."""
    times = {name: [] for name in calls}
    for call in calls.values():
        call()  # the first one allocates
    while calls:
        for name, call in calls.items():
            start = time.perf_counter()
            call()
            times[name].append((time.perf_counter() - start) * 1e3)
        calls = {name: call for name, call in calls.items() if not _enough(times[name], effort)}
    return times


def _enough(times, effort: Effort) -> bool:
    return len(times) >= MOST_CALLS or len(times) >= effort.calls and sum(times) >= effort.seconds * 1e3


def worst_case(points: int, classes: int = CLASSES) -> Model:
    """The vanilla network with random bits, and limits so low that every point is looked at for every channel."""
    rng = np.random.default_rng(0)
    blueprint, tensors = vanilla(classes), {}
    for layer in blueprint.layers:
        for name, (dtype, shape) in layer.tensors().items():
            if dtype == "I16":
                tensors[name] = np.full(shape, 1 if layer.op == "pool" else layer.inputs // 2, np.int16)
            elif dtype == "U64":
                tensors[name] = bits.pack_bits(rng.random((shape[0], layer.inputs)) < 0.5)
            else:
                tensors[name] = rng.normal(0, 0.5, shape).astype(np.float32)
    names = tuple(f"class{i}" for i in range(classes))
    return Model("worst_case", blueprint, names, points, "random", "unit_sphere", tensors)


def _forwards(n: int, batch: int, threads: int) -> dict:
    """Backend name -> one forward of ``batch`` clouds of ``n`` points."""
    clouds = np.random.default_rng(1).normal(size=(batch, n, 3)).astype(np.float32)
    names = [name for name in kernels.available() if name != SLOW or batch == threads == 1]
    networks = {name: Network(worst_case(n), kernels.choose(name), threads) for name in names}
    return {name: lambda network=network: network.classify(clouds) for name, network in networks.items()}


def _scans(threads: int, effort: Effort):
    """A scan of the demo's drive through the pipeline, and each of its stages."""
    xyz, intensity, _ = dataset.read(share.path(DRIVE)).scan(0)
    names = [name for name in kernels.available() if name != SLOW or threads == 1]
    pipes = {name: Pipeline(Config(backend=name, threads=threads)) for name in names}
    stages = {name: [] for name in names}

    def call(name):
        return lambda: stages[name].append(pipes[name].process(xyz, intensity).stages)

    times = measured({name: call(name) for name in names}, effort)
    for name in names:
        yield _row(SCAN, name, threads, len(xyz), 1, times[name])
        for stage in stages[name][0]:
            spent = [answer[stage] for answer in stages[name][1:]]
            yield _row(f"{SCAN}: {stage}", name, threads, len(xyz), 1, spent)


def _row(name: str, backend: str, threads: int, points: int, batch: int, times) -> dict:
    spent = {"ms_min": round(min(times), 4), "ms_median": round(statistics.median(times), 4)}
    return {"name": name, "backend": backend, "threads": threads, "points": points, "batch": batch, **spent}
