"""A delta at work, by the very path that scored the trial."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from tuneworth.deltas.load import load_tuned
from tuneworth.errors import DataError
from tuneworth.kinds import Answer, Words
from tuneworth.train import device as devices
from tuneworth.train.batches import tokenize
from tuneworth.train.evaluate import logits
from tuneworth.train.fast import lay_out


class Predictor:
    """A delta at work: `Predictor(directory).predict(texts)`."""

    def __init__(
        self, directory: str | Path, model: str | None = None, device: str = "auto", allow_pickle: bool = False
    ) -> None:
        tuned = load_tuned(Path(directory), model, allow_pickle)
        self.info, self.model, self.tokenizer = tuned.info, tuned.model, tuned.tokenizer
        where = devices.pick(device)
        trained = self.info.precision
        # what was trained in int8 is answered in it where the machine can, and else as near to it as the machine comes
        wanted = "auto" if trained == "int8" and devices.why_no_int8(where) else trained
        self.precision = devices.resolve_precision(wanted, where)
        lay_out(self.model, where, self.precision)

    def predict(
        self, texts: Sequence[str], pairs: Sequence[str] | None = None, words: Sequence[Words] | None = None
    ) -> list[Answer]:
        """One `{"label", "score", "probabilities"}` a text, in the words of its kind (`Codec.answers`).

        Classification: the label's name, its probability, and every label's by name. Numbers: the value, in the unit of the
        training targets, as `label` and as `score`; `probabilities` is None. `words`: where those of each text stand, for a
        kind that answers word by word and should not look for them itself. Raises DataError where pairs are given to a task of
        single texts, or the reverse.
        """
        if self.info.pairs != (pairs is not None):
            raise DataError(f"this delta was tuned on {'text pairs' if self.info.pairs else 'single texts'}",
                            "give a second text column" if self.info.pairs else "give one text column")  # fmt: skip
        if not texts:
            return []
        words = words or self.info.codec.words(texts)
        tokens = tokenize(self.tokenizer, texts, pairs, self.info.max_length, words)
        values = logits(self.model, tokens, np.arange(len(texts)), self.precision)
        return self.info.codec.answers(values, words)
