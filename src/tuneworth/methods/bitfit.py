"""BitFit: the bias terms alone."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from tuneworth import methods
from tuneworth.errors import ModelError
from tuneworth.models import has_biases
from tuneworth.models.families import all_families, layers, spans
from tuneworth.spec import Recipe

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel


class BitFitOptions(methods.Options):
    """`subset`: every bias; those of the queries and of the first FFN projections alone (the paper's smaller set); or those of
    the values alone (BEFT, arXiv 2509.15974).

    `add_missing`: Linear and LayerNorm modules of the base model that have no bias get one of zeros. "auto": where the base
    model has no bias at all.
    """

    subset: Literal["all", "query+intermediate", "value"] = "all"
    add_missing: bool | Literal["auto"] = "auto"


class BitFit:
    """Every bias of the base model is trained, LayerNorm's included; where it has any, nothing is added, and a merge is a copy."""

    name: ClassVar = "bitfit"
    summary: ClassVar = "the bias terms alone, LayerNorm's included"
    source: ClassVar = (
        "Ben-Zaken et al. 2022 (arXiv 2106.10199), section 3; learning rate: twelve times the top of its grid (1e-4 to "
        "1e-3), for short budgets on small encoders (docs/log.md)"
    )
    recipe: ClassVar = Recipe(learning_rate=1.2e-2, weight_decay=0.0)
    Options: ClassVar = BitFitOptions

    def settle(self, options: BitFitOptions, source: str | None) -> BitFitOptions:
        """`add_missing` said out, as the model in the directory `source` has it; None: a model with biases."""
        if options.add_missing != "auto":
            return options
        return options.model_copy(update={"add_missing": source is not None and not has_biases(source)})

    def note(self, options: BitFitOptions) -> str | None:
        return (
            "the model has no biases of its own: zeros are added and trained" if options.add_missing is True else None
        )

    def apply(self, model: PreTrainedModel, options: BitFitOptions, generator: torch.Generator) -> None:  # noqa: ARG002
        """Raises ModelError where no bias is there to train."""
        bare = not any(name.endswith("bias") for name, _ in model.base_model.named_parameters())
        if options.add_missing is True or (options.add_missing == "auto" and bare):
            _add_missing(model)
        if options.subset == "all":
            found = [p for name, p in model.base_model.named_parameters() if name.endswith("bias")]
        else:
            found = _subset(model, options.subset)
        if not found:
            raise ModelError(
                f"a model of type {model.config.model_type!r} has no such bias terms for bitfit to train (subset = "
                f"{options.subset!r})",
                "set the option add_missing = true: biases of zero are added first",
            )
        for bias in found:
            bias.requires_grad_(True)


def _subset(model: PreTrainedModel, subset: str) -> list[torch.nn.Parameter]:
    """Of a projection that makes queries, keys and values at once, the part that is asked for: the rest gets no gradient."""
    found = []
    for layer, block in layers(model, f"the subset {subset!r} of bitfit"):
        there = dict(layer.named_parameters())
        of: Literal["query", "value"] = "value" if subset == "value" else "query"
        bias = there.get(f"{getattr(block, of)}.bias")
        if bias is not None:
            if block.fused:
                _only(bias, spans(block, model.config, len(bias), of))
            found.append(bias)
        if subset == "query+intermediate":
            found += [there[f"{path}.bias"] for path in block.ffn_in if f"{path}.bias" in there]
    return found


def _only(bias: torch.nn.Parameter, rows: list[slice]) -> None:
    """Let gradients reach these rows alone; the recipe decays no vector, so the others stay what they were."""
    import torch

    kept = torch.zeros_like(bias)
    for part in rows:
        kept[part] = 1
    bias.requires_grad_(True)  # a hook needs it
    bias.register_hook(lambda gradient: gradient * kept.to(gradient))  # type: ignore[no-untyped-call]


def _add_missing(model: PreTrainedModel) -> None:
    """Add biases of zeros, which change no output, and say so in the config, so that a plain model has them too.

    RMSNorm gets none: a shift b of its output reaches the next Linear as W b, which that layer's own bias can express.
    """
    from torch import nn

    for module in model.base_model.modules():
        if isinstance(module, nn.Linear | nn.LayerNorm) and module.bias is None and module.weight is not None:
            module.bias = nn.Parameter(module.weight.new_zeros(len(module.weight)), requires_grad=False)
    family = all_families().get(model.config.model_type)
    for switch in family.bias_switches if family else ():
        if hasattr(model.config, switch):
            setattr(model.config, switch, True)
