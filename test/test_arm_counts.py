"""Instructions of a forward on aarch64, counted under qemu: exact, so a bar that is passed once is kept."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "benchmarks" / "arm"))
import measure  # noqa: E402
import model  # noqa: E402


@pytest.mark.aarch64
def test_the_worst_case_stays_under_its_bars(tmp_path):
    for program in ("aarch64-linux-gnu-gcc", "qemu-aarch64", "gcc"):
        if not shutil.which(program):
            pytest.skip(f"needs {program} (Debian: gcc-aarch64-linux-gnu, qemu-user, gcc)")
    recording = tmp_path / "recorded"
    recording.write_bytes(measure.worst_case())
    compiler = measure.COMPILERS["gcc"]
    counts = measure.counted(measure.build(compiler, tmp_path), recording, tmp_path)
    assert counts[model.INNER] > 1e6, "the forward is counted"
    assert sum(counts.values()) <= measure.BARS["forward"], counts
    inner = measure.assembly(compiler, tmp_path)[model.INNER]
    assert len(inner) / model.UNITS <= measure.BARS["per_128_macs"]


def test_the_program_of_early_stop_still_calls_the_kernels_as_they_are():
    if not shutil.which("gcc"):
        pytest.skip("needs gcc")
    source = Path(measure.__file__).with_name("early_stop.c")
    subprocess.run(["gcc", *measure.FLAGS, "-Werror", "-fsyntax-only", source], check=True)


ASSEMBLY = """
plain:
\teor\tv0.16b, v1.16b, v2.16b
\tret
\t.size\tplain, .-plain
looped:    // @looped
\tmov\tx0, 1
.L1:
\tmov\tx2, 2
.L2:
\tcnt\tv0.16b, v0.16b
\tadd\tv1.16b, v1.16b, v0.16b
\tb.ne\t.L2
\tcbnz\tx0, .L1
\tret
\t.size\tlooped, .-looped
"""


def test_the_hot_body_is_the_innermost_loop_or_the_whole_function():
    bodies = model.hot_bodies(ASSEMBLY)
    assert [line.split()[0] for line in bodies["plain"]] == ["eor"]
    assert [line.split()[0] for line in bodies["looped"]] == ["cnt", "add", "b.ne"]


MAPS = """400000-500000 r-xp 00000000 fe:00 1 /usr/bin/python3.11
5500000000-5500010000 r-xp 00000000 fe:00 2 /lib/aarch64-linux-gnu/libc.so.6
5500020000-5500030000 r-xp 00000000 fe:00 3 /site/numpy/_core/_multiarray_umath.so
5500040000-5500050000 r-xp 00000000 fe:00 4 /package/native/_engine.so
5500060000-5500061000 rw-p 00000000 00:00 0
"""


def test_what_has_no_name_is_known_by_its_address():
    import whole

    symbols = [0x100, 0x200], ["lift", "layer"]
    executed = {0x400010: 1, 0x5500000004: 2, 0x5500020004: 3, 0x5500040100: 4, 0x55000401FC: 5, 0x5500040200: 6}
    counts = "7 PyEval\n9 0x5500060004\n" + "".join(f"{count} {hex(at)}\n" for at, count in executed.items())
    found = whole.by_name(counts, MAPS, symbols)
    assert found == {"Python": 8, "C library": 2, "numpy": 3, "lift": 9, "layer": 6, "others": 9}


def test_the_rest_of_a_scan_takes_a_cycle_an_instruction():
    boards = model.whole({"short": 1_000_000, "numpy": 3_000_000}, {}, list(model.REST))
    assert boards["Raspberry Pi 5 (A76)"] == pytest.approx({"ours": 1 / 2.4, "rest": 3 / 2.4})
