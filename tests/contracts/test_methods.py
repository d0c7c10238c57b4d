"""What every registered method promises, on a tiny model of every family."""

from __future__ import annotations

import copy
import os
import subprocess
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from families import ENCODERS, OWN_METHODS, make_model_dir
from tuneworth.methods import Method, get_method, method_options
from tuneworth.methods.apply import tune
from tuneworth.models.load import Loaded, load

TEXTS = ["a cat sat on the mat", "no", "dogs bark at night, loudly", "the report was late"]
PAIRS = ["the mat held a cat", "yes it is", "it was quiet", "nobody read it"]
LABELS = torch.tensor([0, 1, 2, 1])
LABEL_COUNT = 3
NARROW = {name: {"bottleneck": 8} for name in ("houlsby", "pfeiffer", "parallel")}
"""The default bottleneck of a model this small is 2: too few ReLUs for one to be sure to live."""

Tuned = Callable[..., tuple[Loaded, list[str]]]


def generator(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.fixture(scope="module")
def model_dirs(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    return cache(lambda family: make_model_dir(family, tmp_path_factory.mktemp(family)))


@pytest.fixture(params=ENCODERS)
def family(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(params=OWN_METHODS)
def method(request: pytest.FixtureRequest) -> Method:
    return get_method(request.param)


@pytest.fixture
def plain(model_dirs: Callable[[str], Path], family: str) -> Callable[..., Loaded]:
    """The untuned model, with its head drawn from a seed."""
    return lambda seed=0: load(str(model_dirs(family)), LABEL_COUNT, "classification", generator(seed))


@pytest.fixture
def tuned(plain: Callable[..., Loaded], method: Method) -> Tuned:
    """The model tuned with the method's default options, and the names of its trainable parameters."""

    def make(seed: int = 0) -> tuple[Loaded, list[str]]:
        loaded = plain(seed)
        return loaded, tune(loaded, method, method_options(method, NARROW.get(method.name, {})), generator(seed + 1))

    return make


def batch(loaded: Loaded) -> dict[str, torch.Tensor]:
    return dict(loaded.tokenizer(TEXTS, PAIRS, padding=True, return_tensors="pt"))


def logits(loaded: Loaded) -> torch.Tensor:
    with torch.no_grad():
        out: torch.Tensor = loaded.model.eval()(**batch(loaded)).logits
    return out


def train(loaded: Loaded, steps: int = 4) -> dict[str, torch.Tensor]:
    """A few real steps. Returns the largest absolute gradient that each parameter has seen."""
    trainable = {name: p for name, p in loaded.model.named_parameters() if p.requires_grad}
    largest = {name: torch.zeros(()) for name in trainable}
    optimizer = torch.optim.AdamW(trainable.values(), lr=1e-2, weight_decay=0.01)
    loaded.model.train()
    for _ in range(steps):
        loaded.model(**batch(loaded), labels=LABELS).loss.backward()
        for name, parameter in trainable.items():
            assert parameter.grad is not None, f"{name} is trainable but has no gradient"
            largest[name] = torch.maximum(largest[name], parameter.grad.abs().max())
        optimizer.step()
        optimizer.zero_grad()
    return largest


def state(loaded: Loaded) -> dict[str, torch.Tensor]:
    return {name: tensor.clone() for name, tensor in [*loaded.model.named_parameters(), *loaded.model.named_buffers()]}


def test_step_zero_is_the_plain_model(plain: Callable[..., Loaded], tuned: Tuned) -> None:
    before, after = plain(), tuned()[0]
    if len(state(before)) == len(state(after)):
        assert torch.equal(logits(after), logits(before))
    else:  # modules were added
        torch.testing.assert_close(logits(after), logits(before), rtol=1e-6, atol=1e-6)


def test_training_changes_what_is_declared_and_nothing_else(tuned: Tuned) -> None:
    loaded, names = tuned()
    before = state(loaded)
    gradients = train(loaded)
    after = state(loaded)
    assert set(names) == set(gradients)
    assert all(gradient > 0 for gradient in gradients.values()), "declared trainable, but never reached by the loss"
    for name, tensor in after.items():
        assert torch.equal(tensor, before[name]) == (name not in names), name


def test_the_head_is_trained(tuned: Tuned) -> None:
    loaded, names = tuned()
    assert loaded.head
    assert loaded.head <= set(names)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_gradients_are_finite_in_both_precisions(tuned: Tuned, dtype: torch.dtype) -> None:
    loaded, names = tuned()
    with torch.autocast("cpu", dtype, enabled=dtype != torch.float32):
        loaded.model.train()(**batch(loaded), labels=LABELS).loss.backward()
    parameters = dict(loaded.model.named_parameters())
    for name in names:
        gradient = parameters[name].grad
        assert gradient is not None
        assert gradient.dtype == torch.float32
        assert gradient.isfinite().all()


def test_equal_seeds_start_equal_and_the_global_stream_is_left_alone(tuned: Tuned) -> None:
    torch.manual_seed(1)
    first = state(tuned()[0])
    torch.manual_seed(2)
    stream = torch.get_rng_state()
    second = state(tuned()[0])
    assert torch.equal(torch.get_rng_state(), stream)
    assert first.keys() == second.keys()
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_another_seed_draws_another_head(tuned: Tuned) -> None:
    (loaded, _), (other, _) = tuned(0), tuned(1)
    assert not torch.equal(logits(loaded), logits(other))


def test_a_deep_copy_is_apart(tuned: Tuned) -> None:
    loaded, _ = tuned()
    train(loaded)
    twin = Loaded(copy.deepcopy(loaded.model), loaded.tokenizer, loaded.head)
    expected = logits(loaded)
    assert torch.equal(logits(twin), expected)
    train(twin, steps=1)
    assert torch.equal(logits(loaded), expected)
    assert not torch.equal(logits(twin), expected)


def test_the_trained_tensors_are_all_that_was_learnt(tuned: Tuned, tmp_path: Path) -> None:
    loaded, names = tuned(0)
    train(loaded)
    save_file({name: state(loaded)[name] for name in names}, tmp_path / "delta.safetensors")
    fresh, _ = tuned(5)
    fresh.model.load_state_dict(load_file(tmp_path / "delta.safetensors"), strict=False)
    assert torch.equal(logits(fresh), logits(loaded))


# The tiny models' sizes: hidden d, FFN f, bottleneck m, LoRA's rank r; ALBERT's three layers share one.
D, F, M, R = 32, 64, 8, 8
LAYERS = {"bert": 2, "roberta": 2, "distilbert": 2, "electra": 2, "albert": 1}
EMBEDDING = {"bert": D, "roberta": D, "distilbert": D, "electra": 16, "albert": 16}
LAST = D * LABEL_COUNT + LABEL_COUNT
DEEP = D * D + D + LAST
HEAD = {"bert": LAST, "roberta": DEEP, "distilbert": DEEP, "electra": DEEP, "albert": LAST}
OTHER_BIASES = {"bert": D, "roberta": 0, "distilbert": 0, "electra": D, "albert": 2 * D}  # pooler, embedding projection


def expected_count(method: str, family: str, total: int) -> int:
    layers, embedding, adapter = LAYERS[family], EMBEDDING[family], 2 * D * M + M + D
    beside_head: dict[str, int] = {
        "full": total - HEAD[family],
        "head": 0,
        "bitfit": embedding + layers * (4 * D + F + D + 2 * D) + OTHER_BIASES[family],
        "houlsby": layers * 2 * adapter + 2 * embedding + layers * 2 * 2 * D,
        "pfeiffer": layers * adapter,
        "parallel": layers * adapter,
        "lora": layers * 2 * R * (D + D),
    }
    return beside_head[method] + HEAD[family]


BUILT_IN = ("full", "head", "bitfit", "houlsby", "pfeiffer", "parallel", "lora")


@pytest.mark.parametrize("name", BUILT_IN)
def test_trainable_counts_follow_the_closed_formula(plain: Callable[..., Loaded], family: str, name: str) -> None:
    loaded = plain()
    total = sum(p.numel() for p in loaded.model.parameters())
    method = get_method(name)
    names = tune(loaded, method, method_options(method, NARROW.get(name, {})), generator(0))
    parameters = dict(loaded.model.named_parameters())
    assert sum(parameters[n].numel() for n in names) == expected_count(name, family, total)


def test_it_says_what_it_is(method: Method) -> None:
    for text in (method.summary, method.source):
        assert text
        assert "\n" not in text
    assert "arXiv" in method.source or method.name not in BUILT_IN
    assert method.recipe.learning_rate > 0
    assert method_options(method, {}) == method.Options()


def test_methods_are_listed_without_torch() -> None:
    code = "import sys, tuneworth.methods as m; assert m.all_methods(); assert not {'torch', 'peft'} & set(sys.modules)"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    subprocess.run([sys.executable, "-c", code], check=True, env=environment)
