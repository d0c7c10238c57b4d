"""From a delta and its base model to predictions, by the very path that scored the trial."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from tuneworth import methods, models
from tuneworth.deltas.files import DeltaInfo, read_info, read_tensors
from tuneworth.errors import DataError, DeltaError
from tuneworth.methods._tune import tune
from tuneworth.models.load import load
from tuneworth.train import device as devices
from tuneworth.train.batches import tokenize
from tuneworth.train.evaluate import logits
from tuneworth.train.fast import lay_out
from tuneworth.train.targets import Targets


def load_delta(
    directory: str | Path, model: str | None = None, allow_pickle: bool = False
) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    """The tuned model and its tokenizer; `model` says where the base is, if not where it was at training.

    Raises DeltaError for a damaged delta or another base model, ModelError where the base cannot be found.
    """
    directory = Path(directory)
    info, tensors = read_info(directory), read_tensors(directory)
    ref = models.resolve(model or info.base, allow_pickle)
    if ref.fingerprint != info.base_fingerprint:
        raise DeltaError(f"{str(directory)!r} was made for {info.base!r} (content {info.base_fingerprint}), not for "
                         f"{ref.name!r} (content {ref.fingerprint})", "name the right base with --model")  # fmt: skip
    # Initial values are drawn, then replaced; the seed only has to be some seed.
    loaded = load(ref.source, len(info.labels or ("",)), info.task_kind, torch.Generator().manual_seed(0), allow_pickle)
    method = methods.get_method(info.kind)
    names = tune(loaded, method, methods.method_options(method, dict(info.options)), torch.Generator().manual_seed(0))
    parameters = dict(loaded.model.named_parameters())
    wrong = sorted(set(names) ^ set(tensors)) or [n for n in names if parameters[n].shape != tensors[n].shape]
    if wrong:
        raise DeltaError(f"{str(directory)!r} does not fit its method {info.method!r}: {wrong[0]!r} is missing, extra "
                         "or of another shape", "copy the delta again, or tune again")  # fmt: skip
    with torch.no_grad():
        for name in names:
            parameters[name].copy_(tensors[name])
    return loaded.model.eval(), loaded.tokenizer


class Predictor:
    """A delta at work: `Predictor(directory).predict(texts)`."""

    def __init__(
        self, directory: str | Path, model: str | None = None, device: str = "auto", allow_pickle: bool = False
    ) -> None:
        self.info: DeltaInfo = read_info(Path(directory))
        self.model, self.tokenizer = load_delta(directory, model, allow_pickle)
        where = devices.pick(device)
        self.precision = devices.resolve_precision(self.info.precision, where)
        lay_out(self.model, where, self.precision)
        self._targets = Targets(self.info.task_kind, self.info.target_mean, self.info.target_scale)

    def predict(self, texts: Sequence[str], pairs: Sequence[str] | None = None) -> list[dict[str, Any]]:
        """One `{"label", "score", "probabilities"}` a text.

        Classification: the label's name, its probability, and every label's. Regression: the value as `label` and
        `score`, no probabilities. Raises DataError where pairs are given to a task of single texts, or the reverse.
        """
        if self.info.pairs != (pairs is not None):
            raise DataError(f"this delta was tuned on {'text pairs' if self.info.pairs else 'single texts'}",
                            "give a second text column" if self.info.pairs else "give one text column")  # fmt: skip
        if not texts:
            return []
        tokens = tokenize(self.tokenizer, texts, pairs, self.info.max_length)
        values = logits(self.model, tokens, np.arange(len(texts)), self.precision)
        if self.info.labels is None:
            return [{"label": v, "score": v, "probabilities": None} for v in self._targets.decode(values).tolist()]
        probabilities = torch.from_numpy(values).double().softmax(dim=1).numpy()
        names = self.info.labels
        return [
            {
                "label": names[best],
                "score": float(row[best]),
                "probabilities": dict(zip(names, row.tolist(), strict=True)),
            }
            for best, row in zip(values.argmax(axis=1), probabilities, strict=True)
        ]
