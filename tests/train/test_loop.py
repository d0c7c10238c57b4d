"""The loop against a few plain lines of PyTorch, and what it promises of memory, divergence and resuming."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch.utils.flop_counter import FlopCounterMode

from families import make_tokenizer
from tuneworth.errors import Diverged
from tuneworth.kinds.classification import Classes
from tuneworth.methods import get_method, method_options
from tuneworth.methods.apply import tune
from tuneworth.models.load import load
from tuneworth.spec import Budget, Recipe
from tuneworth.train import flops
from tuneworth.train.batches import Batches, collate, tokenize
from tuneworth.train.checkpoint import Checkpointer, LoopState
from tuneworth.train.clock import Clock
from tuneworth.train.loop import Training, Validation, train
from tuneworth.train.optim import learning_rate

CPU = torch.device("cpu")
TEXTS = [f"film {i} is {'good' if i % 2 else 'bad'} {'so ' * (i % 5)}" for i in range(40)]
LABELS = torch.tensor([i % 2 for i in range(40)])
RECIPE = Recipe(learning_rate=5e-3, batch_size=8, weight_decay=0.1, warmup=0.2)

Setup = Callable[..., Training]


@pytest.fixture
def setup(tiny_model: Path, tmp_path: Path) -> Setup:
    def make(
        method: str = "full", budget: str = "12steps", dropout: bool = False, every: float = 1e9, **changes: Any
    ) -> Training:
        loaded = load(str(tiny_model), 2, "classification", torch.Generator().manual_seed(0))
        chosen = get_method(method)
        tune(loaded, chosen, method_options(chosen, {}), torch.Generator().manual_seed(0))
        if not dropout:
            for module in loaded.model.modules():
                if isinstance(module, torch.nn.Dropout):
                    module.p = 0.0
        tokens = tokenize(loaded.tokenizer, TEXTS, None, 64)
        recipe = changes.pop("recipe", RECIPE)
        batches = Batches(tokens.lengths, recipe.batch_size, 3)
        return Training(
            loaded.model, Classes(labels=("no", "yes")), tokens, LABELS, np.arange(40), lambda: Validation(50.0), recipe,
            Clock(Budget.parse(budget), batches.steps_per_epoch, CPU), batches,
            flops.count(loaded.model, loaded.tokenizer), 3, "fp32",
            Checkpointer(tmp_path / "checkpoint.safetensors", every), **changes,
        )  # fmt: skip

    return make


def parameters(run: Training) -> torch.Tensor:
    """All of them but the key biases: these have no effect, so their gradient is rounding, which Adam makes large."""
    return torch.cat([p.detach().flatten() for n, p in run.model.named_parameters() if not n.endswith("key.bias")])


def to_the_end(run: Training) -> LoopState:
    *_, state = train(run)
    return state


def test_the_loop_is_plain_adamw_on_the_scheduled_rate(setup: Setup) -> None:
    run, plain = setup(), setup()
    to_the_end(run)
    trained = [p for p in plain.model.parameters() if p.requires_grad]
    groups = [{"params": [p for p in trained if p.ndim > 1], "weight_decay": 0.1},
              {"params": [p for p in trained if p.ndim < 2], "weight_decay": 0.0}]  # fmt: skip
    optimizer = torch.optim.AdamW(groups, lr=1.0)
    plain.model.train()
    for step in range(12):
        which = plain.batches.at(step)
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(RECIPE, (step + 0.5) / 12)
        logits = plain.model(**collate(plain.tokens, which, CPU)).logits
        F.cross_entropy(logits, LABELS[which]).backward()
        torch.nn.utils.clip_grad_norm_(trained, 1.0)
        optimizer.step()
        optimizer.zero_grad()
    torch.testing.assert_close(parameters(run), parameters(plain), rtol=1e-4, atol=1e-5)


def test_the_curve_has_the_asked_points_and_ends_at_the_end(setup: Setup) -> None:
    state = to_the_end(setup())
    assert [point.step for point in state.curve] == [4, 8, 12]
    assert [point.examples for point in state.curve] == [32, 64, 96]
    assert state.curve[-1].seconds > state.curve[0].seconds > 0
    assert [point.step for point in to_the_end(setup(budget="2steps")).curve] == [1, 2]


@pytest.mark.parametrize("stop", [2, 6, 12])
def test_a_run_resumed_from_a_checkpoint_ends_to_the_bit_where_the_whole_one_does(setup: Setup, stop: int) -> None:
    whole = setup(dropout=True)
    torch.manual_seed(7)
    expected = to_the_end(whole)
    first = setup(dropout=True, every=0.0)
    torch.manual_seed(7)
    for number, _ in enumerate(train(first), 1):
        if number == stop:
            break
    torch.manual_seed(999)  # what a new process would have
    second = setup(dropout=True, every=1e9)
    state = to_the_end(second)
    assert torch.equal(parameters(second), parameters(whole))
    assert second.clock.steps == 12
    assert second.clock.flops == whole.clock.flops
    assert [(p.step, p.loss) for p in state.curve] == [(p.step, p.loss) for p in expected.curve]


def test_a_damaged_checkpoint_means_starting_again(setup: Setup) -> None:
    run = setup(every=0.0)
    to_the_end(run)
    path = run.checkpointer.path
    path.write_bytes(path.read_bytes()[:-100])
    again = setup()
    to_the_end(again)
    assert torch.equal(parameters(again), parameters(run))


def test_out_of_memory_halves_the_micro_batch_and_keeps_the_batch(setup: Setup) -> None:
    """The error is the one CUDA raises; what the loop does about it is real."""
    whole, cramped = setup(), setup()
    to_the_end(whole)
    forward = cramped.model.forward

    def narrow(*args: Any, **inputs: Any) -> Any:
        if len(inputs["input_ids"]) > 3:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return forward(*args, **inputs)

    cramped.model.forward = narrow  # type: ignore[method-assign]
    state = to_the_end(cramped)
    assert state.micro_batch == 2
    assert state.notes == [
        "out of memory: micro-batch halved to 4 at step 0",
        "out of memory: micro-batch halved to 2 at step 0",
    ]
    torch.testing.assert_close(parameters(cramped), parameters(whole), rtol=1e-3, atol=1e-4)


def test_a_batch_that_goes_through_in_parts_gives_the_same(setup: Setup) -> None:
    whole, parts = setup("bitfit"), setup("bitfit")
    parts.tokens_at_once = 30
    sizes = []
    parts.model.register_forward_pre_hook(lambda _, __, inputs: sizes.append(inputs["input_ids"].shape), with_kwargs=True,
                                          prepend=True)  # before tokens are packed  # fmt: skip
    to_the_end(whole)
    to_the_end(parts)
    assert len(sizes) > 24
    assert all(rows == 1 or rows * length <= 30 for rows, length in sizes)
    torch.testing.assert_close(parameters(parts), parameters(whole), rtol=1e-3, atol=1e-4)


def test_out_of_memory_at_one_example_is_an_error(setup: Setup) -> None:
    run = setup()

    def full(*_: Any, **__: Any) -> Any:
        raise RuntimeError("DefaultCPUAllocator: can't allocate memory")

    run.model.forward = full  # type: ignore[method-assign]
    with pytest.raises(RuntimeError, match="allocate"):
        to_the_end(run)


def test_a_loss_that_is_not_finite_or_blows_up_is_divergence(setup: Setup) -> None:
    broken = setup()
    with torch.no_grad():
        next(p for p in broken.model.parameters() if p.requires_grad).fill_(float("nan"))
    with pytest.raises(Diverged, match=r"not finite|nan"):
        to_the_end(broken)
    wild = setup(budget="200steps", recipe=RECIPE.model_copy(update={"learning_rate": 1e3, "schedule": "constant"}))
    with pytest.raises(Diverged, match=r"diverged: .* at step \d+"):
        to_the_end(wild)


def test_flops_are_those_of_the_matrix_products(setup: Setup) -> None:
    """By hand, for BERT: 2 a multiply-add; layers 4 h*h + 2 h*f a token, attention 2 s*h a token, pooler and head once."""
    h, f, layers, labels, s = 32, 64, 2, 2, 16
    run = setup("full")
    linear, attention = 2 * s * layers * (4 * h * h + 2 * h * f), layers * 4 * s * s * h
    pooler, classifier = 2 * h * h, 2 * h * labels
    forward = linear + attention + pooler + classifier
    assert run.flops.batch(1, s) == pytest.approx(3 * forward, rel=1e-6)
    assert setup("head").flops.batch(1, s) == pytest.approx(forward + classifier, rel=1e-6)
    bitfit = 2 * linear + 3 * attention + 2 * pooler + 3 * classifier  # frozen weights need no gradient of their own
    assert setup("bitfit").flops.batch(1, s) == pytest.approx(bitfit, rel=1e-6)


def test_pytorch_s_counter_takes_fused_attention_on_a_cpu_for_free(setup: Setup) -> None:
    """So ours is the larger one, by attention's own products, and the counter's own where attention is not fused."""
    run, h, layers, s = setup("full"), 32, 2, 16
    ids, counted = torch.ones((1, s), dtype=torch.long), {}
    for attention in ("sdpa", "eager"):
        run.model.set_attn_implementation(attention)
        with FlopCounterMode(display=False) as counter:
            run.model(input_ids=ids, attention_mask=torch.ones_like(ids)).logits.sum().backward()
        counted[attention] = counter.get_total_flops()
    assert run.flops.batch(1, s) == counted["eager"]
    assert run.flops.batch(1, s) - counted["sdpa"] == layers * 12 * s * s * h


def test_a_checkpoint_at_the_very_end_still_gives_the_whole_curve(setup: Setup) -> None:
    """A kill between the last step and the recording of the result."""
    run = setup()
    run.checkpointer.due = lambda: True  # type: ignore[method-assign]
    curve = to_the_end(run).curve
    assert to_the_end(setup()).curve == curve


def test_flops_of_models_that_are_alike_are_counted_once(setup: Setup) -> None:
    model, tokenizer = setup("bitfit").model, make_tokenizer("bert")
    first = flops.count(model, tokenizer, "bitfit here")
    model.requires_grad_(False)  # it could not be counted now
    assert flops.count(model, tokenizer, "bitfit here") is first
    assert flops.count(setup("head").model, tokenizer, "head here") != first
