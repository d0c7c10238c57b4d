"""tuneworth advise and tuneworth claims, on stores with made-up results: what they say, and how they refuse."""

from __future__ import annotations

import json
import shlex
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from commands import Said, tuneworth
from synthetic import make, measure
from tuneworth.advice import Advice
from tuneworth.advice.again import compare_command
from tuneworth.advice.command import Command
from tuneworth.spec import StudySpec
from tuneworth.store import open_store
from tuneworth.study import Study

CLAIM = {
    "it": {"says": "BitFit matches full", "test": "equivalent", "method": "bitfit", "against": "full", "margin": 5.0}
}


@pytest.fixture(autouse=True)
def _place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("TUNEWORTH_STORE", raising=False)
    monkeypatch.setenv("COLUMNS", "200")


def keep(done: bool = True, **study: Any) -> None:
    """A study in tuneworth.db; its trials finished, or all still to run."""
    made = make(**{"methods": ["full", "bitfit", "head"], "seeds": 8, **study})
    with closing(open_store("tuneworth.db")) as store:
        store.put_study(made.spec, [record.trial for record in made.trials])
        while done and (taken := store.claim("first", "me", 60)) is not None:
            store.finish("first", taken.trial.key, "me", measure(taken.trial))


def refused(said: Said, *words: str) -> None:
    assert (said.code, said.out) == (2, ""), said
    assert len(said.err.strip().splitlines()) == 2, said.err
    assert all(word in said.err for word in words), said.err


def test_one_task_is_an_object_with_the_documented_keys() -> None:
    keep()
    said = tuneworth("advise", "first", "--margin", "3", "--max-trainable", "1%", "--json")
    assert said.code == 0, said.err
    advice = json.loads(said.out)
    assert set(advice) >= {
        "recommendation", "undecided", "evidence", "sentence", "comparisons", "excluded", "next_command",
    }  # fmt: skip
    assert set(advice["recommendation"]) == {"model", "method", "recipe", "delta_path"}
    assert advice["recommendation"]["method"] == "bitfit"
    assert {tuple(pair) for pair in advice["comparisons"]} == {
        (
            "a", "b", "difference", "low", "high", "new_low", "new_high", "redrawn_low", "redrawn_high", "seeds", "verdict",
            "p_value", "p_equivalent",
        )
    }  # fmt: skip
    assert [tuple(one) for one in advice["excluded"]] == [("method", "limit", "value")]
    assert Advice.model_validate(advice) == Study.open("first").advise(margin=3.0, max_trainable="1%")[0]


def test_what_to_save_first_can_be_said() -> None:
    keep()
    said = tuneworth("advise", "first", "--margin", "3", "--prefer", "memory", "--json")
    assert said.code == 0, said.err
    assert Advice.model_validate_json(said.out) == Study.open("first").advise(margin=3.0, prefer="memory")[0]
    assert tuneworth("advise", "first", "--prefer", "luck").code == 2


def test_several_tasks_are_a_list_and_a_word_over_all() -> None:
    keep(tasks=["glue/mrpc", "glue/stsb"])
    both = json.loads(tuneworth("advise", "first", "--margin", "3", "--json").out)
    assert [advice["task"] for advice in both] == ["glue/mrpc", "glue/stsb"]
    assert json.loads(tuneworth("advise", "first", "--task", "glue/stsb", "--margin", "3", "--json").out) == both[1]
    said = tuneworth("advise", "first", "--margin", "3").out
    assert (
        said.splitlines()[-1]
        == "Overall: bitfit is recommended everywhere, on glue/mrpc (minilm) and glue/stsb (minilm)."
    )


def test_what_a_person_reads() -> None:
    keep()
    said = tuneworth("advise", "first", "--max-trainable", "1%", "--store", "./tuneworth.db")
    assert said.code == 0
    lines = said.out.splitlines()
    assert "Evidence: " in lines[0]
    assert "beyond your limits: full, 100% of the parameters" in lines
    assert "for stronger evidence: tuneworth run STUDY.toml --store fresh.db" in lines
    assert any(line.split()[:1] == ["bitfit"] for line in lines)


