"""Which points count, which of them a network sees, and how its answers return to all of them. O(N)."""

from __future__ import annotations

import numpy as np

from bipointnet_ros.core.descriptors import PAIRS
from bipointnet_ros.core.reference import Reference

SAMPLINGS = ("random", "voxel", "farthest")
COORDINATES = ("x", "y", "z")
SECOND_ORDER = (*COORDINATES, *(COORDINATES[i] + COORDINATES[j] for i, j in PAIRS))
_FARTHEST_POOL = 8  # farthest-point sampling looks at so many points a sample at most: O(N count) must stay bounded


# ------------------------------------------------------------------------------------------------------------ filters


def keep(xyz: np.ndarray, config) -> np.ndarray:
    """(N,) bool: finite, between range_min and range_max [m], inside the region and outside the ego box."""
    with np.errstate(invalid="ignore", over="ignore"):
        x, y, z = xyz.T
        squared = x * x + y * y + z * z  # four times as fast as einsum
        kept = (squared >= config.range_min**2) & (squared <= config.range_max**2)  # false for NaN and infinity
        if config.region_min != config.region_max:
            kept &= inside(xyz, config.region_min, config.region_max)
        if config.ego_min != config.ego_max:
            kept &= ~inside(xyz, config.ego_min, config.ego_max)
    return kept


def inside(xyz: np.ndarray, low, high) -> np.ndarray:
    """(N,) bool: within the box, faces included."""
    x, y, z = xyz.T
    return (x >= low[0]) & (x <= high[0]) & (y >= low[1]) & (y <= high[1]) & (z >= low[2]) & (z <= high[2])


def levelling(roll: float, pitch: float) -> np.ndarray:
    """(3, 3) float32 rotation that takes the sensor's axes, mounted with roll and pitch [rad], to axes with z up.

    xyz @ R.T is level; level @ R is back in the sensor's frame.
    """
    (cr, sr), (cp, sp) = ((np.cos(a), np.sin(a)) for a in (roll, pitch))
    about_x = np.array([[1.0, 0.0, 0.0], [0.0, cr, -sr], [0.0, sr, cr]])
    about_y = np.array([[cp, 0.0, sp], [0.0, 1.0, 0.0], [-sp, 0.0, cp]])
    return (about_y @ about_x).astype(np.float32)


def normalised(xyz: np.ndarray) -> np.ndarray:
    """Clouds (..., N, 3) centred on their mean and scaled into the unit sphere; a cloud of one place becomes zeros."""
    centred = xyz - xyz.mean(-2, keepdims=True, dtype=np.float32)
    radius = np.sqrt((centred**2).sum(-1).max(-1))[..., None, None]
    return centred / np.where(radius > 0, radius, 1.0).astype(np.float32)


def told(clouds: np.ndarray, inputs, out: np.ndarray | None = None) -> np.ndarray:
    """Normalised clouds (..., N, 3) float32 -> (..., N, F), in ``out`` if given: coordinates and their products where a
    network has ``SECOND_ORDER`` as inputs, else the clouds as they are.

    The sign of a weighted sum of products says on which side of an ellipsoid, a cone or a cylinder a point lies, where
    coordinates alone give planes (Joseph-Rivlin et al. 2019, "Momen(e)t", who add them to PointNet).
    """
    out = np.empty((*clouds.shape[:-1], len(inputs)), np.float32) if out is None else out
    if inputs != SECOND_ORDER:
        np.copyto(out, clouds)
        return out
    out[..., :3] = clouds
    for k, (i, j) in enumerate(PAIRS, len(COORDINATES)):
        np.multiply(clouds[..., i], clouds[..., j], out=out[..., k])
    return out


# ----------------------------------------------------------------------------------------------------------- sampling


