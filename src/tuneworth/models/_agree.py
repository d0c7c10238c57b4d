"""Whether a directory's weights, configuration and tokenizer belong together, and what all three then say alike."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from tuneworth.errors import ModelError

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

_NUMBERED = re.compile(r"(.*?\.)(\d+)\.")


def check_base(model: PreTrainedModel, report: dict[str, Any], source: str) -> None:
    """Raises ModelError where the checkpoint is not the whole base model, or of a deeper one: it would silently train from
    random numbers, or without some of its layers. A pooler alone may be missing: it counts as part of the head.

    `report`: what transformers says of loading.
    """
    base = f"{model.base_model_prefix}."
    names = [name for name, _ in model.named_parameters() if name.startswith(base)]
    wrong = sorted(key[0] for key in report["mismatched_keys"] if key[0].startswith(base))
    missing = sorted(set(report["missing_keys"]).intersection(n for n in names if not n.startswith(f"{base}pooler")))
    beyond = _beyond(
        [name.removeprefix(base) for name in names], (n.removeprefix(base) for n in report["unexpected_keys"])
    )
    if wrong:
        problem = f"{wrong[0]} has another shape"
    elif missing:
        problem = f"{len(missing)} of {len(names)} parameters are missing, {_some(missing)}"
    elif beyond:
        problem = f"they hold layers that it has no place for, {_some(beyond)}"
    else:
        return
    raise ModelError(f"the weights in {source!r} do not belong to its config.json: {problem}", "check the directory")


def _beyond(names: Iterable[str], unexpected: Iterable[str]) -> list[str]:
    """Of the unexpected, those that number a layer in a row of layers that the model has."""
    rows: dict[str, set[str]] = defaultdict(set)
    for name in names:
        if found := _NUMBERED.match(name):
            rows[found[1]].add(found[2])
    return sorted(
        n for n in unexpected if (found := _NUMBERED.match(n)) and found[2] not in rows.get(found[1], {found[2]})
    )


def _some(names: list[str]) -> str:
    """The layers of the parameters, or the modules: three of them, named."""
    modules = dict.fromkeys(m[0].rstrip(".") if (m := _NUMBERED.match(n)) else n.rpartition(".")[0] for n in names)
    first = list(modules)[:3]
    return ", ".join(first) + (f" and {len(modules) - 3} more" if len(modules) > 3 else "")


def agree(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, source: str) -> None:
    """One pad token, one side to pad on, one reading of marks within a text, set where a saved copy keeps them too.

    Raises ModelError for a tokenizer that has more tokens than the model, or none that could pad.
    """
    _check_vocabulary(model, tokenizer, source)
    _pad(model, tokenizer, source)
    # XLNet's head reads the last place, whatever stands there, and its positions are relative. All others read the first
    # token or find the last, and most count positions from the left: padding there would move every token.
    tokenizer.padding_side = "left" if getattr(model.config, "summary_type", None) == "last" else "right"
    # Their heads want as many end marks in one text as in the next: one that is written in a text is but letters.
    if model.config.is_encoder_decoder:
        tokenizer.split_special_tokens = tokenizer.init_kwargs["split_special_tokens"] = True


def _check_vocabulary(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, source: str) -> None:
    rows = getattr(model.get_input_embeddings(), "num_embeddings", None)  # CANINE's hashes have no table
    last = max([tokenizer.vocab_size - 1, *tokenizer.added_tokens_decoder])
    if rows is not None and last >= rows:
        names = [str(token) for number, token in tokenizer.added_tokens_decoder.items() if number >= rows]
        added = f" ({', '.join(map(repr, names[:3]))}{', ...' if len(names) > 3 else ''})" if names else ""
        raise ModelError(
            f"the tokenizer in {source!r} has {last + 1} tokens{added}, the model embeddings for {rows}",
            "add rows with model.resize_token_embeddings(len(tokenizer)) and save both, or take the tokens out",
        )


def _pad(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, source: str) -> None:
    """The model's own padding token, for heads look for it, and some count positions from it; else the tokenizer's; GPT-like
    ones have none, and their end token serves."""
    config = model.config.get_text_config()
    own = config.pad_token_id
    token = tokenizer.convert_ids_to_tokens(own) if isinstance(own, int) and own >= 0 else None
    token = token or tokenizer.pad_token or tokenizer.eos_token
    if token is None:
        raise ModelError(f"the tokenizer in {source!r} has neither a pad token nor an end token", "give it a pad token")
    if token != tokenizer.pad_token:
        tokenizer.pad_token = token
    model.config.pad_token_id = config.pad_token_id = tokenizer.pad_token_id
