"""Study files that come with the package: `tuneworth run --preset NAME`, `tuneworth preset NAME` to copy and change one."""

from __future__ import annotations

from pathlib import Path

from tuneworth.errors import SpecError, did_you_mean

__all__ = ["preset_names", "preset_path"]

_HERE = Path(__file__).parent


def preset_names() -> list[str]:
    return sorted(path.stem for path in _HERE.glob("*.toml"))


def preset_path(name: str) -> Path:
    """The study file of that preset. Raises SpecError, with the nearest name."""
    if name not in preset_names():
        raise SpecError(f"unknown preset {name!r}", did_you_mean(name, preset_names()))
    return _HERE / f"{name}.toml"
