"""How long a text a model can read, from its config.json alone."""

from __future__ import annotations

import json
from pathlib import Path

__all__ = ["positions"]

_NAMES = ("max_position_embeddings", "n_positions", "max_seq_len")
_AFTER_PADDING = frozenset(
    [
        "camembert",
        "data2vec-text",
        "esm",
        "ibert",
        "longformer",
        "luke",
        "mpnet",
        "roberta",
        "roberta-prelayernorm",
        "xlm-roberta",
        "xlm-roberta-xl",
        "xmod",
    ]
)
"""Families whose positions count from behind the padding token's number, as fairseq has it."""


def positions(source: str | Path) -> int | None:
    """Tokens that the model in the directory `source` has positions for; None where nothing bounds them."""
    try:
        config = json.loads((Path(source) / "config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    found = next((config[name] for name in _NAMES if isinstance(config.get(name), int) and config[name] > 0), None)
    if found is not None and config.get("model_type") in _AFTER_PADDING:
        found -= (config.get("pad_token_id") or 0) + 1
    return found
