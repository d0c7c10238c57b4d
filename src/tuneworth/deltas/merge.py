"""A delta merged into its base model: a plain transformers checkpoint that needs nothing of this package."""

from __future__ import annotations

from pathlib import Path

import torch
from peft.tuners.tuners_utils import BaseTunerLayer
from torch import nn
from transformers import AutoModelForSequenceClassification, PreTrainedModel

from tuneworth.deltas.check import answers, check_same, run
from tuneworth.deltas.files import check_vacant, whole
from tuneworth.deltas.load import Tuned, load_tuned
from tuneworth.errors import DeltaError
from tuneworth.models.load import _quiet as quiet


def merge_delta(delta: str | Path, output: str | Path, model: str | None = None, allow_pickle: bool = False) -> None:
    """Write model, tokenizer and label names to the directory `output`, whole or not at all.

    `AutoModelForSequenceClassification.from_pretrained(output)` gives the delta's logits, to 1e-4 in float32; of a
    regression delta, values in the unit of the training targets. Raises DeltaError where the plain architecture has no
    place for what the method added (adapters), or `output` holds something already.
    """
    delta, output = Path(delta), Path(output)
    check_vacant(output)
    tuned = load_tuned(delta, model, allow_pickle)
    expected = answers(tuned)
    unwrap(tuned.model)
    fold_targets(tuned)
    _check_plain(tuned, delta)
    if tuned.info.labels is not None:
        name_labels(tuned.model, tuned.info.labels)
    with whole(output) as scratch, quiet():
        tuned.model.save_pretrained(scratch)
        tuned.tokenizer.save_pretrained(scratch)
        plain = AutoModelForSequenceClassification.from_pretrained(scratch, dtype=torch.float32, local_files_only=True)
        check_same(tuned, expected, run(plain.eval()), "the merged model")


def unwrap(model: PreTrainedModel) -> None:
    """Put what peft's layers learnt into the layers they wrap, and these back in their place."""
    for name, module in list(model.named_modules()):
        if isinstance(module, BaseTunerLayer):
            module.merge(safe_merge=True)
            model.set_submodule(name, module.get_base_layer())


def fold_targets(tuned: Tuned) -> None:
    """Regression: the head answers s (W x + b) + m = (s W) x + (s b + m), m and s the mean and deviation of the targets."""
    mean, scale = tuned.info.target_mean, tuned.info.target_scale
    if tuned.info.task_kind == "classification":
        return
    last = [
        m for name, m in tuned.model.named_modules() if f"{name}.weight" in tuned.head and isinstance(m, nn.Linear)
    ][-1]
    if last.bias is None:
        raise DeltaError(f"the head of a {type(tuned.model).__name__} has no bias that could hold the mean of the targets",
                         "tuneworth export DELTA --to onnx -o model.onnx keeps it")  # fmt: skip
    with torch.no_grad():
        last.weight.mul_(scale)
        last.bias.mul_(scale).add_(mean)


def name_labels(model: PreTrainedModel, labels: tuple[str, ...]) -> None:
    model.config.id2label = dict(enumerate(labels))
    model.config.label2id = {label: number for number, label in enumerate(labels)}


def _check_plain(tuned: Tuned, delta: Path) -> None:
    """What the architecture builds from its config alone must have the very parameters that the tuned model has."""
    with torch.device("meta"):
        plain = type(tuned.model)(tuned.model.config)
    extra = sorted(
        {name for name, _ in tuned.model.named_parameters()} ^ {name for name, _ in plain.named_parameters()}
    )
    if extra:
        raise DeltaError(f"a delta of {tuned.info.method!r} cannot be merged: a plain {type(plain).__name__} has no place "
                         f"for {extra[0]!r}", f"tuneworth export {delta} --to onnx -o model.onnx keeps it")  # fmt: skip
