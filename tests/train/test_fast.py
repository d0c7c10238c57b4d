from __future__ import annotations

import ast
from pathlib import Path

import numpy as np
import pytest
import torch

from families import ENCODERS, OWN_METHODS, WITHOUT_BIASES, make_model_dir
from tuneworth.kinds.classification import Classes
from tuneworth.methods import get_method, method_options
from tuneworth.methods.apply import tune
from tuneworth.models.families import all_families, layers
from tuneworth.models.load import load
from tuneworth.spec import Budget, Precision, Recipe
from tuneworth.train import flops
from tuneworth.train.batches import Batches, tokenize
from tuneworth.train.checkpoint import Checkpointer, LoopState
from tuneworth.train.clock import Clock
from tuneworth.train.fast import adamw, kernels, lay_out, speed_up
from tuneworth.train.fast.attention import attention
from tuneworth.train.fast.dropout import ByteDropout, byte_dropout
from tuneworth.train.fast.gelu import CompiledGELU
from tuneworth.train.fast.linear import PackedLinear, TrainedLinear
from tuneworth.train.fast.norm import CompiledNorm
from tuneworth.train.loop import Training, Validation, train

TEXTS = [f"film {i} is {'good' if i % 2 else 'bad'} {'so ' * (i % 5)}" for i in range(40)]


def training(
    source: Path,
    name: str,
    scratch: Path,
    dropout: float,
    every: float = 1e9,
    precision: Precision = "fp32",
) -> Training:
    """15 steps, each on the curve."""
    loaded = load(str(source), 2, "classification", torch.Generator().manual_seed(0))
    method = get_method(name)
    tune(loaded, method, method_options(method, {}), torch.Generator().manual_seed(0))
    cost = flops.count(loaded.model, loaded.tokenizer)
    for module in loaded.model.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = dropout
    lay_out(loaded.model, torch.device("cpu"), precision)
    tokens = tokenize(loaded.tokenizer, TEXTS, None, 64)
    batches = Batches(tokens.lengths, 8, 3)
    clock = Clock(Budget.parse("3epochs"), batches.steps_per_epoch, torch.device("cpu"))
    return Training(
        loaded.model, Classes(labels=("no", "yes")), tokens, torch.tensor([i % 2 for i in range(40)]), np.arange(40),
        lambda: Validation(50.0),
        Recipe(learning_rate=1e-3, batch_size=8), clock, batches, cost, 15, precision,
        Checkpointer(scratch / "checkpoint.safetensors", every),
    )  # fmt: skip


def to_the_end(run: Training) -> LoopState:
    *_, state = train(run)
    return state


def losses_of_both_paths(
    source: Path, name: str, scratch: Path, precision: Precision, monkeypatch: pytest.MonkeyPatch
) -> list[list[float]]:
    """The plain one's, the fast one's: of every step, over three epochs, dropout off."""
    monkeypatch.setattr(adamw, "MANY", 8)  # the tiny model's table of embeddings counts as a large one
    found = []
    for plain in ("1", ""):
        monkeypatch.setenv("TUNEWORTH_PLAIN", plain)
        state = to_the_end(training(source, name, scratch, 0.0, precision=precision))
        found.append([point.loss for point in state.curve])
    return found


