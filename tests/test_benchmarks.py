"""The benchmarks run; what they measure is for a quiet machine, not for tests."""

from __future__ import annotations

import functools
import importlib
import json
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from test_study import run_here
from tuneworth.spec import StudySpec
from tuneworth.stats import decide
from tuneworth.study import Study

BENCHMARKS = Path(__file__).resolve().parents[1] / "benchmarks"


@pytest.fixture(scope="module")
def evidence() -> ModuleType:
    return load("evidence")


def load(name: str) -> ModuleType:
    """As `python benchmarks/NAME.py` finds it, its neighbours included."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(BENCHMARKS)
        return importlib.import_module(name)


def test_in_worlds_whose_truth_is_known_the_answers_are_right(
    evidence: ModuleType, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = evidence.main(["--quick"])
    missed = [row for row in rows if row.met is False]
    assert not missed, missed
    assert {row.question for row in rows if row.target} >= {
        "95% interval, these examples", "95% interval, new data", "wrong 'better', these examples",
        "wrong 'better', looks", "wrong 'equivalent', new data", "wrong 'inside', hardest", "wrong 'outside', hardest",
        "trials used, of 20 seeds a method",
    }  # fmt: skip
    last = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert last["command"] == "python benchmarks/evidence.py --quick"
    assert [row["percent"] for row in last["rows"]] == [row.percent for row in rows]


def test_a_procedure_that_errs_is_found_out(evidence: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    """Intervals at half their confidence, and looks that spend everything each: the table must say so."""
    monkeypatch.setattr(evidence, "compare", functools.partial(evidence.compare, confidence=0.5))
    tally = evidence.Tally()
    for section in (evidence.coverage, evidence.claims):
        for _ in section(np.random.default_rng(0), 40, tally):
            pass
    assert {row.question for row in tally.rows() if row.met is False} >= {
        "95% interval, these examples", "95% interval, new data", "wrong 'better', these examples",
    }  # fmt: skip


def test_the_drawn_world_s_truth_is_what_many_trials_average(evidence: ModuleType) -> None:
    generator = np.random.default_rng(0)
    here, anywhere = [], []
    for _ in range(60):
        world = evidence.draw(generator, np.array([0.0, 2.0]), np.array([0.0, 0.2]))
        here.append(world.scores.mean(1) - world.here)
        anywhere.append(world.here - world.anywhere)
        assert world.anywhere[0] - world.anywhere[1] == pytest.approx(2.0, abs=1e-6)
        assert world.scores[1, world.collapsed[1]] == pytest.approx(world.baseline)
    for errors in (here, anywhere):
        error = np.std(errors, axis=0, ddof=1) / np.sqrt(len(errors))
        assert (np.abs(np.mean(errors, axis=0)) < 3 * error).all()


def test_the_choice_of_intervals_can_be_repeated(capsys: pytest.CaptureFixture[str]) -> None:
    load("intervals").main(scale=0.001)
    out = capsys.readouterr().out
    assert "Student's t (chosen)" in out
    assert "variance components (chosen)" in out


def test_planning_resuming_and_reporting_are_timed(capsys: pytest.CaptureFixture[str]) -> None:
    rows = load("overhead").main(["--only", "commands", "--large", "200"])
    assert [row.what for row in rows] == [
        "plan, methods new to this machine", "plan", "plan, all finished", "resume, all finished", "report",
    ]  # fmt: skip
    assert all(row.seconds > 0.1 for row in rows)
    assert json.loads(capsys.readouterr().out.splitlines()[-1])["command"].startswith("python benchmarks/overhead.py")


def test_scaling_tries_the_smallest_and_the_largest_when_it_is_quick() -> None:
    assert load("scaling").parse(["--quick"]).sizes == [1000, 50000]


def test_a_rate_s_loss_of_points_is_against_the_same_method_s_best_where_all_have_ended() -> None:
    pilot = load("pilot")
    row = {"method": "full", "fraction": 1.0, "budget": "3epochs", "state": "done", "baseline_score": 60.0}

    def of(task: str, rate: float, score: float | None, state: str = "done") -> dict[str, object]:
        return {**row, "task": task, "recipe": {"learning_rate": rate}, "score": score, "state": state}

    found = pilot.regrets([
        of("mrpc", 1e-4, 70.0), of("mrpc", 3e-4, 72.0), of("mrpc", 9e-4, None, "failed"),
        of("cola", 1e-4, 5.0), of("cola", 3e-4, None, "pending"),
    ])  # fmt: skip
    mrpc = ("mrpc", 1.0, "3epochs")
    assert found == {"full": {1e-4: {mrpc: 2.0}, 3e-4: {mrpc: 0.0}, 9e-4: {mrpc: 12.0}}}, (
        "a failure scores the baseline"
    )


def test_what_is_advised_is_judged_at_fresh_seeds(
    tiny_model: Path, reviews: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    bench = load("tuned_or_not")

    def compare(_case: object, way: str, _options: object) -> None:
        """Instead of a minute's command."""
        task = {"reviews": {"train": reviews, "text": "text", "label": "label"}}
        spec = {"name": f"reviews-{way}", "models": [str(tiny_model)], "methods": ["head"], "tasks": ["reviews"], "seeds": 1,
                "budgets": ["2steps"], "task": task, "tune": int(bench.WAYS[way]), "deltas": "none"}  # fmt: skip
        run_here(Study(StudySpec.parse(spec), str(tmp_path / "tuned.db")))

    monkeypatch.setattr(bench, "compare", compare)
    monkeypatch.setattr(bench, "WAYS", {"tuned": "2", "defaults": "1"})
    bench.main(["--into", str(tmp_path), "--train", str(reviews), "--model", str(tiny_model),
                "--fresh", "1", "--workers", "1"])  # fmt: skip
    table = [line for line in capsys.readouterr().out.splitlines() if line.startswith("| reviews")]
    assert [line.split(" | ")[1] for line in table] == ["tuned", "defaults"]
    assert all("1 seeds" in line and "2steps" in line for line in table)


def test_groups_told_at_once_are_told_as_by_the_package() -> None:
    """benchmarks/moderated.py computes for all groups at once what `stats.decide` does for one."""
    moderated = load("moderated")
    drawn = moderated.clear(np.random.default_rng(0), 30, 5)
    spread, bounds = moderated.WAYS["half the weight, step by step"]
    found = moderated.decide(drawn, np.full(30, 1.0), spread, bounds)
    apart = 0
    for i, scores in enumerate(drawn.scores):
        have = dict.fromkeys("abcde", 3)
        rows = {name: dict(enumerate(map(float, row))) for name, row in zip(have, scores, strict=True)}
        while wanted := decide({m: {s: rows[m][s] for s in range(n)} for m, n in have.items()}, 1.0).wanted:
            have |= wanted
        apart += abs(sum(have.values()) - 100 * found["trials"][i]) > 1e-6
    assert apart <= 3, (
        "the package's prior is of all pairs, the benchmark's of those still running: seldom a look apart"
    )


def test_means_over_tasks_are_measured(capsys: pytest.CaptureFixture[str]) -> None:
    rows = load("across").main(["--worlds", "30"])
    assert len(rows) == 24
    assert json.loads(capsys.readouterr().out.splitlines()[-1]) == rows
