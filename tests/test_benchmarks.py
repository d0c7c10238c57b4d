"""The benchmarks run; what they measure is for a quiet machine, not for tests."""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path
from types import ModuleType

import pytest

from families import make_model_dir

FILE = Path(__file__).resolve().parents[1] / "benchmarks" / "peers.py"


@pytest.fixture(scope="module")
def peers() -> ModuleType:
    spec = importlib.util.spec_from_file_location("peers", FILE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["peers"] = module
    spec.loader.exec_module(module)
    return module


def test_quick_means_less_data_and_fewer_runs_unless_these_are_named(peers: ModuleType) -> None:
    whole, quick = peers.parse([]), peers.parse(["--quick"])
    assert (whole.fraction, whole.repeats, whole.methods, whole.peers) == (1.0, 5, ["full", "bitfit"], ["trainer"])
    assert quick.fraction < whole.fraction
    assert quick.repeats < whole.repeats
    named = peers.parse(["--quick", "--fraction", "0.5", "--repeats", "7"])
    assert (named.fraction, named.repeats) == (0.5, 7)


def test_data_dir_comes_from_the_flag_then_the_environment(
    peers: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(peers, "BESIDE", tmp_path)
    monkeypatch.setenv("TUNEWORTH_DATA", "elsewhere")
    assert peers.parse([]).data_dir is None, "the task itself reads TUNEWORTH_DATA"
    monkeypatch.delenv("TUNEWORTH_DATA")
    assert peers.parse([]).data_dir == tmp_path
    assert peers.parse(["--data-dir", "mine"]).data_dir == Path("mine")


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        (["--repeats", "0"], "nothing would run"),
        (["--methods", "bitft"], "bitfit"),
        (["--one", "nobody", "full"], "PEER is one of tuneworth, trainer"),
        (["--one", "trainer", "lora"], "METHOD one of full, bitfit"),
    ],
)
def test_a_wrong_argument_is_refused(
    argv: list[str], said: str, peers: ModuleType, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit, match="2"):
        peers.parse(argv)
    assert said in capsys.readouterr().err


def test_the_ratio_is_of_medians_and_above_1_where_tuneworth_is_faster(peers: ModuleType) -> None:
    def took(*seconds: float) -> list[object]:
        return [peers.Measurement(s, 100, 4, 10, 2_000_000, {}) for s in seconds]

    ours, theirs = peers.summary({("full", "tuneworth"): took(1, 2, 50), ("full", "trainer"): took(5, 4, 0.5)})
    assert (ours["examples_per_second"], theirs["examples_per_second"]) == (50, 25)
    assert (ours["ratio"], theirs["ratio"]) == (1, 2)
    assert (theirs["slowest"], theirs["fastest"], theirs["peak_memory_mb"]) == (20, 200, 2)


def test_two_steps_beside_the_trainer(
    peers: ModuleType, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    if importlib.util.find_spec("accelerate") is None:
        pytest.skip("transformers.Trainer needs accelerate, which is not installed")
    monkeypatch.setenv("OMP_NUM_THREADS", "1")  # two threads on a busy machine wait for each other
    model = make_model_dir("bert", tmp_path / "bert")
    # 54 examples: two batches. The run itself ends with an error where the two sides differ in what they train.
    peers.main(["--model", str(model), "--task", "demo/paraphrase", "--fraction", "0.1", "--repeats", "1",
                "--methods", "bitfit", "--device", "cpu"])  # fmt: skip
    *table, last = capfd.readouterr().out.splitlines()
    assert any(line.startswith("bitfit    trainer") for line in table)
    found = json.loads(last)
    ours, theirs = found["rows"]
    assert (ours["peer"], theirs["peer"]) == ("tuneworth", "trainer")
    assert theirs["ratio"] == pytest.approx(ours["examples_per_second"] / theirs["examples_per_second"])
    assert min(ours["peak_memory_mb"], theirs["peak_memory_mb"]) > 100, "torch alone takes more"
    assert found["machine"]["accelerate"]
    assert found["command"].startswith("python benchmarks/peers.py --model")
