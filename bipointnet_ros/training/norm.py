"""BatchNorm as one scale and one shift a channel, from the moments of a product that need not be computed."""

from __future__ import annotations

import torch
from torch import nn

from bipointnet_ros.training import packed


class BatchNorm(nn.Module):
    """gain (alpha y - mean) / sqrt(var + eps) + bias, given as one scale and one shift of y.

    Running statistics are those of y, so they stay right when alpha moves; ``momentum`` None averages all batches.
    """

    def __init__(self, width: int, momentum: float | None = 0.1, eps: float = 1e-5):
        super().__init__()
        self.momentum, self.eps = momentum, eps
        self.gain, self.bias = nn.Parameter(torch.ones(width)), nn.Parameter(torch.zeros(width))
        self.register_buffer("mean", torch.zeros(width))
        self.register_buffer("var", torch.ones(width))
        self.register_buffer("batches", torch.tensor(0))

    def affine(self, mean, var, alpha=1.0) -> tuple[torch.Tensor, torch.Tensor]:
        """(scale, shift) of y for the given mean and variance of y."""
        scale = self.gain * alpha * torch.rsqrt(alpha * alpha * var + self.eps)
        return scale, self.bias - mean * scale

    def batch(self, mean, var, count: int, alpha=1.0) -> tuple[torch.Tensor, torch.Tensor]:
        """(scale, shift) of a training batch of ``count`` rows, whose statistics enter the running ones."""
        self._track(mean, var, count)
        return self.affine(mean, var, alpha)

    @torch.no_grad()
    def _track(self, mean, var, count):
        self.batches += 1
        momentum = self.momentum or 1.0 / float(self.batches)
        self.mean.lerp_(mean, momentum)
        self.var.lerp_(var * (count / max(count - 1, 1)), momentum)

    def normalise(self, rows, alpha) -> torch.Tensor:
        """A training batch y (n, C) of integer products, normalised as alpha y: only eps sees alpha (the mean of all
        channels'), which gets no gradient (of the order of eps), so that y stays integer and equal products equal."""
        eps = self.eps / float(alpha.detach().mean()) ** 2
        out, mean, inverse = torch.native_batch_norm(rows, self.gain, self.bias, None, None, True, 0.0, eps)
        self._track(mean, inverse**-2 - eps, len(rows))
        return out

    def frozen(self, alpha=1.0) -> tuple[torch.Tensor, torch.Tensor]:
        """(scale, shift) of evaluation mode."""
        return self.affine(self.mean, self.var, alpha)


def product_moments(rows, weight) -> tuple[torch.Tensor, torch.Tensor]:
    """Mean and variance (C,) of rows @ weight.T; for many rows, or Codes, without computing it (docs/training.md)."""
    if isinstance(rows, torch.Tensor) and len(rows) < 4 * weight.shape[1]:
        var, mean = torch.var_mean(rows @ weight.T, 0, correction=0)
        return mean, var
    mean, covariance = packed.moments(rows) if isinstance(rows, torch.Tensor) else rows.moments()
    return weight @ mean, ((weight @ covariance) * weight).sum(1).clamp_min(0.0)


@torch.no_grad()
def settle(net: nn.Module, batches):
    """Replace every running statistic by its plain mean over ``batches``, each a tuple of the network's arguments."""
    norms = [m for m in net.modules() if isinstance(m, BatchNorm)]
    momentum = [norm.momentum for norm in norms]
    for norm in norms:
        norm.momentum = None
        norm.batches.zero_()
    net.train()
    for batch in batches:
        net(*batch)
    for norm, value in zip(norms, momentum):
        norm.momentum = value
