"""Small SVG charts without a plotting library: lines over an axis, and groups of bars."""

from __future__ import annotations

from html import escape

_WIDTH, _HEIGHT, _LEFT, _TOP, _BOTTOM, _LEGEND = 760, 320, 56, 34, 44, 170
_COLOURS = ("#c03020", "#2060c0", "#30a040", "#d09000", "#8040b0", "#20a0a0", "#705030", "#888888")


def lines(title: str, x_name: str, curves: dict[str, list[tuple[float, float]]]) -> str:
    """Name -> (x, y) pairs, as an SVG file."""
    xs, ys = zip(*(pair for curve in curves.values() for pair in curve))
    frame = _Frame(title, x_name, (min(xs), max(xs)), _top(ys))
    parts = [frame.axes(), *(frame.tick(min(xs) + k / 4 * (max(xs) - min(xs))) for k in range(5))]
    for colour, curve in zip(_cycle(), curves.values()):
        points = " ".join(f"{frame.x(x):.1f},{frame.y(y):.1f}" for x, y in curve)
        parts.append(f'<polyline fill="none" stroke-width="2" stroke="{colour}" points="{points}"/>')
    return frame.file(parts, list(curves))


def bars(title: str, groups: dict[str, dict[str, float]]) -> str:
    """Series -> label -> value from 0 up, as an SVG file: a group of bars a label."""
    labels = list(dict.fromkeys(label for values in groups.values() for label in values))
    frame = _Frame(title, "", (0.0, len(labels)), _top([v for values in groups.values() for v in values.values()]))
    parts, width = [frame.axes()], 0.8 / len(groups)
    for i, (colour, values) in enumerate(zip(_cycle(), groups.values())):
        for label, value in values.items():
            left = frame.x(labels.index(label) + 0.1 + i * width)
            right = frame.x(labels.index(label) + 0.1 + (i + 1) * width)
            parts.append(
                f'<rect x="{left:.1f}" y="{frame.y(value):.1f}" width="{right - left:.1f}" '
                f'height="{frame.y(0.0) - frame.y(value):.1f}" fill="{colour}"/>'
            )
    parts += [frame.text(frame.x(k + 0.5), frame.y(0.0) + 16, label, "middle") for k, label in enumerate(labels)]
    return frame.file(parts, list(groups))


def _cycle():
    while True:
        yield from _COLOURS


def _top(values) -> float:
    """A round number not under the largest value: 1, 2 or 5 times a power of ten."""
    scale = 10.0 ** len(f"{max(values):.0f}") / 1000.0
    return next(m * scale for m in (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000) if m * scale >= max(values) - 1e-9)


class _Frame:
    """Where data lie in the picture."""

    def __init__(self, title: str, x_name: str, span: tuple[float, float], top: float):
        self.title, self.x_name, self.span, self.top = title, x_name, span, top

    def x(self, value: float) -> float:
        low, high = self.span
        return _LEFT + (value - low) / (high - low or 1.0) * (_WIDTH - _LEFT - _LEGEND)

    def y(self, value: float) -> float:
        return _HEIGHT - _BOTTOM - value / self.top * (_HEIGHT - _TOP - _BOTTOM)

    def axes(self) -> str:
        parts = []
        for k in range(6):
            value = self.top * k / 5
            parts.append(f'<path d="M{_LEFT} {self.y(value):.1f}H{_WIDTH - _LEGEND}" stroke="#dddddd"/>')
            parts.append(self.text(_LEFT - 6, self.y(value) + 4, f"{value:g}", "end"))
        return "\n".join(parts)

    def tick(self, value: float) -> str:
        return self.text(self.x(value), self.y(0.0) + 16, f"{value:.3g}", "middle")

    @staticmethod
    def text(x: float, y: float, words: str, anchor: str = "start") -> str:
        return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(words)}</text>'

    def file(self, parts: list[str], names: list[str]) -> str:
        left = _WIDTH - _LEGEND + 12
        for i, (colour, name) in enumerate(zip(_cycle(), names)):
            parts.append(f'<rect x="{left}" y="{_TOP + 18 * i}" width="12" height="12" fill="{colour}"/>')
            parts.append(self.text(left + 18, _TOP + 18 * i + 11, name))
        parts += [self.text(_LEFT, 20, self.title), self.text(_LEFT, _HEIGHT - 8, self.x_name)]
        return (
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{_WIDTH}" height="{_HEIGHT}" font-family="sans-serif" '
            f'font-size="12"><rect width="100%" height="100%" fill="white"/>\n' + "\n".join(parts) + "\n</svg>\n"
        )
