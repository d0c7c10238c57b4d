"""A trial's state on disk, so that a killed trial goes on where it was. One safetensors file, replaced atomically."""

from __future__ import annotations

import json
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import nn

from tuneworth.spec import CurvePoint
from tuneworth.train.clock import Clock
from tuneworth.writing import make_directory, whole_file


@dataclass
class LoopState:
    """What the loop knows beyond parameters and clock."""

    curve: list[CurvePoint] = field(default_factory=list)
    loss_sum: float = 0.0
    loss_steps: int = 0
    first_losses: list[float] = field(default_factory=list)
    loss_average: float | None = None
    micro_batch: int = 0
    eval_seconds: float = 0.0
    notes: list[str] = field(default_factory=list)
    chunks: list[dict[str, Any]] = field(default_factory=list)
    """Of a data stream: what was measured when each chunk was tested, so far."""


@dataclass
class Checkpointer:
    """Saves at most every `every` seconds, and never spends more than some 5% of the time on saving."""

    path: Path
    every: float
    cost: float = 0.0
    last: float = field(default_factory=time.monotonic)

    def due(self) -> bool:
        return time.monotonic() - self.last >= max(self.every, 20 * self.cost)

    def save(self, model: nn.Module, optimizer: torch.optim.Optimizer, clock: Clock, state: LoopState) -> None:
        start = time.monotonic()
        tensors = {f"model.{n}": p.detach() for n, p in model.named_parameters() if p.requires_grad}
        for index, moments in optimizer.state_dict()["state"].items():
            tensors |= {f"optimizer.{index}.{k}": v for k, v in moments.items()}
        tensors["rng.cpu"] = torch.get_rng_state()
        if clock.device.type == "cuda":
            tensors["rng.cuda"] = torch.cuda.get_rng_state(clock.device)
        make_directory(self.path.parent)
        with whole_file(self.path) as scratch:
            save_file({k: v.contiguous() for k, v in tensors.items()}, scratch, {"tuneworth": _dumps(clock, state)})
        self.last = time.monotonic()
        self.cost = self.last - start

    def load(self, model: nn.Module, optimizer: torch.optim.Optimizer, clock: Clock) -> LoopState | None:
        """Put everything back as it was. None, and nothing changed, where there is no checkpoint that can be read."""
        try:
            with safe_open(self.path, "pt") as file:
                kept = json.loads(file.metadata()["tuneworth"])
                tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - no mapping
        except (OSError, SafetensorError, KeyError, TypeError, ValueError):
            return None
        trained = {n: p for n, p in model.named_parameters() if p.requires_grad}
        if {f"model.{n}" for n in trained} != {n for n in tensors if n.startswith("model.")}:
            return None
        with torch.no_grad():
            for name, parameter in trained.items():
                parameter.copy_(tensors[f"model.{name}"])
        moments: dict[int, dict[str, torch.Tensor]] = {}
        for name, tensor in tensors.items():
            if name.startswith("optimizer."):
                _, index, key = name.split(".", 2)
                moments.setdefault(int(index), {})[key] = tensor
        optimizer.load_state_dict({**optimizer.state_dict(), "state": moments})
        torch.set_rng_state(tensors["rng.cpu"])
        if "rng.cuda" in tensors:
            torch.cuda.set_rng_state(tensors["rng.cuda"], clock.device)
        for name, value in kept["clock"].items():
            setattr(clock, name, value)
        return LoopState(**{**kept["state"], "curve": [CurvePoint(**p) for p in kept["state"]["curve"]]})

    def remove(self) -> None:
        self.path.unlink(missing_ok=True)


def _dumps(clock: Clock, state: LoopState) -> str:
    counters = {name: getattr(clock, name) for name in ("steps", "seconds", "examples", "flops")}
    fields: dict[str, Any] = {**asdict(state), "curve": [point.model_dump() for point in state.curve]}
    return json.dumps({"clock": counters, "state": fields})
