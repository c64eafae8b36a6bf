"""Further looks at a scene: its rows again, in cells whose borders lie elsewhere, where the first look left doubt.

What the network makes of a row depends on where the borders of its cells happen to cut the things around. The mean of
the logits of several looks depends on it less (docs/lidar.md, "Further looks"). The rows stay, so ground, heights and
means are computed once.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from bipointnet_ros.core import cells, features
from bipointnet_ros.core.blueprint import Grid

MOST = 7
_NEARLY = 1.0  # difference of logits: a third as likely
_ROWS = 40_000  # that all looks together see by default: what a full scan of 64 beams has, which is seen once
_LEAST = 0.15  # of the rows: of a smaller look most is overhead


@dataclass(frozen=True)
class Look:
    """Rows as the network sees them (features.Scene); row (n,) int32: which row of the scene each of them is."""

    shared: features.Shared | None
    own: np.ndarray
    offsets: tuple[np.ndarray, ...]
    row: np.ndarray

    @property
    def features(self) -> np.ndarray:
        """(n, F) float32, all inputs of each row."""
        return features.whole(self.shared, self.own, self.offsets[0])


def afforded(share: float, rows: int) -> float:
    """The share of a scene's rows that is seen again, 0..MOST: as asked for, or, under 0, what is worth its time."""
    if share >= 0.0:
        return share
    whole, part = divmod(min(max(_ROWS / rows - 1.0, 0.0), MOST), 1.0)
    return whole + part if part >= _LEAST else whole


def further(share: float, grid: Grid):
    """Yield (shift, part) of the further looks that ``share`` of a scene's rows, 0..MOST, pays for.

    shift: of the cells' borders along x and y [voxels], by halves and quarters of their edge; part: of the rows, in
    0..1, that the look may see.
    """
    half = _half(grid.cells)
    one, three = half // 2, half // 2 + half
    shifts = ((half, half), (half, 0), (0, half), (one, one), (three, three), (three, one), (one, three))
    for k, shift in enumerate(shifts):
        if share > k:
            yield shift, min(share - k, 1.0)


def _half(edges) -> int:
    """A shift of about half the edge of the cells of every scale."""
    shift = edges[0] // 2
    for inner, outer in zip(edges, edges[1:]):
        shift += inner * round((outer / 2 - shift) / inner)
    return shift


def doubt(logits: np.ndarray) -> np.ndarray:
    """(n,) bool: rows of logits (n, K) of which another class is nearly as likely as the first. Counts of them are the
    same on every machine, where sums of probabilities are not."""
    columns = np.ascontiguousarray(logits.T)
    return (columns > columns.max(0) - np.float32(_NEARLY)).sum(0) > 1


def doubtful(blocks: np.ndarray, doubt: np.ndarray, part: float) -> np.ndarray:
    """Which rows a look sees: those of the blocks (B + 1,) of a scene with the largest share of doubt (n,) bool, as
    many as hold ``part`` of the rows at most.
    """
    size = np.diff(blocks)
    order = np.argsort(-np.add.reduceat(doubt, blocks[:-1], dtype=np.int64) / size, kind="stable")
    chosen = np.zeros(len(size), bool)
    chosen[order[np.cumsum(size[order]) <= part * len(doubt)]] = True
    return np.flatnonzero(np.repeat(chosen, size))


def again(scene: features.Scene, xyz: np.ndarray, rows: np.ndarray, grid: Grid, inputs, shift, backend) -> Look:
    """Some rows of the scene of xyz (N, 3) in cells whose borders are moved by shift [voxels] along x and y."""
    run = cells.build(xyz.take(scene.index.take(rows), axis=0), grid, backend, shift)
    rows = rows.take(run.order)
    return Look(*features.described(scene.rows.take(rows), run, grid, inputs, backend), run.scales, rows)
