"""What a task stream has behind it, kept on disk between its stages: a stream that was killed goes on from there."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from tuneworth.spec import Stage
from tuneworth.train.checkpoint import LoopState
from tuneworth.train.clock import Clock
from tuneworth.writing import make_directory, whole_file

__all__ = ["Past", "Spent"]

NOTHING = "nothing"
"""What the file holds where no tensor is carried on: tasks tuned separately leave numbers alone behind."""


@dataclass
class Spent:
    """Sums over the stages."""

    setup_seconds: float = 0.0
    steps: int = 0
    examples: int = 0
    flops: float = 0.0
    validation: float = 0.0
    trainable: int = 0
    total: int = 0
    micro_batch: int = 0
    notes: list[str] = field(default_factory=list)

    def add(self, clock: Clock, state: LoopState, setup_seconds: float, trainable: int, total: int) -> None:
        self.setup_seconds += setup_seconds
        self.steps += clock.steps
        self.examples += clock.examples
        self.flops += clock.flops
        self.validation += state.curve[-1].score
        self.trainable, self.total, self.micro_batch = trainable, max(self.total, total), state.micro_batch
        self.notes += state.notes


@dataclass
class Past:
    """Finished stages; the body and the heads that a sequential stream carries on."""

    stages: list[Stage] = field(default_factory=list)
    spent: Spent = field(default_factory=Spent)
    body: dict[str, torch.Tensor] = field(default_factory=dict)
    heads: list[dict[str, torch.Tensor]] = field(default_factory=list)

    @classmethod
    def load(cls, path: Path) -> Past:
        """An empty past where there is no file that can be read."""
        try:
            with safe_open(path, "pt") as file:
                kept = json.loads(file.metadata()["tuneworth"])
                tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - no mapping
        except (OSError, SafetensorError, KeyError, TypeError, ValueError):
            return cls()
        past = cls([Stage.model_validate(stage) for stage in kept["stages"]], Spent(**kept["spent"]))
        past.heads = [{} for _ in range(kept["heads"])]
        for name, tensor in tensors.items():
            part, _, rest = name.partition("/")
            if name != NOTHING:
                (past.body if part == "body" else past.heads[int(part)])[rest] = tensor
        return past

    def save(self, path: Path) -> None:
        """One safetensors file, replaced atomically."""
        tensors = {f"body/{name}": tensor for name, tensor in self.body.items()}
        for number, head in enumerate(self.heads):
            tensors |= {f"{number}/{name}": tensor for name, tensor in head.items()}
        kept = {
            "stages": [stage.model_dump() for stage in self.stages],
            "spent": asdict(self.spent),
            "heads": len(self.heads),
        }
        make_directory(path.parent)
        with whole_file(path) as scratch:
            save_file(tensors or {NOTHING: torch.zeros(0)}, scratch, {"tuneworth": json.dumps(kept)})
