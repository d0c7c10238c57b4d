"""A delta directory: `delta.safetensors` (the trained parameters alone) and `delta.json` (what they belong to)."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field, SerializeAsAny, ValidationError, ValidationInfo, field_validator, model_validator

from tuneworth.deltas.elsewhere import not_here
from tuneworth.deltas.format_1 import upgraded
from tuneworth.errors import DeltaError
from tuneworth.kinds import Codec, all_kinds
from tuneworth.spec import Frozen, Precision, Recipe
from tuneworth.tasks.summary import metric_of
from tuneworth.words import brief
from tuneworth.writing import check_parent, whole_directory

if TYPE_CHECKING:
    import torch

TENSORS, INFO = "delta.safetensors", "delta.json"


MAX_INFO = 16_000_000
"""Bytes of delta.json; one with 100,000 labels has some two million."""
Name = Annotated[str, Field(max_length=1000)]


class DeltaInfo(Frozen):
    """delta.json. `base_fingerprint` is over the base model's content, so a wrong base is refused.

    Another machine's file may say anything: what a number is used for bounds it here; what tensors or the base model bound
    is compared with them by `load`, before anything is built.
    """

    format: int = Field(default=2, ge=2, le=2)
    method: Name
    kind: Name
    options: Mapping[str, Any]
    base: str = Field(max_length=4096)
    base_fingerprint: Name
    task: Name
    task_kind: Name
    codec: SerializeAsAny[Codec]
    """What it takes to read the model's outputs: of the kind's own class."""
    metric: Name
    score: float
    metrics: Mapping[str, float]
    positive: Name | None = None
    """The class that F1 is of; None: no F1 of one class, or a delta of before this was kept."""
    pairs: bool
    columns: tuple[str, ...] = ()
    """The text columns of the file it was tuned on; empty for a registered task."""
    max_length: int = Field(ge=1, lt=2**31)
    precision: Precision
    recipe: Recipe
    fraction: float = Field(gt=0, le=1)
    budget: Name
    seed: int = Field(ge=0, lt=2**63)
    environment: Mapping[str, Any]
    sha256: str | None = None
    """Of delta.safetensors; None in deltas of before this was kept."""

    @model_validator(mode="before")
    @classmethod
    def _as_it_is_now(cls, data: Any) -> Any:
        return upgraded(data) if isinstance(data, Mapping) and data.get("format") == 1 else data

    def shown(self, metric: str) -> str:
        """One of `metrics` as people see it: F1 with its class."""
        said = metric_of({"metric": metric, "data": {"positive": self.positive}})
        return said or metric

    @field_validator("codec", mode="before")
    @classmethod
    def _of_its_kind(cls, value: Any, info: ValidationInfo) -> Any:
        name = info.data.get("task_kind")
        if isinstance(value, Codec) or name is None:
            return value
        if name not in all_kinds():
            raise ValueError(f"tasks of the kind {brief(name)!r} need the package that it comes from")
        try:
            return all_kinds()[name].codec.model_validate(value)
        except ValidationError as error:
            raise ValueError(_complaint(error)) from None


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
    path = directory / INFO
    try:
        if (size := path.stat().st_size) > MAX_INFO:
            raise ValueError(f"{size:,} bytes; at most {MAX_INFO:,} can be right")
        info = DeltaInfo.model_validate_json(path.read_bytes())
    except ValidationError as error:
        problem = _complaint(error)
    except (OSError, ValueError) as error:
        problem = str(error)
    else:
        return info
    raise DeltaError(f"{str(path)!r} cannot be read: {problem}", "tune again, or use a newer tuneworth")


def _complaint(error: ValidationError) -> str:
    first = error.errors()[0]
    field = ".".join(map(str, first["loc"]))
    return f"{field} = {brief(repr(first['input']))}: {first['msg']}" if field else first["msg"]


def read_tensors(directory: Path, info: DeltaInfo) -> dict[str, torch.Tensor]:
    """The tensors that `info`, of the same directory, belongs to. Raises DeltaError for a damaged or foreign file."""
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        if info.sha256 not in (None, _sha256(directory / TENSORS)):
            raise SafetensorError(f"its content is not what {INFO} says it is")
        tensors = load_file(directory / TENSORS)
    except (SafetensorError, OSError) as error:
        raise DeltaError(f"{str(directory / TENSORS)!r} is damaged: {error}", "copy it again, or tune again") from None
    outputs = info.codec.outputs
    if outputs not in {size for tensor in tensors.values() for size in tensor.shape[:1]}:  # the head's tensors have it
        raise DeltaError(f"{str(directory)!r} names {outputs:,} outputs, and no tensor has so many",
                         "copy it again, or tune again")  # fmt: skip
    return tensors


def _sha256(file: Path) -> str:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
