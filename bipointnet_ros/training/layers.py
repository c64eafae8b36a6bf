"""Layers of the 1-bit network (BiPointNet, ICLR 2021) as torch trains them; core/network.py runs what they fold into.

Every layer takes and gives real values; the next one looks at their signs (xnor-k and abc3 at their size, too). In
training mode BatchNorm uses the batch. In evaluation mode each value's sign is exactly the bit of the packed network:
products of signs are integers, and what follows is one rounded multiplication and one rounded addition, so the
exporter can tabulate it.
"""

from __future__ import annotations

from functools import partial

import numpy as np
import torch
from torch import nn

from bipointnet_ros.core.aggregation import bucket, bucket_deltas, delta
from bipointnet_ros.training import codes as packed_codes
from bipointnet_ros.training import packed
from bipointnet_ros.training.binarizers import METHODS, Bnn, sign
from bipointnet_ros.training.codes import Codes, Values, dense
from bipointnet_ros.training.norm import BatchNorm, product_moments

_HUGE = float(np.finfo(np.float32).max)


class Binary(nn.Module):
    """A binarized linear layer and BatchNorm: (n, K) -> (n, C).

    While ``real`` (step one of two-step training) the weights are the real numbers whose signs they will be.
    """

    real = False

    def __init__(self, inputs: int, outputs: int, method: str = "bipointnet"):
        super().__init__()
        self.linear, self.norm = METHODS[method](inputs, outputs), BatchNorm(outputs)

    def weight(self) -> torch.Tensor:
        return self.linear.latent() if self.real else self.linear.signs()

    def alpha(self) -> torch.Tensor:
        return torch.ones(()) if self.real else self.linear.alpha()

    def affine(self, codes=None, weight=None) -> tuple[torch.Tensor, torch.Tensor]:
        """(scale, shift) of the products: of this batch of +-1 rows in training mode, else the running ones."""
        alpha = self.alpha()
        if not self.training:
            return self.norm.frozen(alpha)
        return self.norm.batch(*product_moments(codes, weight), len(codes), alpha)

    def forward(self, x: torch.Tensor | Values) -> torch.Tensor | Values:
        codes, weight = self.activate(x), self.weight()
        scale, shift = self.affine(codes, weight)
        if not self.training:
            return self.values(codes @ weight.T)
        if not isinstance(codes, Codes):
            return self.linear.follow(torch.addmm(shift, codes, (weight * scale[:, None]).T))
        shift = shift - self.linear.threshold  # Bnn.follow
        return Values(
            lambda window: packed_codes.of_layer(codes, weight, scale, shift, window),
            lambda: torch.addmm(shift, codes.signs(), (weight * scale[:, None]).T),
        )

    def activate(self, x: torch.Tensor | Values) -> torch.Tensor | Codes:
        """The +-1 that the product sees: packed where x was put off and its signs are all that is wanted."""
        if not getattr(self.linear, "calibrated", True):
            with torch.no_grad():
                self.linear.calibrate(dense(x))
        if isinstance(x, Values) and not self.real and type(self.linear).activate is Bnn.activate:
            return x.codes(self.linear.window)
        return self.linear.activate(dense(x))

    def values(self, dot: torch.Tensor, offset=0.0) -> torch.Tensor:
        """(..., C) integer products, or the largest of a group and its EMA offset -> what evaluation mode makes of
        them; the exporter tabulates it."""
        scale, shift = self.norm.frozen(self.alpha())
        return self.linear.follow(dot * scale + shift + offset)


AGGREGATIONS = ("ema-max", "ema-avg", "max")


class Pool(Binary):
    """Binary layer whose values are aggregated over each group of rows: (n, K) -> (S, C); (n, C) is never computed.

    ema-max adds delta(n) to the maximum over the n rows (equation 8), max adds nothing, ema-avg is the plain mean.
    """

    def __init__(self, inputs: int, outputs: int, aggregation: str = "ema-max", method: str = "bipointnet"):
        if aggregation not in AGGREGATIONS:
            raise ValueError(f"aggregation must be one of {', '.join(AGGREGATIONS)}, got '{aggregation}'")
        super().__init__(inputs, outputs, method)
        self.aggregation = aggregation

    def offset(self, counts: np.ndarray) -> torch.Tensor:
        """(S, 1) what is added to the maximum over a group of counts[s] rows."""
        shifts = [delta(int(n)) if self.aggregation == "ema-max" else 0.0 for n in counts]
        return torch.tensor(shifts, dtype=torch.float32)[:, None]

    def forward(self, x: torch.Tensor, offsets: np.ndarray) -> torch.Tensor:
        codes, weight = self.activate(x), self.weight()
        scale, shift = self.affine(codes, weight)
        if self.aggregation == "ema-avg":
            rows = codes.signs() if isinstance(codes, Codes) else codes
            return self.linear.follow(segment_mean(rows, offsets) @ weight.T * scale + shift)
        flip = torch.where(scale >= 0, 1.0, -1.0)  # the maximum of scale * dot is at the smallest dot where scale < 0
        dot = flip * self.largest(codes)(weight * flip[:, None], offsets)
        return self.linear.follow((dot * scale + shift) + self.offset(np.diff(offsets)))

    def largest(self, codes):
        """The function that gives the largest product of the codes in each group: by bits where both are +-1."""
        if isinstance(codes, Codes):
            return codes.largest_dot
        real = self.real or self.linear.unpackable
        return partial(packed.largest_product if real else packed.largest_dot, codes)


class CellPool(Pool):
    """Pool over clouds whose rows differ in number: EMA-max with delta of the cloud's bucket, as over cells."""

    def offset(self, counts: np.ndarray) -> torch.Tensor:
        return torch.from_numpy(bucket_deltas()[bucket(counts)])[:, None]


