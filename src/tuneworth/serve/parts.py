"""A tuned model taken apart: what one task changes in the backbone, in the form that a batch of many tasks can use.

Nothing here knows a method or an encoder family by name: the trained parameters say which biases and norms, the hooks
say where the bottlenecks are, peft's layers say where the low-rank factors are.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from peft.tuners.lora import LoraLayer
from torch import Tensor, nn

from tuneworth.methods._adapter import Bottleneck
from tuneworth.train.fast.last_layer import narrow

if TYPE_CHECKING:
    from transformers import PreTrainedModel

Place = tuple[tuple[str, str], ...]
"""Where a bottleneck hangs: (path of a module, name of the hook), one or two of them."""
PRE_HOOKS = ("before_norm", "keep", "read")
BESIDE = "beside"
"""The hook of LoRA, which reads what the module reads and adds to what it gives."""


@dataclass(frozen=True, eq=False)
class Factors:
    """f(x) = up(act(down(x))): (..., d) -> (..., m) -> (..., e), in float32; a scale is within `up` already."""

    down: Tensor
    down_bias: Tensor
    up: Tensor
    up_bias: Tensor
    act: nn.Module

    @property
    def kind(self) -> tuple[object, ...]:
        """Factors of one kind go through one batched product."""
        return self.down.shape, self.up.shape, type(self.act)


@dataclass(frozen=True, eq=False)
class Parts:
    """What a task brings along. Tasks that change no bias or norm share the backbone's own `vector`."""

    vector: Tensor
    """All biases and norms of the backbone, end to end, as `Layout` places them: shape (size,), float32."""
    weights: Mapping[str, tuple[Tensor, Tensor | None]]
    """Weight and bias of the head's Linear modules, by path."""
    bottlenecks: Mapping[Place, Factors]


class Layout:
    """Where in the vector the biases and norms of a model lie; the Linear modules of its head are apart, in `heads`."""

    def __init__(self, model: PreTrainedModel, head: frozenset[str]) -> None:
        """`head`: names of the parameters that belong to the task head."""
        self.spans: dict[tuple[str, str], slice] = {}
        self.heads: set[str] = set()
        self.size = 0
        for path, module in model.named_modules():
            if type(module) is nn.Linear and f"{path}.weight" in head:
                self.heads.add(path)
            elif type(module) is nn.Linear:
                self._add(path, "bias", module.out_features)
            elif type(module) is nn.LayerNorm and module.weight is not None:
                self._add(path, "weight", module.weight.numel())
                self._add(path, "bias", module.weight.numel())
        self.base = torch.zeros(self.size, device=model.device)
        for (path, name), span in self.spans.items():
            if (value := getattr(model.get_submodule(path), name)) is not None:
                self.base[span] = value.detach().flatten()

    def _add(self, path: str, name: str, size: int) -> None:
        self.spans[path, name] = slice(self.size, self.size + size)
        self.size += size


class Inseparable(Exception):
    """A tuned model learnt, or hooked up, what parts cannot express; the message says what."""


def take_apart(model: PreTrainedModel, layout: Layout) -> Parts:
    """The parts of a tuned model. Raises Inseparable (after full fine-tuning, say)."""
    used: set[int] = set()
    vector = _vector(model, layout, used)
    weights = {path: _own(model, path, used) for path in layout.heads}
    bottlenecks: dict[Place, Factors] = {}
    for place, module in _bottlenecks(model):
        if not isinstance(module, Bottleneck):
            raise Inseparable(f"it has a hook of its own at {place[0][0]!r}: {type(module).__name__}")
        up, down = module.up, module.down
        used |= {id(p) for p in module.parameters()}
        bottlenecks[place] = Factors(
            down.weight.data, down.bias.data, module.scale * up.weight.data, module.scale * up.bias.data, module.act
        )
    for path, module in model.named_modules():
        if isinstance(module, LoraLayer) and "default" in module.lora_A and not module.lora_variant:
            bottlenecks[(path, BESIDE),] = _low_rank(module, used)
    other = [name for name, p in model.named_parameters() if p.requires_grad and id(p) not in used]
    if other:
        raise Inseparable(f"it trained {other[0]!r}, which is no bias, norm, bottleneck, low-rank factor or head")
    return Parts(vector, weights, bottlenecks)


def _vector(model: PreTrainedModel, layout: Layout, used: set[int]) -> Tensor:
    vector = layout.base
    for (path, name), span in layout.spans.items():
        value = getattr(_plain(model, path), name)
        if value is not None and value.requires_grad:
            if vector is layout.base:
                vector = layout.base.clone()
            vector[span] = value.data
            used.add(id(value))
    return vector


def _own(model: PreTrainedModel, path: str, used: set[int]) -> tuple[Tensor, Tensor | None]:
    linear = _plain(model, path)
    assert isinstance(linear, nn.Linear)
    used |= {id(p) for p in linear.parameters()}
    return linear.weight.data, None if linear.bias is None else linear.bias.data


def _plain(model: PreTrainedModel, path: str) -> nn.Module:
    module = model.get_submodule(path)
    plain: nn.Module = module.get_base_layer() if isinstance(module, LoraLayer) else module
    return plain


def _bottlenecks(model: PreTrainedModel) -> Iterator[tuple[Place, object]]:
    """Each owner of hooks, with the places of its hooks."""
    places: dict[object, list[tuple[str, str]]] = defaultdict(list)
    for path, module in model.named_modules():
        for hook in (*module._forward_pre_hooks.values(), *module._forward_hooks.values()):
            if hook is narrow:  # the fast path's, no method's
                continue
            places[getattr(hook, "__self__", hook)].append((path, getattr(hook, "__name__", "")))
    for owner, where in places.items():
        yield tuple(where), owner


def _low_rank(module: LoraLayer, used: set[int]) -> Factors:
    down, up = module.lora_A["default"].weight, module.lora_B["default"].weight
    used |= {id(down), id(up)}
    return Factors(down.data, down.new_zeros(len(down)), module.scaling["default"] * up.data, up.new_zeros(len(up)),
                   nn.Identity())  # fmt: skip
