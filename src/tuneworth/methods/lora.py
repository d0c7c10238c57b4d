"""LoRA, through peft."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from tuneworth import methods
from tuneworth.models.places import PLACES, layers
from tuneworth.spec import Recipe

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel


class LoRAOptions(methods.Options):
    """Rank `r`, scale `alpha` / r. `targets`: the query and value projections (the paper's), or every Linear layer.

    Families that neither we nor peft know the projections of get every Linear layer.
    """

    r: int = Field(8, ge=1)
    alpha: float = Field(16, gt=0, allow_inf_nan=False)
    dropout: float = Field(0.0, ge=0, lt=1)
    targets: Literal["query+value", "all-linear"] = "query+value"


class LoRA:
    """W x becomes W x + (alpha / r) B A x, with A (r, d_in) Kaiming-uniform and B (d_out, r) zero (peft's defaults)."""

    name: ClassVar = "lora"
    summary: ClassVar = "low-rank updates of the query and value projections, through peft"
    source: ClassVar = (
        "Hu et al. 2021 (arXiv 2106.09685), section 4.1; r = 8 as in table 9; learning rate: twice its 5e-4, for short "
        "budgets on small encoders (docs/log.md)"
    )
    recipe: ClassVar = Recipe(learning_rate=1e-3)
    Options: ClassVar = LoRAOptions

    def apply(self, model: PreTrainedModel, options: LoRAOptions, generator: torch.Generator) -> None:
        import torch
        from peft import LoraConfig, inject_adapter_in_model

        config = LoraConfig(
            r=options.r, lora_alpha=options.alpha, lora_dropout=options.dropout, target_modules=_targets(model, options)
        )
        with torch.random.fork_rng(devices=[]):  # peft draws A from the global stream
            seed = torch.randint(2**62, (), generator=generator, device=generator.device)
            torch.default_generator.manual_seed(int(seed))
            inject_adapter_in_model(config, model)


def _targets(model: PreTrainedModel, options: LoRAOptions) -> list[str]:
    """Names of modules, or endings of names."""
    from peft.utils import TRANSFORMERS_MODELS_TO_LORA_TARGET_MODULES_MAPPING as PEFT_TARGETS
    from torch import nn

    family = model.config.model_type
    if options.targets == "query+value" and family in PLACES:
        _, places = next(layers(model, "lora"))
        return [places.query, places.value]
    if options.targets == "query+value" and family in PEFT_TARGETS:
        return list(PEFT_TARGETS[family])
    prefix = model.base_model_prefix
    return [f"{prefix}.{name}" for name, module in model.base_model.named_modules() if isinstance(module, nn.Linear)]
