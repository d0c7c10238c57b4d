"""AdamW over what is trained, and a learning rate shaped by the share of the budget that is used."""

from __future__ import annotations

import math

import torch
from torch import nn

from tuneworth.spec import Recipe
from tuneworth.train.fast import plain
from tuneworth.train.fast.adamw import CompiledAdamW, usable


class AdamW(torch.optim.AdamW):
    """PyTorch's, with the step that the training loop makes."""

    def clipped_step(self, limit: float) -> float:
        """Scale the gradients to a global 2-norm of at most `limit` and take a step. Returns the norm before."""
        norm = nn.utils.clip_grad_norm_([p for group in self.param_groups for p in group["params"]], limit)
        self.step()
        return float(norm)


def make_optimizer(model: nn.Module, recipe: Recipe) -> AdamW | CompiledAdamW:
    """AdamW (Loshchilov and Hutter 2019) with beta = (0.9, 0.999), eps = 1e-8.

    Vectors and scalars (biases, LayerNorm weights) do not decay, as in BERT's own optimizer (Devlin et al. 2019).
    Frozen parameters have no gradient and no optimiser state.
    """
    trained = [p for p in model.parameters() if p.requires_grad]
    groups = [
        {"params": [p for p in trained if p.ndim >= 2], "weight_decay": recipe.weight_decay},
        {"params": [p for p in trained if p.ndim < 2], "weight_decay": 0.0},
    ]
    groups = [g for g in groups if g["params"]]
    if not plain() and usable(trained):
        return CompiledAdamW(model, groups, recipe.learning_rate)
    fused = all(p.device.type in ("cpu", "cuda", "mps") for p in trained)
    return AdamW(groups, lr=recipe.learning_rate, fused=fused)


def learning_rate(recipe: Recipe, share: float) -> float:
    """The learning rate at `share` in [0, 1] of the budget: linear warm-up, then the schedule down to zero.

    The linear form is that of BERT (Devlin et al. 2019) with the step number replaced by the share, so that one
    formula serves epochs, steps, seconds and FLOPs.
    """
    if share < recipe.warmup:
        return recipe.learning_rate * share / recipe.warmup
    rest = min(1.0, (share - recipe.warmup) / (1 - recipe.warmup))
    if recipe.schedule == "linear":
        return recipe.learning_rate * (1 - rest)
    if recipe.schedule == "cosine":
        return recipe.learning_rate * 0.5 * (1 + math.cos(math.pi * rest))
    return recipe.learning_rate
