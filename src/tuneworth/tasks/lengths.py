"""How many tokens texts have, and where to cut them. What characters alone show costs nothing."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from tuneworth.spec import SHORTEST
from tuneworth.tasks import Examples, TaskData

if TYPE_CHECKING:
    from tokenizers import Tokenizer

__all__ = ["Lengths", "choose", "counter", "longer", "measure"]

CUT = 0.05
"""Share of the training texts that `auto` may cut."""
UNBOUND = 512
"""The longest that `auto` takes for a model without a bound: what most encoders were trained with."""
BESIDE = 6
"""Tokens that may come on top of a text's own: those that mark its ends, and a space before it."""
MEASURED, MEDIAN = 5_000, 500
"""Texts of a split that are tokenized at most, to count those that are cut; and for the median."""

Text = str | tuple[str, str]
Count = Callable[[Sequence[Text]], list[int]]


@dataclass(frozen=True)
class Part:
    """Of a split of `size` texts: token counts of some that may be long, each standing for `weight` of them."""

    size: int
    counts: NDArray[np.int64]
    weight: float

    def cut(self, length: int) -> int:
        """How many texts have more tokens than that."""
        return round(self.weight * int((self.counts > length).sum()))


@dataclass(frozen=True)
class Lengths:
    """`median` is None where it would take long to say."""

    train: Part
    test: Part
    median: int | None

    @property
    def sampled(self) -> bool:
        """Whether the numbers are estimates."""
        return max(self.train.weight, self.test.weight) > 1

    def cut(self, length: int) -> int:
        return self.train.cut(length) + self.test.cut(length)


def measure(source: str | Path, data: TaskData, length: int = SHORTEST) -> Lengths:
    """The lengths of the data's texts for the model in `source`, as far as they may be more than `length` tokens."""
    count = _counter(str(source))
    parts = [longer(examples, length, count) for examples in (data.train, data.test)]
    some = _some(np.arange(len(data.train)), MEDIAN)
    fast = _fast(str(source)) is not None or any(len(part.counts) for part in parts)
    median = int(np.median(count(_texts(data.train, some)))) if fast and len(some) else None
    return Lengths(parts[0], parts[1], median)


def choose(lengths: Lengths, positions: int | None) -> int:
    """The shortest of 128, 256, 512, ... tokens that cuts CUT of the training texts at most, within the model's positions.

    `lengths`: measured beyond the shorter of SHORTEST and the positions. Texts that all fit are left at SHORTEST, whatever
    the model's bound: nothing is cut either way.
    """
    bound = positions or UNBOUND
    if not lengths.cut(min(bound, SHORTEST)):
        return SHORTEST
    length = SHORTEST
    while length < bound and lengths.train.cut(length) > CUT * lengths.train.size:
        length *= 2
    return min(length, bound)


def counter(tokenizer: Any) -> Count:
    """How many tokens of a tokenizer of transformers each text or pair has, whole, with those that mark its ends."""

    def count(texts: Sequence[Text]) -> list[int]:
        firsts = [text if isinstance(text, str) else text[0] for text in texts]
        seconds = [text[1] for text in texts if not isinstance(text, str)] or None
        return [len(ids) for ids in tokenizer(firsts, seconds, truncation=False, verbose=False)["input_ids"]]

    return count


def longer(examples: Examples, length: int, count: Count) -> Part:
    """Those of a split that may have more than `length` tokens. A token stands for one byte at least, so that what is short
    in bytes is short in tokens."""
    sizes = np.array([len(text.encode("utf-8", "surrogatepass")) for text in examples.texts], dtype=np.int64)
    if examples.pairs is not None:
        sizes += np.array([len(text.encode("utf-8", "surrogatepass")) for text in examples.pairs], dtype=np.int64)
    maybe = np.flatnonzero(sizes + BESIDE > length)
    some = _some(maybe, MEASURED)
    counts = np.array(count(_texts(examples, some)) if len(some) else [], dtype=np.int64)
    return Part(len(examples), counts, len(maybe) / max(1, len(some)))


def _some(rows: NDArray[np.int64], most: int) -> NDArray[np.int64]:
    """At most so many, always the same ones, spread as by chance: by Knuth's multiplicative hash of their places."""
    chance = np.arange(len(rows), dtype=np.uint64) * np.uint64(2654435761) % np.uint64(2**32)
    return rows[np.sort(np.argsort(chance, kind="stable")[:most])]


def _texts(examples: Examples, which: NDArray[np.int64]) -> list[Text]:
    pairs = examples.pairs
    return [examples.texts[i] if pairs is None else (examples.texts[i], pairs[i]) for i in which]


def _counter(source: str) -> Count:
    """The same for the model in `source`; nothing is loaded before the first text."""

    def count(texts: Sequence[Text]) -> list[int]:
        fast = _fast(source)
        if fast is None:
            return counter(_slow(source))(texts)
        return [len(encoded.ids) for encoded in fast.encode_batch_fast(list(texts))]

    return count


@lru_cache(maxsize=4)
def _fast(source: str) -> Tokenizer | None:
    """The tokenizer in tokenizer.json, without transformers and torch; None where there is none."""
    from tokenizers import Tokenizer

    file = Path(source) / "tokenizer.json"
    if not file.is_file():
        return None
    tokenizer = Tokenizer.from_file(str(file))
    tokenizer.no_padding()
    tokenizer.no_truncation()
    return tokenizer


@lru_cache(maxsize=4)
def _slow(source: str) -> Any:
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(source, trust_remote_code=False, local_files_only=True)
