"""Instructions of one whole scan, from the bytes of a cloud to those of its answer, under an arm64 Python in qemu."""

from __future__ import annotations

import bisect
import os
import re
import subprocess
from pathlib import Path

import emulated
import model

from bipointnet_ros import bench
from bipointnet_ros.core import share

HERE = Path(__file__).resolve().parent
LIBRARY = "_engine.so"


def counted(plugin: Path, folder: Path) -> dict[str, int]:
    """Instructions by native function, and by ``model.REST``, of one scan: those of three scans less those of two."""
    emulated.package(folder)
    symbols = functions(folder / "bipointnet_ros" / "native" / LIBRARY)
    by_runs = [executed(plugin, folder, times, symbols) for times in (2, 3)]
    less = {name: count - by_runs[0].get(name, 0) for name, count in by_runs[1].items()}
    return {name: count for name, count in sorted(less.items(), key=lambda item: -item[1]) if count > 0}


def executed(plugin: Path, folder: Path, times: int, symbols) -> dict[str, int]:
    counts, maps = folder / "counts", folder / "maps"
    emulator = ["qemu-aarch64", "-cpu", "cortex-a72", "-L", emulated.SYSTEM, "-plugin", f"{plugin},out={counts}"]
    python = [emulated.SYSTEM / "usr" / "bin" / f"python{emulated.PYTHON}", "-B", HERE / "scan.py"]
    own = {"PYTHONPATH": f"{folder}:{emulated.SITE}", "OMP_NUM_THREADS": "1"}
    command = [*emulator, *python, share.path(bench.DRIVE), times, share.path("models") / "lidar.safetensors", maps]
    subprocess.run([str(part) for part in command], env={**os.environ, **own}, check=True, stdout=subprocess.DEVNULL)
    return by_name(counts.read_text(), maps.read_text(), symbols)


def functions(library: Path) -> tuple[list[int], list[str]]:
    """Addresses, ascending, and names of the functions of a library."""
    listed = subprocess.run(["aarch64-linux-gnu-nm", str(library)], capture_output=True, text=True, check=True).stdout
    found = sorted(
        (int(address, 16), name) for address, name in re.findall(r"^(\w+) [tT] ([A-Za-z_].*)$", listed, re.M)
    )
    return [address for address, _ in found], [name for _, name in found]


def by_name(counts: str, maps: str, symbols) -> dict[str, int]:
    """Counts of addresses (count.c) by our functions and by ``model.REST``; maps as /proc/self/maps tells them."""
    spans = [line.split() for line in maps.splitlines()]
    spans = [(*(int(end, 16) for end in span[0].split("-")), span[-1]) for span in spans]
    base = min((start for start, _, path in spans if path.endswith(LIBRARY)), default=0)
    starts, out = [start for start, _, _ in spans], {}
    for line in counts.splitlines():
        count, name = line.split(maxsplit=1)
        if name.startswith("0x"):
            address = int(name, 16)
            path = spans[bisect.bisect(starts, address) - 1][2]
            name = symbols[1][bisect.bisect(symbols[0], address - base) - 1] if path.endswith(LIBRARY) else rest(path)
        else:
            name = "Python"  # the emulator knows the names of the program's own functions
        out[name] = out.get(name, 0) + int(count)
    return out


def rest(path: str) -> str:
    return next((name for name, part in model.REST.items() if part in path), "others")
