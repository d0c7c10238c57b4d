"""peft's LoRA layer as one product that adds to the frozen layer's output, without casts of the input back and forth."""

from __future__ import annotations

from typing import Any

import torch
from peft.tuners.lora import Linear


class FusedLora(Linear):  # type: ignore[misc]
    """W x + scale · B A x (Hu et al. 2021, eq. 3), where that is all there is; else as peft does it."""

    def forward(self, x: torch.Tensor, *args: Any, **kwargs: Any) -> torch.Tensor:
        names = self.active_adapters
        alone = (
            len(names) == 1
            and names[0] in self.lora_A
            and not (self.disable_adapters or self.merged or self.lora_variant)
        )
        if args or kwargs or not alone or self.lora_B[names[0]].bias is not None:
            result: torch.Tensor = super().forward(x, *args, **kwargs)
            return result
        name = names[0]
        y: torch.Tensor = self.base_layer(x)
        low = self.lora_A[name](self.lora_dropout[name](x))
        out = torch.addmm(y.flatten(0, -2), low.flatten(0, -2), self.lora_B[name].weight.T, alpha=self.scaling[name])
        return out.view_as(y)


def fusable(module: torch.nn.Module) -> bool:
    return type(module) is Linear
