from __future__ import annotations

import pytest
import torch

from families import ENCODERS, WITHOUT_BIASES, make_model_dir
from tuneworth.methods import get_method, method_options
from tuneworth.methods._tune import tune
from tuneworth.models.load import load
from tuneworth.train.fast import ByteDropout, byte_dropout, speed_up


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
        gradients.append(torch.cat([p.grad.flatten() for p in model.parameters() if p.grad is not None]))
    torch.testing.assert_close(outputs[0], outputs[1], rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(gradients[0], gradients[1], rtol=1e-3, atol=1e-4)


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
