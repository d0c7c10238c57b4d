"""Publishing: what is sent, what is not, and how the hub's refusals are told; against a stand-in that speaks its HTTP API."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from huggingface_hub import ModelCard

from commands import Said, start, tuneworth
from conftest import silent
from deltas.hub import TOKEN, Hub, running
from tuneworth.deltas import Predictor, read_info
from tuneworth.deltas.card import write_card
from tuneworth.study import Study


@pytest.fixture
def delta(make_study: Callable[..., Study]) -> Path:
    study = make_study(methods=["bitfit"], seeds=1)
    study.run(workers=1, device="cpu", watch=silent)
    return Path(study.rows()[0]["delta_path"])


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Hub]:
    """Large files go by LFS, as they do without hf_xet, whose storage servers have no stand-in here."""
    with running() as found:
        for name, value in {
            "HF_ENDPOINT": found.url, "HF_TOKEN": TOKEN, "HF_HUB_OFFLINE": "0", "HF_HUB_DISABLE_XET": "1",
            "HF_HOME": str(tmp_path / "hf"), "HF_HUB_DISABLE_TELEMETRY": "1",
        }.items():  # fmt: skip
            monkeypatch.setenv(name, value)
        yield found


def push(delta: Path, *more: str) -> Said:
    """In a process of its own: the client reads its environment when it is imported."""
    process = start("push", delta, *more, cwd=delta.parent)
    out, err = process.communicate(timeout=120)
    return Said(process.returncode, out, err)


def test_what_was_pushed_can_be_loaded(delta: Path, hub: Hub, tiny_model: Path) -> None:
    said = push(delta, "me/cats", "--private")
    assert said.code == 0, said
    assert f"sent to {hub.url}/me/cats" in said.out
    assert "next: " in said.out
    assert hub.private == {"me/cats": True}
    sent = hub.files["me/cats"]
    assert set(sent) - {".gitattributes"} == {"README.md", "delta.json", "delta.safetensors"}
    assert sent["delta.safetensors"] == (delta / "delta.safetensors").read_bytes()
    assert str(tiny_model.parent) not in sent["delta.json"].decode() + sent["README.md"].decode(), "paths stay at home"
    code = (
        "import json, sys, tuneworth as tw; from huggingface_hub import snapshot_download; "
        f"p = tw.Predictor(snapshot_download('me/cats'), model={str(tiny_model)!r}, device='cpu'); "
        "print(json.dumps(p.predict(['a lovely film'])))"
    )
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert json.loads(loaded.stdout) == Predictor(delta, device="cpu").predict(["a lovely film"])
    again = push(delta, "me/cats")
    assert again.code == 0, again


def test_a_dry_run_writes_the_card_and_sends_nothing(delta: Path, hub: Hub) -> None:
    said = push(delta, "me/cats", "--dry-run")
    assert said.code == 0, said
    assert not [line for line in hub.asked if line.startswith(("POST", "PUT"))]
    assert f"would go to {hub.url}/me/cats" in said.out
    for name in ("README.md", "delta.json", "delta.safetensors"):
        assert f"bytes  {name}" in said.out
    card = delta / "README.md"
    assert card.read_text() == write_card(read_info(delta), "me/cats")
    card.write_text(card.read_text() + "\nEdited.\n")
    assert push(delta, "me/cats").code == 0
    assert hub.files["me/cats"]["README.md"].endswith(b"\nEdited.\n")


def test_the_card_tells_the_trial(delta: Path) -> None:
    info = read_info(delta)
    text = write_card(info, "me/cats")
    data = ModelCard(text).data
    assert data.library_name == "tuneworth"
    assert {"tuneworth", "bitfit"} <= set(data.tags)
    assert {r.metric_type: r.metric_value for r in data.eval_results} == pytest.approx(info.metrics, abs=1e-4)
    for part in (f"{info.score:.2f}", "`reviews`", "learning rate | 0.012", "6steps", 'snapshot_download("me/cats")',
                 info.base_fingerprint, "`good`", "80%" if info.fraction == 0.8 else "100%"):  # fmt: skip
        assert part in text, part
    assert data.base_model is None, "a directory of this machine is no name on the hub"
    assert ModelCard(write_card(info.model_copy(update={"base": "org/base"}), "me/cats")).data.base_model == "org/base"


def refused(said: Said, *words: str) -> None:
    assert said.code == 2, said
    lines = said.err.strip().splitlines()
    assert len(lines) == 2, said.err
    for word in words:
        assert word in said.err


def test_refusals_are_told(delta: Path, hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    refused(tuneworth("push", delta, "cats"), "owner/name")
    refused(tuneworth("push", delta, "me/ca ts"), "owner/name")
    refused(tuneworth("push", delta.parent, "me/cats"), "is no delta")
    monkeypatch.setenv("HF_TOKEN", "hf_wrong")
    refused(push(delta, "me/cats"), "401", "hf auth login")
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    refused(push(delta, "me/cats"), "cannot be reached", "HF_ENDPOINT")
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    refused(push(delta, "me/cats"), "HF_HUB_OFFLINE is set")
    (delta / "delta.safetensors").write_bytes((delta / "delta.safetensors").read_bytes()[:-50])
    refused(push(delta, "me/cats"), "damaged")
    assert not hub.files
