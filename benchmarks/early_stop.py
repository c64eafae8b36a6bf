#!/usr/bin/env python3
"""A trained classifier on real clouds against what the reference says must be looked at.

    python benchmarks/early_stop.py MODEL CLOUDS.npz [--clouds 60] [--count]

An OR over points needs no point after the first that fires, and equal points once. The reference says which share of
the (point, channel) pairs of the pooling layer must be looked at, in the given order; the bar is everything else + that
share of the pooling layer's worst case. The worst case is a cloud of which no two points are equal and none reaches a
limit. CLOUDS holds points (M, N, 3), of any scale. --count also counts instructions on aarch64 (gcc-aarch64-linux-gnu
libc6-dev-arm64-cross qemu-user; vanilla networks of 40 classes), and compares the worst case with both compiled out.
"""

from __future__ import annotations

import argparse
import dataclasses
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))
from bipointnet_ros.core import kernels, points  # noqa: E402
from bipointnet_ros.core.model_file import Model, find, read  # noqa: E402
from bipointnet_ros.core.network import Network  # noqa: E402
from bipointnet_ros.core.reference import Reference, distance  # noqa: E402

NATIVE, ARM = ROOT / "bipointnet_ros" / "native", ROOT / "benchmarks" / "arm"
FLAGS = ["-std=c11", "-O3", "-ffp-contract=off", "-fno-math-errno", "-fno-wrapv", "-static", "-pthread"]