@pytest.mark.parametrize("family", [*ENCODERS, *WITHOUT_BIASES])
def test_the_fast_parts_compute_what_the_plain_ones_do(family: str, tmp_path: object) -> None:
    source = str(make_model_dir(family, tmp_path / family))  # type: ignore[operator]
    models = [load(source, 2, "classification", torch.Generator().manual_seed(0)).model for _ in range(2)]
    speed_up(models[1])
    ids = torch.randint(5, 60, (3, 11), generator=torch.Generator().manual_seed(1))
    mask = torch.ones_like(ids)
    mask[1, 6:] = 0
    outputs, gradients = [], []
    for model in models:
        model.train()
        for module in model.modules():
            if isinstance(module, (torch.nn.Dropout, ByteDropout)):
                module.p = 0.0
        logits = model(input_ids=ids, attention_mask=mask).logits
        logits.square().sum().backward()
        outputs.append(logits.detach())
        # none at all where nothing depends on it: the last layer's key bias, whose gradient is else but rounding
        gradients.append(
            torch.cat([(torch.zeros_like(p) if p.grad is None else p.grad).flatten() for p in model.parameters()])
        )
    torch.testing.assert_close(outputs[0], outputs[1], rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(gradients[0], gradients[1], rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("family", ENCODERS)
def test_the_last_layer_works_on_the_first_token_alone(family: str, tmp_path: Path) -> None:
    """But for ALBERT, whose layers are one module."""
    model = load(
        str(make_model_dir(family, tmp_path / family)), 2, "classification", torch.Generator().manual_seed(0)
    ).model
    speed_up(model)
    (*_, (layer, block)) = layers(model, "this test")
    shapes = []
    layer.get_submodule(block.ffn_reads).register_forward_hook(lambda _, args, __: shapes.append(tuple(args[0].shape)))
    model.eval()(input_ids=torch.randint(5, 60, (3, 11)))
    assert shapes[-1] == ((3, 11, 32) if family == "albert" else (3, 1, 32))


@pytest.mark.parametrize("method", OWN_METHODS)
def test_both_paths_lose_alike_step_by_step(
    method: str, tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain, fast = losses_of_both_paths(tiny_model, method, tmp_path, "fp32", monkeypatch)
    assert len(plain) == 15
    assert plain == pytest.approx(fast, abs=1e-4)


@pytest.mark.parametrize("method", OWN_METHODS)
def test_both_paths_lose_alike_in_bf16_too(
    method: str, tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As far as eight bits go, also where the products are emulated; frozen weights are kept in bf16."""
    plain, fast = losses_of_both_paths(tiny_model, method, tmp_path, "bf16", monkeypatch)
    assert plain == pytest.approx(fast, abs=0.02)
    assert plain != fast, "two orders of rounding: equal losses would mean that one path ran twice"


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_a_run_resumed_on_the_fast_path_ends_to_the_bit_where_the_whole_one_does(
    precision: Precision, tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(adamw, "MANY", 8)  # the tiny model's table of embeddings counts as a large one
    whole = training(tiny_model, "full", tmp_path, 0.1, precision=precision)
    torch.manual_seed(7)
    expected = to_the_end(whole)
    first = training(tiny_model, "full", tmp_path, 0.1, every=0.0, precision=precision)
    torch.manual_seed(7)
    for number, _ in enumerate(train(first), 1):
        if number == 6:
            break
    torch.manual_seed(999)  # what a new process would have
    second = training(tiny_model, "full", tmp_path, 0.1, precision=precision)
    assert [p.loss for p in to_the_end(second).curve] == [p.loss for p in expected.curve]
    for one, other in zip(second.model.parameters(), whole.model.parameters(), strict=True):
        assert torch.equal(one, other)


def test_the_environment_says_which_path_a_model_takes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    said = {}
    for name in ("bert", "albert", "llama"):
        model = load(
            str(make_model_dir(name, tmp_path / name)), 2, "classification", torch.Generator().manual_seed(0)
        ).model
        lay_out(model, torch.device("cpu"), "fp32")
        said[name] = kernels(model)
    assert said["bert"] == "fast"
    assert "padded batches" in said["albert"]
    assert "shares key heads" in said["llama"]
    monkeypatch.setenv("TUNEWORTH_PLAIN", "1")
    model = load(str(tmp_path / "bert"), 2, "classification", torch.Generator().manual_seed(0)).model
    before = model.config._attn_implementation
    lay_out(model, torch.device("cpu"), "fp32")
    assert kernels(model).startswith("plain")
    assert model.config._attn_implementation == before


@pytest.mark.parametrize("p", [0.0, 0.1, 0.5, 0.9])
def test_dropout_drops_its_share_keeps_the_mean_and_masks_the_gradient(p: float) -> None:
    torch.manual_seed(0)
    x = torch.ones(1_000_003, requires_grad=True)
    y = byte_dropout(x, p)
    rounded = round(p * 256) / 256
    assert float((y == 0).float().mean()) == pytest.approx(rounded, abs=2e-3)
    assert float(y.mean().detach()) == pytest.approx(1.0, abs=1e-2)
    y.sum().backward()
    assert x.grad is not None
    assert torch.equal(x.grad, y.detach())


def test_neighbouring_elements_drop_independently() -> None:
    """Eight masks come from one draw: none of its bytes may be favoured, no two of them tied together."""
    torch.manual_seed(0)
    dropped = (byte_dropout(torch.ones(800_000), 0.25) == 0).view(-1, 8).double()
    assert torch.allclose(dropped.mean(0), torch.full((8,), 0.25, dtype=torch.double), atol=5e-3)
    assert (torch.corrcoef(dropped.T) - torch.eye(8)).abs().max() < 0.02


def test_evaluation_is_left_alone() -> None:
    x = torch.randn(10)
    assert ByteDropout(0.5).eval()(x) is x


@pytest.mark.parametrize("family", ENCODERS)
def test_adapters_still_act_in_the_fast_model(family: str, tmp_path: object) -> None:
    source = str(make_model_dir(family, tmp_path / family))  # type: ignore[operator]
    ids = torch.randint(5, 60, (3, 11), generator=torch.Generator().manual_seed(1))
    outputs = []
    for fast in (False, True):
        loaded = load(source, 2, "classification", torch.Generator().manual_seed(0))
        method = get_method("houlsby")
        names = tune(loaded, method, method_options(method, {}), torch.Generator().manual_seed(0))
        with torch.no_grad():
            for name, parameter in loaded.model.named_parameters():
                if name in names and "adapter" in name:
                    parameter.copy_(torch.randn(parameter.shape, generator=torch.Generator().manual_seed(len(name))))
        if fast:
            speed_up(loaded.model)
        outputs.append(loaded.model.eval()(input_ids=ids).logits.detach())
    torch.testing.assert_close(outputs[0], outputs[1], rtol=1e-3, atol=1e-4)
    plain = load(source, 2, "classification", torch.Generator().manual_seed(0)).model.eval()(input_ids=ids).logits
    assert (outputs[0] - plain).abs().max() > 1e-2


def test_families_whose_attention_is_replaced_have_nothing_more_than_it_has() -> None:
    """What a family's own eager attention takes, or reads off its module, that the fast one has no place for."""
    from transformers import models

    known = {"module", "query", "key", "value", "attention_mask", "scaling", "dropout", "kwargs", "sliding_window"}
    known |= {"training", "num_key_value_groups", "head_dim"}  # the mask has the window; grouped heads are left alone
    more = {}
    for kind in all_families():
        folder = kind.replace("-", "_").removesuffix("_text")
        for file in Path(models.__file__).parent.glob(f"{folder}/modeling_*.py"):
            _, start, rest = file.read_text(encoding="utf-8").partition("\ndef eager_attention_forward(")
            tree = ast.parse((start + rest).partition("\n\n\n")[0])
            names = {node.arg for node in ast.walk(tree) if isinstance(node, ast.arg)}
            names |= {
                node.attr
                for node in ast.walk(tree)
                if isinstance(node, ast.Attribute) and ast.unparse(node.value) == "module"
            }
            more[kind] = (names - known) if start else {"an attention of its own"}
    assert {"t5", "gemma2", "mpnet"} <= {kind for kind, names in more.items() if names}
    assert not [kind for kind, family in all_families().items() if "attention" in family.fast and more[kind]]


def test_a_model_of_no_named_family_stays_as_transformers_made_it(tmp_path: Path) -> None:
    source = str(make_model_dir("xlnet", tmp_path))
    model = load(source, 2, "classification", torch.Generator().manual_seed(0)).model
    before = [type(module) for module in model.modules()]
    lay_out(model, torch.device("cpu"), "fp32")
    assert [type(module) for module in model.modules()] == before
    assert "'xlnet', whose parts nobody has named" in kernels(model)


def test_a_head_that_reads_every_token_gets_every_token(tmp_path: Path) -> None:
    from transformers import BertForTokenClassification

    model = BertForTokenClassification.from_pretrained(make_model_dir("bert", tmp_path)).eval()
    ids = torch.randint(5, 60, (3, 11), generator=torch.Generator().manual_seed(1))
    mask = torch.ones_like(ids)
    mask[1, 6:] = 0
    expected = model(input_ids=ids, attention_mask=mask).logits[mask.bool()]
    speed_up(model)
    assert model.config._attn_implementation == "tuneworth_cpu"
    found = model(input_ids=ids, attention_mask=mask).logits[mask.bool()]
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_rows_that_may_look_at_no_key_get_zeros(dtype: torch.dtype) -> None:
    q, k, v = (
        torch.randn(2, 3, 5, 8, generator=torch.Generator().manual_seed(n), dtype=torch.float32) for n in range(3)
    )
    seen = torch.ones(2, 1, 5, 5, dtype=torch.bool).tril()
    seen[1, :, 2] = False  # a padded row whose window holds padding alone
    least = torch.zeros(2, 1, 5, 5).masked_fill(~seen, torch.finfo(torch.float32).min)
    expected = torch.nn.functional.scaled_dot_product_attention(q, k, v, attn_mask=seen).transpose(1, 2)
    assert not expected[1, 2].any()
    for mask in (least, least.masked_fill(~seen, -torch.inf), seen):
        inputs = [x.to(dtype).requires_grad_() for x in (q.clone(), k.clone(), v.clone())]
        context, _ = attention(torch.nn.Module(), *inputs, mask)
        torch.testing.assert_close(context.float(), expected, rtol=0, atol=1e-5 if dtype == torch.float32 else 0.03)
        assert not context[1, 2].any()
        for gradient in torch.autograd.grad(context.square().sum(), inputs):
            assert bool(gradient.isfinite().all())


def test_a_nan_stays_one_in_a_row_that_has_keys() -> None:
    q = torch.full((1, 1, 2, 4), torch.nan)
    context, _ = attention(torch.nn.Module(), q, q, q, torch.zeros(1, 1, 2, 2))
    assert bool(context.isnan().all())


@pytest.mark.parametrize("shape", [(6, 8), (2, 3, 8)])
@pytest.mark.parametrize("kind", [PackedLinear, TrainedLinear, CompiledNorm, CompiledGELU])
def test_what_a_module_answers_may_be_written_to(kind: type[torch.nn.Module], shape: tuple[int, ...]) -> None:
    x = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    answers = []
    for fast in (False, True):
        torch.manual_seed(0)
        part: torch.nn.Module = kind.__mro__[1](8, 8) if issubclass(kind, torch.nn.Linear) else torch.nn.LayerNorm(8)
        part = torch.nn.GELU() if kind is CompiledGELU else part
        part.requires_grad_(kind is not PackedLinear)
        if fast:
            part.__class__ = kind
            part.packed_for = torch.bfloat16  # type: ignore[assignment]
        given = x.clone().requires_grad_()
        with torch.autocast("cpu"):
            y = part(given)
            y /= 2
            y.float().square().sum().backward()
        assert given.grad is not None
        answers.append(given.grad)
    torch.testing.assert_close(answers[1], answers[0], rtol=0.03, atol=0.03)
