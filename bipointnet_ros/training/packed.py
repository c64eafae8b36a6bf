"""Exact products, maxima and moments of +-1 rows without the (rows, channels) matrix that plain torch would fill.

Each function is differentiable and equals its dense form up to float32 rounding of the sums (docs/training.md).
"""

from __future__ import annotations

import numpy as np
import torch

from bipointnet_ros.core.bits import pack
from bipointnet_ros.training import native


def largest_dot(codes: torch.Tensor, weight: torch.Tensor, offsets: np.ndarray) -> torch.Tensor:
    """(S, C): max over the rows i of group s of codes[i] . weight[c], for codes (n, K) and weight (C, K) of +-1.

    The gradient reaches only the first row that attains each maximum.
    """
    return _LargestDot.apply(codes, weight, offsets)


class _LargestDot(torch.autograd.Function):
    @staticmethod
    def forward(ctx, codes, weight, offsets):
        popcount, row = native.extremes(pack(codes.numpy()), pack(weight.numpy()), np.asarray(offsets, np.int32))
        ctx.row = torch.from_numpy(row)
        ctx.save_for_backward(codes, weight)
        return torch.from_numpy(popcount).float().mul_(-2.0).add_(codes.shape[1])

    @staticmethod
    def backward(ctx, gradient):
        codes, weight = ctx.saved_tensors
        selection = _selection(ctx.row, gradient, len(codes))
        return selection @ weight, selection.t() @ codes, None


def _selection(row, gradient, rows):
    """(rows, C) sparse matrix with gradient[s, c] at (row[s, c], c)."""
    channel = torch.arange(row.shape[1]).expand_as(row)
    index = torch.stack([row.reshape(-1).long(), channel.reshape(-1)])
    return torch.sparse_coo_tensor(index, gradient.reshape(-1), (rows, row.shape[1]), check_invariants=False)


def largest_product(rows: torch.Tensor, weight: torch.Tensor, offsets: np.ndarray) -> torch.Tensor:
    """(S, C): max over the rows i of group s of rows[i] . weight[c], of real numbers, one group at a time in memory."""
    return _LargestProduct.apply(rows, weight, offsets)


def _column_max(values, first):
    """(n, C) -> (1, C) maxima and their rows, counted from ``first``."""
    largest, row = native.segment_max(values.numpy(), np.array([0, len(values)], np.int32))
    return torch.from_numpy(largest), torch.from_numpy(row) + first


class _LargestProduct(torch.autograd.Function):
    @staticmethod
    def forward(ctx, rows, weight, offsets):
        best = [_column_max(rows[a:b] @ weight.T, int(a)) for a, b in zip(offsets[:-1], offsets[1:])]
        ctx.row = torch.cat([row for _, row in best])
        ctx.save_for_backward(rows, weight)
        return torch.cat([largest for largest, _ in best])

    @staticmethod
    def backward(ctx, gradient):
        rows, weight = ctx.saved_tensors
        selection = _selection(ctx.row, gradient, len(rows))
        return selection @ weight, selection.t() @ rows, None


def segment_max(values: torch.Tensor, offsets: np.ndarray) -> torch.Tensor:
    """(n, C) -> (S, C): maxima over the contiguous rows offsets[s]:offsets[s + 1]; gradient to the first arg row."""
    return _SegmentMax.apply(values, offsets)


class _SegmentMax(torch.autograd.Function):
    @staticmethod
    def forward(ctx, values, offsets):
        largest, row = native.segment_max(values.numpy(), np.asarray(offsets, np.int32))
        ctx.row, ctx.shape = torch.from_numpy(row).long(), values.shape
        return torch.from_numpy(largest)

    @staticmethod
    def backward(ctx, gradient):
        return gradient.new_zeros(ctx.shape).scatter_(0, ctx.row, gradient), None


def spread(values: torch.Tensor, offsets: np.ndarray) -> torch.Tensor:
    """(S, C) -> (n, C): every row of a group gets the group's values; the gradient is the sum over the group."""
    return _Spread.apply(values, np.asarray(offsets))


class _Spread(torch.autograd.Function):
    @staticmethod
    def forward(ctx, values, offsets):
        ctx.shape = values.shape
        ctx.group = torch.from_numpy(np.repeat(np.arange(len(values)), np.diff(offsets)))
        return values[ctx.group]

    @staticmethod
    def backward(ctx, gradient):
        return gradient.new_zeros(ctx.shape).index_add_(0, ctx.group, gradient), None  # 10 to 40 times np.add.reduceat


def moments(rows: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """(n, K) -> mean (K,), covariance (K, K); rows @ w.T has mean w @ mean and variance diag(w @ covariance @ w.T)."""
    return _Moments.apply(rows)


class _Moments(torch.autograd.Function):
    @staticmethod
    def forward(ctx, rows):
        mean = rows.mean(0)
        ctx.save_for_backward(rows, mean)
        return mean, (rows.T @ rows / len(rows)).sub_(torch.outer(mean, mean))

    @staticmethod
    def backward(ctx, g_mean, g_covariance):
        rows, mean = ctx.saved_tensors
        symmetric = (g_covariance + g_covariance.T) / len(rows)
        return torch.addmm(g_mean / len(rows) - symmetric @ mean, rows, symmetric)
