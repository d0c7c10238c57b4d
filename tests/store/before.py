"""A model and data whose every byte is known, on any machine and with any library: what a store of an earlier version was
made with. `store_0002.sql` is such a store, as its version left it: the study of `study` with seeds 0 to 2, of which one run
was cut off before the last trial."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

DUMP = Path(__file__).with_name("store_0002.sql")
LETTERS = "abcdefghijklmnopqrstuvwxyz0123456789"
VOCABULARY = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *LETTERS, *(f"##{letter}" for letter in LETTERS)]
CONFIG = {
    "architectures": ["BertModel"], "model_type": "bert", "vocab_size": len(VOCABULARY), "hidden_size": 16,
    "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 32, "max_position_embeddings": 64,
    "type_vocab_size": 2, "pad_token_id": 0,
}  # fmt: skip


def make_base(path: Path) -> Path:
    """A BERT of one layer, whose weights come from no random numbers: those may differ between processors."""
    import torch
    from safetensors.torch import save_file
    from transformers import AutoConfig, AutoModel

    path.mkdir()
    (path / "config.json").write_text(json.dumps(CONFIG, indent=1))
    (path / "vocab.txt").write_text("\n".join(VOCABULARY) + "\n")
    (path / "tokenizer_config.json").write_text('{"tokenizer_class": "BertTokenizer"}')
    state = AutoModel.from_config(AutoConfig.from_pretrained(path)).state_dict()
    for start, name in enumerate(sorted(state)):
        count = state[name].numel()
        spread = (torch.arange(count) * 40503 + start * 977) % 65536  # over 2**16, all of them are exact in float32
        state[name] = ((spread / 65536 - 0.5) * 0.5).reshape(state[name].shape)
    save_file(state, path / "model.safetensors", {"format": "pt"})
    return path


def make_data(path: Path) -> Path:
    rows = [f"film {number} is {('good', 'bad')[number % 2]},{('good', 'bad')[number % 2]}" for number in range(60)]
    path.write_text("\n".join(["text,label", *rows]) + "\n")
    return path


def study(folder: Path, seeds: int = 3) -> dict[str, Any]:
    return {
        "name": "old", "models": [str(folder / "base")], "methods": ["head", "bitfit"], "tasks": ["films"],
        "budgets": ["6steps"], "seeds": seeds, "evaluations": 2, "precision": "fp32",
        "task": {"films": {"train": str(folder / "films.csv"), "text": "text", "label": "label"}},
    }  # fmt: skip
