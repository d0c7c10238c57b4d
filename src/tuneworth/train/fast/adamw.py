"""AdamW that clips, steps and leaves bf16 copies for the next products in one pass over memory.

PyTorch's way passes over all gradients to scale them, over all weights to round them for the products, and in a table of
embeddings, of which a batch reads a few hundred rows, over millions of zeros (docs/log.md has the shares).
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import nn

from tuneworth.train.fast import compiled
from tuneworth.train.fast.linear import copy_of

MANY = 4096
"""Rows from which on an embedding's gradient is kept as the rows that a batch reads."""


class CompiledAdamW(torch.optim.AdamW):
    """torch.optim.AdamW, to rounding, for float32 parameters on a CPU. Gradients may be bfloat16, or sparse rows of a table,
    and the model is changed to give them so. A table's state has, beside its moments, which rows were `seen`: the
    others have moments of zero, and steps of zero but for decay."""

    def __init__(self, model: nn.Module, groups: list[dict[str, Any]], lr: float) -> None:
        super().__init__(groups, lr=lr)
        for parameter in (p for group in self.param_groups for p in group["params"]):
            if hasattr(parameter, "grad_dtype"):  # older versions of PyTorch cast a gradient to its parameter's type
                parameter.grad_dtype = None
        for module in model.modules():
            if type(module) is nn.Embedding and module.num_embeddings >= MANY and not module.scale_grad_by_freq:
                module.sparse = module.weight.requires_grad

    @torch.no_grad()
    def clipped_step(self, limit: float) -> float:
        """Scale the gradients to a global 2-norm of at most `limit` and take a step. Returns the norm before."""
        parts = [self._part(p, group) for group in self.param_groups for p in group["params"] if p.grad is not None]
        norm = math.sqrt(compiled.adamw_squares(parts))
        scale = min(1.0, limit / (norm + 1e-6))  # as torch.nn.utils.clip_grad_norm_ has it
        compiled.adamw_step(parts, self.defaults["betas"], self.defaults["eps"], scale)
        return norm

    def _part(self, p: nn.Parameter, group: dict[str, Any]) -> compiled.Parameter:
        gradient, state, rows = p.grad, self.state[p], None
        assert gradient is not None
        if not state:
            state |= {"step": torch.zeros(()), "exp_avg": torch.zeros_like(p), "exp_avg_sq": torch.zeros_like(p)}
            if gradient.is_sparse:
                state["seen"] = torch.zeros(len(p))
        if gradient.is_sparse:
            gradient = gradient.coalesce()
            gradient, rows = gradient.values(), gradient.indices()[0]
            if "seen" not in state:  # goes on from a step of PyTorch's, which does not keep it
                state["seen"] = torch.ones(len(p))
        state["step"] += 1
        rate, steps = group["lr"], float(state["step"])
        beta1, beta2 = self.defaults["betas"]
        return compiled.Parameter.of(
            p, state["exp_avg"], state["exp_avg_sq"], gradient, copy_of(p), rows, state.get("seen"),
            decay=1 - rate * group["weight_decay"], rate=rate / (1 - beta1**steps), correction=(1 - beta2**steps) ** -0.5,
        )  # fmt: skip


def usable(parameters: list[nn.Parameter]) -> bool:
    """Whether the compiled step knows how all of them lie in memory."""
    return compiled.there() and all(
        p.device.type == "cpu" and p.dtype == torch.float32 and p.is_contiguous() for p in parameters
    )
