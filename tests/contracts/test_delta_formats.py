"""What every delta promises: saved, loaded, merged or exported, it answers the same, for every method and family."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from peft import PeftModel
from transformers import AutoModelForSequenceClassification, AutoTokenizer

from families import ENCODERS, OTHERS, OWN_METHODS, WITHOUT_BIASES, make_model_dir
from tuneworth import models
from tuneworth.deltas import DeltaInfo, Predictor, export_delta, load_delta, merge_delta, save_delta
from tuneworth.deltas.check import check_holds
from tuneworth.deltas.files import read_info
from tuneworth.errors import DeltaError
from tuneworth.kinds.classification import Classes
from tuneworth.kinds.regression import Numbers
from tuneworth.methods import get_method, method_options
from tuneworth.methods.apply import tune
from tuneworth.models.load import load

TEXTS = ["a cat sat on the mat", "no", "dogs bark at night, loudly", "the report was late"]
PAIRS = ["the mat held a cat", "yes it is", "it was quiet", "nobody read it"]
LABELS = ("no", "perhaps", "yes")
ADAPTERS = ("houlsby", "parallel", "pfeiffer")
ANY_FAMILY = {"bitfit": {"add_missing": True}, "full": {}, "head": {}, "lora": {}}
"""The methods, with their options, that need no table of places."""
CASES = [(method, family, {}) for method in OWN_METHODS for family in ENCODERS] + [
    (method, family, options) for method, options in ANY_FAMILY.items() for family in WITHOUT_BIASES
]
pytestmark = pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing`:FutureWarning")  # peft asks transformers
names = pytest.mark.parametrize(("method", "family", "options"), CASES, ids=[f"{m}-{f}" for m, f, _ in CASES])
ONNX = [
    *(CASES[len(ENCODERS) * row + row % len(ENCODERS)] for row in range(len(OWN_METHODS))),
    *(case for case in CASES if case[0] == "bitfit" and case[1] in WITHOUT_BIASES),
    ("full", "gpt2", {}),
]
"""An export takes four seconds of a core: each method once, on one family after the other, and the families left over."""

Make = Callable[..., tuple[Path, NDArray[np.float32]]]


@pytest.fixture(scope="module")
def bases(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    return cache(lambda family: make_model_dir(family, tmp_path_factory.mktemp(family)))


@pytest.fixture
def make(bases: Callable[[str], Path], tmp_path: Path) -> Make:
    """A delta on disk whose every parameter was moved, and the logits of the model it was taken from."""

    def made(method: str, family: str, options: dict[str, Any], **info: Any) -> tuple[Path, NDArray[np.float32]]:
        base, verb, stream = bases(family), get_method(method), torch.Generator().manual_seed(3)
        codec = Numbers(**info) if info else Classes(labels=LABELS)
        kind = "regression" if info else "classification"
        loaded = load(str(base), codec.outputs, kind, stream)
        trained = tune(loaded, verb, method_options(verb, options), stream)
        parameters = dict(loaded.model.named_parameters())
        with torch.no_grad():
            for name in trained:
                parameters[name].add_(0.05 * torch.randn(parameters[name].shape, generator=stream))
        save_delta(tmp_path / "delta", {name: parameters[name] for name in trained}, DeltaInfo(
            method=method, kind=method, options=options, base=str(base), base_fingerprint=models.resolve(str(base)).fingerprint,
            task="cats", task_kind=kind, codec=codec, metric="accuracy", score=50.0, metrics={"accuracy": 50.0}, pairs=True,
            max_length=128, precision="fp32", recipe=verb.recipe, fraction=1.0, budget="1epochs", seed=3, environment={},
        ))  # fmt: skip
        return tmp_path / "delta", logits(loaded.model, loaded.tokenizer)

    return made


def batch(tokenizer: Any, which: slice = slice(None)) -> dict[str, torch.Tensor]:
    return dict(tokenizer(TEXTS[which], PAIRS[which], padding=True, return_tensors="pt"))


def logits(model: torch.nn.Module, tokenizer: Any, which: slice = slice(None)) -> NDArray[np.float32]:
    with torch.inference_mode():
        answer: NDArray[np.float32] = model.eval()(**batch(tokenizer, which)).logits.numpy()
    return answer


def close(found: NDArray[Any], expected: NDArray[Any]) -> None:
    assert expected.std() > 1e-3, "a model that always answers the same hides mistakes"
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-4)


@names
def test_a_loaded_delta_answers_as_the_tuned_model(
    make: Make, method: str, family: str, options: dict[str, Any]
) -> None:
    delta, expected = make(method, family, options)
    model, tokenizer = load_delta(delta)
    np.testing.assert_array_equal(logits(model, tokenizer), expected)
    found = [list(answer["probabilities"].values()) for answer in Predictor(delta, device="cpu").predict(TEXTS, PAIRS)]
    close(np.array(found), torch.from_numpy(expected).softmax(dim=1).numpy())


@names
def test_a_merged_model_is_a_plain_one(
    make: Make, tmp_path: Path, method: str, family: str, options: dict[str, Any]
) -> None:
    delta, expected = make(method, family, options)
    if method in ADAPTERS:
        with pytest.raises(DeltaError, match=r"cannot be merged(.|\n)*--to onnx"):
            merge_delta(delta, tmp_path / "merged")
        assert not (tmp_path / "merged").exists()
        return
    merge_delta(delta, tmp_path / "merged")
    model = AutoModelForSequenceClassification.from_pretrained(tmp_path / "merged", dtype=torch.float32)
    close(logits(model, AutoTokenizer.from_pretrained(tmp_path / "merged")), expected)
    assert model.config.id2label == dict(enumerate(LABELS))
    assert model.config.label2id["perhaps"] == 1
    assert not {path.suffix for path in (tmp_path / "merged").iterdir()} - {".json", ".safetensors", ".txt"}


@pytest.mark.parametrize("family", OTHERS)
def test_a_merged_model_pads_as_its_family_does(make: Make, tmp_path: Path, family: str) -> None:
    """With its own tokenizer, on the side and with the token that its head looks for."""
    delta, expected = make("full", family, {})
    merge_delta(delta, tmp_path / "merged")
    model = AutoModelForSequenceClassification.from_pretrained(tmp_path / "merged", dtype=torch.float32)
    tokenizer = AutoTokenizer.from_pretrained(tmp_path / "merged")
    assert tokenizer.pad_token_id == model.config.pad_token_id
    close(logits(model, tokenizer), expected)
    alone = np.concatenate([logits(model, tokenizer, slice(n, n + 1)) for n in range(len(TEXTS))])
    close(alone, expected)


@names
def test_peft_takes_what_peft_can_express(
    make: Make, bases: Callable[[str], Path], tmp_path: Path, method: str, family: str, options: dict[str, Any]
) -> None:
    delta, expected = make(method, family, options)
    if method != "lora":
        with pytest.raises(DeltaError, match="no place for a delta of"):
            export_delta(delta, "peft", tmp_path / "peft")
        assert not (tmp_path / "peft").exists()
        return
    export_delta(delta, "peft", tmp_path / "peft")
    base = AutoModelForSequenceClassification.from_pretrained(bases(family), num_labels=len(LABELS))
    tokenizer = AutoTokenizer.from_pretrained(tmp_path / "peft")
    base.config.pad_token_id = tokenizer.pad_token_id
    close(logits(PeftModel.from_pretrained(base, str(tmp_path / "peft")), tokenizer), expected)


@pytest.mark.parametrize(("method", "family", "options"), ONNX, ids=[f"{m}-{f}" for m, f, _ in ONNX])
def test_onnx_answers_alike_for_batches_of_any_shape(
    make: Make, tmp_path: Path, method: str, family: str, options: dict[str, Any]
) -> None:
    delta, expected = make(method, family, options)
    export_delta(delta, "onnx", tmp_path / "model.onnx")
    model, tokenizer = load_delta(delta)
    close(run_onnx(tmp_path, tokenizer), expected)
    short = slice(1, 2)
    np.testing.assert_allclose(run_onnx(tmp_path, tokenizer, short), logits(model, tokenizer, short), rtol=0, atol=1e-4)


def run_onnx(place: Path, tokenizer: Any, which: slice = slice(None)) -> NDArray[np.float32]:
    """With the tokenizer beside the file, whose ids must be those of training."""
    import onnxruntime
    from tokenizers import Tokenizer

    session = onnxruntime.InferenceSession(str(place / "model.onnx"))
    encoded = Tokenizer.from_file(str(place / "model.tokenizer.json")).encode_batch(
        list(zip(TEXTS[which], PAIRS[which], strict=True))
    )
    wanted = batch(tokenizer, which)
    fields = {"input_ids": "ids", "attention_mask": "attention_mask", "token_type_ids": "type_ids"}
    given = {i.name: np.array([getattr(e, fields[i.name]) for e in encoded]) for i in session.get_inputs()}
    for name, values in given.items():
        np.testing.assert_array_equal(values, wanted[name].numpy())
    answer: NDArray[np.float32] = session.run(None, given)[0]
    return answer


def test_what_onnx_cannot_express_is_refused(make: Make, tmp_path: Path) -> None:
    """PyTorch's exporter takes some families' code for nothing that a file could hold."""
    delta, _ = make("head", "xlnet", {})
    with pytest.raises(DeltaError, match=r"no ONNX file of a model of type 'xlnet'(.|\n)*tuneworth merge"):
        export_delta(delta, "onnx", tmp_path / "model.onnx")
    assert [path.name for path in tmp_path.iterdir()] == ["delta"]


def test_the_onnx_cases_cover_every_method_and_family() -> None:
    assert {method for method, _, _ in ONNX} == set(OWN_METHODS)
    assert {family for _, family, _ in ONNX} == {*ENCODERS, *WITHOUT_BIASES, "gpt2"}


@pytest.mark.parametrize("family", ENCODERS)
def test_regression_answers_in_the_users_unit_everywhere(
    make: Make, bases: Callable[[str], Path], tmp_path: Path, family: str
) -> None:
    """The head was trained on (y - 250) / 40; what leaves answers y."""
    delta, standardised = make("lora", family, {}, mean=250.0, scale=40.0)
    expected = standardised * 40.0 + 250.0
    found = [answer["score"] for answer in Predictor(delta, device="cpu").predict(TEXTS, PAIRS)]
    np.testing.assert_allclose(found, expected[:, 0], rtol=1e-6)
    merge_delta(delta, tmp_path / "merged")
    merged = AutoModelForSequenceClassification.from_pretrained(tmp_path / "merged")
    tokenizer = AutoTokenizer.from_pretrained(tmp_path / "merged")
    np.testing.assert_allclose(logits(merged, tokenizer), expected, rtol=1e-6)
    export_delta(delta, "peft", tmp_path / "peft")
    base = AutoModelForSequenceClassification.from_pretrained(bases(family), num_labels=1)
    np.testing.assert_allclose(
        logits(PeftModel.from_pretrained(base, str(tmp_path / "peft")), tokenizer), expected, rtol=1e-6
    )
    if family == "bert":
        export_delta(delta, "onnx", tmp_path / "model.onnx")
        np.testing.assert_allclose(run_onnx(tmp_path, tokenizer), expected, rtol=1e-6)


@pytest.mark.parametrize(("mean", "scale"), [(1.7e9, 35.0), (5.8e-12, 2.9e-12)], ids=["seconds since 1970", "tiny"])
def test_targets_far_from_0_or_tiny_are_told_apart(make: Make, tmp_path: Path, mean: float, scale: float) -> None:
    """To a fraction of what they vary by; where float32 cannot, the copy is refused and ONNX is named."""
    delta, standardised = make("bitfit", "bert", {}, mean=mean, scale=scale)
    assert standardised.std() > 0.005
    found = np.array([answer["score"] for answer in Predictor(delta, device="cpu").predict(TEXTS, PAIRS)])
    np.testing.assert_allclose((found - mean) / scale, standardised[:, 0], atol=3e-4)
    export_delta(delta, "onnx", tmp_path / "model.onnx")
    tokenizer = load_delta(delta)[1]
    answers = run_onnx(tmp_path, tokenizer)
    assert answers.dtype == np.float64
    np.testing.assert_allclose((answers - mean) / scale, standardised, atol=3e-4)
    if mean > 1:
        with pytest.raises(DeltaError, match=r"cannot hold the targets(.|\n)*--to onnx"):
            merge_delta(delta, tmp_path / "merged")
        assert not (tmp_path / "merged").exists()
        return
    merge_delta(delta, tmp_path / "merged")
    merged = AutoModelForSequenceClassification.from_pretrained(tmp_path / "merged")
    np.testing.assert_allclose((logits(merged, tokenizer) - mean) / scale, standardised, atol=3e-4)


@pytest.mark.parametrize(("mean", "scale", "held"), [(2020.0, 5.0, True), (0.0, 1e30, True), (0.0, 2e38, False),
                                                     (0.0, 1e-40, False), (1e6, 10.0, False), (-1e6, 1e4, True)])  # fmt: skip
def test_what_float32_can_hold(make: Make, mean: float, scale: float, held: bool) -> None:
    info = read_info(make("head", "bert", {}, mean=mean, scale=scale)[0])
    if held:
        check_holds(info, "a copy")
    else:
        with pytest.raises(DeltaError, match="subtract a constant"):
            check_holds(info, "a copy")


def test_a_head_without_a_bias_cannot_hold_the_mean(make: Make, tmp_path: Path) -> None:
    delta, _ = make("lora", "llama", {}, mean=250.0, scale=40.0)
    with pytest.raises(DeltaError, match="no bias that could hold the mean"):
        merge_delta(delta, tmp_path / "merged")


@pytest.mark.parametrize("method", OWN_METHODS)
def test_half_the_size_is_nearly_the_same(make: Make, tmp_path: Path, method: str) -> None:
    delta, expected = make(method, "bert", {})
    export_delta(delta, "bf16", tmp_path / "half")
    size, half = ((path / "delta.safetensors").stat().st_size for path in (delta, tmp_path / "half"))
    assert half < 0.5 * size + 10_000
    model, tokenizer = load_delta(tmp_path / "half")
    assert {parameter.dtype for parameter in model.parameters()} == {torch.float32}
    np.testing.assert_allclose(logits(model, tokenizer), expected, rtol=0, atol=0.05)
