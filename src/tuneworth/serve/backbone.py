"""One backbone for many tasks: each example of a batch meets the biases, norms, bottlenecks and head of its own task.

The modules of the plain model become task-aware in place: its Linear and LayerNorm modules add per-example rows instead
of their own parameters, and bottlenecks hang on the very hooks that the methods use. An example whose task does not
touch a place meets the plain model there.
"""

from __future__ import annotations

import copy
import threading
from collections import defaultdict
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from transformers import PreTrainedModel

from tuneworth.methods._adapter import Bottleneck
from tuneworth.models.load import Loaded
from tuneworth.serve.parts import PRE_HOOKS, Factors, Layout, Parts, Place
from tuneworth.spec import Precision
from tuneworth.train.device import autocast
from tuneworth.train.fast import lay_out


class Batch:
    """Whose example is whose: `parts[i]` are those of example i."""

    def __init__(self, parts: Sequence[Parts]) -> None:
        self.parts = parts
        vectors = [part.vector for part in parts]
        alike = all(vector is vectors[0] for vector in vectors)
        self.rows = vectors[0][None] if alike else torch.stack(vectors)
        """Shape (examples, size), or (1, size) where all examples share one vector."""
        groups: dict[Parts, list[int]] = defaultdict(list)
        for row, part in enumerate(parts):
            groups[part].append(row)
        self.groups = [(part, self.index(rows)) for part, rows in groups.items()]

    def index(self, rows: list[int]) -> Tensor:
        return torch.tensor(rows, device=self.rows.device)

    def at(self, place: Place) -> list[tuple[list[Factors], Tensor]]:
        """The factors that the examples have at `place`, and their rows; those of one kind together."""
        kinds: dict[object, tuple[list[Factors], list[int]]] = defaultdict(lambda: ([], []))
        for row, part in enumerate(self.parts):
            if (factors := part.bottlenecks.get(place)) is not None:
                together, rows = kinds[factors.kind]
                together.append(factors)
                rows.append(row)
        return [(together, self.index(rows)) for together, rows in kinds.values()]


class Now:
    """The batch that is running, for all modules of one backbone."""

    batch: Batch


class TaskLinear(nn.Linear):
    """x W' + b, b by example."""

    now: Now
    bias_span: slice

    def forward(self, x: Tensor) -> Tensor:
        bias = self.now.batch.rows[:, self.bias_span]
        if len(bias) == 1:
            return F.linear(x, self.weight, bias[0])
        y = F.linear(x, self.weight)
        return y.add_(_by_example(bias, y))


class TaskHead(nn.Linear):
    """x W' + b, W and b by task. Outputs beyond those that a task has are 0, and are cut off at the end."""

    now: Now
    path: str

    def forward(self, x: Tensor) -> Tensor:
        groups = [(part.weights[self.path], rows) for part, rows in self.now.batch.groups]
        y = x.new_zeros(*x.shape[:-1], max(len(weight) for (weight, _), _ in groups))
        for (weight, bias), rows in groups:
            out = F.linear(x[rows], weight, bias)
            y[rows, ..., : len(weight)] = out.to(y.dtype)
        return y


class TaskNorm(nn.LayerNorm):
    """Layer normalisation with gain and shift by example."""

    now: Now
    weight_span: slice
    bias_span: slice

    def forward(self, x: Tensor) -> Tensor:
        rows = self.now.batch.rows
        weight, bias = rows[:, self.weight_span], rows[:, self.bias_span]
        if len(rows) == 1:
            return F.layer_norm(x, self.normalized_shape, weight[0], bias[0], self.eps)
        y = F.layer_norm(x, self.normalized_shape, None, None, self.eps)
        return torch.addcmul(_by_example(bias, y), y, _by_example(weight, y))


class TaskBottleneck(Bottleneck):
    """A bottleneck whose factors are by example; examples without any get zeros. The hooks are those of the method."""

    def __init__(self, now: Now, place: Place) -> None:
        nn.Module.__init__(self)
        self.now, self.place = now, place
        self._read: Tensor | None = None

    def forward(self, x: Tensor) -> Tensor:
        """(examples, ..., d) -> (examples, ..., e)."""
        groups = self.now.batch.at(self.place)
        flat = x.flatten(1, -2) if x.ndim > 2 else x[:, None]
        y: Tensor | None = None
        for factors, rows in groups:
            out = _bottleneck(factors, flat if len(rows) == len(x) else flat[rows])
            if len(rows) == len(x):
                return out.view(*x.shape[:-1], -1)
            y = out.new_zeros(len(x), *out.shape[1:]) if y is None else y
            y[rows] = out
        assert y is not None, "a hook runs only where an example has the place"
        return y.view(*x.shape[:-1], -1)

    def beside(self, module: nn.Module, args: tuple[Tensor], h: Tensor) -> Tensor:  # noqa: ARG002
        """Forward hook of a Linear module, for low-rank factors: h + f(x)."""
        return h + self.forward(args[0]).to(h.dtype)

    def hang(self, model: PreTrainedModel) -> None:
        """Register the hooks; they do nothing in a batch where no example has the place."""
        for path, name in self.place:
            module = model.get_submodule(path)
            register = module.register_forward_pre_hook if name in PRE_HOOKS else module.register_forward_hook
            register(self._when_used(getattr(self, name)))

    def _when_used(self, hook: Any) -> Any:
        def run(*args: Any) -> Any:
            used = any(self.place in part.bottlenecks for part, _ in self.now.batch.groups)
            return hook(*args) if used else None

        return run


