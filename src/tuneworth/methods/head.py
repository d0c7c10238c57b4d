"""The frozen model with a trained head."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from tuneworth import methods
from tuneworth.spec import Recipe

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel


class Head:
    """Nothing but the task head is trained: what the pre-trained model is worth as it stands."""

    name: ClassVar = "head"
    summary: ClassVar = "the task head alone; the pre-trained model stays frozen"
    source: ClassVar = (
        "the frozen 'default' model of arXiv 2401.04051, which states no recipe; learning rate: where a short budget comes near to "
        "logistic regression on the same features (docs/log.md)"
    )
    recipe: ClassVar = Recipe(learning_rate=5e-2)
    Options: ClassVar = methods.Options

    def apply(self, model: PreTrainedModel, options: methods.Options, generator: torch.Generator) -> None:
        """Nothing to do: the engine trains the head for every method."""
