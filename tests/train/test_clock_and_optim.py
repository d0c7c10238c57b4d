from __future__ import annotations

import time

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from transformers import get_cosine_schedule_with_warmup, get_linear_schedule_with_warmup

from tuneworth.spec import ENGINE, Budget, Recipe, engine_of
from tuneworth.train.clock import Clock
from tuneworth.train.optim import learning_rate, make_optimizer

CPU = torch.device("cpu")


def run_clock(budget: str, steps_per_epoch: int = 10, flops: float = 1e6, sleep: float = 0.0) -> Clock:
    clock = Clock(Budget.parse(budget), steps_per_epoch, CPU)
    while not clock.finished:
        with clock.step(32, flops):
            time.sleep(sleep)
    return clock


@pytest.mark.parametrize(
    ("budget", "steps"),
    [("3epochs", 30), ("0.1epochs", 1), ("0.25epochs", 3), ("7steps", 7), ("5e6flops", 5), ("5.5e6flops", 6)],
)
def test_a_budget_is_spent_to_the_step(budget: str, steps: int) -> None:
    clock = run_clock(budget)
    assert clock.steps == steps
    assert clock.examples == 32 * steps
    assert clock.share == 1.0


def test_seconds_end_within_one_step_of_the_deadline_and_count_only_steps() -> None:
    clock = Clock(Budget.parse("0.2s"), 10, CPU)
    longest = 0.0
    while not clock.finished:
        before = clock.seconds
        with clock.step(1, 0.0):
            time.sleep(0.03)
        longest = max(longest, clock.seconds - before)
        time.sleep(0.03)  # evaluation, say: outside the clock
    assert 0.2 <= clock.seconds <= 0.2 + longest
    assert clock.steps >= 2


@given(st.integers(1, 500), st.integers(1, 60))
def test_share_never_falls_and_ends_at_one(steps: int, steps_per_epoch: int) -> None:
    clock = Clock(Budget.parse(f"{steps}steps"), steps_per_epoch, CPU)
    shares = []
    while not clock.finished:
        shares.append(clock.mid_step(0.0))
        with clock.step(1, 0.0):
            pass
        shares.append(clock.share)
    assert shares == sorted(shares)
    assert shares[-1] == 1.0


@pytest.mark.parametrize("warmup", [0.0, 0.1])
@pytest.mark.parametrize(
    ("budget", "flops"), [("0.05s", 1.0), ("5.2e6flops", 1e6), ("5.5e6flops", 1e6), ("3e6flops", 1e6)]
)
def test_no_step_of_seconds_or_flops_is_for_nothing(budget: str, flops: float, warmup: float) -> None:
    """The first step in seconds and the last one in either had a learning rate of 0."""
    clock, recipe, rates = Clock(Budget.parse(budget), 10, CPU), Recipe(learning_rate=1.0, warmup=warmup), []
    while not clock.finished:
        rates.append(learning_rate(recipe, clock.mid_step(flops)))
        with clock.step(1, flops):
            time.sleep(0.004)
    assert min(rates) > 0
    assert rates[-1] < max(rates) or len(rates) == 1


def test_only_seconds_flops_and_heads_have_another_engine() -> None:
    budgets = {text: Budget.parse(text) for text in ("3epochs", "20steps", "60s", "1e12flops")}
    engines = {text: engine_of(budget, "full", stream=False) for text, budget in budgets.items()}
    assert engines == {"3epochs": ENGINE, "20steps": ENGINE, "60s": ENGINE + 1, "1e12flops": ENGINE + 1}
    assert {text: engine_of(budget, "head", stream=True) for text, budget in budgets.items()} == engines
    for text, budget in budgets.items():  # its features are kept since, in trials that are no stream
        assert engine_of(budget, "head", stream=False) == engines[text] + 1


@pytest.mark.parametrize("schedule", ["linear", "cosine"])
def test_the_schedule_in_steps_is_that_of_transformers(schedule: str) -> None:
    """Ours is read at the middle of a step, theirs at its start: shifted by half a step, they are the same function."""
    recipe = Recipe(learning_rate=1.0, schedule=schedule, warmup=0.2)  # type: ignore[arg-type]
    make = {"linear": get_linear_schedule_with_warmup, "cosine": get_cosine_schedule_with_warmup}[schedule]
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    scheduler = make(optimizer, 20, 100)
    for step in range(100):
        assert learning_rate(recipe, step / 100) == pytest.approx(scheduler.get_last_lr()[0], abs=1e-9)
        optimizer.step()
        scheduler.step()


@given(st.floats(0, 1), st.sampled_from(["linear", "cosine", "constant"]), st.floats(0, 0.9))
def test_the_rate_stays_between_zero_and_its_peak(share: float, schedule: str, warmup: float) -> None:
    recipe = Recipe(learning_rate=2e-3, schedule=schedule, warmup=warmup)  # type: ignore[arg-type]
    assert -1e-12 <= learning_rate(recipe, share) <= 2e-3 * (1 + 1e-9)


def test_vectors_do_not_decay_and_the_frozen_have_no_state() -> None:
    model = torch.nn.Sequential(torch.nn.Linear(3, 3), torch.nn.LayerNorm(3), torch.nn.Linear(3, 2))
    model[0].requires_grad_(False)
    optimizer = make_optimizer(model, Recipe(learning_rate=0.1, weight_decay=0.5))
    decays = {id(p): group["weight_decay"] for group in optimizer.param_groups for p in group["params"]}
    assert decays == {
        id(model[2].weight): 0.5,
        id(model[2].bias): 0.0,
        id(model[1].weight): 0.0,
        id(model[1].bias): 0.0,
    }
