"""A delta in other formats: peft's, ONNX, and its own at half the size."""

from __future__ import annotations

import copy
import re
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from tuneworth.deltas.files import check_vacant, read_info, read_tensors, save_delta
from tuneworth.errors import DeltaError
from tuneworth.kinds import get_kind
from tuneworth.writing import whole_directory

if TYPE_CHECKING:
    from transformers import PreTrainedModel

ADAPTER = re.compile(r"\.default(?=\.|$)")
"""Of a name: peft's files leave out which adapter it is."""
Format = Literal["peft", "onnx", "bf16"]


def export_delta(
    delta: str | Path, to: Format, output: str | Path, model: str | None = None, allow_pickle: bool = False
) -> None:
    """Write `delta` as `output`: a directory for peft and bf16, a file for onnx. Raises DeltaError.

    What peft and onnx get is checked against the delta before it takes its place. bf16 rounds each trained parameter to
    8 significant bits (relative error at most 2^-8); logits then differ by some hundredths.
    """
    from tuneworth.deltas.onnx import export_onnx

    writers: dict[str, Callable[[Path, Path, str | None, bool], None]] = {
        "peft": _export_peft,
        "onnx": export_onnx,
        "bf16": _export_bf16,
    }
    writers[to](Path(delta), Path(output), model, allow_pickle)


def _export_bf16(delta: Path, output: Path, model: str | None, allow_pickle: bool) -> None:  # noqa: ARG001
    import torch

    check_vacant(output)
    info = read_info(delta)
    save_delta(output, {name: tensor.to(torch.bfloat16) for name, tensor in read_tensors(delta, info).items()}, info)


def _export_peft(delta: Path, output: Path, model: str | None, allow_pickle: bool) -> None:
    """The layout of peft's save_pretrained: adapter_config.json and adapter_model.safetensors; the head is a module to save."""
    check_vacant(output)
    info = read_info(delta)
    kind = get_kind(info.task_kind)
    import transformers
    from peft import PeftModel
    from safetensors.torch import save_file

    from tuneworth.deltas.check import answers, check_holds, check_same, reader, run
    from tuneworth.deltas.load import load_tuned
    from tuneworth.deltas.plain import fold_unit
    from tuneworth.models.load import quiet

    tuned = load_tuned(delta, model, allow_pickle)
    if "default" not in getattr(tuned.model, "peft_config", {}):
        remedy = f"tuneworth merge {delta} -o DIR gives a plain model; --to onnx takes any method"
        raise DeltaError(f"peft's format has no place for a delta of {tuned.info.method!r}", remedy)
    check_holds(info, "peft's copy")
    expected = answers(tuned)
    fold_unit(tuned)
    config = copy.copy(tuned.model.peft_config["default"])
    config.task_type = kind.peft_type
    config.inference_mode = True
    config.base_model_name_or_path = (
        tuned.info.base if "/" in tuned.info.base else tuned.source
    )  # an alias is ours alone
    config.modules_to_save = _head_modules(tuned.model, tuned.head)
    parameters = dict(tuned.model.named_parameters())
    tensors = {
        f"base_model.model.{ADAPTER.sub('', name)}": parameters[name].detach().contiguous() for name in tuned.names
    }
    with whole_directory(output) as scratch, quiet():
        config.save_pretrained(str(scratch))
        save_file(tensors, scratch / "adapter_model.safetensors", metadata={"format": "pt"})
        tuned.tokenizer.save_pretrained(scratch)
        plain = getattr(transformers, kind.auto_class).from_pretrained(
            tuned.source,
            num_labels=tuned.model.config.num_labels,
            attn_implementation=tuned.model.config._attn_implementation,
            local_files_only=True,
            ignore_mismatched_sizes=True,
        )
        plain.config.pad_token_id = tuned.model.config.pad_token_id  # decoders of GPT's kind come without one
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)  # peft asks transformers by a name that is going away
            copied = PeftModel.from_pretrained(plain, str(scratch)).eval()
        check_same(tuned, expected, run(copied), "peft's copy", reader(scratch, info.max_length))


def _head_modules(model: PreTrainedModel, head: frozenset[str]) -> list[str]:
    """The largest modules that hold nothing but the task head."""
    own = [
        path
        for path, module in model.named_modules()
        if (names := {f"{path}.{name}" for name, _ in module.named_parameters()}) and names <= head
    ]
    return [path for path in own if not any(path.startswith(f"{outer}.") for outer in own)]
