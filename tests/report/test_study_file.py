from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tuneworth.report import to_toml
from tuneworth.spec import FileTask, StudySpec

words = st.text(st.characters(blacklist_categories=["Cs"]), max_size=12)
values = st.one_of(
    st.booleans(), st.integers(-(2**40), 2**40), st.floats(allow_nan=False), words, st.lists(words, max_size=2)
)


@st.composite
def studies(draw: st.DrawFn) -> StudySpec:
    methods = draw(st.lists(words.filter(bool), min_size=1, max_size=3, unique=True))
    options = st.dictionaries(words.filter(lambda key: key != "kind"), values, max_size=3)
    data: dict[str, Any] = {
        "name": "s", "methods": methods, "tasks": draw(st.lists(words, min_size=1, max_size=3, unique=True)),
        "fractions": draw(st.lists(st.floats(1e-6, 1.0), min_size=1, max_size=3, unique=True)),
        "budgets": ["3epochs", "2e14flops", "1.5m"],
        "seeds": draw(st.lists(st.integers(0, 2**31 - 1), min_size=1, unique=True)),
        "recipe": {methods[0]: draw(st.dictionaries(words, values, max_size=3))},
        "method": {methods[0]: {"kind": "bitfit", "options": draw(options)}},
        "max_length": draw(st.integers(8, 512) | st.just("auto")), "precision": draw(st.sampled_from(["auto", "bf16", "fp32"])),
    }  # fmt: skip
    return StudySpec.parse(data)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(spec=studies())
def test_any_study_reads_back_as_it_was(spec: StudySpec, tmp_path: Path) -> None:
    path = tmp_path / "s.toml"
    path.write_bytes(to_toml(spec).encode("utf-8"))
    assert StudySpec.from_toml(path) == spec


def test_a_task_in_files_keeps_its_columns_and_leaves_out_what_is_unset(tmp_path: Path) -> None:
    task = FileTask(train=tmp_path / "re views.csv", text="review", label='the "stars"', kind="regression", delimiter="tab",
                    quoting="none", skip_empty=True)  # fmt: skip
    spec = StudySpec(name="mine", tasks=("reviews",), task={"reviews": task})
    text = to_toml(spec)
    assert "text_pair" not in text
    (tmp_path / "mine.toml").write_text(text, encoding="utf-8")
    assert StudySpec.from_toml(tmp_path / "mine.toml") == spec


def test_a_relative_path_stays_relative_to_where_the_study_was_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    spec = StudySpec(name="s", tasks=("r",), task={"r": FileTask(train=Path("data/r.csv"), text="t", label="l")})
    Path("s.toml").write_text(to_toml(spec), encoding="utf-8")
    assert StudySpec.from_toml("s.toml") == spec
