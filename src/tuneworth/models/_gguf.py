"""A model that is packaged as one GGUF file, made into safetensors once."""

from __future__ import annotations

from pathlib import Path

from tuneworth.cache import cache_dir
from tuneworth.errors import ModelError
from tuneworth.words import first_line
from tuneworth.writing import whole_directory


def converted(file: Path, sha256: str) -> Path:
    """The directory in the user's cache that holds the model of the GGUF `file`, of that content: float32, as transformers
    dequantises it, with the tokenizer that is in the file. Made where it is not there, which takes some seconds and as much
    space as the model has in float32. Raises ModelError."""
    place = cache_dir() / "models" / f"{file.stem}-{sha256[:8]}"
    if (place / "config.json").is_file():
        return place
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        _convert(file, place)
    except Exception as error:  # transformers, the reader of GGUF and the disk raise many kinds
        raise ModelError(f"the packaged model {str(file)!r} cannot be converted: {first_line(error)}",
                         "pip install --no-deps gguf==0.19.0, and see that there is room in the cache") from error  # fmt: skip
    return place


def _convert(file: Path, place: Path) -> None:
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    from tuneworth.models.load import quiet

    with quiet(), whole_directory(place) as scratch:
        read = AutoModelForCausalLM.from_pretrained(file.parent, gguf_file=file.name, dtype=torch.float32)
        config = read.config
        del config.quantization_config  # the weights are numbers now; a model that says otherwise is not saved
        plain = AutoModelForCausalLM.from_config(config)
        plain.load_state_dict(read.state_dict())
        plain.save_pretrained(scratch)
        AutoTokenizer.from_pretrained(file.parent, gguf_file=file.name).save_pretrained(scratch)
