"""From what a trial, or a delta, says of itself to a tuned model: written once, so that all who need one get the same."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from tuneworth.methods import get_method, method_options
from tuneworth.methods.apply import outline, tune
from tuneworth.models.load import load
from tuneworth.train import rng

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

    from tuneworth.models.load import Loaded
    from tuneworth.spec import TrialSpec
    from tuneworth.train.flops import FlopModel

__all__ = ["Asked", "Tuned", "apply_to", "shapes_of", "training_cost", "tuned_model"]


class Asked(Protocol):
    """What decides a tuned model beside its base and its task: a TrialSpec says it, and a DeltaInfo."""

    @property
    def kind(self) -> str: ...
    @property
    def options(self) -> Mapping[str, Any]: ...
    @property
    def seed(self) -> int: ...


@dataclass(frozen=True)
class Tuned:
    """A model ready to train, float32 on the CPU. `names`: of its trained parameters; `head`: of those of the task head."""

    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase
    names: tuple[str, ...]
    head: frozenset[str]

    @property
    def body(self) -> tuple[str, ...]:
        """The trained parameters that are not the head's."""
        return tuple(name for name in self.names if name not in self.head)

    def parts(self, names: Iterable[str]) -> dict[str, torch.Tensor]:
        """Copies on the CPU."""
        return {name: self.model.get_parameter(name).detach().cpu().clone() for name in names}


def tuned_model(asked: Asked, source: str, outputs: int, kind: str, allow_pickle: bool = False) -> Tuned:
    """The pre-trained model in the directory `source` with a fresh head of so many outputs, tuned as `asked`.

    All chance is the seed's own: a delta that is put into such a model later meets the very frozen values, drawn ones too, that
    it was trained beside. Raises ModelError.
    """
    loaded = load(source, outputs, kind, rng.generator(asked.seed, "head"), allow_pickle)
    heads = {id(parameter) for name, parameter in loaded.model.named_parameters() if name in loaded.head}
    names = apply_to(loaded, asked)
    head = frozenset(name for name, parameter in loaded.model.named_parameters() if id(parameter) in heads)
    return Tuned(loaded.model, loaded.tokenizer, tuple(names), head)


def apply_to(loaded: Loaded, asked: Asked) -> list[str]:
    """Tune a model that is loaded already, in place. Returns the names of its trained parameters."""
    method = get_method(asked.kind)
    return tune(loaded, method, method_options(method, dict(asked.options)), rng.generator(asked.seed, "delta"))


def shapes_of(loaded: Loaded, asked: Asked) -> dict[str, torch.Size] | None:
    """Names and shapes of what `apply_to` would train, without the memory for them; None: only building shows them."""
    method = get_method(asked.kind)
    return outline(loaded, method, method_options(method, dict(asked.options)))


def training_cost(trial: TrialSpec, tuned: Tuned, outputs: int) -> FlopModel:
    """What a training step takes, counted before the model is laid out."""
    from tuneworth.train import flops

    options = method_options(get_method(trial.kind), dict(trial.options))
    return flops.count(tuned.model, tuned.tokenizer, (trial.model_fingerprint, trial.kind, repr(options), outputs))
