"""A delta and its base model as one ONNX file, for any method, checked with onnxruntime before it takes its place."""

from __future__ import annotations

import json
import logging
import os
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from tuneworth.deltas.files import read_info
from tuneworth.errors import DeltaError
from tuneworth.writing import check_file, whole_file, writing

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from tuneworth.deltas.check import Batch, Copy, Reader
    from tuneworth.deltas.load import Tuned

PROTOBUF_LIMIT = 2**31
"""Bytes: a protobuf message cannot be larger, so the weights of larger models go into a second file beside it."""


def export_onnx(delta: Path, output: Path, model: str | None, allow_pickle: bool) -> None:
    """Write `output`, and the tokenizer beside it (`model.tokenizer.json` beside `model.onnx`), for batches of any shape.

    Inputs as the tokenizer names them, int64 (batch, sequence); output `logits`, float32 (batch, outputs), or (batch, sequence,
    outputs) of a delta that answers word by word: of one of numbers float64, values in the unit of the training targets, which
    float32 may not hold. Labels and max_length are metadata of the file.
    """
    output = _check(output)
    read_info(delta)
    from tuneworth.deltas.check import answers, check_same
    from tuneworth.deltas.load import load_tuned

    tuned = load_tuned(delta, model, allow_pickle)
    with writing(output), TemporaryDirectory(dir=output.parent, prefix=".onnx-") as scratch:
        file = Path(scratch) / output.name
        _write(tuned, file)
        read = _write_tokenizer(tuned, file.with_suffix(".tokenizer.json"))
        check_same(tuned, answers(tuned), _runtime(file), "the ONNX file", read)
        for made in Path(scratch).iterdir():
            with whole_file(output.with_name(made.name)) as place:
                os.replace(made, place)


def _check(output: Path) -> Path:
    """Where the file comes to lie. Raises DeltaError, WriteError."""
    missing = [name for name in ("onnx", "onnxscript", "onnxruntime") if find_spec(name) is None]
    if missing:
        raise DeltaError(f"ONNX needs {', '.join(missing)}, which is not installed", "pip install 'tuneworth[onnx]'")
    if output.suffix != ".onnx":
        raise DeltaError(f"{str(output)!r} is no name for an ONNX file", "end --output in .onnx, like model.onnx")
    return check_file(output)


def _write(tuned: Tuned, file: Path) -> None:
    import torch

    from tuneworth.deltas import check

    batch = check.batch(tuned)

    class Answers(torch.nn.Module):
        """Tensors in the order of `batch` -> logits alone, in the user's unit."""

        def __init__(self) -> None:
            super().__init__()
            self.model = tuned.model
            # not as numbers, which the exporter rounds to float32, and the mean, which it drops where it is near 0, in deviations
            mean, scale = tuned.info.codec.unit or (0.0, 1.0)
            self.mean, self.scale = (
                torch.nn.Buffer(torch.tensor(x, dtype=torch.float64)) for x in (mean / scale, scale)
            )

        def forward(self, *inputs: torch.Tensor) -> Any:
            logits = self.model(**dict(zip(batch, inputs, strict=True))).logits
            return logits if tuned.info.codec.unit is None else (logits.double() + self.mean) * self.scale

    with _quiet():
        try:
            program = torch.onnx.export(
                Answers().eval(), tuple(batch.values()), dynamo=True, verbose=False,
                input_names=list(batch), output_names=["logits"],
                dynamic_shapes=(tuple({0: "batch", 1: "sequence"} for _ in batch),),
            )  # fmt: skip
        except torch.onnx.OnnxExporterError as error:
            kind = tuned.model.config.model_type
            raise DeltaError(f"PyTorch makes no ONNX file of a model of type {kind!r}",
                             "tuneworth merge gives a plain model of what has a place in one") from error  # fmt: skip
        assert program is not None
        program.model.metadata_props.update(_metadata(tuned))
        size = sum(p.numel() * p.element_size() for p in tuned.model.parameters())
        program.save(file, external_data=size > 0.9 * PROTOBUF_LIMIT)


def _metadata(tuned: Tuned) -> dict[str, str]:
    info = tuned.info
    return {
        "labels": json.dumps(info.codec.names),
        "max_length": str(info.max_length),
        "method": info.method,
        "base": info.base,
        "base_fingerprint": info.base_fingerprint,
    }


def _runtime(file: Path) -> Copy:
    import onnxruntime

    session = onnxruntime.InferenceSession(str(file), providers=["CPUExecutionProvider"])

    def answer(batch: Batch) -> NDArray[Any]:
        wanted = {given.name for given in session.get_inputs()}
        logits: NDArray[Any] = session.run(None, {n: t.numpy() for n, t in batch.items() if n in wanted})[0]
        return logits

    return answer


def _write_tokenizer(tuned: Tuned, file: Path) -> Reader | None:
    """Ready to use: it cuts and pads as training did. A tokenizer that is not of the tokenizers library has no such file.

    Returns how the file reads texts.
    """
    import torch
    from tokenizers import Tokenizer

    own = tuned.tokenizer
    backend = getattr(own, "backend_tokenizer", None)
    if not isinstance(backend, Tokenizer):
        return None
    ready = Tokenizer.from_str(backend.to_str())
    ready.enable_truncation(tuned.info.max_length, direction=own.truncation_side)
    ready.enable_padding(
        direction=own.padding_side,
        pad_id=own.pad_token_id,
        pad_type_id=own.pad_token_type_id,
        pad_token=str(own.pad_token),
    )
    ready.save(str(file))
    written = Tokenizer.from_file(str(file))

    def read(texts: Sequence[str], pairs: Sequence[str] | None) -> Batch:
        found = written.encode_batch(list(zip(texts, pairs, strict=True)) if pairs else list(texts))
        of = {"input_ids": "ids", "attention_mask": "attention_mask", "token_type_ids": "type_ids"}
        return {name: torch.tensor([getattr(text, at) for text in found]) for name, at in of.items()}

    return read


@contextmanager
def _quiet() -> Iterator[None]:
    """The exporter speaks of torchvision's absence, of axes with equal names and of its own deprecations."""
    log = logging.getLogger("torch.onnx")
    level = log.level
    log.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        log.setLevel(level)
