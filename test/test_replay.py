"""The engine built alone, under sanitizers and for aarch64; its outputs are compared with the reference's."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest
from recorded import recording

from bipointnet_ros.core import kernels

ROOT = Path(__file__).resolve().parents[1]
SOURCES = [*sorted((ROOT / "bipointnet_ros" / "native").glob("*.c")), ROOT / "test" / "native" / "replay.c"]
FLAGS = ["-std=c11", "-O2", "-ffp-contract=off", "-Wall", "-Wextra", "-Wpedantic", "-Wshadow", "-Werror"]
CPUS = os.environ.get("BIPOINTNET_QEMU_CPUS", "cortex-a72").split(",")
SANITIZE = ("-fsanitize=address,undefined", "-fno-sanitize-recover=all")
ROUNDS = 30


@pytest.fixture(scope="module")
def recorded(tmp_path_factory):
    recorder = recording(seed=0, rounds=ROUNDS)
    path = tmp_path_factory.mktemp("recorded") / "calls"
    path.write_bytes(recorder.data)
    return path, recorder.calls


def build(compiler: str, folder: Path, *flags: str) -> Path:
    program = folder / "replay"
    command = [compiler, *FLAGS, *flags, *map(str, SOURCES), "-o", str(program)]
    built = subprocess.run(command, capture_output=True, text=True)
    assert built.returncode == 0, built.stderr
    return program


def replay(command: list, recorded) -> set[str]:
    """The backends that ran, all of them with the reference's outputs."""
    path, calls = recorded
    done = subprocess.run([*map(str, command), str(path)], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    ran = dict(line.split(maxsplit=1) for line in done.stdout.splitlines())
    assert set(ran.values()) == {f"{calls} calls"}
    return set(ran)


def sanitizers(tmp_path) -> bool:
    """Does a program of nothing build with them?"""
    if not shutil.which("cc"):
        return False
    command = ["cc", *SANITIZE, "-x", "c", "-", "-o", str(tmp_path / "nothing")]
    return subprocess.run(command, input=b"int main(void) {}", capture_output=True).returncode == 0


def test_no_access_beyond_an_array_and_no_undefined_behaviour(recorded, tmp_path):
    if not sanitizers(tmp_path):
        pytest.skip("needs a C compiler with its sanitizers")
    ran = replay([build("cc", tmp_path, "-O1", "-g", *SANITIZE)], recorded)
    assert ran == set(kernels.available()) - {"numpy"}


@pytest.mark.aarch64
@pytest.mark.parametrize("cpu", CPUS)
def test_aarch64_equals_the_reference(recorded, tmp_path, cpu):
    """Baseline ARMv8.0 as a Cortex-A72 runs it; undefined behaviour traps."""
    compiler, emulator = shutil.which("aarch64-linux-gnu-gcc"), shutil.which("qemu-aarch64-static")
    if not (compiler and emulator):
        pytest.skip("needs gcc-aarch64-linux-gnu and qemu-user-static")
    program = build(compiler, tmp_path, "-static", "-fsanitize=undefined", "-fsanitize-undefined-trap-on-error")
    assert replay([emulator, "-cpu", cpu, program], recorded) == {"neon", "portable"}
