"""Signs of point-by-point values as bits from layer to layer: what one training step keeps of (n, C) activations.

Between two layers only the sign of a value matters, and whether the straight-through gradient passes it (|z| at most
``window``): two bits a value. The gradient of the signs, a dense (n, K), comes from three places (the moments of
BatchNorm, the pooled maximum, the next layer's product), is put together a few thousand rows at a time while they lie
in a cache, and is never stored whole. Gradients equal the dense computation's up to the rounding of float32 sums
(docs/training.md).

Autograd sees a token of no value for each ``Codes``: it orders the backward passes, the gradient travels beside it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch

from bipointnet_ros.core import kernels
from bipointnet_ros.core.bits import pack, words
from bipointnet_ros.training import native

CHUNK = 4096  # rows whose gradient is made at once: 2 MB of 128 inputs


class Rows:
    """bits, inside: (n, W) uint64 of ``width`` signs and of where the gradient passes; and the gradient to come."""

    def __init__(self, bits: np.ndarray, inside: np.ndarray, width: int):
        self.bits, self.inside, self.width = bits, inside, width
        self._symmetric, self._constant, self._dense, self._chosen = None, None, [], None

    def __len__(self):
        return len(self.bits)

    def signs(self, rows: slice) -> torch.Tensor:
        """(r, K) of +-1."""
        bits = self.bits[rows]
        out = np.empty((len(bits), self.width), np.float32)
        native.signs(bits, self.width, out)
        return torch.from_numpy(out)

    def expect_moments(self, symmetric: torch.Tensor, constant: torch.Tensor):
        """The gradient will hold signs @ symmetric (K, K) + constant (K,)."""
        if self._symmetric is not None:
            symmetric, constant = symmetric + self._symmetric, constant + self._constant
        self._symmetric, self._constant = symmetric, constant

    def expect_dense(self, gradient: torch.Tensor):
        """The gradient will hold this (n, K)."""
        self._dense.append(gradient)

    def expect_chosen(self, offsets: np.ndarray, row: np.ndarray, gradient: np.ndarray, weight: np.ndarray):
        """Row row[s, c] of group s will hold gradient[s, c] weight[c]. Once."""
        self._chosen = offsets, row, gradient, weight

    def gradients(self):
        """Yield (rows, (r, K)): slice by slice the gradient of the values, whatever was expected is used up."""
        for first, last, groups in self._chunks():
            rows = slice(first, last)
            if self._symmetric is None:
                gradient = torch.zeros(last - first, self.width)
            else:
                gradient = torch.addmm(self._constant, self.signs(rows), self._symmetric)
            for dense in self._dense:
                gradient += dense[rows]
            if self._chosen is not None:
                _, row, factor, weight = self._chosen
                native.scatter(factor[groups], row[groups], weight, first, gradient.numpy())
            native.inside(self.inside[rows], gradient.numpy())
            yield rows, gradient
        self._symmetric, self._constant, self._dense, self._chosen = None, None, [], None

    def _chunks(self):
        """(first row, last row, groups), of whole groups where rows are chosen out of groups."""
        if self._chosen is None:
            for first in range(0, len(self), CHUNK):
                yield first, min(first + CHUNK, len(self)), slice(0)
            return
        offsets = self._chosen[0]
        step = max(CHUNK // int(np.diff(offsets).max()), 1)
        for s in range(0, len(offsets) - 1, step):
            groups = slice(s, min(s + step, len(offsets) - 1))
            yield int(offsets[groups.start]), int(offsets[groups.stop]), groups


class Codes:
    """(n, K) signs in the graph of autograd: ``rows`` and the token that stands for them."""

    def __init__(self, rows: Rows, token: torch.Tensor):
        self.rows, self.token = rows, token

    def __len__(self):
        return len(self.rows)

    def moments(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Mean (K,) and covariance (K, K), as packed.moments."""
        return _Moments.apply(self.token, self.rows)

    def largest_dot(self, weight: torch.Tensor, offsets: np.ndarray) -> torch.Tensor:
        """(S, C): the largest product with weight (C, K) of +-1 in each group, as packed.largest_dot."""
        return _LargestDot.apply(self.token, weight, self.rows, np.ascontiguousarray(offsets, np.int32))

    def signs(self) -> torch.Tensor:
        """(n, K) of +-1, for what needs them all."""
        return _Signs.apply(self.token, self.rows)


@dataclass(frozen=True)
class Values:
    """Values (n, C) of a layer in training that are not computed before somebody asks: for their ``codes(window)``, or,
    where more than signs is wanted, for all of them, ``dense()``."""

    codes: Callable[[float], Codes]
    dense: Callable[[], torch.Tensor]


def dense(values) -> torch.Tensor:
    """The tensor, whether it was put off or not."""
    return values.dense() if isinstance(values, Values) else values


def of_points(x: torch.Tensor, weight: torch.Tensor, shift: torch.Tensor, window: float) -> Codes:
    """Codes of x @ weight + shift; x (n, F) gets no gradient, weight (F, C), shift (C,)."""
    rows = _lifted(x.numpy(), weight.detach().numpy(), shift.detach().numpy(), window)
    return Codes(rows, _OfPoints.apply(weight, shift, x, rows))


def of_layer(codes: Codes, weight: torch.Tensor, scale: torch.Tensor, shift: torch.Tensor, window: float) -> Codes:
    """Codes of (signs @ weight.T) scale + shift; weight (C, K) of +-1, scale and shift (C,)."""
    rows = _limited(codes.rows, *(t.detach() for t in (weight, scale, shift)), window)
    return Codes(rows, _OfLayer.apply(codes.token, weight, scale, shift, codes.rows, rows))


