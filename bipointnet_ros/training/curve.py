"""Accuracies by epoch as a small SVG, drawn without a plotting library."""

from __future__ import annotations

import json
from pathlib import Path

_WIDTH, _HEIGHT, _LEFT, _BOTTOM, _LEGEND = 760, 360, 50, 40, 140
_NAMES = {"train_accuracy": "training, augmented", "val_accuracy": "validation"}
_COLOURS = ("#888888", "#c03020", "#2060c0", "#30a040", "#d09000", "#8040b0", "#20a0a0", "#705030")


def write(folder):
    """FOLDER/curve.svg from FOLDER/log.jsonl."""
    rows = [json.loads(line) for line in (Path(folder) / "log.jsonl").read_text().splitlines()]
    lines = {name: [(row["epoch"], row[key]) for row in rows if key in row] for key, name in _NAMES.items()}
    (Path(folder) / "curve.svg").write_text(svg(lines))


def svg(lines: dict[str, list]) -> str:
    """Name -> (epoch, accuracy in 0..1) pairs."""
    last = max((epoch for line in lines.values() for epoch, _ in line), default=1)
    parts = [_grid(last)]
    for i, (name, line) in enumerate(lines.items()):
        style = f'stroke="{_COLOURS[i % len(_COLOURS)]}"' + ' stroke-dasharray="5 3"' * (i // len(_COLOURS) % 2)
        points = " ".join(_point(epoch / last, accuracy) for epoch, accuracy in line)
        x, y = _WIDTH - _LEGEND, 20 + 16 * i
        parts.append(f'<polyline fill="none" stroke-width="2" {style} points="{points}"/>')
        parts.append(f'<path d="M{x} {y - 4}h16" stroke-width="2" {style}/><text x="{x + 20}" y="{y}">{name}</text>')
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{_WIDTH}" height="{_HEIGHT}" font-family="sans-serif" '
        f'font-size="12"><rect width="100%" height="100%" fill="white"/>\n' + "\n".join(parts) + "\n</svg>\n"
    )


def _place(x: float, y: float) -> tuple[float, float]:
    return _LEFT + x * (_WIDTH - _LEFT - _LEGEND - 20), (_HEIGHT - _BOTTOM) * (1.0 - y) + 10


def _point(x: float, y: float) -> str:
    return ",".join(f"{v:.1f}" for v in _place(x, y))


def _grid(last: int) -> str:
    parts = []
    for k in range(11):
        (x0, y), (x1, _) = _place(0.0, k / 10), _place(1.0, k / 10)
        parts.append(f'<path d="M{x0} {y}H{x1}" stroke="#dddddd"/><text x="8" y="{y + 4:.0f}">{k / 10:.1f}</text>')
    x, y = _place(1.0, 0.0)
    parts.append(f'<text x="{x - 70}" y="{y + 24}">epoch {last}</text><text x="8" y="{_HEIGHT - 8}">accuracy</text>')
    return "\n".join(parts)
