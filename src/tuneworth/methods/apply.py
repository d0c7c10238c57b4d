"""From a loaded model to a tunable one."""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from tuneworth.errors import UserError

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel

    from tuneworth.methods import Method
    from tuneworth.models.load import Loaded


def tune(loaded: Loaded, method: Method, options: Any, generator: torch.Generator) -> list[str]:
    """Freeze the model, apply the method, make the head trainable. Returns the names of the trainable parameters.

    `loaded.model` is changed in place. Raises ModelError where the model offers no place for the method.
    """
    model = loaded.model
    head = [parameter for name, parameter in model.named_parameters() if name in loaded.head]
    model.requires_grad_(False)
    method.apply(model, options, generator)
    for parameter in head:  # by object, since a method may have renamed it
        parameter.requires_grad_(True)
    return [name for name, parameter in model.named_parameters() if parameter.requires_grad]


def outline(loaded: Loaded, method: Method, options: Any) -> dict[str, torch.Size] | None:
    """Names and shapes of the parameters that `tune` would make trainable, without the memory for them.

    An option may ask for any size, and building would take that much. `loaded` stays as it is. None where the method (of
    another package) cannot be applied to a model without values, so that only building shows. Raises ModelError as `tune`.
    """
    import torch

    bare = replace(loaded, model=_without_values(loaded.model))
    try:
        with torch.device("meta"):
            names = tune(bare, method, options, torch.Generator().manual_seed(0))
    except UserError:
        raise
    except Exception:  # whatever code of others raises
        return None
    return {name: bare.model.get_parameter(name).shape for name in names}


def _without_values(model: PreTrainedModel) -> PreTrainedModel:
    """A copy of the modules, all tensors of which have a shape and no memory."""
    from torch import nn

    memo: dict[int, Any] = {id(p): nn.Parameter(p.data.to("meta"), requires_grad=False) for p in model.parameters()}
    memo |= {id(buffer): buffer.to("meta") for buffer in model.buffers()}
    return copy.deepcopy(model, memo)