def _lifted(x, weight, shift, window) -> Rows:
    """z >= 0, z >= -window and not z > window as three limits on the bare sums."""
    weight, window = np.ascontiguousarray(weight), np.float32(window)
    below, above = -window - shift, np.nextafter(window - shift, np.float32(np.inf))
    at_least = [np.empty((len(x), words(weight.shape[1])), np.uint64) for _ in range(3)]
    backend = kernels.choose()
    for bits, limit in zip(at_least, (-shift, below, above)):
        backend.lift(x, weight, np.ascontiguousarray(limit, np.float32), bits, None, None, None, None)
    bits, inside, over = at_least
    return Rows(bits, inside & ~over, weight.shape[1])


def _limited(source: Rows, weight, scale, shift, window) -> Rows:
    """The same on distances d: z = |scale| (K - 2 d) + shift falls with d; weights of negative scale are flipped."""
    flip = torch.where(scale >= 0, 1.0, -1.0)
    distance = torch.arange(source.width + 1, dtype=torch.float32)[:, None]
    z = scale.abs() * (source.width - 2.0 * distance) + shift  # (K + 1, C)
    backend = kernels.choose()
    prepared = backend.prepare(pack((weight * flip[:, None]).numpy()), source.width)
    at_least = [np.empty((len(source), words(len(scale))), np.uint64) for _ in range(3)]
    for bits, met in zip(at_least, (z >= 0.0, z >= -window, z > window)):
        limit = met.sum(0, keepdim=True).to(torch.uint8).numpy()
        backend.layer(source.bits, prepared, limit, bits, None, None, None)
    bits, inside, over = at_least
    return Rows(bits, inside & ~over, len(scale))


def _token(weight) -> torch.Tensor:
    return weight.new_zeros(())


class _OfPoints(torch.autograd.Function):
    @staticmethod
    def forward(ctx, weight, shift, x, rows):
        ctx.rows = rows
        ctx.save_for_backward(weight, x)
        return _token(weight)

    @staticmethod
    def backward(ctx, _):
        weight, x = ctx.saved_tensors
        g_weight, g_shift = torch.zeros_like(weight), weight.new_zeros(weight.shape[1])
        for rows, gradient in ctx.rows.gradients():
            g_weight.addmm_(x[rows].T, gradient)
            g_shift += gradient.sum(0)
        return g_weight, g_shift, None, None


class _OfLayer(torch.autograd.Function):
    @staticmethod
    def forward(ctx, token, weight, scale, shift, source, rows):
        ctx.source, ctx.rows = source, rows
        ctx.save_for_backward(weight, scale)
        return _token(weight)

    @staticmethod
    def backward(ctx, token):
        weight, scale = ctx.saved_tensors
        scaled, product, g_shift = weight * scale[:, None], torch.zeros_like(weight), torch.zeros_like(scale)
        below = torch.empty(len(ctx.source), ctx.source.width)
        for rows, gradient in ctx.rows.gradients():
            torch.mm(gradient, scaled, out=below[rows])
            product.addmm_(gradient.T, ctx.source.signs(rows))
            g_shift += gradient.sum(0)
        ctx.source.expect_dense(below)
        return token, product * scale[:, None], (product * weight).sum(1), g_shift, None, None


class _Moments(torch.autograd.Function):
    @staticmethod
    def forward(ctx, token, rows):
        differing, n = torch.from_numpy(native.gram(rows.bits, rows.width)), len(rows)
        mean = 2.0 * differing.diagonal().float() / n - 1.0
        second = 1.0 - 2.0 * differing.float() / n
        second.fill_diagonal_(1.0)
        ctx.rows = rows
        ctx.save_for_backward(token, mean)
        return mean, second.sub_(torch.outer(mean, mean))

    @staticmethod
    def backward(ctx, g_mean, g_covariance):
        token, mean = ctx.saved_tensors
        symmetric = (g_covariance + g_covariance.T) / len(ctx.rows)
        ctx.rows.expect_moments(symmetric, g_mean / len(ctx.rows) - symmetric @ mean)
        return token, None


class _LargestDot(torch.autograd.Function):
    @staticmethod
    def forward(ctx, token, weight, rows, offsets):
        popcount, row = native.extremes(rows.bits, pack(weight.numpy()), offsets)
        ctx.rows, ctx.offsets, ctx.row = rows, offsets, row
        ctx.save_for_backward(token, weight)
        return torch.from_numpy(popcount).float().mul_(-2.0).add_(rows.width)

    @staticmethod
    def backward(ctx, gradient):
        token, weight = ctx.saved_tensors
        factor = np.ascontiguousarray(gradient.numpy())
        ctx.rows.expect_chosen(ctx.offsets, ctx.row, factor, np.ascontiguousarray(weight.numpy()))
        return token, torch.from_numpy(native.selected(factor, ctx.row, ctx.rows.bits, ctx.rows.width)), None, None


class _Signs(torch.autograd.Function):
    @staticmethod
    def forward(ctx, token, rows):
        ctx.rows = rows
        ctx.save_for_backward(token)
        return rows.signs(slice(None))

    @staticmethod
    def backward(ctx, gradient):
        ctx.rows.expect_dense(gradient)
        return ctx.saved_tensors[0], None
