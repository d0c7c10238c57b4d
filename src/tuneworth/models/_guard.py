"""What a model's files may not ask for: code from elsewhere, weights from elsewhere, changes to transformers itself."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tuneworth.errors import ModelError

if TYPE_CHECKING:
    from transformers import PreTrainedConfig

_REFUSED = {
    "auto_map": ("needs remote code", "such code is never run; use a model that transformers knows by itself"),
    "transformers_weights": ("takes its weights from another file", "name that file model.safetensors, without the key"),
    "fast_tokenizer_files": ("takes its tokenizer from another file", "name that file tokenizer.json, without the key"),
    "fusion_config": ("changes transformers' own classes", "take the key out"),
    "quantization_config": ("has quantized weights", "give the model that they were made from: float weights are tuned"),
    "compression_config": ("has quantized weights", "give the model that they were made from: float weights are tuned"),
}  # fmt: skip
"""Keys of config.json and tokenizer_config.json, at any depth, by which transformers loads or runs something."""
_IMPLEMENTATIONS = ("attn_implementation", "experts_implementation")


def check_asks(directory: Path, name: str, content: Any) -> None:
    """`content`: the JSON file `name` of the model in `directory`. Raises ModelError for what it may not ask for."""
    for key, value in _entries(content):
        if key in _REFUSED and value is not None:
            problem, remedy = _REFUSED[key]
            raise ModelError(f"{str(directory)!r} {problem}: {name} has the key {key!r}", remedy)
        public = key.removeprefix("_").removesuffix("_internal")
        if public in _IMPLEMENTATIONS and any("/" in kernel for kernel in _strings(value)):
            kernel = next(kernel for kernel in _strings(value) if "/" in kernel)
            raise ModelError(f"{str(directory)!r} needs remote code: {name} has {key} {kernel[:100]!r}, a kernel of the hub",
                             "such code is never run; take the key out")  # fmt: skip


def check_adapter(directory: Path) -> None:
    """transformers would add the adapter to the model, though no fingerprint is over it. Raises ModelError."""
    if (directory / "adapter_config.json").is_file():
        raise ModelError(f"{str(directory)!r} holds an adapter beside its weights: adapter_config.json",
                         "merge it (peft: merge_and_unload), or move its files away to tune the model without it")  # fmt: skip


def choose_implementations(config: PreTrainedConfig) -> None:
    """Attention and experts are computed as transformers does by itself, whatever config.json asks for.

    Eager attention, which every model has and which no package must bring, is the one wish that is granted.
    """
    config._attn_implementation = "eager" if config._attn_implementation == "eager" else None
    if hasattr(config, "_experts_implementation"):  # not in the oldest transformers that this runs with
        config._experts_implementation = None


def _entries(content: Any) -> Iterator[tuple[str, Any]]:
    """Every key of every object within, with its value."""
    pending = [content]
    while pending:
        value = pending.pop()
        if isinstance(value, dict):
            yield from value.items()
            pending += value.values()
        elif isinstance(value, list):
            pending += value


def _strings(value: Any) -> list[str]:
    return [value] if isinstance(value, str) else [text for _, text in _entries(value) if isinstance(text, str)]
