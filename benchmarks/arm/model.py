"""Cycles by llvm-mca: a model of a core's pipelines that knows no caches, no mispredictions and no other work."""

from __future__ import annotations

import re
import subprocess

CORES = {"cortex-a53": 1, "cortex-a57": 2, "neoverse-n1": 2}  # 128-bit logical operations a cycle
BOARDS = {  # core that llvm-mca knows and is its own or nearest kin, GHz
    "Raspberry Pi 3B (A53)": ("cortex-a53", 1.2),
    "Jetson Nano (A57)": ("cortex-a57", 1.43),
    "Raspberry Pi 4 (A72)": ("cortex-a57", 1.5),
    "Raspberry Pi 5 (A76)": ("neoverse-n1", 2.4),
    "Jetson Orin Nano (A78AE)": ("neoverse-n1", 1.5),
}
INNER = "fires22"  # up to 132 inputs of 128 rows to one channel
UNITS = 128  # of 128 multiply-accumulates that it does for K = 128
SHARE = 0.01  # functions with less of a forward are taken at one instruction a cycle
ROUNDS = 100
# What a scan executes outside of our functions, by a part of the path of its file; the first that fits.
REST = {"numpy": "/numpy", "Python": "python3", "C library": "/lib"}


def floor(core: str) -> float:
    """Cycles of INNER's work, if every 128 bits took an XOR, a count and an addition, and nothing else took time."""
    return 3 * UNITS / CORES[core]


def cycles(body: list[str], core: str) -> float:
    command = ["llvm-mca-19", "-mtriple=aarch64", f"-mcpu={core}", f"-iterations={ROUNDS}"]
    done = subprocess.run(command, input="\n".join(body), capture_output=True, text=True)
    found = re.search(r"Total Cycles:\s+(\d+)", done.stdout)
    if not found:
        raise SystemExit(f"make arm: {' '.join(command)}: {done.stderr[:300]}")
    return int(found[1]) / ROUNDS


def fp32_rate(core: str) -> float:
    """Multiply-accumulates a cycle of a perfect fp32 kernel: independent FMLA and nothing else."""
    body = [f"\tfmla v{i}.4s, v30.4s, v31.s[0]" for i in range(24)]
    return 4 * len(body) / cycles(body, core)


def boards(counts: dict[str, int], bodies: dict[str, list[str]]) -> dict[str, float]:
    """Predicted milliseconds by board: each large function at the cycles an instruction of its hot loop."""
    total, rates = sum(counts.values()), {}
    for core in CORES:
        large = {f: n for f, n in counts.items() if n >= SHARE * total and f in bodies}
        spent = sum(n * cycles(bodies[f], core) / len(bodies[f]) for f, n in large.items())
        rates[core] = spent + total - sum(large.values())
    return {board: rates[core] / ghz / 1e6 for board, (core, ghz) in BOARDS.items()}


def whole(counts: dict[str, int], bodies: dict[str, list[str]], rest) -> dict[str, dict[str, float]]:
    """Predicted milliseconds by board of a scan: of our functions as above, and of the ``rest`` at one instruction a
    cycle, which is an assumption."""
    ours = {name: count for name, count in counts.items() if name not in rest}
    spent, others = boards(ours, bodies), sum(counts.values()) - sum(ours.values())
    return {board: {"ours": spent[board], "rest": others / ghz / 1e6} for board, (_, ghz) in BOARDS.items()}


def hot_bodies(text: str) -> dict[str, list[str]]:
    """Function -> its instructions, or those of the innermost loop that has the most vector instructions."""
    found = {}
    for name, body in re.findall(r"^([A-Za-z_][\w.]*):[^\n]*\n(.*?)^\s+\.size\s+\1,", text, re.S | re.M):
        instructions, labels, loops = [], {}, []
        for line in body.splitlines():
            line = line.split("//")[0].rstrip()
            if label := re.match(r"(\.\w+):", line):
                labels[label[1]] = len(instructions)
            elif re.match(r"\t[a-z]", line):
                instructions.append(line)
                target = re.search(r"(\.L\w+)$", line)
                if target and target[1] in labels and re.match(r"\t(b\.?\w*|cbn?z|tbn?z)\t", line):
                    loops.append((labels[target[1]], len(instructions)))
        found[name] = _innermost(instructions, loops)
    return found


def _innermost(instructions: list[str], loops: list[tuple[int, int]]) -> list[str]:
    inner = [(a, b) for a, b in loops if not any(a <= c and d <= b and (a, b) != (c, d) for c, d in loops)]
    bodies = [instructions[a:b] for a, b in inner] or [[i for i in instructions if not re.match(r"\tret\b", i)]]
    return max(bodies, key=lambda body: sum(bool(re.search(r"\b[vq]\d", line)) for line in body))
