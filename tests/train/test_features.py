"""A head trained on features of a frozen encoder: the same numbers as through the whole model, one pass, charged."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from families import ENCODERS, make_model_dir
from tuneworth.events import Finished, Job, Progress
from tuneworth.methods import get_method, method_options
from tuneworth.methods.apply import tune
from tuneworth.models.load import Loaded, load
from tuneworth.prepare import prepare
from tuneworth.spec import Budget, TrialResult
from tuneworth.study import Study
from tuneworth.tasks.splits import Split
from tuneworth.train import features, flops
from tuneworth.train.batches import Batches, tokenize
from tuneworth.train.clock import Clock
from tuneworth.train.evaluate import logits
from tuneworth.train.fast import lay_out
from tuneworth.train.features import Frozen
from tuneworth.trial import run_trial

CPU = torch.device("cpu")
TEXTS = [f"film {i} is {'good' if i % 2 else 'bad'} {'so ' * (i % 5)}" for i in range(40)]
SPLIT = Split(np.arange(4, 40), np.arange(4))


@pytest.fixture(autouse=True)
def nothing_kept() -> Iterator[None]:
    features._passes.clear()
    yield
    features._passes.clear()


def made(source: Path) -> Loaded:
    loaded = load(str(source), 2, "classification", torch.Generator().manual_seed(0))
    head = get_method("head")
    tune(loaded, head, method_options(head, {}), torch.Generator().manual_seed(0))
    return loaded


def kept(loaded: Loaded, budget: str = "3epochs") -> tuple[Frozen, Any, Clock]:
    cost = flops.count(loaded.model, loaded.tokenizer)
    lay_out(loaded.model, CPU, "fp32")
    tokens = tokenize(loaded.tokenizer, TEXTS, None, 64)
    batches = Batches(tokens.lengths[SPLIT.train], 8, 3)
    clock = Clock(Budget.parse(budget), batches.steps_per_epoch, CPU)
    frozen = Frozen(loaded.model)
    return frozen, frozen.features(tokens, batches, SPLIT, cost, clock, "fp32", "here"), clock


@pytest.mark.parametrize("family", [*ENCODERS, "deberta-v2", "mpnet"])
def test_the_head_answers_on_features_as_on_tokens(family: str, tmp_path: Path) -> None:
    loaded = made(make_model_dir(family, tmp_path / family))
    names = [name for name, _ in loaded.model.named_parameters()]
    tokens, which = tokenize(loaded.tokenizer, TEXTS, None, 64), np.arange(40)
    frozen, (found, _), _ = kept(loaded)
    on_features = logits(loaded.model, found, which, "fp32")
    frozen.give_back()
    assert np.abs(on_features - logits(loaded.model, tokens, which, "fp32")).max() < 1e-5
    assert [name for name, _ in loaded.model.named_parameters()] == names


def test_a_pooler_that_the_checkpoint_lacks_is_trained_on_the_first_token(tmp_path: Path) -> None:
    source = make_model_dir("bert", tmp_path / "bert")
    weights = {n: t for n, t in load_file(source / "model.safetensors").items() if not n.startswith("pooler")}
    save_file(weights, source / "model.safetensors", {"format": "pt"})
    loaded = made(source)
    frozen, (found, _), _ = kept(loaded)
    tokens, which = tokenize(loaded.tokenizer, TEXTS, None, 64), np.arange(40)
    torch.nn.init.normal_(loaded.model.get_parameter("bert.base.pooler.dense.weight"))  # after the pass
    on_features = logits(loaded.model, found, which, "fp32")
    frozen.give_back()
    assert np.abs(on_features - logits(loaded.model, tokens, which, "fp32")).max() < 1e-5


@pytest.mark.parametrize("family", ["gpt2", "longformer", "modernbert", "t5"])
def test_what_reads_other_tokens_runs_at_every_step_with_its_dropout_off(family: str, tmp_path: Path) -> None:
    loaded = made(make_model_dir(family, tmp_path / family))
    frozen, found, clock = kept(loaded)
    assert found is None
    assert clock.flops == clock.seconds == 0
    loaded.model.train()
    assert not any(module.training for module in frozen.base.modules())
    assert loaded.model.training


def test_the_pass_is_charged_by_what_a_trial_sees(tiny_model: Path) -> None:
    loaded = made(tiny_model)
    cost = flops.count(loaded.model, loaded.tokenizer)
    lengths = tokenize(loaded.tokenizer, TEXTS, None, 64).lengths[SPLIT.train]
    whole = sum(cost.batch(1, int(n)) for n in lengths)
    _, (_, head), clock = kept(loaded)
    assert head.batch(1, 1) == 2 * 2 * 32 * 2  # a product forward, one for the weight's gradient
    assert clock.flops == whole - head.batch(len(lengths), 1)
    assert clock.seconds > 0
    assert clock.steps == clock.examples == 0
    _, (found, _), clock = kept(made(tiny_model), "2steps")
    assert (found.place >= 0).sum() == 16 + len(SPLIT.validation)
    assert 0 < clock.flops < whole / 2


@pytest.mark.parametrize(("share", "keeps"), [(1.5, False), (2.5, True)])
def test_a_budget_that_holds_no_two_passes_keeps_nothing(share: float, keeps: bool, tiny_model: Path) -> None:
    loaded = made(tiny_model)
    _, _, whole = kept(loaded)
    _, found, clock = kept(made(tiny_model), f"{share * whole.flops}flops")
    assert (found is not None) == keeps
    assert clock.share == (pytest.approx(1 / share) if keeps else 0)


def test_a_pass_that_would_take_most_of_the_seconds_is_given_up_early(tiny_model: Path) -> None:
    _, found, clock = kept(made(tiny_model), "0.000001s")
    assert found is None
    assert clock.seconds > 0


@pytest.fixture
def job(make_study: Callable[..., Study], tmp_path: Path) -> Callable[..., Job]:
    def make(**changes: Any) -> Job:
        study = make_study(**{"methods": ["head"], "seeds": 1, "budgets": ["3epochs"], **changes})
        prepared = prepare(study.spec, None, tmp_path / "files")
        trial = prepared.trials[0]
        return Job(trial, prepared.model_sources[trial.model], study.spec.task["reviews"], None, tmp_path / "files",
                   "here", checkpoint_seconds=0.0)  # fmt: skip

    return make


def result(job: Job) -> TrialResult:
    *_, last = run_trial(job)
    assert isinstance(last, Finished), last
    return last.result


def told(result: TrialResult) -> tuple[Any, ...]:
    """All of it but what a clock measured."""
    curve = [(point.step, point.loss, point.score, point.validation_loss) for point in result.curve]
    return result.metrics, result.train_flops, result.steps, result.examples_seen, curve


def test_a_trial_says_the_same_whoever_made_the_pass(job: Callable[..., Job], monkeypatch: pytest.MonkeyPatch) -> None:
    passes: list[int] = []
    run = Frozen._run
    monkeypatch.setattr(Frozen, "_run", lambda self, *rest: (passes.append(1), run(self, *rest))[1])
    first, again = result(job()), result(job())
    assert passes == [1]
    assert told(first) == told(again)
    features._passes.clear()
    assert told(result(job())) == told(first)
    assert first.train_seconds > 0


def test_a_head_that_is_killed_ends_to_the_bit_where_the_whole_run_does(
    job: Callable[..., Job], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tuneworth.trial.PROGRESS_SECONDS", 0.0)
    whole = result(job())
    job().checkpoint_path.unlink(missing_ok=True)
    features._passes.clear()
    running = run_trial(job())
    for _, event in zip(range(4), running, strict=False):
        assert isinstance(event, Progress)
    running.close()
    assert job().checkpoint_path.exists()
    features._passes.clear()
    assert told(result(job())) == told(whole)
