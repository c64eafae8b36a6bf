"""A trained network as teacher of a 1-bit one: its softened answers, which clouds it finds alike, where it looks."""

from __future__ import annotations

import torch
from torch.nn import functional

from bipointnet_ros.core.blueprint import Blueprint
from bipointnet_ros.training.codes import dense
from bipointnet_ros.training.data import DataError
from bipointnet_ros.training.recipe import Recipe


class Teacher:
    """``net``, in evaluation mode, sees ``teacher_points`` points of the clouds of which the student sees the first.

    student: the blueprint that learns. Maps can be compared only with a teacher of the same layers, else DataError.
    """

    def __init__(self, net: torch.nn.Module, student: Blueprint, recipe: Recipe):
        self.net, self.recipe = net, recipe
        self.by_point, self.pool = _by_point(student)
        looked, self.their_pool = _by_point(net.blueprint)
        if recipe.attention and looked != self.by_point:
            raise DataError(
                f"expected a teacher of the layers {', '.join(self.by_point)} for --attention, "
                f"got {', '.join(looked)}: choose another --teacher, or --attention 0"
            )

    def distance(self, points, logits, seen) -> torch.Tensor:
        """distil T^2 x divergence of the softened answers + feature x that of the features + attention x that of maps.

        points (B, m, 3) in a random order; logits (B, K) and the values of every layer, before their signs, of the
        student, which saw the first points. Maps are compared where both saw the same points, layer by layer.
        """
        some = points[:, : self.recipe.teacher_points]
        with torch.no_grad():
            answer, theirs = self.net.answer(some)
        total = self.recipe.distil * divergence(logits, answer, self.recipe.temperature)
        if self.recipe.feature:
            total = total + self.recipe.feature * alike(seen[self.pool].clamp(-1.0, 1.0), theirs[self.their_pool])
        for name in self.by_point if self.recipe.attention else ():
            ours, looked = (v.reshape(len(points), -1, v.shape[-1]) for v in (dense(seen[name]), theirs[name]))
            both = min(ours.shape[1], looked.shape[1])
            total = total + self.recipe.attention * attention(ours[:, :both], looked[:, :both])
        return total


def _by_point(blueprint: Blueprint) -> tuple[list[str], str]:
    """Names of the layers before the pool, and of the pool."""
    names = [layer.name for layer in blueprint.layers]
    pool = next(i for i, layer in enumerate(blueprint.layers) if layer.op == "pool")
    return names[:pool], names[pool]


def divergence(ours, theirs, heat: float) -> torch.Tensor:
    """T^2 KL(theirs || ours) of logits (n, K) softened by T = heat, mean over the rows (Hinton et al. 2015)."""
    told, wanted = functional.log_softmax(ours / heat, 1), functional.softmax(theirs / heat, 1)
    return heat**2 * functional.kl_div(told, wanted, reduction="batchmean")


def alike(ours, theirs) -> torch.Tensor:
    """Similarity-preserving distillation (Tung & Mori 2019): mean squared difference of the clouds' cosines, times B.

    ours (B, C), theirs (B, D): any widths, so no map between the features has to be learned.
    """
    return len(ours) * (_cosines(ours) - _cosines(theirs)).square().mean()


def _cosines(features):
    unit = functional.normalize(features - features.mean(0), dim=1)
    return unit @ unit.T


def attention(ours, theirs) -> torch.Tensor:
    """Attention matching (Martinez et al. 2020, equation 2): |Q / |Q| - Q' / |Q'| |^2, mean over the clouds.

    ours (B, n, C), theirs (B, n, D); Q (n) of a cloud is the sum of squares over the channels at each point.
    """
    maps = [functional.normalize(values.square().sum(2), dim=1) for values in (ours, theirs)]
    return (maps[0] - maps[1]).square().sum(1).mean()