def test_answers_exist_for_poor_studies() -> None:
    keep(done=False)
    said = tuneworth("advise", "first")
    assert said.code == 0
    assert "no trial has a result yet" in said.out
    assert "stronger evidence: tuneworth run first" in said.out


def test_limits_that_no_method_meets() -> None:
    keep()
    said = tuneworth("advise", "first", "--max-memory", "1MB")
    assert said.code == 0
    assert said.out.startswith("No method keeps your limits on glue/mrpc at 100% of the data")
    assert "(head), the limit 1.0 MB" in said.out


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--task", "glue/mprc"], ["no task 'glue/mprc'", "did you mean 'glue/mrpc'"]),
        (["--fraction", "0.5"], ["no fraction 0.5", "it has 1"]),
        (["--budget", "60s"], ["no budget '60s'", "3epochs"]),
        (["--max-memory", "lots"], ["max-memory 'lots'", "2GB"]),
        (["--max-train-seconds", "0"], ["max-train-seconds '0'", "60s"]),
        (["--max-trainable", "200%"], ["'200%'", "1%"]),
        (["--margin", "0"], ["margin 0"]),
        (["--confidence", "95"], ["confidence 95"]),
    ],
)
def test_a_wrong_request(options: list[str], words: list[str]) -> None:
    keep()
    refused(tuneworth("advise", "first", *options), *words)


def test_what_is_not_there() -> None:
    refused(tuneworth("advise", "first"), f"no store at {Path.cwd()}/tuneworth.db")
    refused(tuneworth("claims", "first"), f"no store at {Path.cwd()}/tuneworth.db")
    refused(tuneworth("preset", "papr"), "unknown preset 'papr'", "did you mean 'paper'")
    refused(tuneworth("run", "--preset", "papr"), "unknown preset 'papr'", "did you mean 'paper'")
    refused(tuneworth("run"), "no study file and no preset", "tuneworth run STUDY.toml")
    refused(tuneworth("run", "my.toml", "--preset", "paper"), "a study file and a preset")
    refused(tuneworth("run", "my.toml"), "no study file 'my.toml'")
    keep()
    refused(tuneworth("advise", "frist"), "unknown study 'frist'", "did you mean 'first'")
    refused(tuneworth("claims", "first", "--confidence", "2"), "confidence 2")


def test_claims_in_words_and_as_data() -> None:
    keep(claim=CLAIM)
    said = tuneworth("claims", "first")
    assert said.out.startswith("BitFit matches full: supported (holds in 1 of 1 cell). Stated before any result.")
    [judged] = json.loads(tuneworth("claims", "first", "--json").out)
    assert (judged["name"], judged["ruling"], judged["stated_after"]) == ("it", "supported", 0)
    assert judged["cells"][0]["seeds"] == 8
    assert Study.open("first").claims()[0].ruling == "supported"


def test_a_study_without_claims() -> None:
    keep()
    said = tuneworth("claims", "first")
    assert said.code == 0
    assert "first states no claims" in said.out


def test_a_study_in_the_store_is_run_by_its_name(tiny_model: Path, reviews: Path) -> None:
    file = f"""name = "mine"\nmodels = ["{tiny_model}"]\nmethods = ["head", "bitfit"]\ntasks = ["r"]\nseeds = 1
budgets = ["2steps"]\n[task.r]\ntrain = "{reviews}"\ntext = "text"\nlabel = "label"\n"""
    Path("mine.toml").write_text(file)
    assert tuneworth("run", "mine.toml", "--workers", "1").code == 0
    again = tuneworth("run", "mine", "--dry-run")
    assert again.code == 0, again.err
    assert "2 trials in 2 cells, 2 there already" in again.out


def test_the_next_command_finds_its_store_whatever_the_study_is_called() -> None:
    made = make(methods=["full", "bitfit"], seeds=3)
    spec = made.spec.model_copy(update={"name": "run"})
    with closing(open_store("sqlite:///other.db")) as store:
        store.put_study(spec, [record.trial for record in made.trials])
    (advice,) = Study.open("run", "sqlite:///other.db").advise()
    assert str(advice.next_command) == "tuneworth run run --store sqlite:///other.db"


