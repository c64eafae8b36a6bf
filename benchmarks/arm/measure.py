#!/usr/bin/env python3
"""A vanilla forward on aarch64: its instructions, counted under qemu, and cycles of its inner function, modelled.

    python benchmarks/arm/measure.py [--json FILE]

Counted instructions are exact; cycles are llvm-mca's, which knows no caches; no board is measured. Debian packages:
gcc-aarch64-linux-gnu libc6-dev-arm64-cross qemu-user llvm-19 (and clang-19 for its figures).
"""

from __future__ import annotations

import argparse
import json
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
NATIVE = HERE.parents[1] / "bipointnet_ros" / "native"
FLAGS = ["-std=c11", "-O3", "-ffp-contract=off", "-fno-wrapv"]
COMPILERS = {
    "gcc": ["aarch64-linux-gnu-gcc"],
    "clang": ["clang-19", "--target=aarch64-linux-gnu", "-I/usr/aarch64-linux-gnu/include"],
}
CORES = {"cortex-a53": 1, "cortex-a57": 2, "neoverse-n1": 2}  # 128-bit vector operations a cycle; n1 = A76 and A78
INNER = "fires22"  # 132 inputs of 128 rows to one channel
UNITS = 128 * 128 // 128  # of 128 multiply-accumulates that it does for K = 128
POOL_MACS = 1024 * 128 * 1024


def run(*command) -> str:
    return subprocess.run([str(c) for c in command], check=True, capture_output=True, text=True).stdout


def build(compiler: list[str], folder: Path) -> Path:
    objects = []
    for source in [*NATIVE.glob("*.c"), HERE / "forward.c"]:
        objects.append(folder / f"{source.stem}.o")
        run(*compiler, *FLAGS, "-c", source, "-o", objects[-1])
    run(*COMPILERS["gcc"], "-static", *objects, "-o", folder / "forward")
    return folder / "forward"


def counted(program: Path, backend: str, folder: Path) -> dict[str, int]:
    """Instructions by function of one forward: those of two less those of one."""
    plugin, by_runs = folder / "libcount.so", []
    run("gcc", "-O2", "-shared", "-fPIC", "-fvisibility=hidden", HERE / "count.c", "-o", plugin)
    for repetitions in (1, 2):
        counting = ["qemu-aarch64", "-cpu", "cortex-a72", "-plugin", f"{plugin},out={folder / 'counts'}"]
        run(*counting, program, backend, repetitions)
        lines = [line.split() for line in (folder / "counts").read_text().splitlines()]
        by_runs.append({name: int(count) for count, name in lines})
    less = {name: count - by_runs[0].get(name, 0) for name, count in by_runs[1].items()}
    return {name: count for name, count in sorted(less.items(), key=lambda item: -item[1]) if count >= 1000}


def modelled(compiler: list[str], folder: Path) -> dict[str, float]:
    """Cycles of the inner function by core; it has no branches."""
    run(*compiler, *FLAGS, "-S", NATIVE / "neon.c", "-o", folder / "neon.s")
    body = re.search(rf"^{INNER}:(.*?)^\s+ret$", (folder / "neon.s").read_text(), re.S | re.M).group(1)
    code = [line for line in body.splitlines() if re.match(r"\t[a-z]", line)]
    (folder / "inner.s").write_text("\n".join(code) + "\n")
    cycles = {}
    for core in CORES:
        report = run("llvm-mca-19", "-mtriple=aarch64", f"-mcpu={core}", "-iterations=100", folder / "inner.s")
        cycles[core] = int(re.search(r"Total Cycles:\s+(\d+)", report).group(1)) / 100
    return cycles


def measure(name: str, compiler: list[str]) -> dict:
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        by_function = counted(build(compiler, folder), "neon", folder)
        pool = by_function[INNER]
        return {
            "compiler": run(compiler[0], "--version").splitlines()[0],
            "instructions": by_function,
            "forward_millions": sum(by_function.values()) / 1e6,
            "inner_per_128_macs": pool / (POOL_MACS / 128),
            "inner_cycles": modelled(compiler, folder),
        }


def report(result: dict):
    print(f"{result['compiler']}: {result['forward_millions']:.2f} M instructions a forward, the inner function "
          f"{result['inner_per_128_macs']:.2f} for 128 multiply-accumulates")  # fmt: skip
    for function, count in result["instructions"].items():
        print(f"  {count:9,} {function}")
    for core, cycles in result["inner_cycles"].items():
        floor = 3 * UNITS / CORES[core]
        print(f"  {core:12} {cycles:6.0f} cycles modelled, {cycles / floor:.2f} of XOR, count and add for every bit")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", help="write the figures to this file")
    arguments = parser.parse_args()
    results = {name: measure(name, command) for name, command in COMPILERS.items() if shutil.which(command[0])}
    for result in results.values():
        report(result)
    if arguments.json:
        Path(arguments.json).write_text(json.dumps(results, indent=2) + "\n")


if __name__ == "__main__":
    main()
