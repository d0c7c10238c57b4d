"""What a model directory must hold, and the fingerprint of what it holds."""

from __future__ import annotations

import hashlib
import json
import re
from functools import cache, lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from tuneworth.errors import ModelError
from tuneworth.models._guard import check_adapter, check_asks

VOCABULARIES = (
    "tokenizer.json", "vocab.txt", "vocab.json",
    "tokenizer.model", "spiece.model", "spm.model", "sentencepiece.bpe.model",
)  # fmt: skip
_TOKENIZER = (*VOCABULARIES, "merges.txt", "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json")


def check(directory: Path, allow_pickle: bool) -> None:
    """Raises ModelError, before any heavy import, where the directory cannot be used."""
    config = read_json(directory, "config.json")
    if config is None:
        raise ModelError(f"{str(directory)!r} has no config.json", "give a directory made by save_pretrained()")
    for name in ("config.json", "tokenizer_config.json"):
        check_asks(directory, name, read_json(directory, name))
    check_adapter(directory)
    _check_type(config.get("model_type"))
    files = weights(directory)
    if not files:
        raise ModelError(f"{str(directory)!r} has no weights", "it needs model.safetensors, or its shards")
    for file in files:
        if file.suffix == ".safetensors":
            _header(file)
        elif not allow_pickle:
            raise ModelError(f"{str(directory)!r} has pickled weights only ({file.name}), which can run code when read",
                             "convert them to safetensors, or trust them with --allow-pickle")  # fmt: skip
    if not any((directory / name).is_file() for name in VOCABULARIES):
        raise ModelError(f"{str(directory)!r} has no tokenizer", f"it needs one of {', '.join(VOCABULARIES)}")


def weights(directory: Path) -> list[Path]:
    """The weight files, safetensors first choice; [] where there are none. Raises ModelError for a missing shard."""
    for single in ("model.safetensors", "pytorch_model.bin"):
        if (directory / single).is_file():
            return [directory / single]
        index = read_json(directory, f"{single}.index.json")
        if index is not None:
            shards = [directory / name for name in sorted(set(index.get("weight_map", {}).values()))]
            for shard in shards:
                if not shard.is_file():
                    raise ModelError(f"{str(directory)!r} lacks the shard {shard.name}", "copy or download it again")
            return shards
    return []


def hidden_size(source: str) -> int | None:
    """How wide the model in the directory `source` is; None where its config.json does not say so in a known word."""
    config = read_json(Path(source), "config.json") or {}
    for part in (config, config.get("text_config") or {}):
        for name in ("hidden_size", "dim", "n_embd", "d_model"):
            if isinstance(size := part.get(name), int):
                return size
    return None


def has_biases(source: str) -> bool:
    """Whether any layer of the model in the directory `source` has a bias: layers are what numbers in the names tell apart,
    so that the bias of a head, which a checkpoint may hold, does not count."""
    names: list[str] = []
    for file in weights(Path(source)):
        if file.suffix == ".safetensors":
            names += _header(file)
        else:
            import torch

            names += torch.load(file, map_location="meta", weights_only=True)
    return any(re.search(r"\.\d+\..*bias$", name) for name in names)


def fingerprint(directory: Path) -> str:
    """16 hex digits over names and contents of config, weights and tokenizer files."""
    files = [directory / name for name in ("config.json", *_TOKENIZER) if (directory / name).is_file()]
    lines = [f"{file.name} {sha256(file)}\n" for file in [*files, *weights(directory)]]
    return hashlib.sha256("".join(lines).encode()).hexdigest()[:16]


def sha256(file: Path) -> str:
    """Of the content, read in chunks; a file that did not change since is not read again."""
    stat = file.stat()
    return _sha256(file, stat.st_size, stat.st_mtime_ns)


@lru_cache(maxsize=256)
def _sha256(file: Path, size: int, mtime_ns: int) -> str:  # noqa: ARG001
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def read_json(directory: Path, name: str) -> dict[str, Any] | None:
    """None where the file is absent."""
    path = directory / name
    if not path.is_file():
        return None
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise ModelError(f"{str(path)!r} is not JSON: {error}", "copy or download it again") from None
    if not isinstance(content, dict):
        raise ModelError(f"{str(path)!r} is not a JSON object", "copy or download it again")
    return content


def shapes(file: Path) -> dict[str, list[int]]:
    """Of the tensors in a safetensors file, by name. Raises ModelError where it is none, or not whole."""
    return {name: tensor["shape"] for name, tensor in _header(file).items()}


def _header(file: Path) -> dict[str, dict[str, Any]]:
    """It says how long the file is: 8 bytes with the header's length n, n bytes of JSON, then the tensors."""
    problem = ModelError(f"{str(file)!r} is truncated or no safetensors file", "copy or download it again")
    size = file.stat().st_size
    with file.open("rb") as stream:
        length = int.from_bytes(stream.read(8), "little")
        if length > size - 8:
            raise problem
        try:
            tensors = {k: v for k, v in json.loads(stream.read(length)).items() if k != "__metadata__"}
            end = max((tensor["data_offsets"][1] for tensor in tensors.values()), default=0)
        except (ValueError, KeyError, TypeError, AttributeError):
            raise problem from None
    if 8 + length + end != size:
        raise problem
    return tensors


def _check_type(model_type: Any) -> None:
    if not isinstance(model_type, str):
        raise ModelError("config.json names no model_type", "give a directory made by save_pretrained()")
    if model_type not in known_types():
        raise ModelError(f"transformers has no sequence classification for the model type {model_type!r}",
                         "use a text model such as BERT; a newer type may need a newer transformers")  # fmt: skip


@cache
def known_types() -> frozenset[str]:
    """Model types with sequence classification, read from transformers' source: importing it would take seconds."""
    spec = find_spec("transformers")
    assert spec is not None
    assert spec.origin is not None
    text = (Path(spec.origin).parent / "models/auto/modeling_auto.py").read_text(encoding="utf-8")
    table = re.search(r"^MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING_NAMES = .*?^\)", text, re.DOTALL | re.MULTILINE)
    types = frozenset(re.findall(r'\(\s*"([^"]+)",', table[0])) if table else frozenset()
    if types:
        return types
    from transformers.models.auto.modeling_auto import MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING_NAMES

    return frozenset(MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING_NAMES)
