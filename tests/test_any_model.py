"""A comparison with nothing said about methods works on whatever model it is given."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest

from families import UNNAMED, make_model_dir
from tuneworth.errors import ModelError
from tuneworth.own_data import ask
from tuneworth.spec import Budget, StudySpec

FAMILIES = ("modernbert", "deberta-v2", "llama", "qwen3", "t5", "gpt2")
DEFAULT = StudySpec.model_fields["methods"].default

Bases = Callable[[str], Path]


@pytest.fixture(scope="module")
def bases(tmp_path_factory: pytest.TempPathFactory) -> Bases:
    root = tmp_path_factory.mktemp("any")
    return cache(lambda family: make_model_dir(family, root / family))


def test_the_default_methods_fit_every_family_and_bitfit_runs_on_all(
    bases: Bases, reviews: Path, tmp_path: Path
) -> None:
    models = [str(bases(family)) for family in FAMILIES]
    asked = ask(reviews, "text", "label", model=models, budget="1steps", seeds=1, tune=1, store=f"{tmp_path}/any.db")
    assert asked.study.spec.methods == DEFAULT
    assert not asked.study.said
    assert len(asked.study.prepare().trials) == len(FAMILIES) * len(DEFAULT)
    asked = ask(reviews, "text", "label", model=models, methods="bitfit", budget="1steps", seeds=1, tune=1, max_length=16,
                fractions=0.2, store=f"{tmp_path}/any.db")  # fmt: skip
    counts = asked.study.run(workers=1, watch=lambda _: None)
    assert (counts.done, counts.failed) == (len(FAMILIES), 0)
    records = asked.study.store.records(asked.study.spec.name)
    none = {"modernbert", "llama", "qwen3", "t5"}
    for record in records:
        family = Path(record.trial.model).name
        assert record.result
        assert record.trial.options == {"subset": "all", "add_missing": family in none}
        assert ("no biases of its own" in "".join(record.result.notes)) is (family in none)


def test_a_default_method_that_does_not_fit_is_left_out_with_its_reason(
    bases: Bases, reviews: Path, tmp_path: Path
) -> None:
    asked = ask(reviews, "text", "label", model=str(bases(UNNAMED)), budget="1steps", store=f"{tmp_path}/any.db")
    assert asked.study.spec.methods == ("head", "full", "bitfit")
    (line,) = asked.study.said
    assert line.startswith("houlsby is left out: method 'houlsby' has no place in this model: it is of type 'xlnet'")
    assert asked.study.spec.budgets == (Budget.parse("1steps"),)


def test_a_method_that_was_asked_for_is_refused(bases: Bases, reviews: Path, tmp_path: Path) -> None:
    asked = ask(reviews, "text", "label", model=str(bases(UNNAMED)), methods="houlsby", store=f"{tmp_path}/any.db")
    with pytest.raises(ModelError, match="method 'houlsby' has no place"):
        asked.study.prepare()
