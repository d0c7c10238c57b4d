"""Full fine-tuning."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from tuneworth import methods
from tuneworth.spec import Recipe

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel


class Full:
    """Every parameter is trained: the yardstick."""

    name: ClassVar = "full"
    summary: ClassVar = "every parameter is trained"
    source: ClassVar = (
        "Devlin et al. 2019 (arXiv 1810.04805), appendix A.3: batch 32; decay 0.01; learning rate: three times its 5e-5, for short "
        "budgets on small encoders (docs/log.md)"
    )
    recipe: ClassVar = Recipe(learning_rate=1.5e-4)
    Options: ClassVar = methods.Options

    def apply(self, model: PreTrainedModel, options: methods.Options, generator: torch.Generator) -> None:  # noqa: ARG002
        model.requires_grad_(True)
