"""How weights and activations become signs: one small class a method, each with its equation.

Most compute alpha (a . b) with a = sign(x) and b = sign(something of W), +-1, and a positive alpha, a number or one per
output, so each folds into integer limits; they differ in alpha, in what of W is signed, and in the sign's gradient.
Those that do not fold say why in ``unpackable``, and the exporter refuses them with it.
"""

from __future__ import annotations

import math

import torch
from torch import nn

from bipointnet_ros.training.signs import (
    SmoothSign,
    approximate_sign,
    decaying_sign,
    plus_minus,
    sign,
)


class Bnn(nn.Module):
    """BNN: sign(x) . sign(W), alpha = 1 (Courbariaux et al. 2016). Base of the others; no bias.

    threshold: what a value must reach to become +1; the layer before subtracts it, x here is what is left.
    window: the straight-through gradient passes where |x| is at most so large.
    """

    threshold, window = 0.0, 1.0
    unpackable = ""

    def __init__(self, inputs: int, outputs: int):
        super().__init__()
        self.weight = nn.Parameter(torch.empty(outputs, inputs))
        nn.init.uniform_(self.weight, -(inputs**-0.5), inputs**-0.5)

    def activate(self, x: torch.Tensor) -> torch.Tensor:
        """(n, inputs) -> +-1."""
        return sign(x, self.window)

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

    def follow(self, values: torch.Tensor) -> torch.Tensor:
        """(..., outputs) after BatchNorm -> what the next layer gets, whose signs it looks at; rising in each value."""
        return values - self.threshold if self.threshold else values

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.calibrate(x)
        return self.alpha() * (self.activate(x) @ self.signs().T)


class Xnor(Bnn):
    """XNOR-Net: alpha_c = mean |W_c| (Rastegari et al. 2016, equation 6), without the scales of the activations."""

    def alpha(self) -> torch.Tensor:
        return self.weight.abs().mean(1)


class XnorScaled(Xnor):
    """XNOR-Net in full: alpha_c K_i (a . b) with K_i = mean |x_i| of the row (Rastegari et al. 2016, equation 11)."""

    unpackable = "each point's own scale K multiplies its products, so no one integer limit serves all points"

    def activate(self, x: torch.Tensor) -> torch.Tensor:
        """(n, inputs) -> +-K."""
        return sign(x) * x.abs().mean(1, keepdim=True)


class DoReFa(Bnn):
    """DoReFa-Net of 1 bit (Zhou et al. 2016): a = round(clip(x, 0, 1)) and w = E|W| sign(W), E over the matrix.

    The gradient of a passes for 0 <= x <= 1, that of w to W unchanged. a = (s + 1) / 2 with s = sign(x - 1/2), so
    a . w = E|W| / 2 (s . b + sum b): the sum is a constant a channel, which BatchNorm takes away, and alpha = E|W| / 2.
    """

    threshold, window = 0.5, 0.5

    def activate(self, x: torch.Tensor) -> torch.Tensor:
        return SmoothSign.apply(x, lambda x: 2.0 * (x.abs() <= self.window))  # of (s + 1) / 2: 1

    def signs(self) -> torch.Tensor:
        return SmoothSign.apply(self.weight, lambda w: (0.5 / self.alpha()).expand_as(w))

    def alpha(self) -> torch.Tensor:
        return self.weight.detach().abs().mean() / 2.0

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.alpha() * ((self.activate(x - self.threshold) + 1.0) @ self.signs().T)


class AbcNet(Bnn):
    """ABC-Net of one base each (Lin et al. 2017): b = sign(W - mean W), alpha = (W . b) / count, least squares.

    a = 2 [clip(x + v, 0, 1) >= 1/2] - 1 with the gradient where 0 <= x + v <= 1; v stands in front of a BatchNorm's
    bias, whose part it takes, as alpha takes that of beta. The gradient of b passes to W unchanged.
    """

    threshold, window = 0.5, 0.5

    def signs(self) -> torch.Tensor:
        return SmoothSign.apply(self.latent(), torch.ones_like)

    def latent(self) -> torch.Tensor:
        return self.weight - self.weight.detach().mean()

    def alpha(self) -> torch.Tensor:
        weight = self.weight.detach()
        return (weight * plus_minus(weight - weight.mean())).mean()


class AbcNet3(AbcNet):
    """ABC-Net of three bases each: (sum_m alpha_m B_m) . (sum_n beta_n A_n) (Lin et al. 2017, equation 10).

    B_m = sign(W - mean W + u_m std W), u = -1, 0, 1, alpha by least squares; A_n as of one base with v_n of its own.
    beta (from 1/3 on) and v (from -1/2, 0, 1/2 on) are learned.
    """

    unpackable = "the sum of several signs with real weights is no integer product"

    def __init__(self, inputs: int, outputs: int):
        super().__init__(inputs, outputs)
        self.beta = nn.Parameter(torch.full((3,), 1.0 / 3.0))
        self.shift = nn.Parameter(torch.tensor([-0.5, 0.0, 0.5]))

    def activate(self, x: torch.Tensor) -> torch.Tensor:
        """(n, inputs) -> sums of +-beta."""
        return sum(beta * sign(x + v, self.window) for beta, v in zip(self.beta, self.shift))

    def signs(self) -> torch.Tensor:
        """(outputs, inputs) sums of +-alpha."""
        deviation = self.weight.detach().std()
        bases = [SmoothSign.apply(self.latent() + u * deviation, torch.ones_like) for u in (-1.0, 0.0, 1.0)]
        columns = torch.stack([base.detach().flatten() for base in bases], 1)
        alpha = torch.linalg.pinv(columns.T @ columns) @ (columns.T @ self.weight.detach().flatten())
        return sum(a * base for a, base in zip(alpha, bases))

    def alpha(self) -> torch.Tensor:
        return torch.ones(())


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


class ReAct(BiReal):
    """ReActNet (Liu et al. 2020): Bi-Real Net's signs; RPReLU and RSign, learned a channel, after BatchNorm.

    follow(v) = f(v - gamma) + zeta - beta, f(d) = d if d > 0 else slope d; the sign is taken at beta. It rises while
    slope >= 0 and folds into the limits; the exporter refuses a falling one. Before the first binary layer beta is
    the bias of the BatchNorm that stands there.
    """

    def __init__(self, inputs: int, outputs: int):
        super().__init__(inputs, outputs)
        self.gamma, self.zeta, self.beta = (nn.Parameter(torch.zeros(outputs)) for _ in range(3))
        self.slope = nn.Parameter(torch.full((outputs,), 0.25))

    def follow(self, values: torch.Tensor) -> torch.Tensor:
        distance = values - self.gamma
        return torch.where(distance > 0.0, distance, self.slope * distance) + self.zeta - self.beta


class RealToBinary(XnorPlus):
    """Real-to-Binary Net (Martinez et al. 2020): learned alpha_c, and attention matching, a loss (``--attention``).

    Left out: the gate that scales each output by a function of the layer's own input (a factor for each cloud cannot
    fold into integer limits), the residual paths, and the sequence of ever more binary teachers.
    """


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
    "xnor-k": XnorScaled,
    "xnor++": XnorPlus,
    "dorefa": DoReFa,
    "abc": AbcNet,
    "abc3": AbcNet3,
    "bireal": BiReal,
    "irnet": IrNet,
    "react": ReAct,
    "r2b": RealToBinary,
}
