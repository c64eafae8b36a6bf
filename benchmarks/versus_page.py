"""docs/benchmarks.md out of what benchmarks/versus.py measured."""

from __future__ import annotations

HEAD = """# The engine against others

Written by `make bench` (`benchmarks/versus.py`; the same figures: `benchmarks/bench.json`). One process, one network
and cloud for all, engines in turn in bursts of 20 ms; least milliseconds of a call. Ours is in its worst case: no point
reaches a limit of the pooling layer, so nothing stops early; points whose codes are equal are still done once, and a
random cloud of 4,096 points or more has many. fp32 is the same network with BatchNorm folded and ReLU;
its logits were checked against numpy for every fp32 peer. Only ratios of one line mean something.
"""
COLUMNS = "| points | batch | threads | {engines} | best fp32 / {best} | int8 / {best} |"


def page(measured: dict) -> str:
    parts = [HEAD, machine(measured), "## Vanilla network, milliseconds a call", *forwards(measured["rows"])]
    parts += ["", "32 clouds of 16,384 points are left out: one activation of an fp32 peer alone takes 2 GiB."]
    parts += ["", "## Our layers alone, 1,024 points, one thread", "", *layers(measured["layers"])]
    parts += ["", "## A scan through the segmentation network", "", *segmentation(measured["segmentation"])]
    parts += ["", "## Memory, one cloud of 1,024 points, one thread, each in a fresh process", ""]
    parts += memory(measured["memory"])
    return "\n".join(parts) + "\n"


def machine(measured: dict) -> str:
    facts = ", ".join(f"{key} {value}" for key, value in measured["machine"].items())
    missing = "".join(f"\n\n**Missing: {name}** ({why}): no figures." for name, why in measured["missing"].items())
    return f"Machine: {facts}.{missing}\n"


def forwards(rows: list[dict]):
    """A line for each size, batch and number of threads; a column for each engine."""
    engines = list(dict.fromkeys(row["engine"] for row in rows))
    best = engines[0]
    yield ""
    yield COLUMNS.format(engines=" | ".join(engines), best=best)
    yield "|---" * (len(engines) + 5) + "|"
    for shape in dict.fromkeys((row["points"], row["batch"], row["threads"]) for row in rows):
        ms = {r["engine"]: r["ms_min"] for r in rows if (r["points"], r["batch"], r["threads"]) == shape}
        fp32 = min((t for name, t in ms.items() if name.endswith("fp32")), default=None)
        int8 = min((t for name, t in ms.items() if name.endswith("int8")), default=None)
        cells = [f"{value:,}" for value in shape] + [f"{ms[name]:.3g}" for name in engines]
        yield f"| {' | '.join(cells)} | {times(fp32, ms[best])} | {times(int8, ms[best])} |"


def times(other: float | None, own: float) -> str:
    return "missing" if other is None else f"{other / own:.1f}"


def layers(rows: list[dict]):
    backends, names = (list(dict.fromkeys(row[key] for row in rows)) for key in ("backend", "layer"))
    held = {(row["backend"], row["layer"]): row for row in rows}
    yield "| layer | " + " | ".join(f"{b}: us | GMAC/s" for b in backends) + " |"
    yield "|---" * (1 + 2 * len(backends)) + "|"
    for name in names:
        own = [held[backend, name] for backend in backends]
        yield f"| {name} | " + " | ".join(f"{r['us']:.1f} | {r['gmacs_per_second']:.0f}" for r in own) + " |"


def segmentation(measured: dict):
    yield f"`lidar`'s network, {measured['points']:,} points of the demo's drive, {measured['rows']:,} voxels as rows."
    yield "The fp32 twin has the same layers and cells, ReLU and maxima. In pieces = runs of cells that fit the cache."
    yield "onnxruntime has one thread only: with two its ScatterND gives wrong maxima now and then (its issue 18048)."
    yield ""
    yield "| engine | threads | ms | ns a point of the scan | against the best fp32 |"
    yield "|---|---|---|---|---|"
    for row in measured["engines"]:
        alike = [r["ms_min"] for r in measured["engines"] if r["threads"] == row["threads"] and "fp32" in r["engine"]]
        ratio = f"{min(alike) / row['ms_min']:.1f}" if alike else "missing"
        yield f"| {row['engine']} | {row['threads']} | {row['ms_min']:.1f} | {row['ns_per_point']:.0f} | {ratio} |"


def memory(rows: list[dict]):
    yield "| engine | model file, bytes | library, MiB | one forward, peak, MiB |"
    yield "|---|---|---|---|"
    for row in rows:
        grown = f"{row['library'] / 2**20:.1f} | {row['forward'] / 2**20:.1f}"
        yield f"| {row['engine']} | {row['model_bytes']:,} | {grown} |"
