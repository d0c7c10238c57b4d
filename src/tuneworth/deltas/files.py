"""A delta directory: `delta.safetensors` (the trained parameters alone) and `delta.json` (what they belong to)."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import Field, ValidationError

from tuneworth.deltas.elsewhere import not_here
from tuneworth.errors import DeltaError
from tuneworth.spec import Frozen, Kind, Precision, Recipe
from tuneworth.writing import check_parent, whole_directory

if TYPE_CHECKING:
    import torch

TENSORS, INFO = "delta.safetensors", "delta.json"


class DeltaInfo(Frozen):
    """delta.json. `base_fingerprint` is over the base model's content, so a wrong base is refused."""

    format: int = Field(default=1, ge=1, le=1)
    method: str
    kind: str
    options: Mapping[str, Any]
    base: str
    base_fingerprint: str
    task: str
    task_kind: Kind
    labels: tuple[str, ...] | None
    metric: str
    score: float
    metrics: Mapping[str, float]
    target_mean: float = 0.0
    target_scale: float = 1.0
    pairs: bool
    columns: tuple[str, ...] = ()
    """The text columns of the file it was tuned on; empty for a registered task."""
    max_length: int
    precision: Precision
    recipe: Recipe
    fraction: float
    budget: str
    seed: int
    environment: Mapping[str, Any]
    sha256: str | None = None
    """Of delta.safetensors; None in deltas of before this was kept."""


def save_delta(directory: Path, tensors: Mapping[str, torch.Tensor], info: DeltaInfo) -> int:
    """Write the directory whole or not at all; an older one in its place is replaced. Returns its size in bytes.

    Raises WriteError.
    """
    from safetensors.torch import save_file

    with whole_directory(directory) as scratch:
        save_file({name: t.detach().cpu().contiguous() for name, t in tensors.items()}, scratch / TENSORS)
        write_info(scratch, info.model_copy(update={"sha256": _sha256(scratch / TENSORS)}))
        return sum(path.stat().st_size for path in scratch.iterdir())


def write_info(directory: Path, info: DeltaInfo) -> None:
    (directory / INFO).write_text(info.model_dump_json(indent=2) + "\n", encoding="utf-8")


def check_vacant(output: Path) -> None:
    """Raises DeltaError or WriteError where the directory `output` cannot be made, before anything is loaded."""
    if output.exists() and (not output.is_dir() or any(output.iterdir())):
        raise DeltaError(f"{str(output)!r} is there already", "give --output a directory that is new or empty")
    check_parent(Path(os.path.realpath(output)))


def read_info(directory: Path) -> DeltaInfo:
    """Raises DeltaError where `directory` is no delta, or one this version cannot read."""
    if not directory.exists():
        raise not_here(directory)
    remedy = "give the directory that `tuneworth results STUDY --format json` names as delta_path"
    if not (directory / INFO).is_file() or not (directory / TENSORS).is_file():
        raise DeltaError(f"{str(directory)!r} is no delta: it lacks {INFO} or {TENSORS}", remedy)
    try:
        return DeltaInfo.model_validate_json((directory / INFO).read_text(encoding="utf-8"))
    except (ValidationError, UnicodeDecodeError) as error:
        first = str(error).splitlines()[0]
        raise DeltaError(
            f"{str(directory / INFO)!r} cannot be read: {first}", "tune again, or use a newer tuneworth"
        ) from None


def read_tensors(directory: Path, info: DeltaInfo) -> dict[str, torch.Tensor]:
    """The tensors that `info`, of the same directory, belongs to. Raises DeltaError for a damaged or foreign file."""
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        if info.sha256 not in (None, _sha256(directory / TENSORS)):
            raise SafetensorError(f"its content is not what {INFO} says it is")
        return load_file(directory / TENSORS)
    except (SafetensorError, OSError) as error:
        raise DeltaError(f"{str(directory / TENSORS)!r} is damaged: {error}", "copy it again, or tune again") from None


def _sha256(file: Path) -> str:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
