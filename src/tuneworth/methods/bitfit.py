"""BitFit: the bias terms alone."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from tuneworth import methods
from tuneworth.errors import ModelError
from tuneworth.models.places import layers
from tuneworth.spec import Recipe

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel


class BitFitOptions(methods.Options):
    """`subset`: every bias, or those of the queries and of the first FFN projection alone (the paper's smaller set).

    `add_missing`: Linear and LayerNorm modules of the base model that have no bias get one of zeros.
    """

    subset: Literal["all", "query+intermediate"] = "all"
    add_missing: bool = False


class BitFit:
    """Every bias of the base model is trained, LayerNorm's included; nothing is added, so a merge is a copy."""

    name: ClassVar = "bitfit"
    summary: ClassVar = "the bias terms alone, LayerNorm's included"
    source: ClassVar = (
        "Ben-Zaken et al. 2022 (arXiv 2106.10199), section 3; learning rate: twelve times the top of its grid (1e-4 to "
        "1e-3), for short budgets on small encoders (docs/log.md)"
    )
    recipe: ClassVar = Recipe(learning_rate=1.2e-2, weight_decay=0.0)
    Options: ClassVar = BitFitOptions

    def apply(self, model: PreTrainedModel, options: BitFitOptions, generator: torch.Generator) -> None:  # noqa: ARG002
        """Raises ModelError where no bias is there to train."""
        if options.add_missing:
            _add_missing(model)
        if options.subset == "all":
            named = model.base_model.named_parameters()
            biases = [parameter for name, parameter in named if name.endswith("bias")]
        else:
            found = layers(model, "the subset 'query+intermediate' of bitfit")
            biases = [layer.get_parameter(f"{path}.bias") for layer, at in found for path in (at.query, at.ffn_in)]
        if not biases:
            raise ModelError(f"a model of type {model.config.model_type!r} has no bias terms for bitfit to train",
                             "set the option add_missing = true: biases of zero are added first")  # fmt: skip
        for bias in biases:
            bias.requires_grad_(True)


def _add_missing(model: PreTrainedModel) -> None:
    """Add biases of zeros, which change no output, and say so in the config, so that a plain model has them too.

    RMSNorm gets none: a shift b of its output reaches the next Linear as W b, which that layer's own bias can express.
    """
    from torch import nn

    for module in model.base_model.modules():
        if isinstance(module, nn.Linear | nn.LayerNorm) and module.bias is None and module.weight is not None:
            module.bias = nn.Parameter(module.weight.new_zeros(len(module.weight)))
    for switch in ("attention_bias", "mlp_bias", "norm_bias"):
        if hasattr(model.config, switch):
            setattr(model.config, switch, True)
