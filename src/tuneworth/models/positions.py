"""How many tokens of a text a model has places for, read from its files alone."""

from __future__ import annotations

from pathlib import Path

from tuneworth.errors import SpecError
from tuneworth.models._files import read_json, shapes, weights

_TABLES = ("position_embeddings", "embed_positions", "positions_embed", "wpe")
"""Modules that hold a vector for each place; a model without one counts no places (T5, XLNet, rotary positions)."""
AFTER_PADDING = frozenset(
    {
        "camembert",
        "data2vec-text",
        "esm",
        "ibert",
        "layoutlmv3",
        "lilt",
        "longformer",
        "luke",
        "markuplm",
        "mpnet",
        "roberta",
        "roberta-prelayernorm",
        "xlm-roberta",
        "xlm-roberta-xl",
        "xmod",
    }
)
"""Model types whose positions count from behind the padding token's number, as fairseq has it; others' count from 0."""


def positions(source: str) -> int | None:
    """The most tokens that the model in the directory `source` can read, special ones included; None: there is no bound.

    Pickled weights are not looked into: what their config.json says counts, which bounds rotary positions too.
    """
    directory = Path(source)
    config = read_json(directory, "config.json") or {}
    files = weights(directory)
    tables = [
        shape[0]
        for file in files
        if file.suffix == ".safetensors"
        for name, shape in shapes(file).items()
        if name.endswith(".weight") and name.split(".")[-2] in _TABLES
    ]
    relative = config.get("position_biased_input") is False or config.get("position_embedding_type") == "rotary"
    if relative or not (tables or any(file.suffix != ".safetensors" for file in files)):
        return None  # a table may be there all the same: DeBERTa's is left from its pre-training
    said = config.get("max_position_embeddings", config.get("n_positions"))
    most = min([*tables, *([said] if isinstance(said, int) and said > 0 else [])], default=None)
    if most is None or config.get("model_type") not in AFTER_PADDING:
        return most
    padding = config.get("pad_token_id")
    asked = isinstance(padding, int) and config["model_type"] != "mpnet"  # whose 1 is fixed
    return most - 1 - (int(padding or 0) if asked else 1)


def check_length(name: str, source: str, max_length: int) -> None:
    """Raises SpecError where texts of `max_length` tokens are longer than the model, called `name`, can read."""
    most = positions(source)
    if most is not None and max_length > most:
        raise SpecError(f"max_length {max_length} is more than the model {name!r} can read: it has places for {most} tokens",
                        f"set max_length to {most} or less")  # fmt: skip
