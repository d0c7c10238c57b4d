"""The deltas below a directory, their names, and the backbone that most of them share. Nothing here imports torch."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from tuneworth import models
from tuneworth.deltas.files import INFO, TENSORS, DeltaInfo, read_info
from tuneworth.errors import DeltaError, ModelError, ServeError, UserError
from tuneworth.models import ModelRef

_TRIAL_KEY = re.compile(r"[0-9a-f]{16}")


@dataclass(frozen=True)
class Found:
    """A delta on disk; one whose delta.json cannot be read has no `info` but a `problem`."""

    name: str
    directory: Path
    info: DeltaInfo | None
    problem: str = ""


def find(root: Path) -> list[Found]:
    """Every delta below `root`, by name. Raises ServeError where none is there, or two have one name."""
    if not root.is_dir():
        raise ServeError(f"there is no directory {str(root)!r}", "give the directory that holds the deltas")
    found: dict[str, Found] = {}
    for delta in _walk(root):
        if delta.name in found:
            raise ServeError(f"two deltas have the name {delta.name!r}: {str(found[delta.name].directory)!r} and "
                             f"{str(delta.directory)!r}", "rename one of the directories")  # fmt: skip
        found[delta.name] = delta
    if not found:
        raise ServeError(f"there is no delta below {str(root)!r}", "a study keeps its deltas beside its store; `tuneworth "
                         "results STUDY --format json` names each as delta_path")  # fmt: skip
    return [found[name] for name in sorted(found)]


def find_named(root: Path, name: str) -> Found | None:
    """The delta of that name below `root`, if any. Raises DeltaError where there are two."""
    matches = [delta for delta in _walk(root) if delta.name == name]
    if len(matches) > 1:
        raise DeltaError(f"{len(matches)} deltas have the name {name!r}", "rename all but one of the directories")
    return matches[0] if matches else None


def choose_base(found: Sequence[Found], model: str | None, allow_pickle: bool) -> ModelRef:
    """The backbone to serve: `model`, else the one that most deltas were made for (of equals, the first by name).

    Raises ModelError where it cannot be found, ServeError where no delta says which it is.
    """
    if model is not None:
        return models.resolve(model, allow_pickle)
    infos = [delta.info for delta in found if delta.info]
    if not infos:
        raise ServeError(f"no delta can be read; the first: {found[0].problem}", "copy it again, or tune again")
    fingerprint, _ = Counter(info.base_fingerprint for info in infos).most_common(1)[0]
    base = next(info.base for info in infos if info.base_fingerprint == fingerprint)
    ref = models.resolve(base, allow_pickle)
    if ref.fingerprint != fingerprint:
        raise ModelError(f"the model {base!r} has changed since most of these deltas were tuned on it (content "
                         f"{ref.fingerprint}, not {fingerprint})", "say with --model where the right one is")  # fmt: skip
    return ref


def _walk(root: Path) -> Iterator[Found]:
    for directory, folders, files in os.walk(root):
        folders[:] = sorted(folder for folder in folders if not folder.startswith("."))  # those are being written
        if INFO in files:
            yield _look(Path(directory), root.resolve())


def _look(directory: Path, root: Path) -> Found:
    try:
        for name in (INFO, TENSORS):
            if not (directory / name).resolve().is_relative_to(root):
                raise DeltaError(
                    f"{str(directory / name)!r} is a link to outside of the served directory", "copy the file"
                )
        info = read_info(directory)
    except UserError as error:
        return Found(directory.resolve().name, directory, None, error.problem)
    return Found(_name(directory, info), directory, info)


def _name(directory: Path, info: DeltaInfo) -> str:
    """The directory's name; where that is a trial's key, as a study leaves it, the task and the method: `mrpc-bitfit`."""
    name = directory.resolve().name
    return f"{info.task}-{info.method}".replace("/", "-") if _TRIAL_KEY.fullmatch(name) else name
