"""Tokens kept once per task and model, and batches of like length in a seeded order."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from tuneworth.writing import make_directory, whole_file

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

    from tuneworth.kinds import Words
    from tuneworth.tasks import Examples

POOL = 50
"""Batches are cut from pools of POOL batches sorted by length: little padding, yet an order that is random enough.
The size is that of transformers' LengthGroupedSampler."""


@dataclass(frozen=True)
class Padding:
    """What fills the short sequences of a batch, and on which side. `models.load` sees to it that model and tokenizer agree."""

    token: int = 0
    type: int = 0
    left: bool = False

    @classmethod
    def of(cls, tokenizer: PreTrainedTokenizerBase) -> Padding:
        assert isinstance(tokenizer.pad_token_id, int)
        return cls(tokenizer.pad_token_id, tokenizer.pad_token_type_id, tokenizer.padding_side == "left")


class Inputs(Protocol):
    """What a model is given of a split's examples: their tokens, or what a frozen encoder made of them."""

    @property
    def lengths(self) -> NDArray[np.int64]: ...

    def batch(self, which: NDArray[np.int64], device: torch.device) -> dict[str, Any]: ...


@dataclass(frozen=True)
class Tokens:
    """n token sequences, ragged: sequence i is `ids[starts[i]:starts[i+1]]`. `types` only where the tokenizer has them."""

    ids: NDArray[np.int32]
    starts: NDArray[np.int64]
    types: NDArray[np.uint8] | None
    padding: Padding = Padding()
    words: NDArray[np.int32] | None = None
    """The place of each word's first piece within its sequence, (n, most words); -1: none, or cut off. For models that answer
    word by word."""

    @cached_property
    def lengths(self) -> NDArray[np.int64]:
        """Kept, since every step asks: its cost must not grow with the data."""
        return np.diff(self.starts)

    def batch(self, which: NDArray[np.int64], device: torch.device) -> dict[str, Any]:
        return collate(self, which, device)

    def readable(self, targets: torch.Tensor) -> torch.Tensor:
        """Targets without those of words that are not read."""
        return targets if self.words is None else targets.masked_fill(torch.from_numpy(self.words < 0), -100)


def tokenize(
    tokenizer: PreTrainedTokenizerBase, texts: Sequence[str], pairs: Sequence[str] | None, max_length: int,
    words: Sequence[Words] | None = None, most_words: int = 1,
) -> Tokens:  # fmt: skip
    """Texts, or text pairs, cut to `max_length` tokens (of a pair, the longer text loses tokens first). `words`: where the words
    of each text stand, which `Tokens.words` then has too, for `most_words` at least."""
    split = tokenizer.split_special_tokens
    lists = tokenizer(
        list(texts), list(pairs) if pairs is not None else None, truncation=True, max_length=max_length,
        return_special_tokens_mask=split, return_offsets_mapping=words is not None,
    )  # fmt: skip
    rows = lists["input_ids"]
    starts = np.concatenate([[0], np.cumsum([len(row) for row in rows])]).astype(np.int64)
    types = np.concatenate(lists["token_type_ids"]).astype(np.uint8) if "token_type_ids" in lists else None
    ids = np.concatenate(rows).astype(np.int32)
    if split:  # a vocabulary of SentencePiece's holds the end mark as a piece like any other, and finds it all the same
        found = (ids == tokenizer.eos_token_id) & (np.concatenate(lists["special_tokens_mask"]) == 0)
        if found.any():
            ids[found] = tokenizer.unk_token_id
    firsts = None if words is None else _first_pieces(lists["offset_mapping"], words, most_words)
    return Tokens(ids, starts, types, Padding.of(tokenizer), firsts)


def _first_pieces(
    offsets: Sequence[Sequence[tuple[int, int]]], words: Sequence[Words], most_words: int
) -> NDArray[np.int32]:
    """The first token that holds a character of each word: `Tokens.words`. Tokens that stand for no text are empty."""
    found = np.full((len(words), max(most_words, *map(len, words))), -1, dtype=np.int32)
    for row, (spans, own) in enumerate(zip(offsets, words, strict=True)):
        where = np.asarray(spans, dtype=np.int64).reshape(-1, 2)
        full = np.flatnonzero(where[:, 1] > where[:, 0])
        if not len(full) or not len(own):
            continue
        at = np.searchsorted(where[full, 1], own[:, 0], side="right")  # the first that ends behind the word's start
        there = np.minimum(at, len(full) - 1)
        inside = (at < len(full)) & (where[full[there], 0] < own[:, 1])
        found[row, : len(own)] = np.where(inside, full[there], -1)
    return found