def encode(model: Model, backend, cloud: np.ndarray) -> np.ndarray:
    """(n, F) inputs -> the bits that the pooling layer reads."""
    lift, *binary = [layer for layer in model.blueprint.layers if layer.op in ("lift", "binary")]
    n, tensors = len(cloud), model.tensors
    bits = np.zeros((n, -(-lift.outputs // 64)), np.uint64)
    backend.lift(cloud, tensors[f"{lift.name}.weight"], tensors[f"{lift.name}.limit"], bits, None, None, None, None)
    for layer in binary[: [layer.op for layer in model.blueprint.layers].index("pool") - 1]:
        out = np.zeros((n, -(-layer.outputs // 64)), np.uint64)
        weights = backend.prepare(tensors[f"{layer.name}.weight"], layer.inputs)
        limit = tensors[f"{layer.name}.limit"].astype(np.uint8)[None]
        backend.layer(bits, weights, limit, out, None, None, None)
        bits = out
    return bits


def share(bits: np.ndarray, weight: np.ndarray, limit: np.ndarray) -> tuple[float, float]:
    """Share of the pairs up to the first row that fires, by channel; share of the rows that differ."""
    fires = distance(bits, weight) < limit
    first = np.where(fires.any(0), fires.argmax(0) + 1, len(bits))
    return float(first.mean() / len(bits)), len(np.unique(bits, axis=0)) / len(bits)


def least(calls, rounds: int = 40) -> list[float]:
    """Microseconds of each call, one of each in turn."""
    best = [float("inf")] * len(calls)
    for _ in range(rounds):
        for i, call in enumerate(calls):
            start = time.perf_counter()
            call()
            best[i] = min(best[i], (time.perf_counter() - start) * 1e6)
    return best


def worst_case(model: Model, pool: str, clouds: int, n: int) -> tuple[Model, np.ndarray]:
    """The model with limits of the pooling layer that nothing reaches and random surfaces in the first layer, and
    random clouds of which each point has a code of its own."""
    rng, lift = np.random.default_rng(0), model.blueprint.layers[0]
    tensors = {**model.tensors, f"{pool}.limit": np.ones_like(model.tensors[f"{pool}.limit"])}
    weight = tensors[f"{lift.name}.weight"] = rng.normal(size=(lift.inputs, lift.outputs)).astype(np.float32)
    limit = tensors[f"{lift.name}.limit"] = rng.normal(0, 0.7, lift.outputs).astype(np.float32)
    different = []
    for _ in range(clouds):
        cloud, code = rng.normal(0, 0.6, (8 * n, 3)).astype(np.float32), np.zeros((8 * n, 1), np.uint64)
        Reference().lift(points.told(cloud, model.blueprint.inputs), weight, limit, code, None, None, None, None)
        different.append(cloud[np.sort(np.unique(code, return_index=True)[1])[:n]])
    return dataclasses.replace(model, tensors=tensors), np.stack(different)


def bar(name: str, unit: str, real: float, worst: float, pool: float, looked: float):
    allowed = worst - pool + looked * pool
    print(f"{name}: real {real:.4g} {unit}, worst case {worst:.4g}, its pooling layer {pool:.4g}")
    print(f"  real / (everything else + share x worst pooling layer) = {real / allowed:.3f}, to be at most 1.15")


def timed(arguments, model: Model, clouds, looked: float, pool_name: str):
    backend = kernels.choose(arguments.backend)
    never, random = worst_case(model, pool_name, 1, clouds.shape[1])
    real, worst = Network(model, backend), Network(never, backend)
    bits = encode(never, backend, points.told(random[0], model.blueprint.inputs))
    weight = model.tensors[f"{pool_name}.weight"]
    code, limit = np.zeros((1, -(-len(weight) // 64)), np.uint64), np.ones((1, len(weight)), np.uint8)
    layer = backend.prepare(weight, next(x.inputs for x in model.blueprint.layers if x.name == pool_name))
    pool = backend.bind("layer", bits, layer, None, None, limit, code, None)
    taken = [least([lambda c=cloud: real.classify(c[None]), lambda: worst.classify(random), pool]) for cloud in clouds]
    mean, least_worst, least_pool = np.mean([t[0] for t in taken]), *np.min(taken, 0)[1:]
    bar(f"time, {backend.name}", "us", mean, least_worst, least_pool, looked)


def compiled(folder: Path, name: str, *flags: str) -> Path:
    sources = [*map(str, sorted(NATIVE.glob("*.c"))), str(ARM / "early_stop.c")]
    subprocess.run(["aarch64-linux-gnu-gcc", *FLAGS, *flags, *sources, "-o", str(folder / name)], check=True)
    return folder / name


def counted(folder: Path, program: Path, data: Path, pools: int, distinct: int) -> int:
    """Instructions of the forwards of all clouds: those of two runs less those of one."""
    totals = []
    for repetitions in ("1", "2"):
        plugin = f"{folder / 'libcount.so'},out={folder / 'counts'}"
        command = ["qemu-aarch64", "-cpu", "cortex-a72", "-plugin", plugin, program, data, repetitions]
        subprocess.run([*map(str, command), str(pools), str(distinct)], check=True, capture_output=True)
        totals.append(sum(int(line.split()[0]) for line in (folder / "counts").read_text().splitlines()))
    return totals[1] - totals[0]


def written(path: Path, model: Model, clouds: np.ndarray) -> Path:
    """The file that benchmarks/arm/early_stop.c reads."""
    tensors, kinds = model.tensors, {"pool": np.uint8, "binary": np.int16}
    inputs = points.told(clouds.astype(np.float32), model.blueprint.inputs)
    arrays = [np.array([*inputs.shape, 0], np.int32), inputs]
    for i, layer in enumerate(model.blueprint.layers):
        weight, rest = tensors[f"{layer.name}.weight"], "bias" if layer.op == "logits" else "limit"
        kind = np.uint8 if i == 1 else kinds.get(layer.op, np.float32)
        arrays += [weight, tensors[f"{layer.name}.{rest}"].astype(kind)]
    with open(path, "wb") as file:
        for array in arrays:
            data = np.ascontiguousarray(array).tobytes()
            file.write(data + bytes(-len(data) % 8))
    return path


def count(model: Model, clouds, looked: float, pool_name: str):
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        plugin = ["gcc", "-O2", "-shared", "-fPIC", "-fvisibility=hidden", str(ARM / "count.c")]
        subprocess.run([*plugin, "-o", str(folder / "libcount.so")], check=True)
        engine, without = compiled(folder, "engine"), compiled(folder, "without", "-DBPN_LOOK_AT_ALL")
        never, random = worst_case(model, pool_name, 2, clouds.shape[1])
        real_data, worst_data = written(folder / "real", model, clouds), written(folder / "worst", never, random)
        real = counted(folder, engine, real_data, 1, 1) / len(clouds)
        worst, twice = (counted(folder, engine, worst_data, pools, 1) / len(random) for pools in (1, 2))
        plain = counted(folder, without, worst_data, 1, 0) / len(random)
        bar("instructions, aarch64", "M", real / 1e6, worst / 1e6, (twice - worst) / 1e6, looked)
        print(f"  worst case against early stop and equal rows compiled out: {worst / plain:.4f}, to be at most 1.03")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model")
    parser.add_argument("cloud_file")
    parser.add_argument("--clouds", type=int, default=60)
    parser.add_argument("--backend", default="auto")
    parser.add_argument("--count", action="store_true", help="instructions on aarch64 too")
    arguments = parser.parse_args()
    model, file = read(find(arguments.model)), np.load(arguments.cloud_file)
    clouds = file["points"][:: max(1, len(file["points"]) // arguments.clouds)][: arguments.clouds]
    clouds = np.ascontiguousarray(points.normalised(clouds.astype(np.float32)))  # whatever their scale
    pool = next(layer for layer in model.blueprint.layers if layer.op == "pool")
    weight, limit = model.tensors[f"{pool.name}.weight"], model.tensors[f"{pool.name}.limit"]
    backend, inputs = kernels.choose(arguments.backend), points.told(clouds, model.blueprint.inputs)
    each = [share(encode(model, backend, cloud), weight, limit) for cloud in inputs]
    looked, different = np.mean(each, 0)
    print(f"{model.name}, {len(clouds)} clouds of {clouds.shape[1]} points, {len(weight)} channels")
    print(f"pairs that must be looked at: {looked:.3f}; rows that differ: {different:.3f}")
    timed(arguments, model, clouds, looked, pool.name)
    if arguments.count:
        count(model, clouds, looked, pool.name)


if __name__ == "__main__":
    main()
