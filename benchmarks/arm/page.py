"""docs/arm.md out of what benchmarks/arm/measure.py counted and modelled."""

from __future__ import annotations

import model

HEAD = """# On ARM: counted and modelled, **not measured**

Written by `make arm` (`benchmarks/arm/measure.py`; the same figures: `benchmarks/arm.json`). **No board was measured.**
Instructions are counted under qemu: exact and repeatable. Cycles are llvm-mca's, a model without caches, mispredictions
and other work. `benchmarks/on_device.sh` measures on a real board and prints a row to paste.

Each forward is recorded as the engine runs it on x86-64, run again on emulated Cortex-A53, A72 and A76 with NEON
(ARMv8.0), and its logits compared: they are the same bit for bit. In the worst case no point of a
random cloud fires in the pooling layer; points whose codes are equal are still done once.
Before that, `make arm` runs the tests of kernels under an arm64 Python on those three, those of core on the first
(`test/test_arm_python.py`).
"""
PREDICTED = """
## Predicted milliseconds, one core

Counted instructions of each function times the cycles an instruction of its hot loop; functions under 1 % of a forward
at one instruction a cycle. cortex-a57 stands for the A72 too, neoverse-n1 for A76 and A78. A perfect fp32 kernel would
do {rates} multiply-accumulates a cycle on these cores (FMLA alone, modelled): the last column is that bound for the
vanilla network. The paper measured 14.7 times the speed of its own fp32 on a Raspberry Pi 3B and a network with T-Nets;
this column is a comparison with a bound that no fp32 kernel reaches, and it is no measurement.
"""
SCAN = """
## A whole scan: predicted, **not measured**

Scan 0 of the demo's drive with `lidar`, one thread, from the bytes of a PointCloud2 to those of the labelled cloud:
conversion, filters, ground, inputs, network, objects and their names, numbers that last (`benchmarks/arm/scan.py` under
an arm64 Python in qemu; three scans less two). ROS 2's own part, CDR and markers, is not in it. Our functions take the
cycles modelled as above; numpy, Python and the C library are **assumed** to take one cycle an instruction on every
core, for want of a model of them, and caches are not modelled at all.
"""
FP32_MACS = 1024 * (3 * 64 + 64 * 128 + 128 * 1024) + 1024 * 512 + 512 * 256 + 256 * 40


def page(result: dict) -> str:
    parts = [HEAD, "## Instructions of a forward", ""]
    names = list(next(iter(result.values()))["forwards"])
    parts += ["| forward | " + " | ".join(held["compiler"] for held in result.values()) + " |"]
    parts += ["|---" * (1 + len(result)) + "|"]
    for name in names:
        counts = [held["forwards"][name]["instructions"] for held in result.values()]
        parts.append(f"| {name} | " + " | ".join(f"{count / 1e6:.2f} M" for count in counts) + " |")
    parts += ["", "## The inner function: 128 rows to one channel of K = 128", "", *inner(result)]
    parts += [*predicted(next(iter(result.values())))]
    parts += [*scan(next(iter(result.values())).get("scan"))]
    for held in result.values():
        parts += ["", f"## By function, {held['compiler']}", "", *functions(held)]
    return "\n".join(parts) + "\n"


def inner(result: dict):
    cores = list(model.CORES)
    yield "Floor = an XOR, a count and an addition for every 128 bits, nothing else."
    yield ""
    yield f"| | instructions for 128 MACs | {' | '.join(f'{core}, cycles / floor' for core in cores)} |"
    yield "|---" * (2 + len(cores)) + "|"
    for name, held in result.items():
        own = held["inner"]
        cells = [
            f"{own['cycles'][core]:.0f} / {model.floor(core):.0f} = {own['of_the_floor'][core]:.2f}" for core in cores
        ]
        yield f"| {name} | {own['instructions_per_128_macs']:.2f} | {' | '.join(cells)} |"


def predicted(held: dict):
    rates = held["fp32_macs_per_cycle"]
    yield PREDICTED.format(rates=", ".join(f"{rates[core]:.1f} ({core})" for core in rates))
    names = list(held["forwards"])
    yield f"| board, GHz | {' | '.join(names)} | fp32 bound, vanilla | bound / ours |"
    yield "|---" * (3 + len(names)) + "|"
    for board, (core, ghz) in model.BOARDS.items():
        own = [held["forwards"][name]["boards"][board] for name in names]
        bound = FP32_MACS / rates[core] / ghz / 1e6
        cells = [f"{ms:.2f}" for ms in own] + [f"{bound:.1f}", f"{bound / own[0]:.1f}"]
        yield f"| {board}, {ghz} | {' | '.join(cells)} |"


def scan(held: dict | None):
    if held is None:
        return
    counts = held["instructions"]
    rest = [name for name in (*model.REST, "others") if name in counts]
    ours = {name: count for name, count in counts.items() if name not in rest}
    yield SCAN
    yield f"| ours, in C | {' | '.join(rest)} | all |"
    yield "|---" * (2 + len(rest)) + "|"
    cells = [sum(ours.values()), *(counts[name] for name in rest), sum(counts.values())]
    yield f"| {' | '.join(f'{count / 1e6:.0f} M' for count in cells)} |"
    yield ""
    large = sorted(ours, key=ours.get, reverse=True)[:12]
    yield "Ours: " + ", ".join(f"`{name}` {ours[name] / 1e6:.1f} M" for name in large)
    yield ""
    yield "| board, GHz | ours [ms] | the rest, assumed [ms] | a scan [ms] | scans a second |"
    yield "|---|---|---|---|---|"
    for board, ms in held["boards"].items():
        both = ms["ours"] + ms["rest"]
        cells = [f"{ms['ours']:.0f}", f"{ms['rest']:.0f}", f"{both:.0f}", f"{1e3 / both:.1f}"]
        yield f"| {board}, {model.BOARDS[board][1]} | {' | '.join(cells)} |"


def functions(held: dict):
    for name, forward in held["forwards"].items():
        large = [(f, n) for f, n in forward["by_function"].items() if n >= 0.01 * forward["instructions"]]
        yield f"- {name}: " + ", ".join(f"`{f}` {n:,}" for f, n in large)
