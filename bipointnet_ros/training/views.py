"""Views of labelled clouds as training sees them: some of the points, another surface sampling, moved, mixed."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

NEIGHBOURS = 4


@dataclass(frozen=True)
class Motion:
    """Random changes of normalised clouds, drawn afresh for every cloud and epoch.

    scale: each axis is stretched by 1 / scale to scale; shift: of the unit sphere's radius; turn: degrees about z;
    jitter: standard deviation of every coordinate, cut at three of them.
    """

    scale: float = 1.25
    shift: float = 0.05
    turn: float = 10.0
    jitter: float = 0.01

    def __call__(self, points: np.ndarray, rng) -> np.ndarray:
        """(B, N, 3) float32 -> the same shape."""
        clouds = len(points)
        turned = points @ _turns(np.radians(rng.uniform(-self.turn, self.turn, clouds)))
        stretch = np.exp(rng.uniform(-1.0, 1.0, (clouds, 1, 3)) * np.log(self.scale)).astype(np.float32)
        shift = rng.uniform(-self.shift, self.shift, (clouds, 1, 3)).astype(np.float32)
        noise = rng.standard_normal(points.shape, np.float32).clip(-3.0, 3.0)
        return turned * stretch + shift + noise * np.float32(self.jitter)


def _turns(angles: np.ndarray) -> np.ndarray:
    """(B,) rad -> (B, 3, 3) float32, to be multiplied from the right."""
    c, s, o = np.cos(angles), np.sin(angles), np.zeros_like(angles)
    return np.stack([c, s, o, -s, c, o, o, o, o + 1.0], 1).reshape(-1, 3, 3).astype(np.float32)


class Surface:
    """Clouds (S, N, 3) whose surface can be sampled anew: a new point lies in the triangle of a point and two of its
    nearest ``NEIGHBOURS``, and points are denser towards a random side, as another sampler or sensor would have them.
    """

    def __init__(self, points: np.ndarray):
        self.points, self.neighbours = points, neighbours(points)

    def resampled(self, rows, count: int, rng, strongest: float = 1.5) -> np.ndarray:
        """``count`` new points of each of the clouds ``rows``: (R, count, 3) float32.

        Over distance d towards a random side the density grows by exp(s d), s in 0..strongest.
        """
        clouds, n = self.points[rows], self.points.shape[1]
        chosen = _denser(clouds, count, rng, strongest)
        near = self.neighbours[rows][np.arange(len(rows))[:, None], chosen].astype(np.int64)
        first = rng.integers(NEIGHBOURS, size=chosen.shape)
        second = (first + rng.integers(1, NEIGHBOURS, size=chosen.shape)) % NEIGHBOURS
        pair = np.take_along_axis(near, np.stack([first, second], 2), 2)
        corners = np.concatenate([chosen[..., None], pair], 2)
        flat = (corners + (np.arange(len(rows)) * n)[:, None, None]).reshape(-1)
        corner = clouds.reshape(-1, 3)[flat].reshape(*corners.shape, 3)
        return np.einsum("rcks,rck->rcs", corner, _barycentric(chosen.shape, rng), optimize=True)


def neighbours(points: np.ndarray) -> np.ndarray:
    """(S, N, 3) -> (S, N, NEIGHBOURS) int16: the nearest other points of each point in its cloud (N > NEIGHBOURS)."""
    found = np.empty((*points.shape[:2], NEIGHBOURS), np.int16)
    for i, cloud in enumerate(torch.from_numpy(points)):
        distance = torch.addmm((cloud * cloud).sum(1), cloud, cloud.T, alpha=-2.0)  # up to a number a row
        found[i] = distance.fill_diagonal_(torch.inf).topk(NEIGHBOURS, largest=False).indices.numpy()
    return found


def _denser(clouds: np.ndarray, count: int, rng, strongest: float) -> np.ndarray:
    """(R, N, 3) -> (R, count) indices in a random order, with repetition."""
    direction = rng.standard_normal((len(clouds), 3, 1)).astype(np.float32)
    direction *= rng.uniform(0.0, strongest, (len(clouds), 1, 1)) / np.linalg.norm(direction, axis=1, keepdims=True)
    total = np.exp(clouds @ direction)[..., 0].cumsum(1)
    spin = (np.arange(count) + rng.random((len(clouds), count))) / count  # stratified: few repetitions
    chosen = np.stack([np.searchsorted(t, u * t[-1]) for t, u in zip(total, spin)])
    return rng.permuted(np.minimum(chosen, clouds.shape[1] - 1), axis=1)


def _barycentric(shape, rng) -> np.ndarray:
    """(*shape, 3) float32: uniform in a triangle."""
    a, b = rng.random((2, *shape), np.float32)
    fold = a + b > 1.0
    a, b = np.where(fold, 1.0 - a, a), np.where(fold, 1.0 - b, b)
    return np.stack([1.0 - a - b, a, b], -1)


def mixed(points: np.ndarray, answers: np.ndarray, rng) -> tuple[np.ndarray, np.ndarray]:
    """PointCutMix: the points nearest to a random one give way to as many of another cloud's, so do the answers.

    points (B, N, 3); answers (B, K) shares of each class, whose mix follows the number of points.
    """
    clouds, n = points.shape[:2]
    other = rng.permutation(clouds)
    cut = int(n * rng.uniform(0.0, 0.5))
    centre = points[np.arange(clouds), rng.integers(n, size=clouds)][:, None]
    order = np.argpartition(((points - centre) ** 2).sum(2), cut, 1)
    kept = np.take_along_axis(points, order[:, cut:, None], 1)
    given = points[other][:, rng.permutation(n)[:cut]]
    together = np.concatenate([kept, given], 1)[:, rng.permutation(n)]
    return together, ((n - cut) * answers + cut * answers[other]) / np.float32(n)