def sample(xyz: np.ndarray, count: int, method: str = "random", seed: int = 0, backend=None) -> np.ndarray:
    """(count,) int64 rows of xyz (N, 3), N >= 1, repeatable by seed; all rows and random repetitions where N < count.

    The same by every backend (core/kernels.py; None = numpy). ValueError for an unknown method.
    """
    if method not in SAMPLINGS:
        raise ValueError(f"sampling must be one of {', '.join(SAMPLINGS)}, got '{method}'")
    rng = np.random.default_rng(seed)
    if len(xyz) <= count:
        return np.concatenate([np.arange(len(xyz)), rng.integers(0, len(xyz), count - len(xyz))])
    if method == "farthest":
        return farthest(xyz, count, rng, backend)
    return _one_a_voxel(xyz, count, rng, backend) if method == "voxel" else rng.permutation(len(xyz))[:count]


def farthest(xyz: np.ndarray, count: int, rng, backend=None) -> np.ndarray:
    """(count,) rows, each the farthest from those before it; of more than 8 count points a random part is looked at."""
    pool = rng.permutation(len(xyz))[: count * _FARTHEST_POOL]
    chosen = np.empty(count, np.int32)
    (backend or Reference()).farthest(xyz[pool], chosen)
    return pool[chosen]


def voxel(xyz: np.ndarray, edge: float, rng=None, backend=None) -> np.ndarray:
    """Rows of one point in each occupied voxel of the given edge [m]: the first one, or a random one."""
    order = np.arange(len(xyz)) if rng is None else rng.permutation(len(xyz))
    keys, place = voxel_keys(xyz, edge, backend)[order], np.empty(len(xyz), np.int32)
    (backend or Reference()).argsort(keys, place)
    keys = keys[place]
    return order[place[np.flatnonzero(np.r_[True, keys[1:] != keys[:-1]])]]


def _one_a_voxel(xyz, count, rng, backend):
    """count rows from the coarsest voxels, of edges halved from the cloud's size, that are at least count."""
    edge = max(float(np.ptp(xyz, axis=0).max()), 1e-3)
    rows = np.zeros(0, np.int64)
    for _ in range(20):
        edge /= 2.0
        rows = voxel(xyz, edge, rng, backend)
        if len(rows) >= count:
            return rng.permutation(rows)[:count]
    rest = np.setdiff1d(np.arange(len(xyz)), rows)  # the others coincide with chosen ones
    return np.concatenate([rows, rng.permutation(rest)[: count - len(rows)]])


def voxel_keys(xyz: np.ndarray, edge: float, backend=None) -> np.ndarray:
    """(N,) uint64, equal for points of one voxel."""
    keys = np.empty(len(xyz), np.uint64)
    (backend or Reference()).voxels(np.ascontiguousarray(xyz), edge, keys)
    return keys


# ------------------------------------------------------------------------------------------------------- the way back


def answers(xyz: np.ndarray, sampled: np.ndarray, edge: float, doublings: int = 3, backend=None) -> np.ndarray:
    """(N,) int32: for each point the index into ``sampled`` (rows of xyz) that answers it, -1 when it has none near.

    A point is answered by the first sample of its voxel of the given edge [m], else of the voxel of twice the edge, ...
    """
    backend = backend or Reference()
    answer = np.full(len(xyz), -1, np.int32)
    open_rows = np.arange(len(xyz))
    for _ in range(doublings + 1):
        wanted, found = voxel_keys(xyz[open_rows], edge, backend), np.empty(len(open_rows), np.int32)
        backend.match(voxel_keys(xyz[sampled], edge, backend), wanted, found)
        answer[open_rows] = found
        open_rows, edge = open_rows[found < 0], 2.0 * edge
    answer[sampled] = np.arange(len(sampled), dtype=np.int32)
    return answer


def spread(values: np.ndarray, answer: np.ndarray) -> np.ndarray:
    """Values (n, ...) of rows back to points: values[answer], and 0 where answer (N,) is -1."""
    return np.concatenate([values, np.zeros((1, *values.shape[1:]), values.dtype)]).take(answer, axis=0)
