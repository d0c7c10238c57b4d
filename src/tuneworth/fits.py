"""Which methods are known to fit which models: what a check has shown once on this machine need not be shown again."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from contextlib import suppress
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from tuneworth.cache import cache_dir
from tuneworth.spec import TrialSpec

__all__ = ["fit_of", "known", "remember"]

CHECK = 2
"""Raised when a check is added that what was shown before must pass as well."""


def fit_of(trial: TrialSpec, head: str) -> str:
    """16 hex digits of what decides whether a method finds its place in a model: both, the class of its head, and the
    libraries' versions."""
    said = (trial.model_fingerprint, trial.kind, sorted(trial.options.items()), head, _versions(), CHECK)
    return hashlib.sha256(repr(said).encode()).hexdigest()[:16]


def known() -> set[str]:
    """The fits that `remember` was told of; none where the file cannot be read."""
    try:
        return set(_file().read_text(encoding="ascii").split())
    except (OSError, ValueError):
        return set()


def remember(fits: Iterable[str]) -> None:
    """Add them, in one write at the end of the file; where that is not allowed, they are shown again the next time."""
    with suppress(OSError):
        _file().parent.mkdir(parents=True, exist_ok=True)
        with _file().open("a", encoding="ascii") as file:
            file.write("".join(f"{fit}\n" for fit in fits))


def _file() -> Path:
    return cache_dir() / "fits"


@cache
def _versions() -> tuple[str, ...]:
    found = []
    for package in ("tuneworth", "torch", "transformers", "peft"):
        try:
            found.append(version(package))
        except PackageNotFoundError:
            found.append("")
    return tuple(found)