class Backbone:
    """The plain model, once in memory. `twin` gives models that share its memory; `logits` runs mixed batches."""

    def __init__(self, loaded: Loaded, device: torch.device, precision: Precision) -> None:
        """`loaded.model` is as `load` gives it, with one output: no other size in it is 1, so outputs are told by that."""
        self.plain = loaded.model.requires_grad_(False).eval().to(device)
        self.tokenizer, self.head, self.precision = loaded.tokenizer, loaded.head, precision
        self.layout = Layout(self.plain, self.head)  # before weights are cast: biases and norms stay float32
        lay_out(self.plain, device, precision, shared=True)
        self._outputs = [name for name, p in self.plain.named_parameters() if name in self.head and len(p) == 1]
        self._now = Now()
        self._lock = threading.Lock()
        self._places: set[Place] = set()
        self._mixed = _share(self.plain)
        for path, module in list(self._mixed.named_modules()):
            self._make_aware(path, module)

    def twin(self, outputs: int) -> Loaded:
        """A plain model of so many outputs, with parameters of its own that share the backbone's memory."""
        model = _share(self.plain)
        for name in self._outputs:
            like = model.get_parameter(name)
            path, _, last = name.rpartition(".")
            setattr(model.get_submodule(path), last, nn.Parameter(like.new_zeros(outputs, *like.shape[1:])))
        return Loaded(model, self.tokenizer, self.head)

    def logits(self, parts: Sequence[Parts], inputs: dict[str, Any]) -> Tensor:
        """Shape (examples, most outputs of a task), on the device. Safe to call from any thread; one call runs at a time."""
        with self._lock, torch.inference_mode(), autocast(self.plain.device, self.precision):
            self._now.batch = Batch(parts)
            values: Tensor = self._mixed(**inputs).logits
            return values

    def make_room(self, parts: Parts) -> None:
        """Hang a bottleneck wherever `parts` has one; between two batches, never within one."""
        with self._lock:
            for place in parts.bottlenecks:
                if place not in self._places:
                    TaskBottleneck(self._now, place).hang(self._mixed)
                    self._places.add(place)

    def _make_aware(self, path: str, module: nn.Module) -> None:
        # In place, as `speed_up` does: the model's own code keeps calling the very same objects.
        spans = self.layout.spans
        if path in self.layout.heads:
            module.__class__ = TaskHead
            module.path = path  # type: ignore[assignment]
        elif (path, "weight") in spans:
            module.__class__ = TaskNorm
            module.weight_span, module.bias_span = spans[path, "weight"], spans[path, "bias"]  # type: ignore[assignment]
        elif (path, "bias") in spans:
            module.__class__ = TaskLinear
            module.bias_span = spans[path, "bias"]  # type: ignore[assignment]
        else:
            return
        module.now = self._now  # type: ignore[assignment]


def _share(model: PreTrainedModel) -> PreTrainedModel:
    """A copy of the modules; parameters are new objects over the same memory, buffers are the same."""
    memo: dict[int, Any] = {id(p): nn.Parameter(p.data, requires_grad=False) for p in model.parameters()}
    memo |= {id(buffer): buffer for buffer in model.buffers()}
    return copy.deepcopy(model, memo)


def _by_example(rows: Tensor, like: Tensor) -> Tensor:
    """(examples, d) -> (examples, 1, .., d), as many axes as `like`, of its type."""
    return rows.view(len(rows), *[1] * (like.ndim - 2), -1).to(like.dtype)


def _bottleneck(factors: list[Factors], x: Tensor) -> Tensor:
    """(k, length, d) -> (k, length, e), example i through factors i."""

    def stacked(name: str) -> Tensor:
        return torch.stack([getattr(f, name) for f in factors])

    down, up = stacked("down").transpose(1, 2), stacked("up").transpose(1, 2)
    hidden = factors[0].act(torch.baddbmm(stacked("down_bias")[:, None], x, down))
    return torch.baddbmm(stacked("up_bias")[:, None], hidden, up)
