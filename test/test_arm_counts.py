"""Instructions of a forward on aarch64, counted under qemu: exact, so a bar that is passed once is kept."""

import shutil
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
