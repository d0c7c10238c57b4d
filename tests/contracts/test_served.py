"""What serving promises: a batch of many tasks and methods gives each example what its task's own model gives."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from families import ENCODERS, OWN_METHODS, make_model_dir
from made_deltas import make_delta
from tuneworth import models
from tuneworth.deltas.load import load_tuned
from tuneworth.serve.engine import Engine, Example
from tuneworth.serve.found import find
from tuneworth.spec import Precision
from tuneworth.train.batches import tokenize
from tuneworth.train.evaluate import logits
from tuneworth.train.fast import lay_out

TEXTS = ["a cat sat on the mat", "no", "dogs bark at night, loudly", "the report was late again"]
PAIRS = ["the mat held a cat", "yes it is", "it was quiet", "nobody read it"]
OPTIONS: list[tuple[str, dict[str, Any]]] = [
    *((method, {}) for method in OWN_METHODS),
    ("bitfit", {"subset": "query+intermediate"}),
    ("houlsby", {"bottleneck": 8, "non_linearity": "tanh", "train_layer_norms": False}),
    ("pfeiffer", {"bottleneck": 8, "train_layer_norms": True}),
    ("parallel", {"bottleneck": 8, "scale": 1.5}),
    ("lora", {"r": 3, "targets": "all-linear"}),
]
"""Every registered method by default, and what changes the form of its parts."""
OTHERWISE: list[tuple[str, dict[str, Any]]] = [
    *((method, {}) for method in ("full", "head", "bitfit", "lora", "houlsby", "pfeiffer", "parallel", "peft/ia3")),
]
"""On families of other shapes."""
ALONE = {
    "llama": {"full", "houlsby", "peft/ia3"},  # whose RMSNorms are trained
    "modernbert": {"full", "peft/ia3"},
    "gpt2": {"full", "bitfit", "peft/ia3"},  # whose biases are not a Linear module's
}
"""What is served as a model of its own there."""


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str, Precision], tuple[Engine, Path]]:
    """An engine of a family with a delta of each kind, of 0 (regression) to 4 labels, every third on text pairs."""

    def make(family: str, precision: Precision) -> tuple[Engine, Path]:
        root = tmp_path_factory.mktemp(family)
        base = make_model_dir(family, root / "base")
        for seed, (method, options) in enumerate(OTHERWISE if family in ALONE else OPTIONS):
            name = f"{seed}-{method.removeprefix('peft/')}"
            make_delta(root / "deltas" / name, base, method, seed % 5, seed, seed % 3 == 0, options)
        engine = Engine(models.resolve(str(base)), torch.device("cpu"), precision)
        for found in find(root / "deltas"):
            engine.load(found)
        return engine, root / "deltas"

    return cache(make)


def mixed(engine: Engine) -> list[Example]:
    """Two examples of every task, none of one task side by side."""
    rows = [engine.encode(task, TEXTS, PAIRS if task.info.pairs else None) for task in engine.tasks.values()]
    return [four[turn] for turn in range(2) for four in rows]


def own_logits(directory: Path, precision: Precision) -> np.ndarray[Any, Any]:
    """Of the first two texts, by the delta's own model."""
    tuned = load_tuned(directory)
    lay_out(tuned.model, torch.device("cpu"), precision)
    tokens = tokenize(tuned.tokenizer, TEXTS[:2], PAIRS[:2] if tuned.info.pairs else None, tuned.info.max_length)
    return logits(tuned.model, tokens, np.arange(2), precision)


@pytest.mark.parametrize("family", [*ENCODERS, *ALONE])
def test_a_mixed_batch_gives_each_task_its_own_logits(served: Callable[..., tuple[Engine, Path]], family: str) -> None:
    engine, root = served(family, "fp32")
    examples = [example for example in mixed(engine) if example.task.parts is not None]
    values = engine.logits(examples)
    alone = ALONE.get(family, {"full"})
    assert {example.task.info.method for example in examples} == {d.info.method for d in find(root) if d.info} - alone
    for name in {example.task.name for example in examples}:
        rows = [row for row, example in enumerate(examples) if example.task.name == name]
        expected = own_logits(root / name, "fp32")
        np.testing.assert_allclose(values[rows, : expected.shape[1]], expected, atol=1e-4, rtol=0, err_msg=name)


@pytest.mark.parametrize("family", [*ENCODERS, *ALONE])
def test_what_does_not_mix_is_a_model_of_its_own(served: Callable[..., tuple[Engine, Path]], family: str) -> None:
    engine, root = served(family, "fp32")
    tasks = [task for task in engine.tasks.values() if task.parts is None]
    assert {task.info.method for task in tasks} == ALONE.get(family, {"full"})
    for task in tasks:
        values = engine.logits(engine.encode(task, TEXTS[:2], PAIRS[:2] if task.info.pairs else None))
        np.testing.assert_allclose(values, own_logits(root / task.name, "fp32"), atol=1e-4, rtol=0, err_msg=task.name)


def test_in_bf16_the_logits_agree_to_its_precision(served: Callable[..., tuple[Engine, Path]]) -> None:
    """bf16 keeps 8 bits: what two orders of rounding may differ by grows with the logits, which are large here."""
    engine, root = served("bert", "bf16")
    examples = [example for example in mixed(engine) if example.task.parts is not None]
    values = engine.logits(examples)
    for name in {example.task.name for example in examples}:
        rows = [row for row, example in enumerate(examples) if example.task.name == name]
        expected = own_logits(root / name, "bf16")
        np.testing.assert_allclose(values[rows, : expected.shape[1]], expected, atol=2e-2, rtol=2e-2, err_msg=name)
