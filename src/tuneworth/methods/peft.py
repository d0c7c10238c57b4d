"""The long tail: every tuner of the installed peft that can be put into a model, by peft's name and with peft's own options.

`peft/ia3` is peft's IA3Config, injected; what it learnt is merged where peft merges. Nothing here imports peft before one of
these methods is used.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, fields
from functools import cache, cached_property
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from pydantic import create_model

from tuneworth import methods
from tuneworth.errors import ModelError
from tuneworth.models.families import family_of, layers, norms
from tuneworth.spec import Recipe
from tuneworth.words import first_line

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel

__all__ = ["METHODS", "NOT_HERE", "why_not"]

PREFIX = "peft/"
_PROMPT = "puts learnt tokens before a text, which is no change of the model's layers"
NOT_HERE = {
    "adaption_prompt": _PROMPT,
    "cartridge": _PROMPT,
    "cpt": _PROMPT,
    "lora": "is the method 'lora' here, with DoRA, rsLoRA and PiSSA among its options",
    "multitask_prompt_tuning": _PROMPT,
    "p_tuning": _PROMPT,
    "poly": "asks at each step which of several tasks a text is of",
    "prefix_tuning": _PROMPT,
    "prompt_tuning": _PROMPT,
    "shadow": "puts a second model beside the first",
    "trainable_tokens": "trains the embeddings of tokens that one has to name",
    "xlora": "mixes adapters that were trained before",
}
"""Tuners of peft that are no methods here, and why: said after the name."""
_PAPERS = {
    "adalora": "2303.10512", "beft": "2509.15974", "boft": "2311.06243", "c3a": "2407.19342", "delora": "2503.18225",
    "fourierft": "2405.03003", "hra": "2405.17484", "ia3": "2205.05638", "lily": "2407.09946", "ln_tuning": "2312.11420",
    "loha": "2108.06098", "lokr": "2309.14859", "miss": "2409.15371", "oft": "2306.07280", "peanut": "2410.01870",
    "pvera": "2512.07703", "randlora": "2502.00987", "road": "2409.00119", "supertuning": "2607.09287", "tinylora": "2602.04118",
    "unilora": "2506.00799", "vblora": "2405.15179", "vera": "2310.11454",
}  # fmt: skip
"""As peft's own files cite them."""
_RATES = {
    "beft": (4e-3, "bitfit's"),
    "fourierft": (5e-2, "within the 3e-2 to 1.2e-1 of its paper's table for GLUE"),
    "ia3": (3e-3, "its paper's"),
    "ln_tuning": (4e-3, "bitfit's"),
    "vera": (4e-3, "the lower of its paper's two for GLUE"),
}
_DEFAULTS: Mapping[str, Mapping[str, Any]] = {
    "adalora": {"total_step": 1},  # asked for, though the loop here prunes no ranks
    "c3a": {"init_weights": True},  # at zero, so that training starts from the plain model
    "fourierft": {"init_weights": True},
    "frod": {"progressbar": False},
}
"""Where peft's own default will not do."""
_DIVIDES = {"c3a": "block_size", "oft": "oft_block_size", "road": "group_size", "vblora": "vector_length"}
"""Options that must divide the sizes of the layers: the largest divisor that they have in common with peft's default."""


@dataclass(frozen=True)
class PeftMethod:
    """One of peft's tuners. Where `target_modules` is not given, it goes into the query and value projections: IA3 into keys,
    values and the FFN's last projection, as its paper has it, LN tuning into the norms, BEFT into values."""

    tuner: str

    @property
    def name(self) -> str:
        return PREFIX + self.tuner

    @property
    def summary(self) -> str:
        more = ", without the pruning of ranks" if self.tuner == "adalora" else ""
        return f"{self.tuner} as peft has it{more}"

    @property
    def source(self) -> str:
        paper = f"arXiv {_PAPERS[self.tuner]}; " if self.tuner in _PAPERS else ""
        rate = _RATES.get(self.tuner, (0, "lora's, since none was measured here for it"))[1]
        return f"{paper}{self.options_at}; learning rate: {rate}"

    @property
    def options_at(self) -> str:
        """Where peft tells of its options."""
        return f"https://huggingface.co/docs/peft/package_reference/{self.tuner}"

    @property
    def recipe(self) -> Recipe:
        rate = _RATES[self.tuner][0] if self.tuner in _RATES else 1e-3
        return Recipe(learning_rate=rate, weight_decay=0.0 if self.tuner in ("beft", "ln_tuning") else 0.01)

    @cached_property
    def Options(self) -> type[methods.Options]:
        """Of those that nobody sets, none is kept with a trial: they are peft's, and go with its version."""
        config = _config_class(self.tuner)
        own = [field.name for field in fields(config) if field.name not in _not_to_set()]
        made = create_model(f"{self.tuner}Options", __base__=_Given, **dict.fromkeys(own, (Any, None)))  # type: ignore[call-overload]
        return cast("type[methods.Options]", made)

    def apply(self, model: PreTrainedModel, options: methods.Options, generator: torch.Generator) -> None:
        """Raises ModelError where peft will not have it so."""
        from peft.mapping import PEFT_TYPE_TO_TUNER_MAPPING

        from tuneworth.methods._peft import chance, transposed

        given = {**_DEFAULTS.get(self.tuner, {}), **options.said()}
        known = {field.name for field in fields(_config_class(self.tuner))}
        given.setdefault("target_modules", _targets(model, self.tuner))
        if self.tuner == "ia3" and "feedforward_modules" not in given:
            given["feedforward_modules"] = [
                name for name in _ends(model, ("ffn_dense",)) if name in given["target_modules"]
            ]
        if "fan_in_fan_out" in known and not isinstance(given["target_modules"], str):
            given.setdefault("fan_in_fan_out", transposed(model, given["target_modules"]))
        try:
            if self.tuner in _DIVIDES and _DIVIDES[self.tuner] not in given:
                given[_DIVIDES[self.tuner]] = _divisor(self.tuner, model, given["target_modules"])
            config = _config_class(self.tuner)(**given)
            tuner = PEFT_TYPE_TO_TUNER_MAPPING[config.peft_type]
            with chance(generator):
                # not inject_adapter_in_model, which refuses what several layers share; here it lies in the modules that share it
                tuner(model, config, adapter_name="default")
            if not any(parameter.requires_grad for parameter in model.parameters()):
                raise ValueError("it finds nothing to train")
        except Exception as error:  # of whatever kind: peft's tuners raise many
            if model.device.type == "meta":  # without values some cannot be built
                raise
            raise ModelError(f"peft cannot put {self.tuner} into this model: {first_line(error)}",
                             f"change its options in [method.NAME]; {self.options_at}") from error  # fmt: skip


