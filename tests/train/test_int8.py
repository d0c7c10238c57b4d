"""Products of bytes: against plain arithmetic in double precision, with bounds on what rounding costs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn
from transformers import AutoModelForSequenceClassification

from commands import tuneworth
from train.test_fast import to_the_end, training
from tuneworth.spec import Precision
from tuneworth.train import device as devices
from tuneworth.train.fast import int8, kernels, lay_out
from tuneworth.train.fast.int8 import Int8Linear
from tuneworth.train.fast.linear import PackedLinear
from tuneworth.train.loop import train

CPU = torch.device("cpu")
pytestmark = pytest.mark.skipif(bool(devices.why_no_int8(CPU)), reason=f"no int8 here: {devices.why_no_int8(CPU)}")


def plain(x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None) -> torch.Tensor:
    """The twin: both sides rounded to integers by row, in double precision."""

    def rounded(rows: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        scale = rows.float().abs().amax(1, keepdim=True) / 127
        return torch.round(rows.float() / scale.clamp_min(1e-38)).double(), scale.double()

    (a, of_a), (b, of_b) = rounded(x), rounded(weight)
    y = (a @ b.T) * of_a * of_b.T
    return y if bias is None else y + bias.double()


@given(st.integers(1, 100), st.integers(1, 70), st.integers(1, 140), st.booleans(), st.integers(0, 9))
def test_any_shape_equals_the_plain_twin(rows: int, inputs: int, outputs: int, biased: bool, seed: int) -> None:
    chance = torch.Generator().manual_seed(seed)
    x, weight = (torch.randn(n, inputs, generator=chance) for n in (rows, outputs))
    bias = torch.randn(outputs, generator=chance) if biased else None
    y = int8.product(x, int8.quantise(weight), bias)
    right = plain(x, weight, bias)
    # a value half way between two integers may go either way in float32: one unit of one row and one channel
    unit = (x.abs().amax(1)[:, None] / 127) * weight.abs().amax(1)[None] * 1.01
    assert bool(((y.double() - right).abs() <= unit + 1e-5).all())
    assert float((y.double() - right).abs().mean()) < 1e-4


def test_rounding_costs_as_much_as_it_may() -> None:
    """Each factor is off by half a unit at most: |error| <= |x| dw + |w| dx + dx dw, summed; a hundredth in all for values
    without outliers."""
    chance = torch.Generator().manual_seed(0)
    x, weight = torch.randn(64, 384, generator=chance), torch.randn(96, 384, generator=chance)
    y, right = int8.product(x, int8.quantise(weight), None).double(), x.double() @ weight.double().T
    dx, dw = x.abs().amax(1) / 254, weight.abs().amax(1) / 254
    bound = x.abs().sum(1)[:, None] * dw + weight.abs().sum(1) * dx[:, None] + 384 * dx[:, None] * dw
    assert bool(((y - right).abs() <= bound + 1e-4).all())
    assert float((y - right).norm() / right.norm()) < 0.015


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_no_sum_depends_on_the_threads(threads: int) -> None:
    x, weights = torch.randn(500, 96).bfloat16(), int8.quantise(torch.randn(80, 96))
    alone = int8.product(x, weights, None)
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        assert torch.equal(int8.product(x, weights, None), alone)
    finally:
        torch.set_num_threads(before)


def test_zeros_and_what_is_not_finite() -> None:
    weights = int8.quantise(torch.tensor([[1.0, 2.0], [0.0, 0.0]]))
    assert int8.product(torch.zeros(3, 2), weights, torch.tensor([5.0, 6.0])).tolist() == [[5.0, 6.0]] * 3
    assert not torch.isfinite(int8.product(torch.tensor([[float("nan"), 1.0]]), weights, None)).all()
    assert not torch.isfinite(int8.product(torch.tensor([[float("inf"), 1.0]]), weights, None)).all()


def layer(inputs: int = 48, outputs: int = 32) -> tuple[Int8Linear, nn.Linear]:
    frozen = nn.Linear(inputs, outputs)
    frozen.weight.requires_grad_(False)
    exact = nn.Linear(inputs, outputs)
    exact.load_state_dict(frozen.state_dict())
    frozen.__class__ = Int8Linear
    return frozen, exact  # type: ignore[return-value]


def test_gradients_are_those_of_the_exact_layer_but_for_rounding() -> None:
    quick, exact = layer()
    x = torch.randn(2, 20, 48)
    ours, theirs = (x.clone().requires_grad_() for _ in range(2))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        quick(ours).float().square().sum().backward()
    exact(theirs).square().sum().backward()
    assert ours.grad is not None
    assert theirs.grad is not None
    assert float((ours.grad - theirs.grad).norm() / theirs.grad.norm()) < 0.03
    assert quick.bias.grad is not None
    assert quick.bias.grad.dtype == torch.float32
    assert exact.bias.grad is not None
    assert float((quick.bias.grad - exact.bias.grad).norm() / exact.bias.grad.norm()) < 0.02
    assert quick.weight.grad is None


def test_without_autocast_it_is_the_exact_layer() -> None:
    quick, exact = layer()
    x = torch.randn(5, 48)
    assert torch.equal(quick(x), exact(x))


def test_a_layer_with_outliers_stays_in_bf16(tiny_model: Path) -> None:
    model = AutoModelForSequenceClassification.from_pretrained(tiny_model)
    for parameter in model.base_model.parameters():
        parameter.requires_grad_(False)
    first, second = model.bert.encoder.layer
    first.attention.output.LayerNorm.bias[3] = 60.0  # a column sixty times the others, of which nothing is made
    first.intermediate.dense.weight[:, 3] = 0.0
    lay_out(model, CPU, "int8")
    assert isinstance(first.intermediate.dense, PackedLinear)
    assert isinstance(second.intermediate.dense, Int8Linear)
    assert "kept in bf16" in kernels(model)


@pytest.mark.parametrize("method", ["bitfit", "houlsby", "lora"])
def test_training_repeats_and_goes_on_from_a_checkpoint(method: str, tiny_model: Path, tmp_path: Path) -> None:
    def losses(place: str, precision: Precision = "int8") -> list[float]:
        run = training(tiny_model, method, tmp_path / place, 0.1, precision=precision)
        torch.manual_seed(0)
        return [point.loss for point in to_the_end(run).curve]

    whole = losses("a")
    assert losses("b") == whole
    assert np.allclose(losses("c", "bf16"), whole, atol=0.05)

    cut = training(tiny_model, method, tmp_path / "d", 0.1, every=0.0, precision="int8")
    torch.manual_seed(0)
    for _ in train(cut):
        if cut.clock.steps == 7:
            break
    torch.manual_seed(1)  # the checkpoint has the stream of chance
    rest = to_the_end(training(tiny_model, method, tmp_path / "d", 0.1, every=1e9, precision="int8"))
    assert [point.loss for point in rest.curve] == whole


def test_a_study_says_that_it_trained_in_int8(
    tiny_model: Path, reviews: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    asked = ("compare", "--train", reviews, "--text", "text", "--label", "label", "--model", tiny_model, "--methods", "bitfit",
             "--budget", "2steps", "--seeds", "1", "--tune", "1", "--workers", "1", "--store", "s.db")  # fmt: skip
    assert tuneworth(*asked).code == 0
    said = tuneworth(*asked, "--precision", "int8", "--name", "bytes")
    assert said.code == 0, said.err
    from tuneworth.study import Study

    (row,), (other,) = Study.open("bytes", "s.db").rows(), Study.open(reviews.stem, "s.db").rows()
    assert row["environment"]["precision"] == "int8"
    assert row["key"] != other["key"]
    assert tuneworth("predict", row["delta_path"], "--input", reviews, "--output", "out.csv").code == 0


def test_where_it_is_no_gain_it_is_refused(
    monkeypatch: pytest.MonkeyPatch, tiny_model: Path, reviews: Path, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("tuneworth.train.device.has_bf16", lambda _: False)
    said = tuneworth("compare", "--train", reviews, "--text", "text", "--label", "label", "--model", tiny_model,
                     "--precision", "int8", "--dry-run")  # fmt: skip
    assert said.code == 2
    assert "precision = 'int8' is not for this machine: its processor has no bf16" in said.err
