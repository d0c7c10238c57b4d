from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from time import perf_counter

import numpy as np
import pytest

from tasks.glue_data import real_glue
from tuneworth.errors import DataError
from tuneworth.tasks.glue import TASKS, GlueTask
from tuneworth.tasks.hub import load_columns

PROXIES = [f"{scheme}_proxy" for scheme in ("http", "https", "all")]
PROXIES += [name.upper() for name in PROXIES]
BY_NAME = {task.config: task for task in TASKS}


@pytest.mark.parametrize(
    ("config", "train", "test", "first", "labels"),
    [
        ("mrpc", 3668, 408, "He said the foodservice pie business doesn't fit", [1, 0, 0]),
        ("cola", 8551, 1043, "The sailors rode the breeze clear of the rocks.", [1, 1, 1]),
        ("stsb", 5749, 1500, "A man with a hard hat is dancing.", [5.0, 4.75, 5.0]),
    ],
)  # fmt: skip
def test_the_real_files(config: str, train: int, test: int, first: str, labels: list[float]) -> None:
    task = BY_NAME[config]
    folder = real_glue(task.directory)
    if folder is None:
        pytest.skip(f"no {task.directory} in TUNEWORTH_DATA or ../shared/glue")
    data = task.load(folder)
    assert (len(data.train), len(data.test)) == (train, test)
    assert data.test.texts[0].startswith(first)
    assert data.test.labels[:3].tolist() == labels
    assert (data.train.pairs is None) == (config == "cola")
    assert '"' in "".join(data.train.texts), "quotes are plain text"


def write(folder: Path, name: str, lines: list[str]) -> None:
    folder.mkdir(exist_ok=True)
    (folder / name).write_text("".join(line + "\n" for line in lines), encoding="utf-8")


RTE = ["index\tsentence1\tsentence2\tlabel", '0\tIt "rained.\tIt\x85was wet.\tentailment', "1\tA.\tB.\tnot_entailment"]


def test_the_data_directory_may_come_from_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TUNEWORTH_DATA", str(tmp_path))
    write(tmp_path / "RTE", "train.tsv", ["\ufeff" + RTE[0], *(line + "\r" for line in RTE[1:])])
    write(tmp_path / "RTE", "dev.tsv", RTE)
    data = BY_NAME["rte"].load(None)
    for part in (data.train, data.test):
        assert part.texts == ['It "rained.', "A."]
        assert part.pairs == ["It\x85was wet.", "B."]
        assert part.labels.tolist() == [0, 1]


def test_mnli_takes_matched_dev(tmp_path: Path) -> None:
    for name in ("train.tsv", "dev_matched.tsv"):
        write(tmp_path / "MNLI", name, ["sentence1\tsentence2\tgold_label", "A.\tB.\tcontradiction"])
    assert BY_NAME["mnli"].load(tmp_path).test.labels.tolist() == [2]


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        ([*RTE, "2\tA.\tB."], "line 4: 3 columns, expected 4"),
        ([*RTE, "2\tA.\tB.\tmaybe"], "line 4: the label is 'maybe'\nexpected entailment or not_entailment"),
        ([*RTE, "2\tA.\tB.\t-1"], "line 4: the label is '-1'"),
        (RTE[:1], "no data rows"),
        ([], "is empty"),
        (["a\tsentence1\tsentence_2\tlabel", RTE[1]], "no column 'sentence2'\ndid you mean 'sentence_2'"),
    ],
)
def test_a_damaged_file_is_named(tmp_path: Path, lines: list[str], said: str) -> None:
    write(tmp_path / "RTE", "train.tsv", lines)
    write(tmp_path / "RTE", "dev.tsv", RTE)
    with pytest.raises(DataError, match=said) as caught:
        BY_NAME["rte"].load(tmp_path)
    assert "train.tsv" in caught.value.problem


def test_a_target_must_be_a_number(tmp_path: Path) -> None:
    write(tmp_path / "STS-B", "train.tsv", ["sentence1\tsentence2\tscore", "A.\tB.\t4.5", "A.\tB.\tnan"])
    with pytest.raises(DataError, match="line 3: the label is 'nan'\nexpected a number"):
        BY_NAME["stsb"].load(tmp_path)


