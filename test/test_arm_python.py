"""The package under an arm64 Python, on emulated cores: numpy and our library, called as on a board."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "benchmarks" / "arm"))
import emulated  # noqa: E402

CPUS = os.environ.get("BIPOINTNET_QEMU_CPUS", "cortex-a72").split(",")
KERNELS = ("kernels", "training_kernels", "bits")
CORE = ("shipped", "network", "points", "aggregation", "memory", "config", "tracking")
# What takes minutes each when it is emulated; "numpy" is the reference alone.
NO_KERNELS = "not reach2"
NO_CORE = "not (million or numpy or segmenter or cells or thousand or vanilla-3 or last_bit or drive)"


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """Function of a core, test files and arguments of pytest: their tests pass there."""
    for program in (*emulated.COMPILERS["gcc"], "qemu-aarch64-static"):
        if not shutil.which(program):
            pytest.skip(f"needs {program} (Debian: gcc-aarch64-linux-gnu libc6-dev-arm64-cross qemu-user-static)")
    if not emulated.made():
        pytest.skip("needs an arm64 Python: python benchmarks/arm/emulated.py")
    folder = tmp_path_factory.mktemp("built")
    emulated.package(folder)

    def passes(cpu: str, names, *arguments: str):
        command = emulated.tests(folder, cpu, "-v", *(f"test/test_{name}.py" for name in names), *arguments)
        done = subprocess.run(**command, capture_output=True, text=True)
        assert done.returncode == 0 and "neon" in done.stdout, done.stdout + done.stderr

    return passes


@pytest.mark.aarch64
@pytest.mark.parametrize("cpu", CPUS)
def test_kernels(run, cpu):
    run(cpu, KERNELS, "-k", NO_KERNELS)


@pytest.mark.aarch64
def test_core(run):
    run(CPUS[0], CORE, "-k", NO_CORE)
