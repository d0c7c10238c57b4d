"""LoRA, through peft."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from tuneworth import methods
from tuneworth.models.families import family_of
from tuneworth.spec import Recipe

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel


class LoRAOptions(methods.Options):
    """Rank `r`, scale `alpha` / r. `targets`: the query and value projections (the paper's), or every linear layer; where one
    projection makes queries, keys and values at once, that one.

    `dora` splits W into direction and length, which is trained as well (Liu et al. 2024, arXiv 2402.09353). `rslora` scales by
    alpha / sqrt(r) (Kalajdzievski 2023, arXiv 2312.03732). `init`: where A and B start; "pissa" at the r largest singular values
    of W, which then keeps the rest alone (Meng et al. 2024, arXiv 2404.02948); "olora" at its QR decomposition (Buyukakyuz 2024,
    arXiv 2406.01775); "gaussian" draws A from a normal distribution.

    Families that neither we nor peft know the projections of get every linear layer.
    """

    later: ClassVar = frozenset({"dora", "rslora", "init"})

    r: int = Field(8, ge=1)
    alpha: float = Field(16, gt=0, allow_inf_nan=False)
    dropout: float = Field(0.0, ge=0, lt=1)
    targets: Literal["query+value", "all-linear"] = "query+value"
    dora: bool = False
    rslora: bool = False
    init: Literal["zero", "gaussian", "pissa", "olora"] = "zero"


class LoRA:
    """W x becomes W x + (alpha / r) B A x, with A (r, d_in) Kaiming-uniform and B (d_out, r) zero (peft's defaults)."""

    name: ClassVar = "lora"
    summary: ClassVar = "low-rank updates of the query and value projections, through peft"
    source: ClassVar = (
        "Hu et al. 2021 (arXiv 2106.09685), section 4.1; r = 8 as in table 9; learning rate: 18 times its 5e-4, for short "
        "budgets on small encoders (docs/log.md)"
    )
    recipe: ClassVar = Recipe(learning_rate=9e-3)
    Options: ClassVar = LoRAOptions

    def apply(self, model: PreTrainedModel, options: LoRAOptions, generator: torch.Generator) -> None:
        from peft import LoraConfig, inject_adapter_in_model

        from tuneworth.methods._peft import chance, transposed

        targets = _targets(model, options)
        config = LoraConfig(
            r=options.r, lora_alpha=options.alpha, lora_dropout=options.dropout, target_modules=targets, use_dora=options.dora,
            use_rslora=options.rslora, init_lora_weights=True if options.init == "zero" else options.init,
            fan_in_fan_out=transposed(model, targets),
        )  # fmt: skip
        with chance(generator):
            inject_adapter_in_model(config, model)


def _targets(model: PreTrainedModel, options: LoRAOptions) -> list[str]:
    """Names of modules, or endings of names: an encoder-decoder's cross-attention has the names of its self-attention."""
    from peft.utils import TRANSFORMERS_MODELS_TO_LORA_TARGET_MODULES_MAPPING as PEFT_TARGETS

    from tuneworth.methods._peft import every_linear, query_and_value

    if options.targets == "query+value" and family_of(model):
        return query_and_value(model)
    if options.targets == "query+value" and model.config.model_type in PEFT_TARGETS:
        return list(PEFT_TARGETS[model.config.model_type])
    return every_linear(model)
