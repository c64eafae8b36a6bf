#!/usr/bin/env python3
"""make bench: this engine against others, the same network, cloud and number of threads, all in turn in one process.

    python benchmarks/versus.py [--seconds 0.5] [--out benchmarks/bench.json] [--page docs/benchmarks.md]

Ours runs its worst case: limits that no point reaches in the pooling layer, so that nothing stops early. The fp32
network is the same in shape, with BatchNorm folded; each fp32 peer's logits are checked against numpy. A peer that is
not installed is named as missing.
"""

from __future__ import annotations

import argparse
import importlib
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))
from peers import MODULES, ours, vanilla  # noqa: E402
from versus_page import page  # noqa: E402

from bipointnet_ros import bench, dataset  # noqa: E402
from bipointnet_ros.core import features, kernels, model_file, share  # noqa: E402
from bipointnet_ros.core.network import Network  # noqa: E402

NATIVE = [name for name in kernels.available() if name != "numpy"]
SHAPES = [(n, batch) for n in (256, 1024, 4096, 16384) for batch in (1, 32) if n * batch <= 1 << 17]
BURST = 0.02  # seconds that one engine runs before the next takes its turn
JUDGED = (1024, 1, 1)  # points, batch, threads: measured ten times as long as the others
PAUSE = 0.02  # seconds between engines that have threads, which may spin for a while after their work


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=0.5, help="for each engine, size and number of threads")
    parser.add_argument("--out", type=Path, default=HERE / "bench.json")
    parser.add_argument("--page", type=Path, default=HERE.parent / "docs" / "benchmarks.md")
    arguments = parser.parse_args()
    peers, missing = installed()
    with tempfile.TemporaryDirectory() as folder:
        measured = {
            "machine": bench.machine(),
            "missing": missing,
            "rows": list(forwards(peers, Path(folder), arguments.seconds)),
            "layers": list(layers()),
            "segmentation": segmentation("onnxruntime fp32" in peers and "torch fp32" in peers, arguments.seconds),
            "memory": list(memory(peers, Path(folder))),
        }
    arguments.out.write_text(json.dumps(measured, indent=1) + "\n")
    arguments.page.write_text(page(measured))
    print(page(measured))


def installed() -> tuple[dict, dict[str, str]]:
    """Modules of the peers by key, and why the others are missing."""
    found, missing = {}, {}
    for key, name in MODULES.items():
        try:
            found[key] = importlib.import_module(f"peers.{name}")
        except ImportError as error:
            missing[key] = str(error)
            print(f"make bench: no {key}: {error}", file=sys.stderr)
    return found, missing


def forwards(peers: dict, folder: Path, seconds: float):
    """A row for each size of cloud, batch, number of threads and engine."""
    for n, batch in SHAPES:
        clouds = np.random.default_rng(1).normal(size=(batch, n, 3)).astype(np.float32)
        paths = saved(peers, folder, batch, n)
        for threads in (1, 2):
            calls = {backend: ours.forward(paths["ours"], clouds, threads, backend) for backend in NATIVE}
            for key, peer in peers.items():
                calls[peer.NAME] = peer.forward(paths[key], clouds, threads)
                if "fp32" in key:
                    check(peer.NAME, calls[peer.NAME]()[:1], vanilla.logits(clouds[:1]))
            longer = 10 if (n, batch, threads) == JUDGED else 1
            for name, spent in in_turn(calls, longer * seconds, threads).items():
                yield {"engine": name, "threads": threads, "points": n, "batch": batch, **spent}
            tell(f"{batch} x {n} points, {threads} threads")


def saved(peers: dict, folder: Path, batch: int, n: int) -> dict[str, Path]:
    """The model file of every engine for that shape."""
    paths = {}
    for key, module in {"ours": ours, **peers}.items():
        paths[key] = folder / f"{key.replace(' ', '_')}_{batch}_{n}{module.SUFFIX}"
        module.save(paths[key], batch, n)
    return paths


def check(name: str, logits, want):
    error = np.abs(np.asarray(logits) - want).max() / np.abs(want).max()
    if not error < 1e-4:
        raise SystemExit(f"make bench: {name} does not run the network: its logits are off by {error:.2g}")


def in_turn(calls: dict, seconds: float, threads: int) -> dict[str, dict]:
    """Milliseconds of each call, least and median: short bursts in turn, so that a busy moment hits all alike."""
    times = {name: [] for name in calls}
    for call in calls.values():
        call()
    while unfinished := [name for name in calls if sum(times[name]) < seconds * 1e3 or len(times[name]) < 2]:
        for name in unfinished:
            time.sleep(PAUSE if threads > 1 else 0)
            until = time.perf_counter() + BURST
            while True:
                start = time.perf_counter()
                calls[name]()
                now = time.perf_counter()
                times[name].append((now - start) * 1e3)
                if now > until:
                    break
    return {name: {"ms_min": min(spent), "ms_median": statistics.median(spent)} for name, spent in times.items()}


