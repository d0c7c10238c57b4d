"""Methods: how a model is tuned. One file a family; a new file in this folder is found by itself.

Other packages add methods through the entry-point group `tuneworth.methods`. Method files must not import torch
when they are imported: `tuneworth methods` and every user mistake answer within a second.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Mapping
from functools import cache
from importlib.metadata import entry_points
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, runtime_checkable

from pydantic import BaseModel, ConfigDict, ValidationError

from tuneworth.errors import SpecError, did_you_mean
from tuneworth.models import hidden_size
from tuneworth.spec import Recipe

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel

__all__ = ["Method", "Options", "all_methods", "get_method", "method_options", "note_of", "recipe_for", "settled"]


class Options(BaseModel):
    """A method's options; a method without any uses this class itself."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    later: ClassVar[frozenset[str]] = frozenset()
    """Options that came after trials with this method were stored: at their defaults they stay out of a trial's key."""

    def said(self) -> dict[str, Any]:
        """As a trial keeps them."""
        fields = type(self).model_fields
        at_default = {name for name in self.later if getattr(self, name) == fields[name].default}
        return self.model_dump(mode="json", exclude=at_default)


@runtime_checkable
class Method(Protocol):
    """One verb, `apply`. The engine freezes the model before it and makes the task head trainable after it.

    A method whose options may leave something to the model has a second one, `settle(options, source)`: the options as they are
    for the model in the directory `source`, with nothing left open, before the trial's key is made of them. `source` None: no
    model is at hand. `note(options)` is what people must know of a trial with such options, or None. A method whose options
    another library tells of says where in `options_at`.
    """

    name: ClassVar[str]
    summary: ClassVar[str]
    """One line for `tuneworth methods`."""
    source: ClassVar[str]
    """The paper, and where the default recipe comes from."""
    recipe: ClassVar[Recipe]
    Options: ClassVar[type[Options]]

    def apply(self, model: PreTrainedModel, options: Any, generator: torch.Generator) -> None:
        """Change `model` in place: add what is to be added, set `requires_grad` on what is to be trained.

        `model` arrives with every parameter frozen. Randomness comes from `generator` alone. The outputs must stay
        what they were. Raises ModelError where the model's architecture offers no place for the method.
        """
        ...


@cache
def all_methods() -> dict[str, Method]:
    """Every registered method by name, in alphabetical order. A module of this folder lists them in `METHODS`, or holds their
    classes."""
    found: dict[str, Method] = {}
    for module in pkgutil.iter_modules(__path__):
        if not module.name.startswith("_"):
            found |= {method.name: method for method in _methods_of(f"{__name__}.{module.name}")}
    for entry in entry_points(group="tuneworth.methods"):
        method: Method = entry.load()()
        found[method.name] = method
    return dict(sorted(found.items()))


def _methods_of(name: str) -> list[Method]:
    module = importlib.import_module(name)
    listed: list[Method] | None = getattr(module, "METHODS", None)
    if listed is not None:
        return listed
    own = [v for v in vars(module).values() if isinstance(v, type) and v.__module__ == name]
    return [value() for value in own if hasattr(value, "name") and hasattr(value, "apply")]


def get_method(name: str) -> Method:
    """The method of that name. Raises SpecError, with the nearest name."""
    methods = all_methods()
    if name not in methods:
        from tuneworth.methods.peft import why_not

        if reason := why_not(name):
            raise SpecError(f"there is no method {name!r}: {reason}", "`tuneworth methods` lists those that there are")
        raise SpecError(f"unknown method {name!r}", did_you_mean(name, methods))
    return methods[name]


def method_options(method: Method, options: dict[str, Any]) -> Options:
    """`options` validated and filled in with the method's defaults. Raises SpecError, with the nearest key."""
    try:
        return method.Options.model_validate(options)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"])
        if first["type"] == "extra_forbidden":
            raise SpecError(f"method {method.name!r} has no option {key!r}",
                            did_you_mean(key, method.Options.model_fields)) from None  # fmt: skip
        raise SpecError(f"method {method.name!r}: option {key} = {first['input']!r}: {first['msg'].lower()}",
                        f"`tuneworth methods` shows the options of {method.name}") from None  # fmt: skip


def settled(method: Method, options: Options, source: str | None) -> Options:
    """`options` with nothing left open, for the model in the directory `source`; None: no model is at hand."""
    settle = getattr(method, "settle", None)
    found: Options = settle(options, source) if settle else options
    return found


PILOTED = 384
"""The hidden size of the encoder on which default learning rates were chosen (docs/log.md)."""


def recipe_for(method: Method, source: str | None) -> Recipe:
    """The method's default recipe for the model in the directory `source`; None: no model is at hand.

    A wider model takes smaller steps: Adam moves each of a row's weights as far, so that an output moves with their number, and
    the rate must fall with the width (Yang et al. 2022, arXiv 2203.03466, table 3). A narrower one keeps the rate.
    """
    width = hidden_size(source) if source else None
    if not width or width <= PILOTED:
        return method.recipe
    rate = float(f"{method.recipe.learning_rate * PILOTED / width:.2g}")
    return method.recipe.model_copy(update={"learning_rate": rate})


def note_of(kind: str, options: Mapping[str, Any]) -> str | None:
    """What people must know of a trial of the method `kind` with these options; None: nothing."""
    method = get_method(kind)
    say = getattr(method, "note", None)
    said: str | None = say(method_options(method, dict(options))) if say else None
    return said
