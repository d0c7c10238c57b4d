"""The C++ parts against PyTorch in double precision; they skip, with the reason, where there is no compiler."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from families import make_model_dir
from tuneworth.methods import get_method, method_options
from tuneworth.methods.apply import tune
from tuneworth.models.load import load
from tuneworth.train.fast import compiled, kernels, lay_out, speed_up
from tuneworth.train.fast.adamw import CompiledAdamW
from tuneworth.train.fast.compiled import Dropout, Sequences
from tuneworth.train.fast.dropout import kept, scale, threshold
from tuneworth.train.fast.linear import PackedLinear, TrainedLinear, copy_of, packable, trainable
from tuneworth.train.fast.lora import FusedLora

needs_compiler = pytest.mark.skipif(not compiled.there(), reason=f"nothing is compiled: {compiled.library()}")
TYPES = pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=["fp32", "bf16"])


def close(ours: torch.Tensor, exact: torch.Tensor, factor: float = 1.0) -> None:
    """Within some roundings of the type, relative to the largest of them."""
    error = (ours.double() - exact.double()).abs().max()
    assert error <= factor * 4 * torch.finfo(ours.dtype).eps * max(1.0, float(exact.abs().max())), error


def noise(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


@pytest.fixture
def threads() -> Iterator[None]:
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


@needs_compiler
@TYPES
@pytest.mark.parametrize("shape", [(1,), (3, 5), (7, 16), (2, 3, 4099)])
def test_gelu_and_its_slope(dtype: torch.dtype, shape: tuple[int, ...]) -> None:
    x = (4 * noise(*shape)).to(dtype)
    exact = x.double().requires_grad_()
    y = F.gelu(exact)
    (slope,) = torch.autograd.grad(y.sum(), exact)
    ours, ours_slope = compiled.gelu(x, with_slope=True)
    assert ours_slope is not None
    close(ours, y.detach())
    close(ours_slope, slope)
    assert compiled.gelu(x, with_slope=False)[1] is None


@needs_compiler
@TYPES
@pytest.mark.parametrize(("rows", "cols"), [(1, 1), (3, 17), (33, 384), (70, 130)])
def test_column_sums(dtype: torch.dtype, rows: int, cols: int) -> None:
    x = noise(rows, cols).to(dtype)
    close(compiled.column_sums(x), x.double().sum(0))


@needs_compiler
@TYPES
@pytest.mark.parametrize(("rows", "cols"), [(1, 4), (5, 33), (70, 384)])
def test_layer_norm_both_ways(dtype: torch.dtype, rows: int, cols: int) -> None:
    x, weight, bias, g = (
        noise(rows, cols).to(dtype),
        1 + noise(cols, seed=1),
        noise(cols, seed=2),
        noise(rows, cols, seed=3),
    )
    exact = [t.double().requires_grad_() for t in (x, weight, bias)]
    y = F.layer_norm(exact[0], (cols,), exact[1], exact[2], 1e-5)
    y.backward(g.to(dtype).double())
    ours, mean, rstd = compiled.norm(x, weight, bias, 1e-5, dtype)
    close(ours, y.detach())
    dx, dweight, dbias = compiled.norm_backward(g.to(dtype), x, weight, mean, rstd, trained=True)
    assert dweight is not None
    assert dbias is not None
    for found, wanted in zip((dx, dweight, dbias), exact, strict=True):
        assert wanted.grad is not None
        close(found, wanted.grad, 4)


@needs_compiler
@TYPES
def test_dropout_drops_what_numpy_says(dtype: torch.dtype) -> None:
    """So a machine without a compiler draws the same masks."""
    x, p = noise(10_007).to(dtype), 0.3
    stays = torch.from_numpy(kept(99, x.numel(), p))
    close(compiled.dropout(x, 99, threshold(p), scale(p)), torch.where(stays, x.double() * scale(p), 0.0))


def reference(
    q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, heads: int, factor: float, of: Sequences, seed: int, p: float
) -> torch.Tensor:
    """Sequence by sequence, head by head; dropout's masks as attention.cpp numbers its weights."""
    width = q.shape[1] // heads
    drawn = kept(seed, heads * of.weights, p) if p else None
    out, place = torch.zeros_like(q), 0
    for s, (start, end) in enumerate(zip(of.starts[:-1].tolist(), of.starts[1:].tolist(), strict=True)):
        rows = slice(s * of.queries, (s + 1) * of.queries) if of.queries else slice(start, end)
        for head in range(heads):
            cols = slice(head * width, (head + 1) * width)
            weights = (factor * q[rows, cols] @ k[start:end, cols].T).softmax(-1)
            keys, padded = end - start, -(-len(weights) // 16) * 16
            if drawn is not None:
                mask = drawn[place : place + keys * padded].reshape(keys, padded)[:, : len(weights)].T
                weights = weights * torch.from_numpy(mask.astype(np.float64)) * scale(p)
            place += keys * padded
            out[rows, cols] = weights @ v[start:end, cols]
    return out


@needs_compiler
@TYPES
@settings(max_examples=25)
@given(
    lengths=st.lists(st.integers(1, 70), min_size=1, max_size=5), heads=st.integers(1, 3), half=st.integers(1, 20),
    spare=st.integers(0, 9), asked=st.sampled_from([0, 1, 5]), p=st.sampled_from([0.0, 0.1]), seed=st.integers(0, 2**62),
)  # fmt: skip
def test_attention_both_ways(
    dtype: torch.dtype, lengths: list[int], heads: int, half: int, spare: int, asked: int, p: float, seed: int
) -> None:
    starts = torch.tensor([0, *lengths]).cumsum(0)
    of = Sequences(starts, int(starts[-1]) + spare, asked)
    queries = asked * len(lengths) if asked else of.rows
    q, k, v, g = (noise(rows, heads * 2 * half, seed=seed % 1000 + i).to(dtype)
                  for i, rows in enumerate((queries, of.rows, of.rows, queries)))  # fmt: skip
    if not asked:
        g[starts[-1] :] = 7.0  # rows that are nobody's: whatever comes for them is not looked at
    dropout = Dropout(seed, threshold(p), scale(p))
    context, weights = compiled.attention(q, k, v, heads, 0.3, of, dropout)
    exact = [t.double().requires_grad_() for t in (q, k, v)]
    wanted = reference(exact[0], exact[1], exact[2], heads, 0.3, of, seed, p)
    close(context, wanted.detach(), 4)
    wanted.backward(g.double())
    found = compiled.attention_backward(g, q, k, v, weights, heads, 0.3, of, dropout)
    for ours, tensor in zip(found, exact, strict=True):
        assert tensor.grad is not None
        close(ours, tensor.grad, 8)


@needs_compiler
@TYPES
def test_no_result_depends_on_the_number_of_threads(dtype: torch.dtype, threads: None) -> None:  # noqa: ARG001
    of = Sequences(torch.tensor([0, 9, 50, 67]), 70)
    q, k, v, g = (noise(70, 24, seed=i).to(dtype) for i in range(4))
    x, weight = noise(70, 384).to(dtype), noise(384)
    found = []
    for number in (1, 2):
        torch.set_num_threads(number)
        dropout = Dropout(3, 26, 1.1)
        context, weights = compiled.attention(q, k, v, 3, 0.3, of, dropout)
        _, mean, rstd = compiled.norm(x, weight, weight, 1e-5, dtype)
        found.append([
            context, *compiled.attention_backward(g, q, k, v, weights, 3, 0.3, of, dropout), compiled.column_sums(x),
            *compiled.norm_backward(x, x, weight, mean, rstd, True), compiled.dropout(x, 5, 26, 1.1),
        ])  # fmt: skip
    for one, other in zip(*found, strict=True):
        assert torch.equal(one, other)  # type: ignore[arg-type]


@needs_compiler
@TYPES
def test_what_is_not_a_number_stays_so(dtype: torch.dtype) -> None:
    """Else a diverged trial would go unseen."""
    x = noise(20, 24).to(dtype)
    x[3, 2] = float("nan")
    clean, ones = noise(20, 24).to(dtype), torch.ones(24)
    of, never = Sequences(torch.tensor([0, 20]), 20), Dropout(0, 0, 1.0)
    assert compiled.gelu(x, False)[0][3].isnan().any()
    assert compiled.norm(x, ones, ones, 1e-5, dtype)[0][3].isnan().all()
    assert compiled.column_sums(x)[2].isnan()
    for inputs in ((x, clean, clean), (clean, x, clean), (clean, clean, x)):
        assert compiled.attention(*inputs, 1, 1.0, of, never)[0].isnan().any()


def model_of(path: Path, family: str = "bert", method: str = "bitfit") -> Any:
    loaded = load(str(make_model_dir(family, path / family)), 2, "classification", torch.Generator().manual_seed(0))
    chosen = get_method(method)
    tune(loaded, chosen, method_options(chosen, {}), torch.Generator().manual_seed(0))
    return loaded.model


@pytest.mark.parametrize("family", ["bert", "roberta", "distilbert"])
def test_padding_changes_nothing(family: str, tmp_path: Path) -> None:
    """However wide a batch is padded, on the side where tokenizers pad: the same logits as each text alone."""
    model = model_of(tmp_path, family).eval()
    speed_up(model)
    ids = torch.randint(5, 60, (3, 11), generator=torch.Generator().manual_seed(1))
    mask = torch.ones_like(ids)
    mask[0, 4:], mask[2, 7:] = 0, 0
    ids[mask == 0] = 0
    with torch.inference_mode():
        together = model(input_ids=ids, attention_mask=mask).logits
        alone = torch.cat([model(input_ids=row[None, : int(m.sum())]).logits for row, m in zip(ids, mask, strict=True)])
        wider = model(input_ids=F.pad(ids, (0, 30)), attention_mask=F.pad(mask, (0, 30))).logits
    torch.testing.assert_close(together, alone, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(together, wider, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("compiler", "said"),
    [("", "empty"), ("no-such-compiler", "no C++ compiler"), ("{failing}", "failing failed: sorry: error")],
)
def test_without_a_compiler_it_works_and_says_so(
    compiler: str, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    failing = tmp_path / "failing"
    failing.write_text("#!/bin/sh\necho 'sorry: error' >&2\nexit 1\n")
    failing.chmod(0o755)
    ids = torch.randint(5, 60, (3, 11), generator=torch.Generator().manual_seed(1))
    plain = model_of(tmp_path).eval()
    monkeypatch.setenv(compiled.OFF, compiler.format(failing=failing))
    compiled.library.cache_clear()
    try:
        model = model_of(tmp_path)
        lay_out(model, torch.device("cpu"), "fp32")
        assert said in kernels(model)
        model.train()(input_ids=ids).logits.sum().backward()
        torch.testing.assert_close(
            model.eval()(input_ids=ids).logits, plain(input_ids=ids).logits, rtol=1e-4, atol=1e-5
        )
    finally:
        compiled.library.cache_clear()


@pytest.mark.parametrize(("dtype", "close"), [(torch.bfloat16, 2e-2), (torch.float32, 1e-5)])
def test_packed_weights_give_the_same_product_and_gradients(dtype: torch.dtype, close: float) -> None:
    torch.manual_seed(0)
    plain, packed = (torch.nn.Linear(40, 24) for _ in range(2))
    packed.load_state_dict(plain.state_dict())
    for layer in (plain, packed):
        layer.weight.requires_grad_(False)
    if not packable(plain, dtype):
        pytest.skip(f"this PyTorch cannot pack weights in {dtype} here")
    packed.__class__ = PackedLinear
    packed.packed_for = dtype  # type: ignore[assignment]
    results = []
    for layer in (plain, packed):
        x = noise(3, 5, 40).requires_grad_()
        with torch.autocast("cpu", torch.bfloat16, enabled=dtype == torch.bfloat16):
            y = layer(x)
        assert y.dtype == dtype
        y.backward(noise(3, 5, 24, seed=1).to(dtype))
        assert layer.bias.grad is not None
        assert x.grad is not None
        results.append((y.detach(), x.grad, layer.bias.grad))
        # what it is not packed for goes as ever
        with torch.autocast("cpu", torch.bfloat16, enabled=dtype != torch.bfloat16):
            other = layer(x)
            torch.testing.assert_close(other, F.linear(x, plain.weight, plain.bias), rtol=0, atol=0)
    assert packed.there is not None
    assert packed.back is not None
    for one, other in zip(*results, strict=True):
        torch.testing.assert_close(one, other, rtol=close, atol=close)


def test_lora_in_one_product_is_peft_s(tmp_path: Path) -> None:
    model, plain = model_of(tmp_path, method="lora"), model_of(tmp_path, method="lora")
    for one in (model, plain):
        with torch.no_grad():
            for name, parameter in one.named_parameters():
                if "lora_" in name:
                    parameter.copy_(noise(*parameter.shape, seed=len(name)))
    speed_up(model)
    layer = next(module for module in model.modules() if type(module) is FusedLora)
    other = plain.get_submodule(next(name for name, module in model.named_modules() if module is layer))
    x = noise(2, 7, 32)
    torch.testing.assert_close(layer(x), other(x), rtol=1e-5, atol=1e-5)
    for fused in (layer, other):
        fused.enable_adapters(False)
    torch.testing.assert_close(layer(x), other(x))


@needs_compiler
def test_trained_weights_give_the_same_product_and_gradients() -> None:
    torch.manual_seed(0)
    plain, ours = (torch.nn.Linear(40, 24) for _ in range(2))
    ours.load_state_dict(plain.state_dict())
    assert trainable(ours)
    ours.__class__ = TrainedLinear
    ours.weight.grad_dtype = None  # type: ignore[attr-defined]
    results = []
    for layer in (plain, ours):
        for part in range(2):  # of a batch
            x = noise(3, 5, 40, seed=part).requires_grad_()
            with torch.autocast("cpu", torch.bfloat16):
                y = layer(x)
            y.backward(noise(3, 5, 24, seed=2 + part).to(y.dtype))
        assert layer.bias.grad is not None
        assert layer.weight.grad is not None
        assert x.grad is not None
        results.append((y.detach(), x.grad, layer.bias.grad, layer.weight.grad))
        torch.testing.assert_close(layer(x), F.linear(x, layer.weight, layer.bias))  # without autocast: in float32
    assert results[1][-1].dtype == torch.float32, "two parts are not to be added up in bf16"
    for one, other in zip(*results, strict=True):
        torch.testing.assert_close(one, other, rtol=2e-2, atol=2e-2)


@needs_compiler
def test_a_trained_weight_is_rounded_anew_whoever_changes_it() -> None:
    layer = torch.nn.Linear(40, 24)
    layer.__class__ = TrainedLinear
    optimizer = CompiledAdamW(layer, [{"params": list(layer.parameters()), "weight_decay": 0.0}], 0.1)
    x, seen = noise(5, 40), []

    def output() -> torch.Tensor:
        with torch.autocast("cpu", torch.bfloat16):
            y: torch.Tensor = layer(x)
        seen.append(y.detach().clone())
        return y

    output().sum().backward()
    optimizer.clipped_step(1.0)
    copy = copy_of(layer.weight)
    assert copy is not None, "the step leaves a copy"
    assert torch.equal(copy, layer.weight.bfloat16())
    output()
    with torch.no_grad():
        layer.weight.mul_(2)
    assert copy_of(layer.weight) is None
    output()
    layer.load_state_dict({"weight": torch.zeros(24, 40), "bias": torch.zeros(24)})
    assert not output().any()
    for one, other in pairwise(seen):
        assert not torch.equal(one, other)


@needs_compiler
@settings(max_examples=30)
@given(
    st.integers(1, 70), st.sampled_from([1, 15, 16, 37]), st.sampled_from([0.0, 0.1]), st.sampled_from([0.3, 1e9]),
    st.booleans(), st.integers(0, 2**32),
)  # fmt: skip
def test_adamw_steps_as_pytorchs_does(
    rows: int, cols: int, decay: float, limit: float, narrow: bool, seed: int
) -> None:
    """A vector, a matrix whose gradient is bfloat16, and a table whose gradient is rows, some of them more than once."""
    chance = torch.Generator().manual_seed(seed)
    start = [torch.randn(*shape, generator=chance) for shape in ((cols,), (rows, cols), (rows, cols))]
    sides = [[torch.nn.Parameter(x.clone()) for x in start] for _ in range(2)]
    theirs, ours = (
        kind([{"params": side[1:], "weight_decay": decay}, {"params": side[:1], "weight_decay": 0.0}])
        for kind, side in zip((partial(torch.optim.AdamW, lr=1e-2), lambda g: CompiledAdamW(torch.nn.Module(), g, 1e-2)),
                              sides, strict=True)
    )  # fmt: skip
    read: set[int] = set()
    for _ in range(4):
        batch = torch.randint(0, max(1, rows // 2), (5,), generator=chance)
        read |= set(batch.tolist())
        table = torch.sparse_coo_tensor(
            batch[None], torch.randn(5, cols, generator=chance), (rows, cols), check_invariants=True
        )
        if narrow:
            table = table.bfloat16()
        given = [torch.randn(cols, generator=chance), torch.randn(rows, cols, generator=chance).bfloat16(), table]
        for p, g in zip(sides[0], given, strict=True):
            p.grad = g.to_dense().float().clone()
        for p, g in zip(sides[1], given, strict=True):
            p.grad = g
        norm = torch.nn.utils.clip_grad_norm_(sides[0], limit)
        theirs.step()
        assert ours.clipped_step(limit) == pytest.approx(float(norm), rel=1e-5)
        for p, q in zip(*sides, strict=True):
            torch.testing.assert_close(p, q, rtol=1e-5, atol=1e-6)
    assert set(ours.state[sides[1][2]]["seen"].nonzero().flatten().tolist()) == read


@needs_compiler
def test_adamw_does_not_depend_on_the_number_of_threads_and_nan_shows(threads: None) -> None:  # noqa: ARG001
    ends = []
    for count in (1, 2, 3):
        torch.set_num_threads(count)
        weight = torch.nn.Parameter(noise(300, 100))
        optimizer = CompiledAdamW(torch.nn.Module(), [{"params": [weight], "weight_decay": 0.1}], 1e-2)
        weight.grad = noise(300, 100, seed=1)
        ends.append((optimizer.clipped_step(0.5), weight.detach()))
    for norm, end in ends[1:]:
        assert norm == ends[0][0]
        assert torch.equal(end, ends[0][1])
    weight.grad[0, 0] = torch.nan  # type: ignore[index]
    assert np.isnan(optimizer.clipped_step(0.5))
