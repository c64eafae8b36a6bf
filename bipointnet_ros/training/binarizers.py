"""How weights and activations become signs: one small class a method, each with its equation.

All compute alpha (a . b) with a = sign(x) and b = sign(something of W), +-1, and a positive alpha, a number or one per
output, so each folds into integer limits; they differ in alpha, in what of W is signed, and in the sign's gradient.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import nn

_ONE = float(np.nextafter(np.float32(1.0), np.float32(2.0)))  # torch's hardtanh_backward excludes its own bounds


def _plus_minus(x):
    return torch.ge(x, 0, out=torch.empty_like(x)).mul_(2.0).sub_(1.0)  # six times faster than torch.where


class _Sign(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return _plus_minus(x)

    @staticmethod
    def backward(ctx, gradient):
        (x,) = ctx.saved_tensors
        return torch.ops.aten.hardtanh_backward(gradient, x, -_ONE, _ONE)


class _SmoothSign(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, slope):
        ctx.save_for_backward(x)
        ctx.slope = slope
        return _plus_minus(x)

    @staticmethod
    def backward(ctx, gradient):
        return gradient * ctx.slope(*ctx.saved_tensors), None


def sign(x: torch.Tensor) -> torch.Tensor:
    """+1 where x >= 0, else -1; straight-through gradient where |x| <= 1, as through a hardtanh before it."""
    return _Sign.apply(x)


def approximate_sign(x: torch.Tensor) -> torch.Tensor:
    """sign(x) whose gradient is that of Bi-Real Net's piecewise parabola: 2 - 2 |x| where |x| <= 1."""
    return _SmoothSign.apply(x, lambda x: x.abs().mul_(-2.0).add_(2.0).clamp_min_(0.0))


def decaying_sign(x: torch.Tensor, progress: float) -> torch.Tensor:
    """sign(x) with IR-Net's gradient k t (1 - tanh(t x)^2), k = max(1 / t, 1): t rises from 0.1 to 10 with progress."""
    t = 0.1 * 100.0**progress
    k = max(1.0 / t, 1.0)
    return _SmoothSign.apply(x, lambda x: k * t * (1.0 - torch.tanh(t * x) ** 2))


class Bnn(nn.Module):
    """BNN: sign(x) . sign(W), alpha = 1 (Courbariaux et al. 2016). Base of the others; no bias."""

    def __init__(self, inputs: int, outputs: int):
        super().__init__()
        self.weight = nn.Parameter(torch.empty(outputs, inputs))
        nn.init.uniform_(self.weight, -(inputs**-0.5), inputs**-0.5)

    def activate(self, x: torch.Tensor) -> torch.Tensor:
        """(n, inputs) -> +-1."""
        return sign(x)

    def latent(self) -> torch.Tensor:
        """(outputs, inputs) real numbers whose signs are the weights; step one of two-step training uses them so."""
        return self.weight

    def signs(self) -> torch.Tensor:
        """(outputs, inputs) of +-1."""
        return sign(self.latent())

    def alpha(self) -> torch.Tensor:
        """() or (outputs,) positive."""
        return torch.ones(())

    def calibrate(self, x: torch.Tensor):
        """Set what the first training batch decides; later calls do nothing."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.calibrate(x)
        return self.alpha() * (self.activate(x) @ self.signs().T)


class Xnor(Bnn):
    """XNOR-Net: alpha_c = mean |W_c| (Rastegari et al. 2016, equation 6), without the scales of the activations."""

    def alpha(self) -> torch.Tensor:
        return self.weight.abs().mean(1)


class XnorPlus(Bnn):
    """XNOR-Net++: alpha_c is learned (Bulat & Tzimiropoulos 2019, case 1), from mean |W_c| on."""

    def __init__(self, inputs: int, outputs: int):
        super().__init__(inputs, outputs)
        self.log_alpha = nn.Parameter(self.weight.detach().abs().mean(1).log())

    def alpha(self) -> torch.Tensor:
        return self.log_alpha.exp()


class BiReal(Xnor):
    """Bi-Real Net: alpha_c = mean |W_c|, activations with the gradient of a parabola (Liu et al. 2018, equation 7)."""

    def activate(self, x: torch.Tensor) -> torch.Tensor:
        return approximate_sign(x)


class IrNet(Bnn):
    """IR-Net (Qin et al. 2020): rows of W balanced and standardised, alpha_c = 2^round(log2 mean |W^_c|), and EDE."""

    progress = 0.0  # of the training, 0 to 1; set by the run

    def latent(self) -> torch.Tensor:
        centred = self.weight - self.weight.mean(1, keepdim=True)
        return centred / centred.std(1, keepdim=True)

    def activate(self, x: torch.Tensor) -> torch.Tensor:
        return decaying_sign(x, self.progress)

    def signs(self) -> torch.Tensor:
        return decaying_sign(self.latent(), self.progress)

    def alpha(self) -> torch.Tensor:
        return torch.exp2(torch.round(torch.log2(self.latent().detach().abs().mean(1))))


class BiPointNet(Bnn):
    """BiPointNet: sign(W - mean W), one mean over the matrix; alpha is one learnable scalar, LSR (section 3.3).

    alpha is set at the first batch to std(x . W~) / std(sign(x) . sign(W~)) and kept as a logarithm: it cannot change
    its sign, and an optimizer built before that batch holds it.
    """

    def __init__(self, inputs: int, outputs: int):
        super().__init__(inputs, outputs)
        self.log_alpha = nn.Parameter(torch.zeros(()))
        self.register_buffer("calibrated", torch.tensor(False))

    def latent(self) -> torch.Tensor:
        return self.weight - self.weight.mean()

    def alpha(self) -> torch.Tensor:
        return self.log_alpha.exp()

    @torch.no_grad()
    def calibrate(self, x: torch.Tensor, rows: int = 4096):
        """Set alpha from (at most ``rows``, evenly taken) rows of the first batch."""
        if not self.training or self.calibrated:
            return
        x = x[:: math.ceil(len(x) / rows)].clamp(-1.0, 1.0)
        real, binary = x @ self.latent().T, sign(x) @ self.signs().T
        self.log_alpha.copy_((real.std() / binary.std().clamp_min(1e-6)).clamp_min(1e-6).log())
        self.calibrated.fill_(True)


METHODS = {
    "bipointnet": BiPointNet,
    "bnn": Bnn,
    "xnor": Xnor,
    "xnor++": XnorPlus,
    "bireal": BiReal,
    "irnet": IrNet,
}
