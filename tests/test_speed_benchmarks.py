"""The benchmarks of speed and learning run and add up; what they measure is for a quiet machine, not for tests."""

from __future__ import annotations

import dataclasses
import importlib
import json
import shutil
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from families import make_model_dir

BENCHMARKS = Path(__file__).resolve().parents[1] / "benchmarks"
TASK = "demo/paraphrase"


def load(name: str) -> ModuleType:
    """As `python benchmarks/NAME.py` finds it, its neighbours included."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(BENCHMARKS)
        return importlib.import_module(name)


runs, peers, same_learning, gpu = load("runs"), load("peers"), load("same_learning"), load("gpu")


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(make_model_dir("bert", tmp_path_factory.mktemp("models") / "bert"))


@pytest.fixture(autouse=True)
def _one_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "1")  # two threads on a busy machine wait for each other


def with_accelerate(python: str = "") -> None:
    import sys

    if not runs.installed(python or sys.executable, ["accelerate"]):
        pytest.skip("transformers.Trainer needs accelerate, which is NOT INSTALLED: no peer was run")


def took(seconds: float, memory: int = 2_000_000, flops: float = 0.0) -> Any:
    return runs.Measurement(seconds, 100, 4, 10, memory, {}, flops)


def test_every_cell_and_its_peers_are_there_by_default() -> None:
    options = peers.parse([])
    cells = list(peers.cells(options))
    assert len(cells) == 24
    assert options.repeats == 5
    asked = {(cell, peer) for cell in cells for peer in peers.peers_of(cell, options)}
    assert {cell.method for cell, peer in asked if peer == "adapters"} == {"houlsby"}
    assert sum(peer == "trainer" for _, peer in asked) == 18
    assert {(c.model, c.task, c.method) for c, peer in asked if peer == "defaults"} == {
        ("minilm", "glue/mrpc", "bitfit"), ("bert-base", "glue/mrpc", "bitfit"),
    }  # fmt: skip


def test_quick_means_fewer_cells_turns_and_steps_unless_these_are_named() -> None:
    quick = peers.parse(["--quick"])
    assert quick.repeats < 5
    assert quick.minutes < 10
    assert {cell.task for cell in peers.cells(quick)} == {"glue/mrpc"}
    assert [cell.method for cell in peers.cells(quick) if cell.model == "bert-base"] == ["bitfit"]
    assert all(peers.QUICK_STEPS[name] < steps for name, steps in peers.STEPS.items())
    named = peers.parse(["--quick", "--repeats", "7", "--tasks", "glue/cola", "glue/stsb", "--minutes", "30"])
    assert (named.repeats, named.tasks, named.minutes) == (7, ["glue/cola", "glue/stsb"], 30)


def test_data_dir_comes_from_the_flag_then_the_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(runs, "BESIDE", tmp_path)
    monkeypatch.setenv("TUNEWORTH_DATA", "elsewhere")
    assert peers.parse([]).data_dir is None, "the task itself reads TUNEWORTH_DATA"
    monkeypatch.delenv("TUNEWORTH_DATA")
    assert peers.parse([]).data_dir == tmp_path
    assert gpu.parse(["--data-dir", "mine"]).data_dir == Path("mine")


@pytest.mark.parametrize(
    ("benchmark", "argv", "said"),
    [
        (peers, ["--repeats", "0"], "nothing would run"),
        (peers, ["--steps", "0"], "nothing would be timed"),
        (peers, ["--methods", "bitft"], "bitfit"),
        (same_learning, ["--into", "x", "--seeds", "0"], "nothing would run"),
        (same_learning, [], "--into"),
        (gpu, ["--grid-share", "2"], "from 0 to 1"),
    ],
)
def test_a_wrong_argument_is_refused(
    benchmark: Any, argv: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit, match="2"):
        benchmark.parse(argv)
    assert said in capsys.readouterr().err


def test_the_ratio_is_of_medians_and_above_1_where_tuneworth_is_faster() -> None:
    cell = peers.Cell("bert-base", "glue/mrpc", "bitfit")
    ours = [took(1, flops=50e9), took(2, flops=50e9), took(50, flops=50e9)]
    mine, theirs = peers.summary(
        {(cell, "tuneworth"): ours, (cell, "trainer"): [took(s, 8_000_000) for s in (5, 4, 0.5)]},
        {"bert-base": [runs.Rate(100e9, (1, 1, 4))]},
    )
    assert (mine.examples_per_second, theirs.examples_per_second) == (50, 25)
    assert (mine.ratio, theirs.ratio) == (1, 2)
    assert (theirs.slowest, theirs.fastest, theirs.peak_memory_mb, theirs.memory_ratio) == (20, 200, 8, 0.25)
    assert (mine.share, theirs.share) == (pytest.approx(0.25), None)
    assert peers.totals([mine, theirs])["memory_bitfit_bert_base"] == {"glue/mrpc": 0.25}


def test_what_counts_is_the_best_peer_of_each_cell_without_the_defaults() -> None:
    def row(method: str, peer: str, ratio: float) -> Any:
        return peers.Row("minilm", "glue/mrpc", method, peer, 1, 1, 1, ratio, 1, 1)

    found = peers.totals([
        row("houlsby", "tuneworth", 1), row("houlsby", "trainer", 9), row("houlsby", "adapters", 8), row("full", "trainer", 2),
        row("bitfit", "tuneworth", 1), row("bitfit", "defaults", 0.5),
    ])  # fmt: skip
    assert (found["cells"], found["cells_with_a_peer"]) == (3, 2)
    assert found["geometric_mean"] == pytest.approx(4)
    assert (found["smallest"], found["smallest_at"]) == (2, "minilm glue/mrpc full")
    assert found["against_defaults"] == {"minilm": 0.5}
    assert peers.totals([row("full", "tuneworth", 1)])["geometric_mean"] is None


def test_sides_that_trained_on_other_things_are_not_compared() -> None:
    cell = peers.Cell("minilm", "glue/mrpc", "full")
    other = runs.Measurement(1.0, 99, 4, 10, 1, {})
    peers.check(cell, "trainer", took(1), {(cell, "tuneworth"): [took(2)]})
    with pytest.raises(SystemExit, match="not comparable"):
        peers.check(cell, "trainer", other, {(cell, "tuneworth"): [took(2)]})


def test_a_ledger_goes_on_where_it_was_stopped(tmp_path: Path) -> None:
    path = tmp_path / "runs.jsonl"
    assert runs.Ledger(path).once("a", lambda: {"seconds": 1}) == {"seconds": 1}
    runs.Ledger(path).once("b", lambda: {"seconds": 2})
    path.write_text(path.read_text()[:-5])  # the second line is cut short
    again = runs.Ledger(path)
    assert again.once("a", lambda: {"seconds": 9}) == {"seconds": 1}
    assert again.once("b", lambda: {"seconds": 3}) == {"seconds": 3}
    assert runs.Ledger(path).kept == {"a": {"seconds": 1}, "b": {"seconds": 3}}


@pytest.mark.parametrize("how", [{"timed_steps": 3}, {"epochs": 2, "fraction": 0.1}])
def test_the_batches_that_peers_get_are_those_that_tuneworth_trains_on(
    how: dict[str, Any], tmp_path: Path, model: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tuneworth import trial
    from tuneworth.train import loop

    job = runs.plan(model, "head", TASK, None, tmp_path, "cpu", batch_size=16, **how)
    seen = []
    plain = loop._gradients
    monkeypatch.setattr(loop, "_gradients", lambda run, which, state: seen.append(which) or plain(run, which, state))
    monkeypatch.setattr(trial, "Batches", trial.Batches)  # put back behind the test
    runs._ours(job)
    settings = runs._settings("trainer", job, test=False)
    tokens = settings["train"]["input_ids"]
    _, data, kept = runs._data(job)
    assert len(tokens) == len(kept) < len(data.train)
    for which, batch in zip(seen, settings["batches"], strict=True):
        assert kept[batch].tolist() == which.tolist()
    once = sorted(place for batch in settings["batches"][: len(seen) // 2] for place in batch)
    if "timed_steps" in how:
        assert settings["batches"][:3] == settings["batches"][3:]
        assert settings["untimed_steps"] == 3
    else:
        assert once == list(range(len(kept))), "two epochs"
        assert settings["untimed_steps"] == 0


def test_bert_base_s_shape_is_bert_base_s(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import transformers

    made = []
    monkeypatch.setattr(transformers.BertModel, "save_pretrained", lambda self, into: made.append((self, into.mkdir())))
    runs.bert_base(tmp_path / "bert")
    config = made[0][0].config
    assert (config.num_hidden_layers, config.hidden_size, config.vocab_size) == (12, 768, 30522)
    assert sum(p.numel() for p in made[0][0].parameters()) == 109_482_240
    assert (tmp_path / "bert" / "tokenizer.json").is_file()


def run_peers(model: str, methods: list[str], capfd: pytest.CaptureFixture[str], *more: str) -> tuple[list[str], Any]:
    """One turn: two steps, one of them timed. The run itself ends with an error where the sides differ."""
    peers.main(["--models", model, "--tasks", TASK, "--steps", "1", "--batch-size", "16", "--repeats", "1", "--methods",
                *methods, "--device", "cpu", *more])  # fmt: skip
    *table, last = capfd.readouterr().out.splitlines()
    return table, json.loads(last)


def test_the_trainer_trains_the_same_parameters_on_the_same_examples(
    model: str, capfd: pytest.CaptureFixture[str]
) -> None:
    with_accelerate()
    table, found = run_peers(model, ["lora"], capfd, "--peers", "trainer")
    assert found["cells_with_a_peer"] == 1
    ours, theirs = found["rows"]
    assert (ours["peer"], theirs["peer"], ours["method"]) == ("tuneworth", "trainer", theirs["method"])
    assert theirs["ratio"] == pytest.approx(ours["examples_per_second"] / theirs["examples_per_second"])
    assert min(ours["peak_memory_mb"], theirs["peak_memory_mb"]) > 100, "torch alone takes more"
    assert ours["share"] > 0
    assert any(line.startswith("against the best peer: geometric mean") for line in table)
    assert found["peers"]["trainer"]["accelerate"]
    assert found["command"].startswith("python benchmarks/peers.py --models")


@pytest.mark.parametrize("method", ["full", "bitfit"])
def test_without_dropout_and_in_fp32_the_trainer_ends_with_the_same_model(
    method: str, model: str, tmp_path: Path
) -> None:
    """Same head, same batches, same recipe: what is left is the order in which numbers are added."""
    with_accelerate()
    from tuneworth import trial
    from tuneworth.events import Finished

    still = runs.without_dropout(model, tmp_path / "still")
    config = json.loads((still / "config.json").read_text())
    assert (config["hidden_dropout_prob"], config["attention_probs_dropout_prob"]) == (0.0, 0.0)
    job = runs.plan(str(still), method, "demo/similarity", None, tmp_path, "cpu", epochs=2, fraction=0.2, batch_size=16,
                    precision="fp32")  # fmt: skip
    fields = job.trial.model_dump()
    # Constant, since Tuneworth reads a schedule at the middle of a step and the Trainer at its start.
    fields["recipe"] |= {"schedule": "constant", "warmup": 0.0}
    job = dataclasses.replace(job, trial=type(job.trial).model_validate(fields))
    *_, last = trial.run_trial(job)
    assert isinstance(last, Finished)
    settings = runs._settings("trainer", job, test=True)
    assert settings["precision"] == "fp32"
    outputs = np.array(load("trainer_peer").run(settings)["outputs"])
    task, data, kept = runs._data(job)
    theirs = data.codec(task.kind, data.train.labels[kept]).decode(outputs)
    np.testing.assert_allclose(last.predictions.predicted, theirs, atol=2e-4)
    assert np.ptp(theirs) > 0.02, "a model that answers always alike would hide a difference"


def test_the_trainer_answers_in_the_order_of_the_questions(model: str, tmp_path: Path) -> None:
    with_accelerate()
    job = runs.plan(model, "bitfit", TASK, None, tmp_path, "cpu", fraction=0.1)
    settings = {**runs._settings("trainer", job, test=True), "precision": "fp32"}
    backwards = {**settings, "test": {name: values[::-1] for name, values in settings["test"].items()}}
    peer = load("trainer_peer")
    forth, back = (np.array(peer.run(one)["outputs"]) for one in (settings, backwards))
    np.testing.assert_allclose(forth, back[::-1], atol=1e-4)
    assert np.ptp(forth[:, 0]) > 0.01, "answers alike would hide their order"


def test_the_defaults_pad_to_the_full_length(model: str, tmp_path: Path) -> None:
    with_accelerate()
    job = runs.plan(model, "full", TASK, None, tmp_path, "cpu", timed_steps=2, batch_size=16)
    ours, theirs = runs.ours(job), runs.theirs("defaults", job)
    assert theirs.steps == 2
    assert (ours.examples, ours.steps, ours.trainable) == (theirs.examples, theirs.steps, theirs.trainable)
    settings = json.loads((tmp_path / "settings.json").read_text())
    assert (settings["peer"], settings["max_length"], settings["recipe"]["batch_size"]) == ("defaults", 128, 16)


def test_a_peer_that_is_not_there_is_skipped_and_said_so(capsys: pytest.CaptureFixture[str]) -> None:
    assert "adapters" not in peers.present(peers.parse(["--peers", "adapters"]))
    assert "houlsby has no peer" in capsys.readouterr().err
    assert peers.present(peers.parse(["--peers", "adapters", "--adapters-python", str(shutil.which("false"))])) == {}
    assert "lacks adapters" in capsys.readouterr().err


def test_scores_within_the_margin_are_called_equivalent() -> None:
    close = {
        "tuneworth": dict(enumerate([70, 71, 72, 70, 71])),
        "trainer": dict(enumerate([70.1, 70.9, 72.1, 70, 70.9])),
    }
    apart = {"tuneworth": dict(enumerate([70, 71, 72])), "trainer": dict(enumerate([75, 76.1, 76.9]))}
    rows = same_learning.summary({("t", "full"): close, ("t", "bitfit"): apart, ("t", "none"): {}}, margin=1.0)
    assert [(row["method"], row["verdict"], row["seeds"]) for row in rows] == [
        ("full", "equivalent", 5), ("bitfit", "worse", 3),
    ]  # fmt: skip


def test_another_engine_repeats_tuneworth_s_runs_alone(model: str, tmp_path: Path) -> None:
    trial = runs.plan(model, "bitfit", TASK, None, tmp_path, "cpu").trial
    assert trial.key  # once asked for, it is kept with the trial
    other = type(trial).model_validate({**trial.model_dump(), "engine": trial.engine + 1})
    assert same_learning.key_of(trial, "trainer") == same_learning.key_of(other, "trainer")
    assert same_learning.key_of(trial, "tuneworth") != same_learning.key_of(other, "tuneworth")


def test_same_learning_keeps_what_it_ran(model: str, capfd: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    with_accelerate()
    kept = tmp_path / "same.jsonl"
    argv = ["--into", str(kept), "--model", model, "--tasks", "demo/similarity", "--methods", "bitfit", "--seeds", "1",
            "--fraction", "0.1", "--epochs", "1", "--device", "cpu"]  # fmt: skip
    same_learning.main(argv)
    first = capfd.readouterr().out
    assert [json.loads(line)["side"] for line in kept.read_text().splitlines()] == ["tuneworth", "trainer"]
    row = json.loads(first.splitlines()[-1])["rows"][0]
    assert (row["seeds"], row["verdict"]) == (1, "undecided")
    assert 0 < abs(row["trainer"]) <= 100
    same_learning.main(argv)
    assert capfd.readouterr().out == first
    assert len(kept.read_text().splitlines()) == 2


def test_the_part_of_the_grid_that_runs_is_of_the_size_asked_for() -> None:
    assert gpu.part(1.0) == (tuple(range(5)), gpu.FRACTIONS)
    assert gpu.part(0.4) == ((0, 1), gpu.FRACTIONS)
    seeds, fractions = gpu.part(0.1)
    assert (len(seeds), len(fractions), fractions[0], fractions[-1]) == (1, 5, 0.1, 1.0)
    assert gpu.part(0.001)[1] == (0.1, 1.0), "two at least, for a line"


def test_the_whole_grid_is_extrapolated_along_the_fractions() -> None:
    took = {("task", "full"): [(0.1, 3.0), (1.0, 12.0)]}  # 2 + 10 x fraction: 75 s a seed over the ten fractions
    found = gpu.extrapolate(took, ran=2, failed=0, seconds=30.0)
    assert (found.trials, found.ran, found.trial_seconds) == (50, 2, 15.0)
    assert found.whole_seconds == pytest.approx(30 / 15 * 5 * 75)
    assert gpu.extrapolate(took, ran=50, failed=0, seconds=30.0).whole_seconds == 30.0
    with pytest.raises(ValueError, match="no trial"):
        gpu.extrapolate({("task", "full"): []}, 1, 1, 1.0)


def test_the_gpu_s_command_runs_on_a_cpu(model: str, capfd: pytest.CaptureFixture[str]) -> None:
    gpu.main(["--device", "cpu", "--models", model, "--methods", "bitfit", "--task", TASK, "--steps", "1", "--repeats", "1",
              "--grid-tasks", TASK, "--grid-methods", "bitfit", "--grid-share", "0.01", "--workers", "1",
              "--max-length", "32"])  # fmt: skip
    out = capfd.readouterr().out
    found = json.loads(out.splitlines()[-1])
    assert found["speed"][0]["examples_per_second"] > 0
    assert found["speed"][0]["share"] > 0
    assert (found["grid"]["ran"], found["grid"]["trials"], found["grid"]["failed"]) == (2, 50, 0)
    assert found["extrapolated"] is True
    assert "extrapolated from 2 of 50 trials" in out


def test_workers_are_compared_on_whole_studies(model: str, capfd: pytest.CaptureFixture[str]) -> None:
    ratios = load("workers").main(
        ["--model", model, "--task", TASK, "--methods", "bitfit", "--steps", "2", "--seeds", "2", "--repeats", "1"]
    )
    assert ratios[1] == 1.0
    assert ratios[2] > 0
    printed = capfd.readouterr().out.splitlines()
    assert json.loads(printed[-1])["machine"]["device"].startswith("cpu")


def test_steps_in_int8_are_set_beside_those_in_bf16(model: str, capsys: pytest.CaptureFixture[str]) -> None:
    import torch

    from tuneworth.train.device import why_no_int8

    if reason := why_no_int8(torch.device("cpu")):
        pytest.skip(f"NO INT8 on this machine: {reason}")
    threads = torch.get_num_threads()
    try:
        load("int8").main(["--model", model, "--methods", "bitfit", "--steps", "2", "--length", "8"])
    finally:
        torch.set_num_threads(threads)
    row = [cell.strip() for cell in capsys.readouterr().out.splitlines()[-1].split("|")[1:-1]]
    assert row[0] == "bitfit"
    assert float(row[3]) > 0
    assert 0 < float(row[4]) < 0.5, "rounding changes the logits, and no more than that"