def test_a_command_that_names_a_store_keeps_it() -> None:
    command = Command(arguments=("run", "STUDY.toml", "--store", "fresh.db"))
    assert command.within("old.db") == command
    assert Command.model_validate_json(command.model_dump_json()) == command


@pytest.mark.parametrize(
    "more", [(), ("--name", "mine", "--seeds", "4", "--fractions", "0.5,1", "--metric", "accuracy")]
)
def test_after_compare_the_next_command_is_a_compare_too(
    more: tuple[str, ...], tiny_model: Path, reviews: Path
) -> None:
    """And one that goes on with the same study: its trials are there already, beside the new ones."""
    asked = (
        "compare",
        "--train",
        reviews,
        "--text",
        "text",
        "--label",
        "label",
        "--model",
        tiny_model,
        "--methods",
        "bitfit,head",
        "--workers",
        "1",
        "--store",
        "other.db",
        *more,
    )
    tuneless = ("--tune", "1")  # the study keeps it, unsaid  # fmt: skip
    name = more[1] if more else reviews.stem
    assert tuneworth(*asked, *tuneless, "--budget", "1steps").code == 0
    said = tuneworth("advise", name, "--store", "other.db").out
    command = " ".join(said.split("for stronger evidence:")[1].split())
    assert command.startswith("tuneworth compare --train "), said
    assert command.endswith("--budget 2steps --store other.db")
    again = tuneworth(*shlex.split(command.replace("2steps", "1steps,2steps"))[1:], "--dry-run")
    assert again.code == 0, again.err
    trials = 2 * 2 * int(dict(zip(more[::2], more[1::2], strict=True)).get("--seeds", 3)) * (2 if more else 1)
    assert f"{trials} trials in" in again.out
    assert f"{trials // 2} there already" in again.out


@pytest.mark.parametrize(
    ("change", "command"),
    [
        ({}, "tuneworth compare --train r.csv --text t --label l --budget 6epochs"),
        ({"recipe": {"head": {"batch_size": 8}}, "seeds": 5, "methods": ["head"]},
         "tuneworth compare --train r.csv --text t --label l --methods head --seeds 5 --budget 6epochs"),
        ({"fractions": [1 / 3]},
         "tuneworth compare --train r.csv --text t --label l --fractions 0.3333333333333333 --budget 6epochs"),
        ({"task": {"r": {"train": "r.csv", "text": "t", "label": "l", "delimiter": "\t", "quoting": "none", "skip_empty": True}}},
         "tuneworth compare --train r.csv --text t --label l --delimiter tab --quoting none --skip-empty --budget 6epochs"),
        ({"models": ["minilm", "other"]}, None),
        ({"max_length": 64}, "tuneworth compare --train r.csv --text t --label l --max-length 64 --budget 6epochs"),
        ({"task": {"r": {"train": "r.csv", "text": "t", "label": "l", "positive": "a b", "drop_duplicates": True}}},
         "tuneworth compare --train r.csv --text t --label l --positive 'a b' --drop-duplicates --budget 6epochs"),
        ({"evaluations": 9}, None),
        ({"seeds": [3, 4]}, None),
        ({"recipe": {"head": {"learning_rate": 1e-3}}}, None),
        ({"task": {"r": {"train": "r.csv", "text": "t", "label": "l", "split_seed": 1}}}, None),
        ({"task": {"r": {"train": "s.csv", "text": "t", "label": "l"}}}, None),
        ({"tasks": ["glue/mrpc"], "task": {}}, None),
    ],
)  # fmt: skip
def test_only_what_compare_can_make_is_named_by_a_compare(change: dict[str, Any], command: str | None) -> None:
    plain = {"name": "r", "tasks": ["r"], "task": {"r": {"train": "r.csv", "text": "t", "label": "l"}}}
    assert compare_command(StudySpec.parse({**plain, **change}), budget="6epochs") == (
        command and Command.model_validate(command)
    )
