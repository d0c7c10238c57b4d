"""Tiny random models of every family, made on the spot: 2 or 3 layers, hidden size 32, a letter-piece tokenizer."""

from __future__ import annotations

import string
from pathlib import Path
from typing import Any

SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
PIECES = [*string.ascii_lowercase, *string.digits, *string.punctuation]
VOCABULARY = [*SPECIAL, *PIECES, *(f"##{piece}" for piece in PIECES)]

ENCODERS = ("bert", "roberta", "distilbert", "electra", "albert")
"""The families that every method supports."""
WITHOUT_BIASES = ("llama", "modernbert")

_COMMON = {
    "vocab_size": len(VOCABULARY),
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 64,
    "max_position_embeddings": 160,
    "pad_token_id": 0,
    "initializer_range": 0.1,
}
_CONFIG: dict[str, dict[str, Any]] = {
    "bert": {},
    "roberta": {"type_vocab_size": 1, "bos_token_id": 2, "eos_token_id": 3},
    "distilbert": {
        "dim": 32, "hidden_dim": 64, "n_layers": 2, "n_heads": 4,
        "hidden_size": None, "num_hidden_layers": None, "num_attention_heads": None, "intermediate_size": None,
    },
    "electra": {"embedding_size": 16},
    "albert": {"embedding_size": 16, "num_hidden_layers": 3, "hidden_dropout_prob": 0.1},
    "llama": {"num_key_value_heads": 2, "pad_token_id": None, "bos_token_id": 2, "eos_token_id": 3},
    "modernbert": {
        "bos_token_id": 2, "eos_token_id": 3, "cls_token_id": 2, "sep_token_id": 3, "local_attention": 16,
        "layer_types": ["full_attention", "sliding_attention"],
    },
}  # fmt: skip


def make_config(family: str, **changes: Any) -> Any:
    """The tiny configuration of a family."""
    from transformers import AutoConfig

    merged = {**_COMMON, **_CONFIG[family], **changes}
    settings = {name: value for name, value in merged.items() if value is not None or name == "pad_token_id"}
    return AutoConfig.for_model(family, **settings)


def make_model_dir(family: str, path: Path, seed: int = 0) -> Path:
    """Save a random base model, without a task head, and its tokenizer under `path`. Equal seeds give equal files."""
    import torch
    from transformers import AutoModel
    from transformers.utils import logging

    logging.disable_progress_bar()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = AutoModel.from_config(make_config(family))
        with torch.no_grad():
            for parameter in model.parameters():  # biases and norms too: at 0 and 1 they would hide mistakes
                parameter.add_(0.05 * torch.randn_like(parameter))
    model.save_pretrained(path)
    make_tokenizer(family).save_pretrained(path)
    return path


def make_tokenizer(family: str) -> Any:
    """Words become lower-case letters, so that no text is unknown. Llama's has no padding token."""
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    ids = {piece: i for i, piece in enumerate(VOCABULARY)}
    tokenizer = Tokenizer(models.WordPiece(ids, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    second = 1 if family in ("bert", "electra", "albert") else 0
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair=f"[CLS] $A [SEP] $B:{second} [SEP]:{second}",
        special_tokens=[("[CLS]", ids["[CLS]"]), ("[SEP]", ids["[SEP]"])],
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        model_input_names=["input_ids", "attention_mask", *(["token_type_ids"] if second else [])],
        unk_token="[UNK]",
        eos_token="[SEP]",
        **({} if family == "llama" else {"pad_token": "[PAD]", "cls_token": "[CLS]", "sep_token": "[SEP]"}),
    )