def test_a_missing_file_and_a_missing_directory_are_named(tmp_path: Path) -> None:
    write(tmp_path / "CoLA", "train.tsv", ["a\t1\t\tA sentence."])
    with pytest.raises(DataError, match=r"no file .*dev.tsv'\ngive GLUE's own files: --data-dir DIR"):
        BY_NAME["cola"].load(tmp_path)
    with pytest.raises(DataError, match="nowhere' is not there"):
        BY_NAME["cola"].load(tmp_path / "nowhere")


def test_torn_rows_are_dropped_only_where_declared_and_said_so(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    row = "0\t1\t2\tWho?\tWhich?\t1"
    head = "id\tqid1\tqid2\tquestion1\tquestion2\tis_duplicate"
    write(tmp_path / "QQP", "train.tsv", [head, *[row] * 1000, "0\t1\t2\tWho?"])
    write(tmp_path / "QQP", "dev.tsv", [head, row])
    assert len(BY_NAME["qqp"].load(tmp_path).train) == 1000
    assert "dropped 1 row" in caplog.text
    write(tmp_path / "QQP", "train.tsv", [head, row, "0\t1\t2\tWho?"])
    with pytest.raises(DataError, match="line 3: 4 columns, expected 6"):
        BY_NAME["qqp"].load(tmp_path)


@pytest.fixture
def cola_on_the_hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[GlueTask]:
    """A local data set in the hub's layout, which `datasets` loads like one from the hub."""
    import datasets

    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("TUNEWORTH_DATA", raising=False)
    folder = tmp_path / "hub"
    folder.mkdir()
    splits = "".join(f"\n  - split: {name}\n    path: {name}.jsonl" for name in ("train", "validation"))
    (folder / "README.md").write_text(f"---\nconfigs:\n- config_name: cola\n  data_files:{splits}\n---\n")
    (folder / "train.jsonl").write_text('{"sentence": "A.", "label": 1}\n{"sentence": "B.", "label": 0}\n')
    (folder / "validation.jsonl").write_text('{"sentence": "C.", "label": 0}\n')
    yield replace(BY_NAME["cola"], hub=str(folder))
    datasets.utils.logging.set_verbosity_warning()


def test_the_hub_serves_what_no_directory_holds(cola_on_the_hub: GlueTask, tmp_path: Path) -> None:
    data = cola_on_the_hub.load(tmp_path)
    assert (data.train.texts, data.test.texts) == (["A.", "B."], ["C."])
    assert data.train.labels.tolist() == [1, 0]
    assert data.train.labels.dtype == np.int64


def test_what_the_hub_lacks_is_one_clear_error(cola_on_the_hub: GlueTask) -> None:
    for fault in ({"config": "nothing"}, {"hub_dev": "nothing"}):
        with pytest.raises(DataError, match=r"cannot get .*\ngive GLUE's own files"):
            replace(cola_on_the_hub, **fault).load(None)
    with pytest.raises(DataError, match="has no column 'text', but sentence, label"):
        load_columns(cola_on_the_hub.hub, "cola", "train", ["text"], "")


def test_withheld_labels_are_refused(cola_on_the_hub: GlueTask) -> None:
    (Path(cola_on_the_hub.hub) / "validation.jsonl").write_text('{"sentence": "C.", "label": -1}\n')
    with pytest.raises(DataError, match="cola, validation, row 1: the label is -1"):
        cola_on_the_hub.load(None)


@pytest.mark.parametrize("closed", [{"HF_HUB_OFFLINE": "1"}, {"HF_ENDPOINT": "http://127.0.0.1:9"}])
def test_without_a_network_the_error_comes_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, closed: dict[str, str]
) -> None:
    for name in ("TUNEWORTH_DATA", "HF_HUB_OFFLINE", "HF_DATASETS_CACHE", *PROXIES):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HF_HOME", str(tmp_path))
    for name, value in closed.items():
        monkeypatch.setenv(name, value)
    started = perf_counter()
    with pytest.raises(
        DataError, match=r"'nyu-mll/glue/mrpc'.*cannot be reached.*\n.*--data-dir DIR .*DIR/MRPC/train.tsv"
    ):
        BY_NAME["mrpc"].load(tmp_path)
    assert perf_counter() - started < 2