class _Given(methods.Options):
    def said(self) -> dict[str, Any]:
        return self.model_dump(mode="json", include=self.model_fields_set)


def why_not(name: str) -> str | None:
    """Why `name` is no method here, though peft has it; None: peft has no such tuner."""
    tuner = name.removeprefix(PREFIX)
    return f"peft's {tuner} {NOT_HERE[tuner]}" if name.startswith(PREFIX) and tuner in NOT_HERE else None


def _tuners() -> list[str]:
    """Read from peft's source: importing it would take seconds."""
    spec = find_spec("peft")
    assert spec is not None
    assert spec.origin is not None
    text = (Path(spec.origin).parent / "utils" / "peft_types.py").read_text(encoding="utf-8")
    found = [
        name.lower()
        for name in re.findall(r'^    ([A-Z0-9_]+) = "\1"$', text.partition("class TaskType")[0], re.MULTILINE)
    ]
    return [name for name in found if name not in NOT_HERE]


METHODS = [cast(methods.Method, PeftMethod(tuner)) for tuner in _tuners()]


@cache
def _config_class(tuner: str) -> Any:
    from peft.mapping import PEFT_TYPE_TO_CONFIG_MAPPING
    from peft.utils import PeftType

    return PEFT_TYPE_TO_CONFIG_MAPPING[PeftType[tuner.upper()]]


@cache
def _not_to_set() -> frozenset[str]:
    """What peft keeps of a base model, and what is trained beside: the engine knows both."""
    from peft import PeftConfig

    return frozenset({field.name for field in fields(PeftConfig)} | {"modules_to_save", "trainable_token_indices"})


def _targets(model: PreTrainedModel, tuner: str) -> list[str]:
    """Names of modules, or endings of names."""
    import peft.utils.constants as known

    from tuneworth.methods._peft import every_linear, query_and_value

    if tuner == "ln_tuning":
        own = {id(norm) for norm in norms(model)}
        return [name for name, module in model.named_modules() if id(module) in own]
    if family_of(model):
        if tuner == "ia3":
            return _ends(model, ("key", "value", "ffn_dense"))
        return _ends(model, ("value",)) if tuner == "beft" else query_and_value(model)
    table = getattr(known, f"TRANSFORMERS_MODELS_TO_{tuner.upper()}_TARGET_MODULES_MAPPING", {})
    found: list[str] = list(table.get(model.config.model_type, ())) or every_linear(model)
    return found


def _ends(model: PreTrainedModel, parts: tuple[str, ...]) -> list[str]:
    """The ends of these parts' names: two components where one alone names something else of a layer too."""
    if not family_of(model):
        return []
    found = []
    for layer, block in layers(model, "peft"):
        names = [name for name, _ in layer.named_modules()]
        for part in parts:
            path: str = getattr(block, part)
            pieces = path.split(".")
            count = 1
            while (
                count < len(pieces) and sum(f".{name}".endswith("." + ".".join(pieces[-count:])) for name in names) > 1
            ):
                count += 1
            found.append(".".join(pieces[-count:]))
    return list(dict.fromkeys(found))


def _divisor(tuner: str, model: PreTrainedModel, targets: list[str]) -> int:
    (default,) = (field.default for field in fields(_config_class(tuner)) if field.name == _DIVIDES[tuner])
    sizes = [
        size
        for name, parameter in model.named_parameters()
        if any(f".{name}".endswith(f".{target}.weight") for target in targets)
        for size in parameter.shape
    ]
    return math.gcd(cast(int, default), *sizes)
