"""A trained network as teacher of a 1-bit one: its softened answers, and which clouds it finds alike."""

from __future__ import annotations

import torch
from torch.nn import functional

from bipointnet_ros.training.recipe import Recipe


class Teacher:
    """``net``, in evaluation mode, sees at most ``teacher_points`` points of the clouds that the student sees."""

    def __init__(self, net: torch.nn.Module, recipe: Recipe):
        self.net, self.recipe = net, recipe

    def distance(self, points, logits, pooled) -> torch.Tensor:
        """distil x T^2 x the divergence of the softened answers, and feature x the distance of the features.

        points (B, n, 3) in a random order; logits (B, K) and pooled (B, C), before its sign, of the student.
        """
        with torch.no_grad():
            answer, seen = self.net.answer(points[:, : self.recipe.teacher_points])
        heat = self.recipe.temperature
        ours, theirs = functional.log_softmax(logits / heat, 1), functional.softmax(answer / heat, 1)
        total = self.recipe.distil * heat**2 * functional.kl_div(ours, theirs, reduction="batchmean")
        if self.recipe.feature:
            total = total + self.recipe.feature * alike(pooled.clamp(-1.0, 1.0), seen)
        return total


def alike(ours, theirs) -> torch.Tensor:
    """Similarity-preserving distillation (Tung & Mori 2019): mean squared difference of the clouds' cosines, times B.

    ours (B, C), theirs (B, D): any widths, so no map between the features has to be learned.
    """
    return len(ours) * (_cosines(ours) - _cosines(theirs)).square().mean()


def _cosines(features):
    unit = functional.normalize(features - features.mean(0), dim=1)
    return unit @ unit.T
