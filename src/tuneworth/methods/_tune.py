"""From a loaded model to a tunable one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch

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