def layers(points: int = 1024):
    """Each layer of ours alone, one thread: GMAC/s, counting every multiply-accumulate of the plain network."""
    rng, macs = np.random.default_rng(0), vanilla.macs(points)
    for backend in NATIVE:
        calls = dict(zip(macs, bound(kernels.choose(backend), rng, points)))
        for name, spent in in_turn(calls, 0.2, 1).items():
            rate = macs[name] / spent["ms_min"] / 1e6
            yield {"backend": backend, "layer": name, "us": spent["ms_min"] * 1e3, "gmacs_per_second": rate}


def bound(backend, rng, points: int):
    """The six calls of a forward with its arrays, in order."""
    model = bench.worst_case(points)
    held = model.tensors
    rows, offsets = rng.normal(size=(points, 3)).astype(np.float32), None
    for layer in model.blueprint.layers:
        out = np.zeros((1 if layer.op == "pool" else len(rows), -(-layer.outputs // 64)), np.uint64)
        weight, limit = held[f"{layer.name}.weight"], held.get(f"{layer.name}.limit")
        if layer.op == "lift":
            yield backend.bind("lift", rows, weight, limit, out, None, None, None, None)
        elif layer.op == "logits":
            scores = np.zeros((1, layer.outputs), np.float32)
            yield backend.bind("logits", rows, backend.prepare_logits(weight), held[f"{layer.name}.bias"], scores)
        elif layer.name.startswith("head"):
            yield backend.bind("dense", rows, backend.prepare(weight, layer.inputs), limit, out)
        else:
            prepared, own = backend.prepare(weight, layer.inputs), layer.op != "pool"
            byte = limit.astype(np.uint8)[None]
            sides = (byte, out, None, None) if own else (None, None, byte, out)
            yield backend.bind("layer", rows, prepared, *sides, offsets)
        rows = rng.integers(0, 2**64, out.shape, np.uint64)  # bits like any other


def segmentation(with_peers: bool, seconds: float) -> dict:
    """The network of `lidar` over one scan of the demo's drive, and its fp32 twin over the same rows and cells."""
    model = model_file.read(model_file.find("lidar"))
    blueprint, (xyz, intensity, _) = model.blueprint, dataset.read(share.path(bench.DRIVE)).scan(0)
    scene = features.scene(xyz, intensity, blueprint.grid, blueprint.inputs)
    result = {"points": len(xyz), "rows": len(scene.features), "engines": []}
    for threads in (1, 2):
        calls = {name: segment(model, name, threads, scene) for name in NATIVE}
        if with_peers:
            calls |= twins(blueprint, scene, threads)
        for name, spent in in_turn(calls, seconds, threads).items():
            per_point = spent["ms_min"] / len(xyz) * 1e6
            result["engines"].append({"engine": name, "threads": threads, **spent, "ns_per_point": per_point})
        tell(f"segmentation, {threads} threads")
    return result


def segment(model, backend: str, threads: int, scene):
    network = Network(model, kernels.choose(backend), threads)
    return lambda: network.segment(scene.own, scene.offsets, scene.shared)


def twins(blueprint, scene, threads: int) -> dict:
    from peers import segmenter

    calls, weights = {}, segmenter.weights(blueprint)
    want = segmenter.logits(weights, scene.features, scene.offsets)
    for name, way in segmenter.WAYS.items():
        if threads > 1 and way is segmenter.with_onnxruntime:
            continue  # its ScatterND races with itself: wrong maxima now and then (onnxruntime issue 18048)
        calls[name] = way(weights, scene.features, scene.offsets, threads)
        calls[f"{name}, in pieces"] = segmenter.in_pieces(way, weights, scene.features, scene.offsets, threads)
    for name, call in calls.items():
        check(name, call(), want)
    return calls


def memory(peers: dict, folder: Path, rows: int = 1024):
    """Size of the model file and resident memory of each engine, one cloud, in a process of its own."""
    paths = saved(peers, folder, 1, rows)
    engines = [(f"{name}", "ours", paths["ours"], [name]) for name in NATIVE]
    engines += [(peer.NAME, MODULES[key], paths[key], []) for key, peer in peers.items()]
    for name, module, path, backend in engines:
        command = [sys.executable, str(HERE / "peers" / "memory.py"), module, str(path), str(rows), *backend]
        answer = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        grown = json.loads(answer.splitlines()[-1])
        yield {"engine": name, "points": rows, "model_bytes": path.stat().st_size, **grown}


def tell(what: str):
    if sys.stderr.isatty():
        print(f"make bench: {what}", file=sys.stderr)


if __name__ == "__main__":
    main()
