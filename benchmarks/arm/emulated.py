#!/usr/bin/env python3
"""An arm64 Python under qemu, and tests that need numpy alone under it.

    python benchmarks/arm/emulated.py                      # makes build/arm64 (215 MB from Debian and PyPI), once
    python benchmarks/arm/emulated.py cortex-a72 test/...  # runs tests there; arguments go to pytest

Debian packages: mmdebstrap gcc-aarch64-linux-gnu libc6-dev-arm64-cross qemu-user-static.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from measure import COMPILERS, FLAGS

SOURCE = Path(__file__).resolve().parents[2]
PACKAGE = SOURCE / "bipointnet_ros"
FOLDER = SOURCE / "build" / "arm64"
SYSTEM, SITE = FOLDER / "system", FOLDER / "site"
DEBIAN, PYTHON = "bookworm", "3.11"  # the Python of that Debian
PACKAGES = f"python{PYTHON},libpython{PYTHON}-dev,libstdc++6,libgomp1"


def main(*arguments: str):
    if not arguments:
        make()
        return
    with tempfile.TemporaryDirectory() as folder:
        package(Path(folder))
        raise SystemExit(subprocess.run(**tests(Path(folder), *arguments)).returncode)


def made() -> bool:
    return SYSTEM.exists() and SITE.exists()


def make():
    """Debian's files, unpacked and not installed: nothing of them runs but Python."""
    if not shutil.which("mmdebstrap") and not made():
        raise SystemExit("missing here: mmdebstrap; install with: sudo apt install mmdebstrap debian-archive-keyring")
    mode = "root" if os.geteuid() == 0 else "unshare"
    debian = ["mmdebstrap", "-q", "--variant=extract", f"--mode={mode}", "--architectures=arm64"]
    once(SYSTEM, *debian, f"--include={PACKAGES}", DEBIAN)
    pip = [sys.executable, "-m", "pip", "install", "-qq", "--disable-pip-version-check", "--only-binary=:all:"]
    platforms = (f"--platform=manylinux{glibc}_aarch64" for glibc in ("2014", "_2_27", "_2_28"))
    once(SITE, *pip, *platforms, f"--python-version={PYTHON}", "numpy", "pytest", "--target")


def once(folder: Path, *command: str):
    """The command fills the folder that is its last argument; a folder that exists is whole."""
    if folder.exists():
        return
    part = folder.with_suffix(".part")
    shutil.rmtree(part, ignore_errors=True)
    folder.parent.mkdir(parents=True, exist_ok=True)
    if subprocess.run([*command, str(part)]).returncode:
        raise SystemExit(f"{folder}: {command[0]} failed; it needs the network")
    part.rename(folder)


def tests(folder: Path, cpu: str, *arguments: str) -> dict:
    """What subprocess.run takes to test the package that was built into ``folder`` on that emulated core."""
    emulator = ["qemu-aarch64-static", "-cpu", cpu, "-L", str(SYSTEM)]
    python = [
        *emulator,
        str(SYSTEM / "usr" / "bin" / f"python{PYTHON}"),
        "-B",
        "-m",
        "pytest",
        "-p",
        "no:cacheprovider",
    ]
    own = {"PYTHONPATH": f"{folder}:{SITE}", "OMP_NUM_THREADS": "1"}
    others = {name: value for name, value in os.environ.items() if name not in ("BIPOINTNET_REQUIRE", *own)}
    here = [str(SOURCE / a) if a.startswith("test/") else a for a in arguments]
    return {"args": [*python, *here], "env": {**others, **own}, "cwd": folder}


def package(folder: Path):
    """The package as it is here, but for its library, which is built for aarch64."""
    native = folder / PACKAGE.name / "native"
    native.mkdir(parents=True)
    for entry in PACKAGE.iterdir():
        if entry.name != native.name:
            (native.parent / entry.name).symlink_to(entry)
    sources = map(str, sorted((PACKAGE / "native").glob("*.c")))
    command = [*COMPILERS["gcc"], *FLAGS, "-pthread", "-fPIC", "-shared", *sources, "-o", native / "_engine.so"]
    subprocess.run(command, check=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
