from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import psutil
import pytest
import torch

from families import make_model_dir
from made_deltas import edit_info, make_delta
from tuneworth import models
from tuneworth.deltas import Predictor, load_delta, read_info, save_delta
from tuneworth.deltas.files import read_tensors
from tuneworth.errors import DataError, DeltaError
from tuneworth.serve.engine import Engine
from tuneworth.serve.found import find, find_named

TEXTS = ["a cat sat on the mat", "no", "dogs bark at night, loudly, and for longer than anyone can bear, " * 2]


@pytest.fixture
def engine(delta_root: Path, tiny_model: Path) -> Engine:
    engine = Engine(models.resolve(str(tiny_model)), torch.device("cpu"), "fp32")
    for found in find(delta_root):
        engine.load(found)
    return engine


def load(engine: Engine, delta_root: Path, name: str) -> None:
    found = find_named(delta_root, name)
    assert found is not None
    engine.load(found)


def test_it_answers_as_the_predictor_does(engine: Engine, delta_root: Path) -> None:
    """Across tasks and methods, models of their own included, and texts that are cut."""
    examples, expected = [], []
    for found in find(delta_root):
        pairs = TEXTS[::-1] if found.info and found.info.pairs else None
        examples += engine.encode(engine.tasks[found.name], TEXTS, pairs)
        expected += Predictor(found.directory, device="cpu").predict(TEXTS, pairs)
    order = np.random.default_rng(0).permutation(len(examples))
    for answer, place in zip(engine.run([examples[i] for i in order]), order, strict=True):
        wanted = expected[place]
        assert answer["score"] == pytest.approx(wanted["score"], abs=1e-4)
        if wanted["probabilities"]:
            assert answer["label"] == wanted["label"]
            assert answer["probabilities"] == pytest.approx(wanted["probabilities"], abs=1e-4)


def test_the_frozen_weights_are_in_memory_once(engine: Engine) -> None:
    plain = {name: p.data_ptr() for name, p in engine.backbone.plain.named_parameters()}
    mixed = {name: p.data_ptr() for name, p in engine.backbone._mixed.named_parameters()}
    assert mixed == plain
    own = engine.tasks["whole"].model
    assert own is not None
    assert not set(plain.values()) & {p.data_ptr() for p in own.parameters()}, "full has weights of its own"
    assert engine.tasks["pairs"].parts is not None
    assert engine.tasks["pairs"].parts.vector is engine.backbone.layout.base, "lora changes no bias: it shares them"


def test_a_task_that_left_the_disk_goes_on(engine: Engine, delta_root: Path) -> None:
    examples = engine.encode(engine.tasks["mood"], TEXTS, None)
    before = engine.run(examples)
    with (delta_root / "mood" / "delta.safetensors").open("r+b") as file:
        file.write(b"\0" * 100)  # in place: memory that mapped the file would show it
    shutil.rmtree(delta_root / "mood")
    assert engine.run(examples) == before


def test_a_delta_for_another_backbone_is_named_and_skipped(engine: Engine, delta_root: Path, tmp_path: Path) -> None:
    make_delta(delta_root / "stranger", make_model_dir("bert", tmp_path / "other", seed=7), "head")
    with pytest.raises(DeltaError, match=r"made for 'other' \(content .*not for the backbone 'tiny-bert'"):
        load(engine, delta_root, "stranger")
    assert "made for 'other'" in engine.unavailable["stranger"]
    assert "stranger" not in engine.tasks


def test_a_refused_delta_leaves_the_one_that_is_served(engine: Engine, delta_root: Path) -> None:
    served = engine.tasks["mood"]
    (delta_root / "mood" / "delta.safetensors").write_bytes(b"cut off")
    with pytest.raises(DeltaError, match="damaged"):
        load(engine, delta_root, "mood")
    assert engine.tasks["mood"] is served
    assert "mood" not in engine.unavailable


def test_a_diverged_delta_is_refused(engine: Engine, delta_root: Path) -> None:
    info = read_info(delta_root / "mood")
    tensors = read_tensors(delta_root / "mood", info)
    save_delta(delta_root / "mood", {name: t * float("nan") for name, t in tensors.items()}, info)
    with pytest.raises(DeltaError, match="not finite"):
        load(engine, delta_root, "mood")


