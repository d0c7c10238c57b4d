"""Bad input: the problem with its value, then a remedy; exit code 2, no traceback, nothing trained, no store made."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from safetensors.torch import load_file

from commands import Said, tuneworth
from nobody import as_nobody
from tuneworth import prepare
from tuneworth.spec import StudySpec
from tuneworth.store import open_store
from tuneworth.store.sql import SqlStore

GOOD = "text,other,label\n" + "".join(f"text {i},more {i},{('no', 'yes')[i % 2]}\n" for i in range(20))


@pytest.fixture(autouse=True)
def _place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An empty directory with one good file of examples."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("TUNEWORTH_STORE", raising=False)
    monkeypatch.delenv("TUNEWORTH_DATA", raising=False)
    monkeypatch.setenv("COLUMNS", "200")
    Path("train.csv").write_text(GOOD)


@pytest.fixture(autouse=True)
def model(tiny_model: Path, tmp_path: Path) -> Path:
    """A copy of the tiny model, to spoil."""
    return Path(shutil.copytree(tiny_model, tmp_path / "model"))


def compare(*changes: str | Path) -> Said:
    """A comparison that would run, but for the changes: a flag that is given twice takes its last value."""
    return tuneworth(
        "compare", "--train", "train.csv", "--text", "text", "--label", "label", "--model", "model",
        "--methods", "head", "--budget", "2steps", "--seeds", "1", "--workers", "1", *changes,
    )  # fmt: skip


def run(study: str, *more: str) -> Said:
    Path("study.toml").write_text(study)
    return tuneworth("run", "study.toml", *more)


def refused(said: Said, *words: str) -> None:
    """Two lines: the problem, which names the value, and the remedy."""
    assert said.code == 2, said
    lines = said.err.strip().splitlines()
    assert len(lines) == 2, said.err
    assert lines[0].startswith("error: ")
    assert lines[1].strip()
    for word in words:
        assert word in said.err
    assert said.out == ""
    assert not Path("tuneworth.db").exists()
    assert not Path("tuneworth.db.files").exists()


def test_without_a_change_it_would_run() -> None:
    said = compare("--dry-run")
    assert (said.code, said.err) == (0, "")
    assert "1 trials" in said.out


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        (["--methods", "head,bitft"], ["unknown method 'bitft'", "did you mean 'bitfit'"]),
        (["--methods", "head,head"], ["methods names head twice"]),
        (["--methods", ","], ["methods is empty"]),
        (["--text", "txt"], ["no column 'txt'", "did you mean 'text'"]),
        (["--label", "lable"], ["no column 'lable'", "did you mean 'label'"]),
        (["--text-pair", "othr"], ["no column 'othr'", "did you mean 'other'"]),
        (["--kind", "regresion"], ["unknown kind of task 'regresion'", "did you mean 'regression'"]),
        (["--metric", "acuracy"], ["unknown metric 'acuracy'", "did you mean 'accuracy'"]),
        (["--fractions", "0"], ["fraction 0 is outside (0, 1]"]),
        (["--fractions", "0.5,1.5"], ["fraction 1.5 is outside (0, 1]"]),
        (["--fractions", "nan"], ["fraction nan is outside (0, 1]"]),
        (["--fractions", "half"], ["'half' is no number", "0.1,0.3,1"]),
        (["--fractions", "0.01"], ["fraction 0.01 of 16 examples is too small to hold every class", "smallest"]),
        (["--seeds", "0"], ["seeds = 0"]),
        (["--seeds", "-3"], ["seeds = -3"]),
        (["--budget", "3 parsecs"], ["cannot read the budget '3 parsecs'", "3epochs, 500steps, 60s"]),
        (["--budget", "0s"], ["'0s'"]),
        (["--budget", "2.5steps"], ["'2.5steps' is not a whole number"]),
        (["--workers", "0"], ["workers = '0'", "auto"]),
        (["--workers", "many"], ["workers = 'many'", "auto"]),
        (["--device", "gpu"], ["unknown device 'gpu'"]),
        (["--device", "cuda:99"], ["device 'cuda:99' is not on this machine"]),
        (["--device", "cuda:99", "--workers", "2"], ["device 'cuda:99' is not on this machine"]),
        (["--name", "a/b"], ["cannot be named 'a/b'"]),
        (["--train", "trian.csv"], ["no file 'trian.csv'", "did you mean 'train.csv'"]),
        (["--train", "."], ["'.'"]),
        (["--test", "train.csv"], ["both train and test"]),
        (["--store", "nowhere/s.db"], ["no directory", "nowhere", "mkdir"]),
        (["--store", "."], ["is a directory"]),
        (["--store", "sqlite:///"], ["'sqlite:///' names no file"]),
        (["--store", "mysql://u:secret@h/d"], ["mysql://", "postgresql://"]),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) and value[0].startswith("--") else None,
)  # fmt: skip
def test_an_option(changes: list[str], words: list[str]) -> None:
    said = compare(*changes)
    refused(said, *words)
    assert "secret" not in said.err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["comparr"], ["No such command 'comparr'", "compare"]),
        (["compare", "--txt", "text"], ["No such option: --txt", "--text"]),
        (["compare", "--text", "text"], ["Missing option", "--train"]),
        (["compare", "--seeds", "few"], ["--seeds", "integer"]),
        (["results", "x", "--format", "yaml"], ["--format", "'json'"]),
        (["run"], ["no study file and no preset", "STUDY.toml"]),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else None,
)
def test_a_command_line_that_cannot_be_read(arguments: list[str], words: list[str]) -> None:
    said = tuneworth(*arguments)
    assert said.code == 2
    assert all(word in said.err for word in words), said.err


FILES: dict[str, tuple[bytes, list[str], list[str]]] = {
    "empty": (b"", [], ["is empty"]),
    "header only": (b"text,label\n", [], ["no data rows"]),
    "not UTF-8": (b"text,label\nfine,a\ncaf\xe9,b\n", [], ["not UTF-8", "line 3"]),
    "ragged": (b"text,label\nfine,a\nyes, no,b\n", [], ["line 3: 3 fields, the header has 2", "quotes"]),
    "open quote": (b'text,label\nfine,a\n"oh,b\n', [], ["line 3", "quote"]),
    "semicolons": (b"text;label\nfine;a\n", [], ["every label 'label' is 'a'", "separated by ';'"]),
    "empty text": (GOOD.replace("text 1,", " ,").encode(), [], ["'text' is empty in 1 of 20 rows (line 3)"]),
    "empty label": (GOOD.replace("1,yes", "1,", 1).encode(), [], ["'label' is missing in 1 of 20 rows (line 3)"]),
    "label seen once": (GOOD.encode() + b"t,o,maybe\n", [], ["'maybe' is seen once only (line 22)"]),
    "one class": (GOOD.replace("yes", "no").encode(), [], ["every label 'label' is 'no'", "two classes"]),
    "no number": (GOOD.encode(), ["--kind", "regression"], ["line 2", "'label' is 'no', no number"]),
    "NaN": (
        b"text,label\n" + b"a b c,0.5\nd e f,0.25\n" * 9 + b"x,nan\n", ["--kind", "regression"],
        ["line 20", "'nan', not a finite number"],
    ),
    "one target": (b"text,label\n" + b"a,0.5\n" * 20, ["--kind", "regression"], ["every target 'label' is '0.5'"]),
    "too few": (b"text,label\na,x\nb,y\nc,x\nd,y\n", [], ["examples", "too"]),
}  # fmt: skip


@pytest.mark.parametrize("case", FILES)
def test_a_file(case: str) -> None:
    content, changes, words = FILES[case]
    Path("spoilt.csv").write_bytes(content)
    refused(compare("--train", "spoilt.csv", *changes), "spoilt.csv" if case != "too few" else "", *words)


def test_a_label_in_test_only() -> None:
    Path("test.csv").write_text("text,label\nfine,yes\nodd,maybe\n")
    refused(compare("--test", "test.csv"), "test.csv", "line 3", "'maybe' is in test only", "train has 'no', 'yes'")


@pytest.mark.parametrize(
    ("closed", "arguments", "problem"),
    [
        ("train.csv", [], "cannot read 'train.csv'"),
        ("model/model.safetensors", [], "permission denied: '{}/model/model.safetensors'"),
        ("kept", [], "permission denied: '{}/kept/s.db.files'"),
        ("kept", ["status"], "{}/kept/s.db cannot be opened: Permission denied"),
    ],
)
def test_what_this_user_may_not_read(
    closed: str, arguments: list[str], problem: str, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with tempfile.TemporaryDirectory() as folder:  # pytest's own is closed to others
        monkeypatch.chdir(folder)
        shutil.copytree(model, "model")
        Path("train.csv").write_text(GOOD)
        Path("kept").mkdir()
        for path in (Path(), *Path().rglob("*")):
            path.chmod(0o777)
        Path(closed).chmod(0)
        store = ["--store", "kept/s.db"]
        with as_nobody():
            refused(tuneworth(*arguments, *store) if arguments else compare(*store), problem.format(folder))


STUDY = """
name = "first"
models = ["model"]
methods = ["bitfit"]
tasks = ["mine"]
budgets = ["2steps"]
seeds = 1
{more}
[task.mine]
train = "train.csv"
text = "text"
label = "label"
"""


@pytest.mark.parametrize(
    ("study", "words"),
    [
        ("name = first", ["'study.toml' is not TOML", "line 1", "docs/first-study.md"]),
        ('name = "a"', ["lacks 'tasks'"]),
        (STUDY.replace("methods", "method"), ["study.toml", "method"]),
        (STUDY.replace("methods", "metods"), ["unknown key 'metods'", "did you mean 'methods'"]),
        (STUDY.replace("train =", "trian ="), ["unknown key 'task.mine.trian'", "did you mean 'train'"]),
        (STUDY.replace('"bitfit"', '"bitft"'), ["unknown method 'bitft'", "did you mean 'bitfit'"]),
        (STUDY.replace('["mine"]', '["glue/mrcp"]').split("[task")[0], ["'glue/mrcp'", "did you mean 'glue/mrpc'"]),
        (STUDY.replace("[task.mine]", "[task.mien]"), ["'mien'", "did you mean 'mine'"]),
        (STUDY.replace("seeds = 1", "seeds = []"), ["seeds is empty"]),
        (STUDY.replace("seeds = 1", "seeds = 0"), ["seeds = 0"]),
        (STUDY.replace("seeds = 1", "seeds = [0, -1]"), ["seed -1 is not a whole number"]),
        (STUDY.replace("seeds = 1", 'seeds = "five"'), ["seeds = 'five'", "list"]),
        (STUDY.replace("seeds = 1", "seeds = [1, 1]"), ["seeds names 1 twice"]),
        (STUDY.replace('["2steps"]', '["60s", "1m"]'), ["budgets names 60s twice"]),
        (STUDY.replace('["2steps"]', "3"), ["cannot read the budget 3", "3epochs"]),
        (STUDY.replace('"first"', "1"), ["name = 1", "string"]),
        ('task = "mine"\ntasks = ["mine"]\nname = "a"', ["task = 'mine'", "table"]),
        ('tasks = ["mine"]\nname = "a"\n[task]\nmine = "train.csv"', ["task.mine = 'train.csv'", "table"]),
        (STUDY.format(more="[recipe.bitfit]\nlerning_rate = 1e-3"),
         ["[recipe.bitfit]", "unknown key 'lerning_rate'", "did you mean 'learning_rate'"]),
        (STUDY.format(more="[recipe.bitfit]\nlearning_rate = -1.0"), ["learning_rate = -1.0", "the default is"]),
        (STUDY.format(more="[recipe.bitfit]\nlearning_rate = [1e-3, nan]"), ["learning_rate = nan"]),
        (STUDY.format(more="[recipe.bitfit]\nwarmup = nan"), ["warmup = nan"]),
        (STUDY.format(more="[recipe.bitfit]\nlearning_rate = []"), ["learning_rate is an empty list"]),
        (STUDY.format(more="[recipe.full]\nlearning_rate = 1e-3"), ["[recipe.full]", "does not run", "bitfit"]),
        (STUDY.format(more='[method.bitfit]\nsubst = "all"'), ["no option 'subst'", "did you mean 'subset'"]),
        (STUDY.format(more='[method.bitfit]\nsubset = "most"'), ["option subset = 'most'", "tuneworth methods"]),
        (STUDY.format(more='[method.bitfit]\nkind = "bitfitt"'), ["unknown method 'bitfitt'", "did you mean 'bitfit'"]),
        (STUDY.replace("[task.mine]", "[task.mine]\nmetric = 'f2'"), ["unknown metric 'f2'", "f1"]),
    ],
)  # fmt: skip
def test_a_study_file(study: str, words: list[str]) -> None:
    refused(run(study.replace("{more}", "")), *words)


def test_a_study_file_that_is_not_there_or_not_text() -> None:
    Path("first.toml").write_text(STUDY.format(more=""))
    refused(tuneworth("run", "frist.toml"), "no study file 'frist.toml'", "did you mean 'first.toml'")
    refused(tuneworth("run", "."), "cannot read '.'", "TOML")
    Path("latin.toml").write_bytes(b'name = "caf\xe9"')
    refused(tuneworth("run", "latin.toml"), "'latin.toml' is not UTF-8")


def test_two_names_for_one_thing(model: Path) -> None:
    shutil.copytree(model, "same")
    refused(
        run(STUDY.replace('["model"]', '["model", "same"]').format(more="")), "'model' and 'same' are the same thing"
    )


def test_a_single_name_is_a_list_of_one() -> None:
    study = STUDY.replace('["bitfit"]', '"bitfit"').replace('["mine"]', '"mine"').replace('["2steps"]', '"2steps"')
    said = run(study.format(more="fractions = 0.9"), "--dry-run")
    assert (said.code, said.err) == (0, "")


def _pickle(model: Path) -> None:
    torch.save(load_file(model / "model.safetensors"), model / "pytorch_model.bin")
    (model / "model.safetensors").unlink()


def _remote(model: Path) -> None:
    config = json.loads((model / "config.json").read_text())
    (model / "config.json").write_text(json.dumps({**config, "auto_map": {"AutoModel": "code.Model"}}))


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda model: (model / "model.safetensors").unlink(), ["has no weights", "model.safetensors"]),
        (_pickle, ["pickled weights only", "--allow-pickle"]),
        (_remote, ["remote code", "auto_map"]),
        (lambda model: os.truncate(model / "model.safetensors", 999), ["truncated"]),
        (shutil.rmtree, ["'model'", "directory"]),
    ],
    ids=["no weights", "pickle", "auto_map", "truncated", "absent"],
)
def test_a_model(model: Path, spoil: object, words: list[str]) -> None:
    spoil(model)  # type: ignore[operator]
    refused(compare(), "model", *words)


def test_pickled_weights_that_are_trusted_are_trained(model: Path) -> None:
    _pickle(model)
    said = compare("--allow-pickle")
    assert said.code == 0, said
    (delta,) = Path("tuneworth.db.files/deltas/train").iterdir()
    predict = ["predict", delta, "-i", "train.csv", "-o", "out.csv"]
    assert "--allow-pickle" in tuneworth(*predict).err
    assert tuneworth(*predict, "--allow-pickle").code == 0


def test_a_hub_name_without_a_network() -> None:
    """In a process of its own: the hub's client reads its settings when it is imported."""
    code = "import sys; from tuneworth.cli import main; main(sys.argv[1:])"
    arguments = ["compare", "--train=train.csv", "--text=text", "--label=label", "--model=someone/some-model"]
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "HF_HOME": str(Path("home").absolute())}
    ended = subprocess.run(
        [sys.executable, "-c", code, *arguments], env=environment, capture_output=True, text=True, check=False
    )
    refused(Said(ended.returncode, ended.stdout, ended.stderr), "'someone/some-model'", "local directory")


