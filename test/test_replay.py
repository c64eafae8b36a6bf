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
EMULATOR = "qemu-aarch64-static"
ON_AARCH64 = {  # flags of the compiler; arguments of the emulator, which finds the libraries of sanitizers there
    "undefined": (["-static", "-fsanitize=undefined", "-fsanitize-undefined-trap-on-error"], []),
    "address": (SANITIZE, ["-L", "/usr/aarch64-linux-gnu"]),
}
ROUNDS, POOL_ROUNDS = 30, "60"


@pytest.fixture(scope="module")
def recorded(tmp_path_factory):
    recorder = recording(seed=0, rounds=ROUNDS)
    path = tmp_path_factory.mktemp("recorded") / "calls"
    path.write_bytes(recorder.data)
    return path, recorder.calls


def build(compiler: str, folder: Path, name: str, *flags: str) -> Path:
    """test/native/NAME.c with the engine, which is compiled once in a folder."""
    if not list(folder.glob("*.o")):
        compiled(folder, compiler, *flags, "-c", *SOURCES)
    program = folder / name
    compiled(folder, compiler, *flags, *folder.glob("*.o"), ROOT / "test" / "native" / f"{name}.c", "-o", program)
    return program


def compiled(folder: Path, compiler: str, *arguments):
    command = [compiler, *FLAGS, *map(str, arguments)]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


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


@pytest.fixture(scope="module", params=ON_AARCH64)
def emulated(request, tmp_path_factory):
    """Arguments of the emulator, and the programs `replay` and `pool` for baseline ARMv8.0."""
    compiler = "aarch64-linux-gnu-gcc"
    if not (shutil.which(compiler) and shutil.which(EMULATOR)):
        pytest.skip("needs gcc-aarch64-linux-gnu, libc6-dev-arm64-cross and qemu-user-static")
    flags, arguments = ON_AARCH64[request.param]
    folder = tmp_path_factory.mktemp(request.param)
    return arguments, *(build(compiler, folder, name, *flags) for name in ("replay", "pool"))


@pytest.mark.aarch64
@pytest.mark.parametrize("cpu", CPUS)
def test_aarch64_equals_the_reference(recorded, emulated, cpu, monkeypatch):
    monkeypatch.setenv("ASAN_OPTIONS", "detect_leaks=0")  # which needs ptrace, and the emulator has none
    arguments, one_by_one, pool = emulated
    command = [EMULATOR, "-cpu", cpu, *arguments]
    assert replay([*command, one_by_one], recorded) == {"neon", "portable"}
    done = subprocess.run([*command, pool, POOL_ROUNDS], capture_output=True, text=True)
    assert done.stdout == "same\n", done.stdout + done.stderr
