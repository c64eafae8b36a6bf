"""The engine built alone, under sanitizers and for aarch64; its outputs are compared with the reference's."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
from pathlib import Path

import pytest
from recorded import recording

from bipointnet_ros.core import kernels

ROOT = Path(__file__).resolve().parents[1]
SOURCES = sorted((ROOT / "bipointnet_ros" / "native").glob("*.c"))
FLAGS = ["-std=c11", "-O2", "-ffp-contract=off", "-fno-math-errno", "-pthread"]
FLAGS += ["-Wall", "-Wextra", "-Wpedantic", "-Wshadow", "-Werror"]
CPUS = os.environ.get("BIPOINTNET_QEMU_CPUS", "cortex-a72").split(",")
SANITIZE = ["-O1", "-g", "-fno-sanitize-recover=all", "-fsanitize=address,undefined"]
RACES = ["-O1", "-g", "-fsanitize=thread"]
ROUNDS, POOL_ROUNDS = 30, "60"


@pytest.fixture(scope="module")
def recorded(tmp_path_factory):
    recorder = recording(seed=0, rounds=ROUNDS)
    path = tmp_path_factory.mktemp("recorded") / "calls"
    path.write_bytes(recorder.data)
    return path, recorder.calls


def build(compiler: str, folder: Path, name: str, *flags: str) -> Path:
    """test/native/NAME.c with the engine."""
    program = folder / name
    sources = [*map(str, SOURCES), str(ROOT / "test" / "native" / f"{name}.c")]
    built = subprocess.run([compiler, *FLAGS, *flags, *sources, "-o", str(program)], capture_output=True, text=True)
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


def sanitized(folder: Path, name: str, flags: list[str]) -> list:
    """The command that runs test/native/NAME.c so built; skips where this machine cannot run such programs."""
    nothing = folder / "nothing"
    command = ["cc", *flags, "-x", "c", "-", "-o", str(nothing)]
    if (
        not shutil.which("cc")
        or subprocess.run(command, input=b"int main(void) { return 0; }", capture_output=True).returncode
    ):
        pytest.skip(f"needs a C compiler with {flags[-1]}")
    for prefix in (
        [],
        ["setarch", platform.machine(), "-R"],
    ):  # some kernels place memory where older sanitizers do not look
        if shutil.which([*prefix, "sh"][0]) and subprocess.run([*prefix, nothing], capture_output=True).returncode == 0:
            return [*prefix, build("cc", folder, name, *flags)]
    pytest.skip(f"programs built with {flags[-1]} do not run here")


@pytest.mark.parametrize("compiler", ["gcc", "clang"])
def test_a_compiler_has_nothing_to_say(compiler):
    if not shutil.which(compiler):
        pytest.skip(f"needs {compiler}")
    command = [compiler, *FLAGS, "-Wconversion", "-fsyntax-only", *map(str, SOURCES)]
    built = subprocess.run(command, capture_output=True, text=True)
    assert built.returncode == 0 and not built.stderr, built.stderr


@pytest.mark.sanitizers
def test_no_access_beyond_an_array_and_no_undefined_behaviour(recorded, tmp_path):
    ran = replay(sanitized(tmp_path, "replay", SANITIZE), recorded)
    assert ran == set(kernels.available()) - {"numpy"}


@pytest.mark.sanitizers
@pytest.mark.parametrize("flags", [RACES, SANITIZE], ids=["thread", "address"])
def test_threads_share_programs_without_a_race(tmp_path, flags):
    done = subprocess.run([*sanitized(tmp_path, "pool", flags), POOL_ROUNDS], capture_output=True, text=True)
    assert done.returncode == 0 and done.stdout == "same\n", done.stdout + done.stderr


@pytest.mark.aarch64
@pytest.mark.parametrize("cpu", CPUS)
def test_aarch64_equals_the_reference(recorded, tmp_path, cpu):
    """Baseline ARMv8.0 as a Cortex-A72 runs it; undefined behaviour traps."""
    compiler, emulator = shutil.which("aarch64-linux-gnu-gcc"), shutil.which("qemu-aarch64-static")
    if not (compiler and emulator):
        pytest.skip("needs gcc-aarch64-linux-gnu and qemu-user-static")
    flags = ["-static", "-fsanitize=undefined", "-fsanitize-undefined-trap-on-error"]
    program = build(compiler, tmp_path, "replay", *flags)
    assert replay([emulator, "-cpu", cpu, program], recorded) == {"neon", "portable"}
    command = [emulator, "-cpu", cpu, build(compiler, tmp_path, "pool", *flags), POOL_ROUNDS]
    assert subprocess.run(command, capture_output=True, text=True).stdout == "same\n"
