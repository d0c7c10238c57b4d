"""Tiny random models of every family, made on the spot: 2 or 3 layers, hidden size 32, a letter-piece tokenizer."""

from __future__ import annotations

import string
from pathlib import Path
from typing import Any

from tuneworth.methods import all_methods

SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
PIECES = [*string.ascii_lowercase, *string.digits, *string.punctuation]
VOCABULARY = [*SPECIAL, *PIECES, *(f"##{piece}" for piece in PIECES)]

ENCODERS = ("bert", "roberta", "distilbert", "electra", "albert")
"""Encoders of BERT's shape."""
WITHOUT_BIASES = ("llama", "modernbert")
DECODERS = (
    "gemma",
    "gemma2",
    "gemma3_text",
    "gpt2",
    "gpt_neox",
    "mistral",
    "opt",
    "phi",
    "phi3",
    "qwen2",
    "qwen3",
    "smollm3",
)
OTHERS = ("bart", "deberta-v2", "longformer", "mpnet", "t5", *DECODERS)
"""What else people bring: each pads, counts places or reads its last layer in a way of its own."""
UNNAMED = "xlnet"
"""A type that no file of models/families names."""
NAMED = (*ENCODERS, *WITHOUT_BIASES, *OTHERS)
"""Every family with a file there, but for those that differ from one of these in name alone."""
WITHOUT_PAD = ("gpt2", "gpt_neox", "llama", "mistral", "phi")
"""Those whose tokenizer has no padding token here."""

OWN_METHODS = [name for name in all_methods() if not name.startswith("peft/")]
"""Every registered method but those that are peft's by name, which tests/methods/test_peft.py has."""

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
    "bart": {
        "d_model": 32, "encoder_layers": 2, "decoder_layers": 2, "encoder_attention_heads": 4, "decoder_attention_heads": 4,
        "encoder_ffn_dim": 64, "decoder_ffn_dim": 64, "init_std": 0.1,
        "bos_token_id": 2, "eos_token_id": 3, "decoder_start_token_id": 3,
        "hidden_size": None, "num_hidden_layers": None, "num_attention_heads": None, "intermediate_size": None,
    },
    "deberta-v2": {
        "relative_attention": True, "position_buckets": 16, "pos_att_type": ["p2c", "c2p"], "share_att_key": True,
        "norm_rel_ebd": "layer_norm", "position_biased_input": False, "type_vocab_size": 0,
    },
    "gpt2": {"pad_token_id": None, "bos_token_id": 3, "eos_token_id": 3},
    "gpt_neox": {"pad_token_id": None, "bos_token_id": 3, "eos_token_id": 3, "rotary_pct": 0.5},
    "opt": {"ffn_dim": 64, "word_embed_proj_dim": 32, "bos_token_id": 2, "eos_token_id": 3, "intermediate_size": None},
    "phi": {"pad_token_id": None, "bos_token_id": 3, "eos_token_id": 3},
    "phi3": {"bos_token_id": 2, "eos_token_id": 3},
    "mistral": {
        "num_key_value_heads": 2, "pad_token_id": None, "bos_token_id": 2, "eos_token_id": 3, "sliding_window": 16,
    },
    "qwen2": {"num_key_value_heads": 2, "bos_token_id": 2, "eos_token_id": 3},
    "qwen3": {"num_key_value_heads": 2, "head_dim": 8, "bos_token_id": 2, "eos_token_id": 3},
    "gemma": {"num_key_value_heads": 4, "head_dim": 8, "bos_token_id": 2, "eos_token_id": 3},
    "gemma2": {
        "num_key_value_heads": 2, "head_dim": 8, "bos_token_id": 2, "eos_token_id": 3, "sliding_window": 16,
        "query_pre_attn_scalar": 8,
    },
    "gemma3_text": {
        "num_key_value_heads": 2, "head_dim": 8, "bos_token_id": 2, "eos_token_id": 3, "sliding_window": 16,
        "query_pre_attn_scalar": 8, "layer_types": ["sliding_attention", "full_attention"],
    },
    "smollm3": {"num_key_value_heads": 2, "bos_token_id": 2, "eos_token_id": 3},
    "longformer": {"attention_window": [16, 16], "type_vocab_size": 1, "bos_token_id": 2, "eos_token_id": 3},
    "mpnet": {"bos_token_id": 2, "eos_token_id": 3},
    "t5": {
        "d_model": 32, "d_kv": 8, "d_ff": 64, "num_layers": 2, "num_heads": 4, "eos_token_id": 3, "decoder_start_token_id": 0,
        "hidden_size": None, "num_hidden_layers": None, "num_attention_heads": None, "intermediate_size": None,
        "max_position_embeddings": None,
    },
    "xlnet": {
        "d_model": 32, "n_layer": 2, "n_head": 4, "d_inner": 64, "bos_token_id": 2, "eos_token_id": 3,
        "hidden_size": None, "num_hidden_layers": None, "num_attention_heads": None, "intermediate_size": None,
        "max_position_embeddings": None,
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


_TEMPLATES = {
    "gpt2": ("$A", "$A $B"),
    "t5": ("$A [SEP]", "$A [SEP] $B [SEP]"),
    "xlnet": ("$A [SEP] [CLS]:2", "$A [SEP] $B:1 [SEP]:1 [CLS]:2"),
}


def make_tokenizer(family: str) -> Any:
    """Words become lower-case letters, so that no text is unknown. Those of WITHOUT_PAD have no padding token."""
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    ids = {piece: i for i, piece in enumerate(VOCABULARY)}
    tokenizer = Tokenizer(models.WordPiece(ids, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    second = 1 if family in ("bert", "electra", "albert", "xlnet") else 0
    single, pair = _TEMPLATES.get(family, ("[CLS] $A [SEP]", f"[CLS] $A [SEP] $B:{second} [SEP]:{second}"))
    tokenizer.post_processor = processors.TemplateProcessing(
        single=single, pair=pair, special_tokens=[("[CLS]", ids["[CLS]"]), ("[SEP]", ids["[SEP]"])]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        model_input_names=["input_ids", "attention_mask", *(["token_type_ids"] if second else [])],
        unk_token="[UNK]",
        eos_token="[SEP]",
        **({"padding_side": "left", "pad_token_type_id": 3} if family == "xlnet" else {}),
        **({} if family in WITHOUT_PAD else {"pad_token": "[PAD]", "cls_token": "[CLS]", "sep_token": "[SEP]"}),
    )
