"""What happens to points before and after the network: filters, levelling, sampling, normalising, spreading answers."""

from __future__ import annotations

import numpy as np

from bipointnet_ros.core.config import Config

_FARTHEST_POOL = 16  # farthest-point sampling looks at this many candidates per sampled point


def keep(xyz: np.ndarray, config: Config) -> np.ndarray:
    """(M,) int64 rows of xyz (N, 3) float32 [m] that are finite, in range, in the region and not on the vehicle itself."""
    with np.errstate(invalid="ignore", over="ignore"):
        squared = np.einsum("ij,ij->i", xyz, xyz)  # inf and nan fail both comparisons below
        kept = (squared >= config.range_min**2) & (squared <= config.range_max**2)
        if config.region_min != config.region_max:
            kept &= _inside(xyz, config.region_min, config.region_max)
        if config.ego_min != config.ego_max:
            kept &= ~_inside(xyz, config.ego_min, config.ego_max)
    return np.flatnonzero(kept)


def _inside(xyz, low, high):
    return ((xyz >= np.float32(low)) & (xyz <= np.float32(high))).all(1)


def levelling(roll: float, pitch: float) -> np.ndarray:
    """(3, 3) float32 rotation R = Ry(pitch) Rx(roll) from the frame of a tilted sensor to one with z up: p' = R p."""
    (sr, sp), (cr, cp) = np.sin([roll, pitch]), np.cos([roll, pitch])
    return np.array([[cp, sp * sr, sp * cr], [0.0, cr, -sr], [-sp, cp * sr, cp * cr]], np.float32)


def normalise(xyz: np.ndarray) -> np.ndarray:
    """(N, 3) float32, centred on the mean and scaled into the unit sphere; a cloud of one place becomes zeros."""
    centred = xyz - xyz.mean(0, dtype=np.float64).astype(np.float32)
    radius = np.sqrt(np.einsum("ij,ij->i", centred, centred).max())
    return centred / radius if radius > 0 else centred


def sample(xyz: np.ndarray, method: str, count: int, seed: int) -> np.ndarray:
    """(count,) rows of xyz (N, 3), N >= 1, chosen by ``method``: random, voxel or farthest. Repeatable.

    With fewer points than ``count`` every point is taken and some are taken again (EMA-max does not mind copies).
    """
    rng = np.random.default_rng(seed)
    n = len(xyz)
    if n <= count:
        return np.concatenate([np.arange(n), rng.integers(0, n, count - n)])
    return {"random": _random, "voxel": _voxel, "farthest": _farthest}[method](xyz, count, rng)


def _random(xyz, count, rng):
    return rng.choice(len(xyz), count, replace=False)


def _voxel(xyz, count, rng):
    """One point of each voxel; the edge is halved until there are at least ``count`` voxels (or points run out)."""
    edge = float(np.ptp(xyz, axis=0).max()) / 2.0
    first = np.arange(0)
    for _ in range(20):
        first = np.unique(_cell_keys(xyz, edge), return_index=True)[1]
        if len(first) >= count or edge <= 0.0:
            break
        edge /= 2.0
    if len(first) < count:  # duplicates: fewer places than points asked for
        return np.concatenate([first, rng.choice(len(xyz), count - len(first), replace=False)])
    return rng.choice(first, count, replace=False)


def _farthest(xyz, count, rng):
    """Each next point is the one farthest from those chosen; of a large cloud, among a random part."""
    pool = rng.choice(len(xyz), min(len(xyz), _FARTHEST_POOL * count), replace=False)
    candidates = xyz[pool]
    chosen = np.empty(count, np.int64)
    distance = np.full(len(pool), np.inf, np.float32)
    row = 0
    for i in range(count):
        chosen[i] = row
        offset = candidates - candidates[row]
        distance = np.minimum(distance, np.einsum("ij,ij->i", offset, offset))
        row = int(distance.argmax())
    return pool[chosen]


def spread(xyz: np.ndarray, chosen: np.ndarray, reach: float) -> np.ndarray:
    """(N,) int32 position in ``chosen`` that answers each point of xyz (N, 3) [m], -1 where none is near.

    A point is answered by a chosen one of its cell, cells of edge reach / 8 first, then twice as wide up to ``reach``:
    O(N log n), and never farther than reach * sqrt(3).
    """
    answer = np.full(len(xyz), -1, np.int32)
    answer[chosen] = np.arange(len(chosen), dtype=np.int32)
    for edge in reach / 8.0, reach / 4.0, reach / 2.0, reach:
        open_ = np.flatnonzero(answer < 0)
        if len(open_) == 0:
            break
        places = _cell_keys(xyz, edge)
        keys, first = np.unique(places[chosen], return_index=True)
        at = np.minimum(np.searchsorted(keys, places[open_]), len(keys) - 1)
        found = keys[at] == places[open_]
        answer[open_[found]] = first[at[found]]
    return answer


def _cell_keys(xyz, edge: float) -> np.ndarray:
    """(N,) int64 key of the cubic cell of each point, 21 bits an axis."""
    cell = np.floor((xyz - xyz.min(0)) / np.float32(edge if edge > 0 else 1.0)).astype(np.int64)
    cell = np.minimum(cell, (1 << 21) - 1)
    return (cell[:, 0] << 42) | (cell[:, 1] << 21) | cell[:, 2]
