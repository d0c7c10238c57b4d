"""From files to a model, its tokenizer and the names of its task head."""

from __future__ import annotations

import pickle
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tuneworth.errors import ModelError
from tuneworth.kinds import get_kind
from tuneworth.models._agree import agree, check_base
from tuneworth.models._files import weights
from tuneworth.models._guard import choose_implementations

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel, PreTrainedTokenizerBase


@dataclass(frozen=True)
class Loaded:
    """A float32 model on the CPU, its tokenizer, and the names of the parameters made new for the task."""

    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase
    head: frozenset[str]


def load(source: str, num_labels: int, kind: str, generator: torch.Generator, allow_pickle: bool = False) -> Loaded:
    """The model in the directory `source` with a new task head of `num_labels` outputs, drawn from `generator`: of the class
    that the `kind` of task wants.

    The head is every parameter outside the base model, and the base model's pooler where the checkpoint lacks it. Its
    matrices are drawn from N(0, config.initializer_range), BERT's rule; biases are 0 and norm weights 1.
    A head that the checkpoint may hold is not used: what a trial starts from depends on its seed alone. The global
    random state stays as it was.

    The weights lie where the file is mapped into memory, privately: every model of every process shares the pages that
    it does not change, and a page that it changes becomes its own. So there is nothing to keep from call to call: once
    the file is in the system's cache, a call takes less time than a copy of a model would. Raises ModelError.
    """
    import torch
    import transformers

    asked = get_kind(kind)
    pickled = any(file.suffix != ".safetensors" for file in weights(Path(source)))
    if pickled and not allow_pickle:
        raise ModelError(f"{source!r} has pickled weights only", "trust them with --allow-pickle")
    try:
        with torch.random.fork_rng(devices=[]), quiet():
            tokenizer = _tokenizer(source)
            config = transformers.AutoConfig.from_pretrained(
                source,
                num_labels=num_labels,
                problem_type=asked.problem_type,
                trust_remote_code=False,
                local_files_only=True,
            )
            choose_implementations(config)
            model, report = getattr(transformers, asked.auto_class).from_pretrained(
                source,
                config=config,
                dtype=torch.float32,
                use_safetensors=not pickled,
                weights_only=True,
                ignore_mismatched_sizes=True,  # a head of another size is replaced anyway
                trust_remote_code=False,
                local_files_only=True,
                output_loading_info=True,
            )
    except pickle.UnpicklingError as error:
        raise ModelError(f"the pickled weights in {source!r} hold more than tensors", "get safetensors") from error
    except Exception as error:  # transformers and the readers below it raise many kinds
        reason = str(error).strip().split("\n")[0] or type(error).__name__
        problem = f"cannot load the model in {source!r}: {reason}"
        raise ModelError(problem, "check that its files are whole and belong together") from error
    check_base(model, report, source)
    agree(model, tokenizer, source)
    loaded = Loaded(model, tokenizer, _head(model, report))
    _draw_head(model, loaded.head, generator)
    return loaded


@lru_cache(maxsize=4)
def _tokenizer(source: str) -> PreTrainedTokenizerBase:
    from transformers import AutoTokenizer

    tokenizer: PreTrainedTokenizerBase = AutoTokenizer.from_pretrained(
        source, trust_remote_code=False, local_files_only=True
    )
    return tokenizer


def _head(model: PreTrainedModel, report: dict[str, Any]) -> frozenset[str]:
    base = f"{model.base_model_prefix}."
    missing = set(report["missing_keys"])
    return frozenset(name for name, _ in model.named_parameters() if not name.startswith(base) or name in missing)


def _draw_head(model: PreTrainedModel, head: frozenset[str], generator: torch.Generator) -> None:
    import torch

    std = getattr(model.config, "initializer_range", 0.02)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if name not in head:
                continue
            if name.endswith("bias"):
                parameter.zero_()
            elif parameter.ndim == 1:
                parameter.fill_(1.0)
            else:
                parameter.normal_(0.0, std, generator=generator)


@contextmanager
def quiet() -> Iterator[None]:
    """No progress bars, and no advice to train a head that is about to be trained."""
    from transformers.utils import logging

    level, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(level)
        if bars:
            logging.enable_progress_bar()
