"""The adapter module itself, and the hooks that put it in its place; apart from adapter.py because it imports torch.

Hooks, not wrappers: every parameter of the plain model keeps its name. They are bound methods of the adapter, so that
copy.deepcopy of the model binds the copy's hooks to the copy's adapters.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

if TYPE_CHECKING:
    from tuneworth.methods.adapter import AdapterOptions
    from tuneworth.models.families import Block

_ACTIVATIONS: dict[str, type[nn.Module]] = {"gelu": nn.GELU, "relu": nn.ReLU, "silu": nn.SiLU, "tanh": nn.Tanh}


class Bottleneck(nn.Module):
    """f(x) = scale · up(act(down(x))), shapes (..., d) -> (..., m) -> (..., d). Zero until `up` is trained."""

    def __init__(self, like: Tensor, options: AdapterOptions, generator: torch.Generator, scale: float = 1.0) -> None:
        """`like`: a tensor of the layer, of size d, for its device. Parameters are float32."""
        super().__init__()
        hidden, width = len(like), options.width(len(like))
        self.down = _linear(hidden, width, like.device)
        self.act = _ACTIVATIONS[options.non_linearity]()
        self.up = _linear(width, hidden, like.device)
        self.scale = scale
        self._read: Tensor | None = None
        """What a first hook leaves for a second."""
        if options.init_scale is None:
            nn.init.kaiming_uniform_(self.down.weight, a=5**0.5, generator=generator)
        else:
            std = options.init_scale
            nn.init.trunc_normal_(self.down.weight, std=std, a=-2 * std, b=2 * std, generator=generator)
        for zero in (self.down.bias, self.up.weight, self.up.bias):
            nn.init.zeros_(zero)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.up(self.act(self.down(x)))
        return y if self.scale == 1 else self.scale * y

    def after(self, module: nn.Module, args: Any, h: Tensor) -> Tensor:  # noqa: ARG002
        """Forward hook of a sub-layer's last module: h + f(h)."""
        return h + self.forward(h)

    def before_norm(self, norm: nn.Module, args: tuple[Tensor]) -> Tensor:
        """Forward pre-hook of a LayerNorm that reads x + h: it now reads x + h + f(LN(x + h))."""
        (total,) = args
        return total + self.forward(norm.forward(total))  # forward, not the call: the call would run this hook again

    def read(self, module: nn.Module, args: tuple[Tensor]) -> None:  # noqa: ARG002
        """Forward pre-hook of the module that reads a sub-layer's x: take f(x), for `write`."""
        self._read = self.forward(args[0])

    def write(self, module: nn.Module, args: Any, h: Tensor) -> Tensor:  # noqa: ARG002
        """Forward hook of the same sub-layer's last module: h + f(x)."""
        assert self._read is not None
        h, self._read = h + self._read, None
        return h

    def keep(self, module: nn.Module, args: tuple[Tensor]) -> None:  # noqa: ARG002
        """Forward pre-hook of the norm before a sub-layer: take x, for `after_sum`."""
        self._read = args[0]

    def after_sum(self, module: nn.Module, args: Any, h: Tensor) -> Tensor:  # noqa: ARG002
        """Forward hook of the same sub-layer's last module: h + f(x + h)."""
        assert self._read is not None
        x, self._read = self._read, None
        return h + self.forward(x + h)


def add_adapter(
    layer: nn.Module,
    block: Block,
    beside: str,
    options: AdapterOptions,
    generator: torch.Generator,
    scale: float = 1.0,
) -> Bottleneck:
    """A new adapter of `layer`, registered under the name `adapter` beside the module at the path `beside`."""
    like = layer.get_parameter(f"{block.ffn_norm}.weight")
    adapter = Bottleneck(like, options, generator, scale)
    layer.get_submodule(beside.rpartition(".")[0]).add_module("adapter", adapter)
    return adapter


def _linear(inputs: int, outputs: int, device: torch.device) -> nn.Linear:
    """Not yet initialised, since nn.Linear by itself would draw from the global random stream."""
    with torch.device("meta"):
        linear = nn.Linear(inputs, outputs, dtype=torch.float32)
    return linear.to_empty(device=device)