def segment_mean(rows: torch.Tensor, offsets: np.ndarray) -> torch.Tensor:
    """(n, K) -> (S, K) means over the contiguous rows of each group."""
    return torch.segment_reduce(rows, "mean", offsets=torch.from_numpy(np.asarray(offsets, np.int64)))


def _cell_delta(offsets) -> torch.Tensor:
    """(S, 1) EMA offset of each cell, that of the smallest cell of its bucket."""
    return torch.from_numpy(bucket_deltas()[bucket(np.diff(offsets))])[:, None]


class Lift(nn.Module):
    """Full-precision first layer and BatchNorm: (n, F) -> (n, C), and over cells (S, C) by EMA-max.

    In evaluation mode it computes what the packed kernel computes, in its order: the sum over k ascending, each step
    one float32 multiplication and one addition, minus the limit. The gain, which leaves the sign, comes last.
    """

    def __init__(self, inputs: int, outputs: int, threshold: float = 0.0):
        """threshold: what the binarizer of the next layer wants subtracted (binarizers.Bnn)."""
        super().__init__()
        self.threshold = threshold
        self.weight, self.norm = nn.Parameter(torch.empty(inputs, outputs)), BatchNorm(outputs)
        nn.init.uniform_(self.weight, -(inputs**-0.5), inputs**-0.5)

    def forward(self, x: torch.Tensor, offsets: np.ndarray | None = None):
        if not self.training:
            return self._folded_forward(x, offsets)
        mean, covariance = packed.moments(x)
        var = (self.weight * (covariance @ self.weight)).sum(0).clamp_min(0.0)
        scale, shift = self.norm.batch(mean @ self.weight, var, len(x))
        weight, shift = self.weight * scale, shift - self.threshold
        if offsets is None:
            codes = partial(packed_codes.of_points, x, weight, shift)
            return Values(codes, lambda: torch.addmm(shift, x, weight)), None
        z = torch.addmm(shift, x, weight)
        return z, packed.segment_max(z, offsets) + _cell_delta(offsets)

    @torch.no_grad()
    def folded(self) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """weight (F, C), limit (C,), pool_limit (BUCKETS, C): the packed tensors. A channel of gain 0 is constant."""
        scale, shift = self.norm.frozen()
        shift = shift - self.threshold
        weight = torch.where(scale == 0, 0.0, self.weight * torch.where(scale >= 0, 1.0, -1.0))
        steps = torch.cat([torch.zeros(1), torch.from_numpy(bucket_deltas())])[:, None]
        limits = torch.where(
            scale == 0,
            -_HUGE * (shift + steps >= 0) + _HUGE * (shift + steps < 0),
            ((-steps - shift) / scale.abs()).clamp(-_HUGE, _HUGE),
        )
        return weight, limits[0], limits[1:]

    def _folded_forward(self, x, offsets):
        weight, limit, pool_limit = self.folded()
        total = x[:, 0:1] * weight[0]
        for k in range(1, len(weight)):
            total = total + x[:, k : k + 1] * weight[k]
        values = self._values(total, limit)
        if offsets is None:
            return values, None
        rows = torch.from_numpy(bucket(np.diff(offsets)).astype(np.int64))
        return values, self._values(packed.segment_max(total, offsets), pool_limit[rows], _cell_delta(offsets))

    def _values(self, total, limit, offset=0.0):
        """Sums and their limits -> what training mode gives, with the sign of ``total - limit``: binarizers such as
        XnorScaled look at more than the sign."""
        scale, shift = self.norm.frozen()
        return torch.where(scale == 0, shift - self.threshold + offset, (total - limit) * scale.abs())


class Join(nn.Module):
    """Binary layer over [own K | code of the row's cell, S_in]: (n, K), (S, S_in) -> (n, C), and over coarser cells.

    The cell's half of the product is computed once a cell and spread over its rows.
    """

    def __init__(self, inputs: int, shared: int, outputs: int, method: str = "bipointnet"):
        super().__init__()
        self.inputs = inputs
        self.linear, self.norm = METHODS[method](inputs + shared, outputs), BatchNorm(outputs)

    def forward(self, x, code, fine, coarse=None):
        """x (n, K), code (S, S_in) of the cells with offsets ``fine``; pooled over ``coarse`` offsets if given."""
        self._calibrate(x, code, fine)
        dot = self._product(x, code, fine, self.linear.signs())
        z = self.norm.normalise(dot, self.linear.alpha()) if self.training else self._normal(dot)
        follow = self.linear.follow
        return follow(z), None if coarse is None else follow(packed.segment_max(z, coarse) + _cell_delta(coarse))

    def values(self, dot: torch.Tensor, offset=0.0) -> torch.Tensor:
        """(..., C) integer products over own and shared inputs -> what evaluation mode makes of them."""
        return self.linear.follow(self._normal(dot) + offset)

    def _normal(self, dot):
        scale, shift = self.norm.frozen(self.linear.alpha())
        return dot * scale + shift

    def _product(self, x, code, fine, weight):
        own, shared = weight[:, : self.inputs], weight[:, self.inputs :]
        activate = self.linear.activate
        return activate(x) @ own.T + packed.spread(activate(code) @ shared.T, fine)

    def _calibrate(self, x, code, fine):
        if self.training and not getattr(self.linear, "calibrated", True):
            self.linear.calibrate(torch.cat([x, packed.spread(code, fine)], 1))


class Logits(nn.Module):
    """Full-precision last layer over signs: (n, K) -> (n, classes)."""

    def __init__(self, inputs: int, outputs: int):
        super().__init__()
        self.linear = nn.Linear(inputs, outputs)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.linear(sign(x))
