from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer, models, processors
from transformers import PreTrainedTokenizerFast

from families import make_tokenizer
from tuneworth.tasks import Examples
from tuneworth.train.batches import Batches, Tokens, collate, stand_in, tokenize, tokenize_cached


@given(
    st.lists(st.integers(1, 50), min_size=1, max_size=300), st.integers(1, 40), st.integers(0, 2**62), st.integers(0, 3)
)
def test_every_epoch_holds_every_example_once(lengths: list[int], size: int, seed: int, epoch: int) -> None:
    batches = Batches(np.array(lengths), size, seed)
    steps = range(epoch * batches.steps_per_epoch, (epoch + 1) * batches.steps_per_epoch)
    seen = np.concatenate([batches.at(step) for step in steps])
    assert sorted(seen) == list(range(len(lengths)))
    assert all(len(batches.at(step)) <= size for step in steps)


def test_the_order_depends_on_the_seed_and_the_step_alone() -> None:
    lengths = np.arange(1, 101)
    forward = Batches(lengths, 8, 5)
    order = [forward.at(step).tolist() for step in range(40)]
    again = Batches(lengths, 8, 5)
    assert [again.at(step).tolist() for step in reversed(range(40))] == order[::-1]
    assert [Batches(lengths, 8, 6).at(step).tolist() for step in range(40)] != order
    assert order[:13] != order[13:26]


def test_batches_hold_examples_of_like_length() -> None:
    lengths = np.random.default_rng(0).integers(5, 100, 3000)
    batches = Batches(lengths, 32, 1)
    padded = sum(len(b) * lengths[b].max() for b in (batches.at(s) for s in range(batches.steps_per_epoch)))
    assert padded / lengths.sum() < 1.1


@pytest.mark.parametrize("family", ["bert", "xlnet"])
def test_collate_pads_as_the_tokenizer_does(family: str) -> None:
    """On its side, with its token and its type."""
    tokenizer = make_tokenizer(family)
    texts, pairs = ["a cat", "dogs bark at night", "no"], ["one", "two three", "x"]
    tokens = tokenize(tokenizer, texts, pairs, 12)
    ours = collate(tokens, np.array([2, 0, 1]), torch.device("cpu"))
    theirs = tokenizer([texts[i] for i in (2, 0, 1)], [pairs[i] for i in (2, 0, 1)], truncation=True, max_length=12,
                       padding=True, return_tensors="pt")  # fmt: skip
    assert set(ours) == set(theirs)
    for name in ours:
        assert torch.equal(ours[name], theirs[name]), name


def test_tokens_are_kept_and_a_damaged_file_is_made_anew(tmp_path: Path) -> None:
    examples = Examples(["a cat", "dogs"], None, np.array([0, 1]))
    path = tmp_path / "tokens" / "t.safetensors"

    def read() -> Tokens:
        return tokenize_cached(path, make_tokenizer("bert"), examples, 16)

    first = read()
    stamp = path.stat().st_mtime_ns
    assert np.array_equal(read().ids, first.ids)
    assert path.stat().st_mtime_ns == stamp
    path.write_bytes(path.read_bytes()[:20])
    assert np.array_equal(read().ids, first.ids)
    assert list(path.parent.iterdir()) == [path]


def test_kept_tokens_are_mapped_and_their_lengths_are_not_counted_anew(tmp_path: Path) -> None:
    examples = Examples(["a cat", "two black dogs"], None, np.zeros(2))
    path = tmp_path / "tokens.safetensors"
    made = tokenize_cached(path, make_tokenizer("bert"), examples, 16)
    kept = tokenize_cached(path, make_tokenizer("bert"), examples, 16)
    assert kept.ids.tolist() == made.ids.tolist()
    assert kept.lengths is kept.lengths
    maps = Path("/proc/self/maps")
    if maps.exists():
        assert str(path) in maps.read_text()


@pytest.mark.parametrize("pieces", [False, True])
def test_an_end_mark_within_a_text_is_not_the_end(pieces: bool) -> None:
    """Where each text is to have as many as the next; also where the mark is a piece of a vocabulary of SentencePiece's."""
    tokenizer = make_tokenizer("t5")
    if pieces:
        vocabulary = [(piece, -9.0) for piece in "abcdefghijklmnopqrstuvwxyz"]
        backend = Tokenizer(models.Unigram([("[UNK]", 0.0), ("[SEP]", 0.0), ("[PAD]", 0.0), *vocabulary], unk_id=0))
        backend.post_processor = processors.TemplateProcessing(
            single="$A [SEP]", pair="$A [SEP] $B [SEP]", special_tokens=[("[SEP]", 1)]
        )
        tokenizer = PreTrainedTokenizerFast(
            tokenizer_object=backend, eos_token="[SEP]", pad_token="[PAD]", unk_token="[UNK]"
        )
    tokenizer.split_special_tokens = True
    texts, end = ["a [SEP] b", "a b", "[SEP]"], tokenizer.eos_token_id
    for pairs, count in ((None, 1), (texts, 2)):
        tokens = tokenize(tokenizer, texts, pairs, 32)
        rows = np.split(tokens.ids, tokens.starts[1:-1])
        assert [int((row == end).sum()) for row in rows] == [count] * 3
        assert all(row[-1] == end for row in rows)


@pytest.mark.parametrize("family", ["bert", "bart", "gpt2", "llama", "t5", "xlnet"])
def test_a_stand_in_ends_as_the_tokenizer_s_texts_do(family: str) -> None:
    tokenizer = make_tokenizer(family)
    batch, end = stand_in(tokenizer, 3, 9), tokenizer("")["input_ids"]
    assert batch["input_ids"].shape == batch["attention_mask"].shape == (3, 9)
    for row in batch["input_ids"].tolist():
        assert row[9 - len(end) :] == end
        assert not set(row[: 9 - len(end)]) & set(tokenizer.all_special_ids)
