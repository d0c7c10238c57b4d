"""The adapters' places, against the papers' formulas written out with plain tensor operations."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from families import ENCODERS, make_config
from tuneworth.errors import ModelError, SpecError
from tuneworth.methods import get_method, method_options

Linear = Callable[[Tensor], Tensor]


def make(family: str, **changes: Any) -> Any:
    from transformers import AutoModelForSequenceClassification

    torch.manual_seed(0)
    model = AutoModelForSequenceClassification.from_config(make_config(family, **changes))
    for parameter in model.parameters():
        parameter.data.add_(0.1 * torch.randn_like(parameter))
    return model.eval().requires_grad_(False)


def apply(model: Any, name: str, **options: Any) -> None:
    method = get_method(name)
    method.apply(model, method_options(method, options), torch.Generator().manual_seed(0))


def adapters(model: nn.Module) -> list[nn.Module]:
    return [module for name, module in model.named_modules() if name.rpartition(".")[2] == "adapter"]


def first_layer(model: Any, family: str) -> Any:
    if family == "albert":
        return model.albert.encoder.albert_layer_groups[0].albert_layers[0]
    return (model.distilbert.transformer if family == "distilbert" else model.base_model.encoder).layer[0]


def lin(module: Any) -> Linear:
    return lambda x: F.linear(x, module.weight, module.bias)


def norm(module: Any) -> Linear:
    return lambda x: F.layer_norm(x, x.shape[-1:], module.weight, module.bias, module.eps)


def parts(layer: Any, family: str) -> tuple[list[Linear], Linear, list[Linear], Linear]:
    """Query, key, value and output projections; LN; both FFN projections; LN."""
    if family == "distilbert":
        at = layer.attention
        projections = [at.q_lin, at.k_lin, at.v_lin, at.out_lin]
        norms, ffn = [layer.sa_layer_norm, layer.output_layer_norm], [layer.ffn.lin1, layer.ffn.lin2]
    elif family == "albert":
        at = layer.attention
        projections = [at.query, at.key, at.value, at.dense]
        norms, ffn = [at.LayerNorm, layer.full_layer_layer_norm], [layer.ffn, layer.ffn_output]
    else:
        at = layer.attention.self
        projections = [at.query, at.key, at.value, layer.attention.output.dense]
        norms = [layer.attention.output.LayerNorm, layer.output.LayerNorm]
        ffn = [layer.intermediate.dense, layer.output.dense]
    return [lin(p) for p in projections], norm(norms[0]), [lin(p) for p in ffn], norm(norms[1])


def attention(x: Tensor, projections: list[Linear], heads: int = 4) -> Tensor:
    def split(y: Tensor) -> Tensor:
        return y.unflatten(-1, (heads, -1)).transpose(1, 2)

    query, key, value, out = projections
    q, k, v = split(query(x)), split(key(x)), split(value(x))
    weights = (q @ k.transpose(-1, -2) / q.shape[-1] ** 0.5).softmax(-1)
    return out((weights @ v).transpose(1, 2).flatten(-2))


def reference(name: str, layer: Any, family: str, fs: list[Linear], x: Tensor) -> Tensor:
    projections, norm1, (w1, w2), norm2 = parts(layer, family)
    act = F.gelu if family != "albert" else lambda y: F.gelu(y, approximate="tanh")
    h = attention(x, projections)
    if name == "houlsby":
        h = h + fs[0](h)
    a = norm1(x + h)
    h = w2(act(w1(a)))
    if name == "houlsby":
        return norm2(a + h + fs[1](h))
    if name == "pfeiffer":
        return norm2(a + h + fs[0](norm2(a + h)))
    return norm2(a + h + 4 * fs[0](a))


def bottleneck(adapter: Any, act: Linear) -> Linear:
    return lambda x: lin(adapter.up)(act(lin(adapter.down)(x)))


@pytest.mark.parametrize("chunk", [0, 3])
@pytest.mark.parametrize("family", ENCODERS)
@pytest.mark.parametrize(("name", "act"), [("houlsby", F.gelu), ("pfeiffer", F.relu), ("parallel", F.relu)])
def test_a_layer_computes_the_papers_formula(name: str, act: Linear, family: str, chunk: int) -> None:
    model = make(family, chunk_size_feed_forward=chunk)
    apply(model, name, bottleneck=5)
    for adapter in adapters(model):
        for parameter in adapter.parameters():
            parameter.data.normal_(0, 0.5)
    layer = first_layer(model, family)
    own = sorted((not n.startswith("attention"), m) for n, m in layer.named_modules() if n.endswith("adapter"))
    assert len(own) == (2 if name == "houlsby" else 1)
    x = torch.randn(2, 6, 32)
    out = layer(x, None)
    expected = reference(name, layer, family, [bottleneck(adapter, act) for _, adapter in own], x)
    torch.testing.assert_close(out[0] if isinstance(out, tuple) else out, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", ["houlsby", "pfeiffer", "parallel"])
def test_the_start_is_exactly_the_plain_model(name: str) -> None:
    model, tokens = make("bert"), torch.randint(5, 60, (3, 9))
    before = model(tokens).logits
    apply(model, name)
    assert torch.equal(model(tokens).logits, before)


@pytest.mark.parametrize(
    ("options", "width"), [({}, 2), ({"reduction_factor": 4}, 8), ({"bottleneck": 3}, 3), ({"reduction_factor": 99}, 1)]
)
def test_width(options: dict[str, Any], width: int) -> None:
    model = make("bert")
    apply(model, "pfeiffer", **options)
    assert {tuple(adapter.down.weight.shape) for adapter in adapters(model)} == {(width, 32)}


def test_down_projections_are_drawn_as_documented() -> None:
    for name, scale in (("houlsby", 1e-2), ("pfeiffer", 2e-2)):
        model = make("bert")
        apply(model, name, bottleneck=500)
        weights = torch.cat([adapter.down.weight.flatten() for adapter in adapters(model)])
        assert weights.abs().max() <= 2 * scale
        assert weights.std().item() == pytest.approx(0.88 * scale, rel=0.02)  # a normal cut off at 2 sd has sd 0.88
    model = make("bert")
    apply(model, "parallel", bottleneck=500)
    weights = torch.cat([adapter.down.weight.flatten() for adapter in adapters(model)])
    assert weights.abs().max() <= 32**-0.5
    assert weights.std().item() == pytest.approx((3 * 32) ** -0.5, rel=0.02)  # uniform on ±1/√d


@pytest.mark.parametrize("train_layer_norms", [True, False])
def test_layer_norms_are_trained_on_demand(train_layer_norms: bool) -> None:
    model = make("distilbert")
    apply(model, "houlsby", train_layer_norms=train_layer_norms)
    norms = [module for module in model.modules() if isinstance(module, nn.LayerNorm)]
    assert len(norms) == 5
    assert all(p.requires_grad == train_layer_norms for module in norms for p in module.parameters())


@pytest.mark.parametrize("family", ["camembert", "xlm-roberta"])
def test_relatives_of_roberta(family: str) -> None:
    from transformers import AutoConfig, AutoModelForSequenceClassification

    settings = make_config("roberta").to_dict()
    settings.pop("model_type")
    model = AutoModelForSequenceClassification.from_config(AutoConfig.for_model(family, **settings)).eval()
    before = model(torch.tensor([[5, 6, 7]])).logits
    apply(model, "houlsby")
    assert len(adapters(model)) == 4
    for adapter in adapters(model):
        nn.init.normal_(adapter.up.weight)  # type: ignore[arg-type, union-attr]
    assert not torch.equal(model(torch.tensor([[5, 6, 7]])).logits, before)


def test_gradient_checkpointing_gives_the_same_gradients() -> None:
    tokens = torch.randint(5, 60, (3, 9))

    def gradients(checkpoint: bool) -> list[Tensor]:
        model = make("bert", hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0)
        apply(model, "parallel")
        if checkpoint:
            model.activation_checkpointing_enable()
        for adapter in adapters(model):
            adapter.requires_grad_(True)
            nn.init.ones_(adapter.up.weight)  # type: ignore[arg-type, union-attr]
        model.train()(tokens).logits.sum().backward()
        return [p.grad for p in model.parameters() if p.grad is not None]

    torch.testing.assert_close(gradients(True), gradients(False))


def test_other_architectures_are_named() -> None:
    with pytest.raises(ModelError, match="'xlnet'") as caught:
        apply(make("xlnet"), "houlsby")
    assert "distilbert" in caught.value.remedy


@pytest.mark.parametrize(
    "options", [{"bottleneck": 0}, {"reduction_factor": 0.5}, {"non_linearity": "sine"}, {"botleneck": 8}]
)
def test_bad_options(options: dict[str, Any]) -> None:
    with pytest.raises(SpecError):
        method_options(get_method("houlsby"), options)


@pytest.mark.parametrize(
    ("name", "options", "parameters", "logits"),
    [
        ("houlsby", {"non_linearity": "gelu"}, 592, [[0.571679, -0.034522], [0.571826, -0.03419], [0.571992, -0.034201]]),
        ("pfeiffer", {}, 296, [[0.214403, -0.321984], [0.214264, -0.321384], [0.214275, -0.321918]]),
        ("parallel", {"scale": 4.0}, 296, [[0.067897, -0.130477], [0.067871, -0.131295], [0.067995, -0.131609]]),
    ],
)  # fmt: skip
def test_the_function_is_adapterhub_s(
    name: str, options: dict[str, Any], parameters: int, logits: list[list[float]]
) -> None:
    """The logits, and the parameters added, of adapters 1.3.0 over transformers 4.57.6, recorded: it cannot be installed beside
    this transformers. Its configurations: DoubleSeqBnConfig, SeqBnConfig, ParBnConfig(scaling=4.0), reduction_factor=4."""
    from transformers import AutoModelForSequenceClassification, BertConfig

    model: Any = AutoModelForSequenceClassification.from_config(BertConfig(
        num_hidden_layers=2, hidden_size=16, num_attention_heads=2, intermediate_size=32, vocab_size=60, num_labels=2,
    )).eval()  # fmt: skip
    apply(model, name, reduction_factor=4, **options)
    with torch.no_grad():
        for place, (_, parameter) in enumerate(sorted(model.named_parameters())):
            steps = (torch.arange(parameter.numel(), dtype=torch.float64) + 97 * place) * 0.6180339887 % 1
            parameter.copy_((steps - 0.5).reshape(parameter.shape))
        ids = torch.arange(24).reshape(3, 8) * 7 % 60
        mask = torch.ones_like(ids)
        mask[1, 5:] = 0
        torch.testing.assert_close(model(ids, attention_mask=mask).logits, torch.tensor(logits), atol=1e-5, rtol=1e-5)
    assert sum(p.numel() for adapter in adapters(model) for p in adapter.parameters()) == parameters
