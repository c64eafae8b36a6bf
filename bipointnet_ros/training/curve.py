"""The curve of a run as a small SVG, drawn from its log."""

from __future__ import annotations

import json
from pathlib import Path

_WIDTH, _HEIGHT, _LEFT, _BOTTOM = 640, 360, 50, 40
_LINES = {"train_accuracy": ("#888888", "training, augmented"), "val_accuracy": ("#c03020", "validation")}


def write(folder):
    """FOLDER/curve.svg from FOLDER/log.jsonl: accuracies by epoch."""
    rows = [json.loads(line) for line in (Path(folder) / "log.jsonl").read_text().splitlines()]
    (Path(folder) / "curve.svg").write_text(svg(rows))


def svg(rows: list[dict]) -> str:
    """rows: dicts with epoch and any of train_accuracy, val_accuracy in 0..1."""
    last = max((row["epoch"] for row in rows), default=1)
    parts = [_grid(last)]
    for i, (key, (colour, name)) in enumerate(_LINES.items()):
        points = " ".join(_point(row["epoch"] / last, row[key]) for row in rows if key in row)
        parts.append(f'<polyline fill="none" stroke="{colour}" stroke-width="2" points="{points}"/>')
        parts.append(f'<text x="{_WIDTH - 170}" y="{_HEIGHT - 80 + 18 * i}" fill="{colour}">{name}</text>')
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{_WIDTH}" height="{_HEIGHT}" font-family="sans-serif" '
        f'font-size="12"><rect width="100%" height="100%" fill="white"/>\n' + "\n".join(parts) + "\n</svg>\n"
    )


def _place(x: float, y: float) -> tuple[float, float]:
    return _LEFT + x * (_WIDTH - _LEFT - 20), (_HEIGHT - _BOTTOM) * (1.0 - y) + 10


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
