"""A delta merged into its base model: a plain transformers checkpoint that needs nothing of this package."""

from __future__ import annotations

from pathlib import Path

from tuneworth.deltas.files import check_vacant, read_info
from tuneworth.kinds import get_kind
from tuneworth.writing import whole_directory


def merge_delta(delta: str | Path, output: str | Path, model: str | None = None, allow_pickle: bool = False) -> None:
    """Write model, tokenizer and label names to the directory `output`, whole or not at all.

    `AutoModelForSequenceClassification.from_pretrained(output)`, or the class of the kind's, gives the delta's logits, to 1e-4
    in float32; of a delta of numbers, values in the unit of the training targets. Raises DeltaError where the plain
    architecture has no place for what the method added (adapters), where float32 cannot hold such values, or `output` holds
    something already.
    """
    delta, output = Path(delta), Path(output)
    check_vacant(output)
    info = read_info(delta)

    import torch
    import transformers

    from tuneworth.deltas.check import answers, check_holds, check_same, reader, run
    from tuneworth.deltas.load import load_tuned
    from tuneworth.deltas.plain import make_plain
    from tuneworth.models.load import quiet

    check_holds(info, "a merged model")
    tuned = load_tuned(delta, model, allow_pickle)
    expected = answers(tuned)
    make_plain(tuned)
    with whole_directory(output) as scratch, quiet():
        tuned.model.save_pretrained(scratch)
        tuned.tokenizer.save_pretrained(scratch)
        wanted = getattr(transformers, get_kind(info.task_kind).auto_class)
        plain = wanted.from_pretrained(scratch, dtype=torch.float32, local_files_only=True)
        check_same(tuned, expected, run(plain.eval()), "the merged model", reader(scratch, info.max_length))