def test_a_delta_too_large_for_the_memory_left_is_refused(
    engine: Engine, delta_root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = psutil.virtual_memory()
    monkeypatch.setattr(psutil, "virtual_memory", lambda: real._replace(available=50_000))
    with pytest.raises(DeltaError, match=r"needs \d+ MB of memory while it loads, and 0 MB are free"):
        load(engine, delta_root, "whole")


def test_unloading_forgets_and_what_waits_is_still_answered(engine: Engine) -> None:
    examples = engine.encode(engine.tasks["mood"], TEXTS, None)
    engine.unload("mood")
    assert "mood" not in engine.tasks
    assert len(engine.run(examples)) == 3
    with pytest.raises(KeyError):
        engine.unload("mood")


def test_pairs_and_texts_are_not_mistaken_for_each_other(engine: Engine) -> None:
    with pytest.raises(DataError, match="'mood' was tuned on single texts"):
        engine.encode(engine.tasks["mood"], TEXTS, TEXTS)
    with pytest.raises(DataError, match="'pairs' was tuned on text pairs"):
        engine.encode(engine.tasks["pairs"], TEXTS, None)


def test_what_parts_express_wrongly_is_served_as_a_model_of_its_own(
    engine: Engine, delta_root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A method of another package may change a model in ways that leave no trace in parameters or hooks."""
    from tuneworth.methods.bitfit import BitFit

    honest = BitFit.apply

    def apply(self, model, options, generator):  # type: ignore[no-untyped-def]
        honest(self, model, options, generator)
        norm = model.base_model.encoder.layer[0].output.LayerNorm
        norm.forward = lambda x, plain=norm.forward: 2 * plain(x)

    monkeypatch.setattr(BitFit, "apply", apply)
    load(engine, delta_root, "mood")
    assert engine.tasks["mood"].parts is None
    assert engine.tasks["mood"].model is not None
    assert "its logits are off by" in str(engine.tasks["mood"].alone)


@pytest.mark.parametrize("error", [RuntimeError, IndexError, TypeError, KeyError, AttributeError])
def test_what_fails_in_a_mixed_batch_is_served_alone_and_says_why(
    engine: Engine, delta_root: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, error: type
) -> None:
    def broken(*_: object) -> None:
        raise error("no such luck\nmore")

    monkeypatch.setattr(engine.backbone, "logits", broken)
    load(engine, delta_root, "mood")
    assert engine.tasks["mood"].alone in (
        f"in a batch with others it fails: {error.__name__}: no such luck",
        "in a batch with others it fails: KeyError: 'no such luck\\nmore'",
    )
    assert caplog.text.count("Traceback") == 1, "logged once, in full"
    assert len(engine.run(engine.encode(engine.tasks["mood"], TEXTS, None))) == 3


def test_whatever_a_method_raises_refuses_that_delta_alone(
    engine: Engine, delta_root: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("tuneworth.serve.engine.put", lambda *_: {}["weights"])
    engine.unload("mood")
    with pytest.raises(DeltaError, match="cannot be loaded: KeyError: 'weights'"):
        load(engine, delta_root, "mood")
    assert "KeyError" in engine.unavailable["mood"]
    assert "Traceback" in caplog.text
    assert len(engine.run(engine.encode(engine.tasks["whole"], TEXTS, None))) == 3


def test_options_that_the_tensors_do_not_bear_out_build_nothing(engine: Engine, delta_root: Path) -> None:
    huge = (3 * 10**7, 10**12, 10**18, 10**30)
    for name, options in [
        *(("stars", {"bottleneck": n}) for n in huge),
        *(("pairs", {"r": n}) for n in huge),
        ("stars", {"bottleneck": 3}),
        ("stars", {"reduction_factor": 2}),
        ("pairs", {"targets": "all-linear"}),
    ]:
        found = find_named(delta_root, name)
        assert found is not None
        served = engine.tasks[name]
        edit_info(found.directory, options=options)
        before = psutil.Process().memory_info().rss
        with pytest.raises(DeltaError, match=r"does not fit its method|cannot be built"):
            load(engine, delta_root, name)
        assert psutil.Process().memory_info().rss - before < 200e6, options
        assert engine.tasks[name] is served


def test_a_length_that_the_backbone_cannot_read_is_refused(engine: Engine, delta_root: Path) -> None:
    """The tiny model has 160 positions."""
    edit_info(delta_root / "mood", max_length=160)
    load(engine, delta_root, "mood")
    assert engine.run(engine.encode(engine.tasks["mood"], ["a " * 500], None))
    edit_info(delta_root / "mood", max_length=100_000)
    for use in (lambda: load(engine, delta_root, "mood"), lambda: load_delta(delta_root / "mood")):
        with pytest.raises(DeltaError, match="has max_length 100,000, and its base model can read 160 tokens"):
            use()


def test_labels_that_the_tensors_do_not_bear_out_build_nothing(engine: Engine, delta_root: Path) -> None:
    edit_info(delta_root / "mood", codec={"labels": [str(n) for n in range(100_000)]})
    with pytest.raises(DeltaError, match="names 100,000 outputs, and no tensor has so many"):
        load(engine, delta_root, "mood")