def tokenize_cached(path: Path, tokenizer: PreTrainedTokenizerBase, examples: Examples, max_length: int) -> Tokens:
    """`tokenize`, kept in the file at `path` (safetensors) and mapped from there the next time.

    Mapped, not read: a trial takes from it what its batches need, and all workers share the pages.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import save_file
    from safetensors.torch import load_file  # its tensors lie in the mapped file; those of safetensors.numpy are copies

    try:
        kept = {name: tensor.numpy() for name, tensor in load_file(path).items()}
        return Tokens(kept["ids"], kept["starts"], kept.get("types"), Padding.of(tokenizer), kept.get("words"))
    except (OSError, SafetensorError, KeyError):
        pass  # not there yet, or cut short: made anew below
    most = examples.labels.shape[1] if examples.words is not None else 1  # the same in train and test
    tokens = tokenize(tokenizer, examples.texts, examples.pairs, max_length, examples.words, most)
    make_directory(path.parent)
    more = {name: array for name in ("types", "words") if (array := getattr(tokens, name)) is not None}
    with whole_file(path) as scratch:
        save_file({"ids": tokens.ids, "starts": tokens.starts, **more}, scratch)
    return tokens


class Order(Protocol):
    """Which examples a step trains on."""

    def at(self, step: int) -> NDArray[np.int64]: ...


class Batches:
    """The order in which a trial sees its examples: a function of seed, step and lengths alone, so resuming is exact."""

    def __init__(self, lengths: NDArray[np.int64], batch_size: int, seed: int) -> None:
        self.lengths = lengths
        self.batch_size = batch_size
        self.seed = seed
        self.steps_per_epoch = -(-len(lengths) // batch_size)
        self._epoch = -1
        self._batches: list[NDArray[np.int64]] = []

    def at(self, step: int) -> NDArray[np.int64]:
        """Places (indices into `lengths`) of the examples of that step, counted from 0 over all epochs."""
        epoch, place = divmod(step, self.steps_per_epoch)
        if epoch != self._epoch:
            self._epoch, self._batches = epoch, self._shuffle(np.random.default_rng([self.seed, epoch]))
        return self._batches[place]

    def _shuffle(self, rng: np.random.Generator) -> list[NDArray[np.int64]]:
        order = rng.permutation(len(self.lengths))
        pool = POOL * self.batch_size
        batches = []
        for start in range(0, len(order), pool):
            part = order[start : start + pool]
            part = part[np.argsort(self.lengths[part], kind="stable")]
            batches += [part[i : i + self.batch_size] for i in range(0, len(part), self.batch_size)]
        return [batches[i] for i in rng.permutation(len(batches))]


def collate(tokens: Tokens, which: NDArray[np.int64], device: torch.device) -> dict[str, Any]:
    """The model's inputs, each of shape (len(which), longest of them), padded on the side that the model wants."""
    lengths, padding = tokens.lengths[which][:, None], tokens.padding
    shape = (len(which), int(lengths.max()))
    first = shape[1] - lengths if padding.left else 0
    place = np.arange(shape[1]) - first
    mask = (place >= 0) & (place < lengths)
    source = (tokens.starts[which][:, None] + place)[mask]
    ids = np.full(shape, padding.token, dtype=np.int64)
    ids[mask] = tokens.ids[source]
    batch = {"input_ids": torch.from_numpy(ids), "attention_mask": torch.from_numpy(mask.astype(np.int64))}
    if tokens.types is not None:
        types = np.full(shape, padding.type, dtype=np.int64)
        types[mask] = tokens.types[source]
        batch["token_type_ids"] = torch.from_numpy(types)
    return {name: tensor.to(device, non_blocking=True) for name, tensor in batch.items()}


def forward(model: PreTrainedModel, inputs: Inputs, which: NDArray[np.int64]) -> torch.Tensor:
    """The model's outputs in float32: (len(which), outputs), or, word by word, (len(which), most words, outputs)."""
    values: torch.Tensor = model(**inputs.batch(which, model.device)).logits.float()
    return at_words(values, inputs, which) if isinstance(inputs, Tokens) and inputs.words is not None else values


def at_words(values: torch.Tensor, tokens: Tokens, which: NDArray[np.int64]) -> torch.Tensor:
    """(n, length, outputs) -> (n, most words, outputs): at each word's first piece; -inf where a word is not read."""
    assert tokens.words is not None
    words = tokens.words[which]
    read = np.flatnonzero((words >= 0).any(axis=0))
    words = words[:, : int(read.max(initial=0)) + 1]
    before = values.shape[1] - tokens.lengths[which][:, None] if tokens.padding.left else 0
    at = torch.from_numpy(np.where(words < 0, 0, words + before).astype(np.int64)).to(values.device)
    found = values.gather(1, at[..., None].expand(-1, -1, values.shape[-1]))
    return found.masked_fill(torch.from_numpy(words < 0).to(values.device)[..., None], -torch.inf)


def stand_in(tokenizer: PreTrainedTokenizerBase, examples: int, length: int) -> dict[str, torch.Tensor]:
    """Random tokens of that shape where no text is at hand: no special ones but those that end each of the tokenizer's texts.

    An encoder-decoder's head looks for that very end. The same tokens at each call; no stream of chance is touched.
    """
    special, end = tokenizer.all_special_ids, tokenizer("")["input_ids"][-length:]
    ids = torch.randint(tokenizer.vocab_size, (examples, length), generator=torch.Generator().manual_seed(0))
    ids[torch.isin(ids, torch.tensor(special))] = next(n for n in range(tokenizer.vocab_size) if n not in special)
    ids[:, length - len(end) :] = torch.tensor(end, dtype=torch.int64)
    return {"input_ids": ids, "attention_mask": torch.ones_like(ids)}
