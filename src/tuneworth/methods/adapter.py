"""Bottleneck adapters: f(z) = up(act(down(z))), of width m between two projections, added to a frozen layer.

Notation: h is what a sub-layer (attention or FFN) gives after its dropout, x what h is added to. LN is the norm of that sum in a
post-norm layer. In a pre-norm layer the sub-layer reads a norm of x, and nothing follows the sum; adapters sit there where
AdapterHub puts them (docs/methods.md).
The up projection starts at zero, weight and bias, so that the tuned model starts exactly as the plain one; the papers
draw it small instead, which is near the identity but not on it. Each adapter adds 2·d·m + m + d parameters, d the
hidden size.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from tuneworth import methods
from tuneworth.models.families import family_of, layers, norms
from tuneworth.spec import Recipe

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel


class AdapterOptions(methods.Options):
    """`bottleneck` is m; by default the hidden size over `reduction_factor`.

    `init_scale`: the down projection is drawn from N(0, init_scale), cut off at two standard deviations; None draws it
    Kaiming-uniform, as a Linear layer's default. `train_layer_norms`: every LayerNorm or RMSNorm of the base model is trained
    too.
    """

    reduction_factor: float = Field(16, ge=1, allow_inf_nan=False)
    bottleneck: int | None = Field(None, ge=1)
    non_linearity: Literal["gelu", "relu", "silu", "tanh"] = "gelu"
    init_scale: float | None = Field(1e-2, gt=0, allow_inf_nan=False)
    train_layer_norms: bool = False

    def width(self, hidden: int) -> int:
        return self.bottleneck or max(1, int(hidden / self.reduction_factor))


class HoulsbyOptions(AdapterOptions):
    train_layer_norms: bool = True


class PfeifferOptions(AdapterOptions):
    non_linearity: Literal["gelu", "relu", "silu", "tanh"] = "relu"
    init_scale: float | None = Field(2e-2, gt=0, allow_inf_nan=False)


class ParallelOptions(AdapterOptions):
    """`scale` is the constant s."""

    non_linearity: Literal["gelu", "relu", "silu", "tanh"] = "relu"
    init_scale: float | None = Field(None, gt=0, allow_inf_nan=False)
    scale: float = Field(4.0, gt=0, allow_inf_nan=False)


class Houlsby:
    """Two adapters a layer, one behind each sub-layer: x + h + f(h), LN of that where a norm follows."""

    name: ClassVar = "houlsby"
    summary: ClassVar = "two adapters a layer, behind attention and FFN, before the residual; LayerNorms trained"
    source: ClassVar = (
        "Houlsby et al. 2019 (arXiv 1902.00751), figure 2; learning rate: the top of its sweep (3e-5, 3e-4, 3e-3), since "
        "short budgets on small encoders learnt too little below it (docs/log.md)"
    )
    recipe: ClassVar = Recipe(learning_rate=3e-3)
    Options: ClassVar = HoulsbyOptions

    def apply(self, model: PreTrainedModel, options: HoulsbyOptions, generator: torch.Generator) -> None:
        from tuneworth.methods._adapter import add_adapter

        for layer, block in layers(model, f"method {self.name!r}"):
            for dense, out in ((block.attention_dense, block.attention_out), (block.ffn_dense, block.ffn_out)):
                adapter = add_adapter(layer, block, dense, options, generator)
                layer.get_submodule(out).register_forward_hook(adapter.after)
        _train_layer_norms(model, options)


class Pfeiffer:
    """One adapter a layer, behind the FFN, around a second use of its LayerNorm: LN(x + h + f(LN(x + h))); where no norm follows,
    x + h + f(x + h)."""

    name: ClassVar = "pfeiffer"
    summary: ClassVar = "one adapter a layer, behind the FFN"
    source: ClassVar = (
        "Pfeiffer et al. 2021 (arXiv 2005.00247), section 3, placed as AdapterHub's `seq_bn`; learning rate: "
        "three times houlsby's; the paper's 1e-4 is for longer training (docs/log.md)"
    )
    recipe: ClassVar = Recipe(learning_rate=9e-3)
    Options: ClassVar = PfeifferOptions

    def apply(self, model: PreTrainedModel, options: PfeifferOptions, generator: torch.Generator) -> None:
        from tuneworth.methods._adapter import add_adapter

        family = family_of(model)
        for layer, block in layers(model, f"method {self.name!r}"):
            adapter = add_adapter(layer, block, block.ffn_dense, options, generator)
            if family is not None and family.norm == "pre":
                layer.get_submodule(block.ffn_reads).register_forward_pre_hook(adapter.keep)
                layer.get_submodule(block.ffn_out).register_forward_hook(adapter.after_sum)
            else:
                layer.get_submodule(block.ffn_norm).register_forward_pre_hook(adapter.before_norm)
        _train_layer_norms(model, options)


class Parallel:
    """One adapter a layer, beside the FFN: x + h + s·f(x), LN of that where a norm follows."""

    name: ClassVar = "parallel"
    summary: ClassVar = "one scaled adapter a layer, beside the FFN"
    source: ClassVar = (
        "He et al. 2022 (arXiv 2110.04366), table 1; s = 4 as its scaled parallel adapter; learning rate as "
        "houlsby's (docs/log.md)"
    )
    recipe: ClassVar = Recipe(learning_rate=3e-3)
    Options: ClassVar = ParallelOptions

    def apply(self, model: PreTrainedModel, options: ParallelOptions, generator: torch.Generator) -> None:
        from tuneworth.methods._adapter import add_adapter

        for layer, block in layers(model, f"method {self.name!r}"):
            adapter = add_adapter(layer, block, block.ffn_dense, options, generator, scale=options.scale)
            layer.get_submodule(block.ffn_reads).register_forward_pre_hook(adapter.read)
            layer.get_submodule(block.ffn_out).register_forward_hook(adapter.write)
        _train_layer_norms(model, options)


def _train_layer_norms(model: PreTrainedModel, options: AdapterOptions) -> None:
    if options.train_layer_norms:
        for norm in norms(model):
            norm.requires_grad_(True)
