#!/usr/bin/env python3
"""Accuracy of the shipped ModelNet40 models against their measured latency and their size: a table, a JSON, a picture.

    python benchmarks/pareto.py DATA/modelnet40_test.npz [--out docs/modelnet40_pareto.svg]

Each model goes through what ``bipointnet eval`` runs, on one thread; the models take turns cloud by cloud, so that a
busy moment hits all alike. The twin's accuracy is a fact in the model file, from its training.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))
from bipointnet_ros import dataset, offline  # noqa: E402
from bipointnet_ros.bench import machine  # noqa: E402
from bipointnet_ros.core.config import Config  # noqa: E402

WIDTH, HEIGHT, LEFT, BOTTOM = 360, 300, 50, 40
COLOURS = ("#c03020", "#2060c0", "#30a040", "#d09000")


def judged(names, data) -> list[dict]:
    """Accuracy and median milliseconds a cloud of each model, smallest file first."""
    pipes = {name: offline.pipeline(Config(model=name, threads=1)) for name in names}
    right, times = dict.fromkeys(names, 0), {name: [] for name in names}
    for points, label in zip(data.points, data.labels):
        for name, pipe in pipes.items():
            start = time.perf_counter()
            answer = int(pipe.process(points).label.max(initial=0))
            times[name].append((time.perf_counter() - start) * 1e3)
            right[name] += pipe.model.classes[answer - 1] == data.classes[label]
    rows = []
    for name, pipe in pipes.items():
        twin = pipe.model.training.get("twin_accuracy")
        size = (ROOT / "models" / f"{name}.safetensors").stat().st_size
        spent = statistics.median(times[name])
        rows.append({"model": name, "bytes": size, "ms": spent, "accuracy": right[name] / len(data), "twin": twin})
    return sorted(rows, key=lambda row: row["bytes"])


def table(rows) -> str:
    lines = ["| model | bytes | ms a cloud | accuracy % | full-precision twin % |", "|---|---|---|---|---|"]
    for row in rows:
        twin = "-" if row["twin"] is None else f"{100 * row['twin']:.1f}"
        lines.append(f"| {row['model']} | {row['bytes']:,} | {row['ms']:.2f} | {100 * row['accuracy']:.1f} | {twin} |")
    return "\n".join(lines)


def svg(rows) -> str:
    """Two panels: accuracy over milliseconds a cloud, and over kilobytes; both axes begin at 0."""
    bottom = min(min(row["accuracy"], row["twin"] or 1.0) for row in rows)
    low = int(100 * bottom - 1) / 100
    panels = [panel(rows, "ms", 1.0, "ms a cloud", 0, low), panel(rows, "bytes", 1e-3, "kB", WIDTH, low)]
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{2 * WIDTH}" height="{HEIGHT}" font-family="sans-serif" '
        f'font-size="12"><rect width="100%" height="100%" fill="white"/>\n' + "\n".join(panels) + "\n</svg>\n"
    )


def panel(rows, key: str, scale: float, unit: str, left: float, low: float) -> str:
    high, largest = 0.94, 1.25 * max(row[key] * scale for row in rows)

    def place(value, accuracy):
        x = left + LEFT + value / largest * (WIDTH - LEFT - 20)
        return x, 10 + (HEIGHT - BOTTOM - 10) * (high - accuracy) / (high - low)

    (x0, y0), (x1, _) = place(0, low), place(largest, low)
    parts = [f'<path d="M{x0} 10V{y0}H{x1}" fill="none" stroke="black"/>']
    parts.append(f'<text x="{x1 - 80:.0f}" y="{y0 + 30:.0f}">{unit}, to {largest:.3g}</text>')
    for percent in range(round(100 * low), 95):
        y = place(0, percent / 100)[1]
        parts.append(f'<path d="M{x0} {y:.1f}H{x1}" stroke="#dddddd"/>')
        parts.append(f'<text x="{x0 - 28:.0f}" y="{y + 4:.0f}">{percent}</text>')
    for row, colour in zip(rows, COLOURS):
        x, y = place(row[key] * scale, row["accuracy"])
        parts.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="5" fill="{colour}"/>')
        anchor, side = ("end", -8) if x > left + WIDTH / 2 else ("start", 8)
        parts.append(f'<text x="{x + side:.0f}" y="{y + 14:.0f}" text-anchor="{anchor}">{row["model"]}</text>')
        if row["twin"] is not None:
            y = place(0, row["twin"])[1]
            parts.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="5" fill="none" stroke="{colour}"/>')
    return "\n".join(parts)


def main(arguments=None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", help="modelnet40_test.npz of training.prepare")
    parser.add_argument("--out", default=str(ROOT / "docs/modelnet40_pareto.svg"))
    options = parser.parse_args(arguments)
    names = sorted(path.stem for path in (ROOT / "models").glob("modelnet40*.safetensors"))
    rows = judged(names, dataset.read(options.data))
    Path(options.out).write_text(svg(rows))
    print(table(rows))
    print(json.dumps({"machine": machine(), "rows": rows}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
