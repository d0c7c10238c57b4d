"""How many trials this machine bears at once."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from tuneworth.errors import SpecError
from tuneworth.machine import workers as machine
from tuneworth.study import Study

Make = Callable[..., Study]


def test_a_trial_needs_more_memory_the_larger_its_batch_and_its_model_are(make_study: Make, tmp_path: Path) -> None:
    trial = make_study().prepare().trials[0]
    config = {"num_hidden_layers": 12, "hidden_size": 768, "num_attention_heads": 12}
    (tmp_path / "config.json").write_text(json.dumps(config))
    small = machine.trial_bytes(tmp_path, trial)
    batch = trial.recipe.model_copy(update={"batch_size": 2 * trial.recipe.batch_size})
    assert machine.trial_bytes(tmp_path, trial.model_copy(update={"recipe": batch})) > 1.5 * small
    assert 3e9 < small < 5e9, "BERT-base, 32 examples of 128 tokens: 3.3 GB of activations"
    (tmp_path / "model.safetensors").write_bytes(bytes(10**6))
    assert machine.trial_bytes(tmp_path, trial) == small + 4 * 10**6
    (tmp_path / "config.json").write_text("{}")
    assert machine.trial_bytes(tmp_path, trial) == machine.UNKNOWN


def test_a_number_is_taken_and_nonsense_refused() -> None:
    assert machine.worker_count("3", "cpu") == 3
    assert machine.worker_count("auto", "auto", []) == 1
    for nonsense in ("0", "many"):
        with pytest.raises(SpecError, match="not a number"):
            machine.worker_count(nonsense, "cpu", [])


def test_many_missing_trials_are_worth_a_probe_which_says_what_it_found(
    make_study: Make, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    core = min(machine.cores_here())
    monkeypatch.setattr(
        machine, "cores_here", lambda: {core, core + 1}
    )  # that a second is not there costs time, no more
    prepared = make_study(methods=["bitfit"], seeds=machine.PROBE_FROM).prepare()
    with caplog.at_level(logging.INFO, "tuneworth"):
        few = machine.worker_count("auto", "cpu", prepared.trials[:-1], prepared.model_sources)
        assert "examples/s" not in caplog.text
        chosen = machine.worker_count("auto", "cpu", prepared.trials, prepared.model_sources)
    assert chosen in (1, few)
    assert "examples/s, 1 with" in caplog.text


@pytest.mark.parametrize(
    ("own", "files"),
    [
        ("0::/jobs/one\n", {"jobs/memory.max": "3000", "jobs/memory.current": "1500", "jobs/memory.stat": "inactive_file 500",
                            "jobs/one/memory.max": "max", "jobs/one/memory.current": "9", "jobs/one/memory.stat": "anon 1"}),
        ("3:cpu:/x\n4:memory:/elsewhere\n", {"memory/memory.limit_in_bytes": "3000", "memory/memory.usage_in_bytes": "1500",
                                             "memory/memory.stat": "total_inactive_file 500"}),
    ],
    ids=["version 2, the parent's limit", "version 1, seen from inside"],
)  # fmt: skip
def test_free_memory_is_what_the_control_group_leaves(tmp_path: Path, own: str, files: dict[str, str]) -> None:
    (tmp_path / "own").write_text(own)
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(f"{text}\n")
    assert machine.free_memory(tmp_path, tmp_path / "own") == 2000
    assert machine.free_memory(tmp_path, tmp_path / "none") > 10**6, "the host's"


@pytest.mark.parametrize(
    ("own", "files", "cores"),
    [
        ("0::/jobs/one\n", {"jobs/cpu.max": "50000 100000", "jobs/one/cpu.max": "max 100000"}, 1),
        ("0::/jobs/one\n", {"jobs/one/cpu.max": "max 100000"}, None),
        ("3:cpu,cpuacct:/x\n", {"cpu,cpuacct/x/cpu.cfs_quota_us": "80000", "cpu,cpuacct/x/cpu.cfs_period_us": "100000"}, 1),
        ("3:cpu,cpuacct:/x\n", {"cpu/cpu.cfs_quota_us": "100000", "cpu/cpu.cfs_period_us": "100000"}, 1),
        ("3:cpu:/x\n", {"cpu/x/cpu.cfs_quota_us": "-1", "cpu/x/cpu.cfs_period_us": "100000"}, None),
        ("0::/x\n", {"x/cpu.max": "9900000 100000"}, None),
        ("0::/x\n", {"x/cpu.max": "150000 100000"}, 2),
    ],
)  # fmt: skip
def test_cores_are_those_that_the_control_group_grants(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, own: str, files: dict[str, str], cores: int | None
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {4, 5, 6})
    (tmp_path / "own").write_text(own)
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(f"{text}\n")
    found = machine.cores_here(tmp_path, tmp_path / "own")
    assert found <= {4, 5, 6}
    assert len(found) == (cores or 3)


def test_a_clock_that_is_set_kills_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    owner = machine.owner_name()
    monkeypatch.setattr("psutil.Process.create_time", lambda _: 0.0)
    assert not machine.is_dead(owner)
    host, pid, start, *rest = owner.split("/")
    assert machine.is_dead("/".join([host, pid, "1" + start, *rest])), "another process of that number"
