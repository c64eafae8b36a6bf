"""The sign and its substitutes for a gradient; sign(0) = +1 everywhere."""

from __future__ import annotations

import numpy as np
import torch


def above(limit: float) -> float:
    """The next float32."""
    return float(np.nextafter(np.float32(limit), np.float32(np.inf)))


def plus_minus(x):
    """+1 where x >= 0, else -1, without a gradient."""
    return torch.ge(x, 0, out=torch.empty_like(x)).mul_(2.0).sub_(1.0)  # six times faster than torch.where


class _Sign(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, window):
        ctx.save_for_backward(x)
        ctx.bound = above(window)  # torch's hardtanh_backward excludes its own bounds
        return plus_minus(x)

    @staticmethod
    def backward(ctx, gradient):
        (x,) = ctx.saved_tensors
        return torch.ops.aten.hardtanh_backward(gradient, x, -ctx.bound, ctx.bound), None


class SmoothSign(torch.autograd.Function):
    """plus_minus(x) whose gradient is multiplied by slope(x)."""

    @staticmethod
    def forward(ctx, x, slope):
        ctx.save_for_backward(x)
        ctx.slope = slope
        return plus_minus(x)

    @staticmethod
    def backward(ctx, gradient):
        return gradient * ctx.slope(*ctx.saved_tensors), None


def sign(x: torch.Tensor, window: float = 1.0) -> torch.Tensor:
    """+1 where x >= 0, else -1; straight-through gradient where |x| <= window, as through a hardtanh before it."""
    return _Sign.apply(x, window)


def approximate_sign(x: torch.Tensor) -> torch.Tensor:
    """sign(x) whose gradient is that of Bi-Real Net's piecewise parabola: 2 - 2 |x| where |x| <= 1."""
    return SmoothSign.apply(x, lambda x: x.abs().mul_(-2.0).add_(2.0).clamp_min_(0.0))


def decaying_sign(x: torch.Tensor, progress: float) -> torch.Tensor:
    """sign(x) with IR-Net's gradient k t (1 - tanh(t x)^2), k = max(1 / t, 1): t rises from 0.1 to 10 with progress."""
    t = 0.1 * 100.0**progress
    k = max(1.0 / t, 1.0)
    return SmoothSign.apply(x, lambda x: k * t * (1.0 - torch.tanh(t * x) ** 2))