def test_no_space_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prepare.shutil, "disk_usage", lambda _: SimpleNamespace(free=10_000))
    refused(compare(), "no space left", "free some space")


def test_a_store_that_is_no_database() -> None:
    Path("notes.db").write_text("these are my notes\n" * 100)
    for said in (
        compare("--store", "notes.db"),
        *(tuneworth(c, "x", "--store", "notes.db") for c in ("status", "results")),
    ):
        refused(said, "notes.db is no database")
    assert Path("notes.db").read_text() == "these are my notes\n" * 100


def test_a_store_of_another_application() -> None:
    with closing(sqlite3.connect("other.db")) as other:
        other.execute("CREATE TABLE customers (name TEXT)")
    refused(compare("--store", "other.db"), "other.db", "customers")


def test_a_store_of_a_newer_version() -> None:
    open_store("newer.db").close()
    with closing(sqlite3.connect("newer.db")) as other, other:
        other.execute("UPDATE alembic_version SET version_num = '9999'")
    refused(compare("--store", "newer.db"), "newer.db", "newer version", "pip install --upgrade")


def test_a_locked_store(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(SqlStore.__init__, "__defaults__", (True, 0.2))  # a user waits for 10 s
    open_store("locked.db").close()
    with closing(sqlite3.connect("locked.db")) as other:
        other.execute("PRAGMA journal_mode=DELETE")
        other.execute("BEGIN EXCLUSIVE")
        refused(compare("--store", "locked.db"), "locked.db is locked", "try again")


def test_no_store_yet() -> None:
    for command in ("status", "results", "report"):
        arguments = [command] if command == "status" else [command, "first"]
        refused(tuneworth(*arguments), f"no store at {Path.cwd()}/tuneworth.db", "--store")


def test_what_needs_a_study() -> None:
    Path("study.toml").write_text(STUDY.format(more=""))
    with closing(open_store("s.db")) as store:
        store.put_study(StudySpec.from_toml("study.toml"), [])
    for command in ("status", "results", "report"):
        refused(tuneworth(command, "frist", "--store", "s.db"), "unknown study 'frist'", "did you mean 'first'")


@pytest.mark.parametrize(
    ("method", "option"),
    [("houlsby", f"bottleneck = {n}") for n in (10**12, 10**18, 10**30)] + [("lora", "r = 1000000000000")],
)
def test_an_option_larger_than_the_machine(model: Path, method: str, option: str) -> None:
    Path("big.toml").write_text(
        f'name = "big"\nmodels = ["{model}"]\ntasks = ["t"]\nmethods = ["{method}"]\n[method.{method}]\n{option}\n'
        '[task.t]\ntrain = "train.csv"\ntext = "text"\nlabel = "label"\n'
    )
    refused(tuneworth("run", "big.toml", "--dry-run"), f"method '{method}'", option, "option")
