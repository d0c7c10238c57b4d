"""Deltas made on the spot: a method's trained parameters moved at random, as training would, only faster."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from tuneworth import models
from tuneworth.deltas import DeltaInfo, save_delta
from tuneworth.kinds.classification import Classes
from tuneworth.kinds.regression import Numbers
from tuneworth.methods import get_method
from tuneworth.tuned import tuned_model


@dataclass(frozen=True)
class Asked:
    """What a trial says that decides its tuned model."""

    kind: str
    options: dict[str, Any]
    seed: int


def make_delta(
    directory: Path, base: Path, method: str, labels: int = 2, seed: int = 0, pairs: bool = False,
    options: dict[str, Any] | None = None, move: float = 0.1,
) -> Path:  # fmt: skip
    """A delta of `method` for the model in `base`; `labels` 0 makes a regression task, of mean 3 and deviation 2."""
    ref, kind = models.resolve(str(base)), "classification" if labels else "regression"
    random = torch.Generator().manual_seed(seed)
    asked = Asked(method, options or {}, seed)
    tuned = tuned_model(asked, ref.source, labels or 1, kind)  # type: ignore[arg-type]
    names, parameters = tuned.names, dict(tuned.model.named_parameters())
    with torch.no_grad():
        for name in names:
            parameters[name].add_(move * torch.randn(parameters[name].shape, generator=random))
    codec = Classes(labels=tuple(f"label-{i}" for i in range(labels))) if labels else Numbers(mean=3.0, scale=2.0)
    info = DeltaInfo(
        method=method, kind=method, options=options or {}, base=str(base), base_fingerprint=ref.fingerprint,
        task="made", task_kind=kind, codec=codec, metric="accuracy" if labels else "pearson", score=0.5, metrics={}, pairs=pairs,
        max_length=32, precision="fp32",
        recipe=get_method(method).recipe, fraction=1.0, budget="1epochs", seed=seed, environment={},
    )  # fmt: skip
    save_delta(directory, {name: parameters[name] for name in names}, info)
    return directory


def edit_info(directory: Path, **changes: Any) -> None:
    """What another machine's delta.json may say."""
    content = json.loads((directory / "delta.json").read_text())
    (directory / "delta.json").write_text(json.dumps({**content, **changes}))
