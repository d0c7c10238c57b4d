"""The tasks that are served, and one batch of examples from any of them."""

from __future__ import annotations

import logging
import threading
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import torch
from numpy.typing import NDArray
from transformers import PreTrainedModel

from tuneworth.deltas.files import TENSORS, DeltaInfo, read_tensors
from tuneworth.deltas.load import check_length, put
from tuneworth.errors import DataError, DeltaError, UserError
from tuneworth.kinds import Words, get_kind
from tuneworth.models import ModelRef
from tuneworth.models.load import Loaded, load
from tuneworth.serve.backbone import Backbone
from tuneworth.serve.found import Found
from tuneworth.serve.parts import Inseparable, Parts, take_apart
from tuneworth.spec import Precision
from tuneworth.train.batches import Padding, Tokens, at_words, collate, tokenize
from tuneworth.train.device import autocast, give_pages_back
from tuneworth.train.fast import lay_out
from tuneworth.words import first_line

_log = logging.getLogger(__name__)
PROBE = ["One sentence shows whether two ways to compute agree.", "And a second one."]
TOLERANCE = {"fp32": 1e-4, "bf16": 5e-2, "int8": 5e-2}


@dataclass(frozen=True, eq=False)
class Task:
    """A delta in memory: its parts, which mix with other tasks', or else a `model` of its own, and why (`alone`)."""

    name: str
    info: DeltaInfo
    parts: Parts | None
    model: PreTrainedModel | None
    alone: str | None = None

    @property
    def outputs(self) -> int:
        return self.info.codec.outputs


@dataclass(frozen=True)
class Example:
    """One text, or pair, of a task: token ids, shape (length,), and token types where the tokenizer has them.

    `cut`: the text had more tokens than the task reads.
    """

    task: Task
    ids: NDArray[np.int32]
    types: NDArray[np.uint8] | None
    cut: bool = False
    words: Words | None = None
    firsts: NDArray[np.int32] | None = None
    """Where the words that are answered stand in the text, and their first pieces among the tokens; of kinds that answer so."""


class Engine:
    """One backbone and the tasks on it. `run` is for one thread; everything else may be called beside it."""

    def __init__(self, base: ModelRef, device: torch.device, precision: Precision, allow_pickle: bool = False) -> None:
        self.base, self.device, self.precision, self._allow_pickle = base, device, precision, allow_pickle
        loaded = load(base.source, 1, "classification", torch.Generator().manual_seed(0), allow_pickle)
        self.backbone = Backbone(loaded, device, precision)
        self.tasks: dict[str, Task] = {}
        self.unavailable: dict[str, str] = {}
        """Why a delta that was found is not served."""
        layout = self.backbone.layout
        blank = take_apart(self.backbone.plain, layout)
        self._blank = Parts(layout.base.clone(), blank.weights, {})
        self._tokenizing = threading.Lock()  # a fast tokenizer holds the longest length as state

    def load(self, found: Found) -> Task:
        """Take a delta into memory; a task of that name is replaced at once, or stays where the delta is refused.

        Raises DeltaError for a delta that is damaged, made for another backbone, or too large for the memory left.
        """
        try:
            task = self._make(found)
        except Exception as error:  # of whatever kind: the other deltas are served
            refusal = error if isinstance(error, UserError) else DeltaError(f"it cannot be loaded: {first_line(error)}")
            if refusal is not error:
                _log.exception("delta %r cannot be loaded", found.name)
            if found.name not in self.tasks:
                self.unavailable[found.name] = refusal.problem
            raise refusal from error
        self.tasks[found.name] = task
        self.unavailable.pop(found.name, None)
        give_pages_back()  # its model was built around it for a moment
        return task

    def unload(self, name: str) -> None:
        """Forget a task; examples of it that wait are still answered. Raises KeyError."""
        if self.tasks.pop(name, None) is None and self.unavailable.pop(name, None) is None:
            raise KeyError(name)

    def encode(self, task: Task, texts: Sequence[str], pairs: Sequence[str] | None) -> list[Example]:
        """Token ids, cut at the delta's `max_length` as in training. Raises DataError for what its task cannot take."""
        if task.info.pairs != (pairs is not None):
            raise DataError(f"task {task.name!r} was tuned on {'text pairs' if task.info.pairs else 'single texts'}",
                            f"send {'pairs' if task.info.pairs else 'texts'}")  # fmt: skip
        with self._tokenizing:
            words = task.info.codec.words(texts)
            tokens = tokenize(self.backbone.tokenizer, texts, pairs, task.info.max_length, words)
            cut = self._cut(tokens, texts, pairs, task.info.max_length)
        if not tokens.lengths.all():
            raise DataError(f"text {int(tokens.lengths.argmin())} has no tokens", "send no empty texts")
        cuts = tokens.starts[1:-1]
        ids = np.split(tokens.ids, cuts)
        types = np.split(tokens.types, cuts) if tokens.types is not None else [None] * len(ids)
        places = [None] * len(ids) if words is None else words
        firsts = [None] * len(ids) if tokens.words is None else list(tokens.words)
        return [Example(task, *row) for row in zip(ids, types, cut, places, firsts, strict=True)]

    def _cut(self, tokens: Tokens, texts: Sequence[str], pairs: Sequence[str] | None, most: int) -> list[bool]:
        """Whether each text has more than `most` tokens: those that reach it are looked at again, with room for one more."""
        cut = np.zeros(len(texts), dtype=bool)
        full = np.flatnonzero(tokens.lengths >= most).tolist()
        if full:
            seconds = None if pairs is None else [pairs[row] for row in full]
            cut[full] = (
                tokenize(self.backbone.tokenizer, [texts[row] for row in full], seconds, most + 1).lengths > most
            )
        return cut.tolist()

    def run(self, examples: Sequence[Example]) -> list[dict[str, Any]]:
        """One `{"label", "score", "probabilities"}` an example, in order: mixed tasks in one pass, then each other one."""
        values: list[NDArray[np.float32] | None] = [None] * len(examples)
        groups: dict[Task | None, list[int]] = defaultdict(list)
        for row, example in enumerate(examples):
            groups[example.task if example.task.parts is None else None].append(row)
        for rows in groups.values():
            for row, logits in zip(rows, self.logits([examples[row] for row in rows]), strict=True):
                values[row] = logits[..., : examples[row].task.outputs]
        return [
            example.task.info.codec.answers(value[None], None if example.words is None else [example.words])[0]
            for example, value in zip(examples, values, strict=True)
            if value is not None
        ]

    def logits(self, examples: Sequence[Example]) -> NDArray[np.float32]:
        """Shape (examples, most outputs of a task): of tasks that mix, or else of one task; word by word, (examples, words,
        outputs)."""
        ids, types = [e.ids for e in examples], [e.types for e in examples if e.types is not None]
        starts = np.cumsum([0, *map(len, ids)])
        tokens = Tokens(
            np.concatenate(ids), starts, np.concatenate(types) if types else None, Padding.of(self.backbone.tokenizer),
            _together([example.firsts for example in examples]),
        )  # fmt: skip
        inputs = self._inputs(tokens)
        parts = [example.task.parts for example in examples]
        if (model := examples[0].task.model) is not None:
            found = self._alone(model, inputs)
            return (
                found
                if tokens.words is None
                else at_words(torch.from_numpy(found), tokens, np.arange(len(ids))).numpy()
            )
        mixed = self.backbone.logits([part for part in parts if part is not None], inputs)
        return mixed.float().cpu().numpy()

    def _make(self, found: Found) -> Task:
        info = found.info
        if info is None:
            raise DeltaError(found.problem)
        if info.base_fingerprint != self.base.fingerprint:
            raise DeltaError(f"made for {Path(info.base).name!r} (content {info.base_fingerprint}), not for the backbone "
                             f"{Path(self.base.name).name!r} (content {self.base.fingerprint})")  # fmt: skip
        check_length(found.directory, info, self.base.source)
        self._check_memory((found.directory / TENSORS).stat().st_size)
        tensors = read_tensors(found.directory, info)
        if not all(bool(tensor.isfinite().all()) for tensor in tensors.values()):
            raise DeltaError("it holds values that are not finite; its training diverged")
        kind = get_kind(info.task_kind)
        twin = self.backbone.twin(info.codec.outputs) if kind.reads == "text" else self._of_its_own(info)
        put(twin, found.directory, info, tensors)
        model = twin.model.to(self.device).eval()
        if kind.reads != "text":
            lay_out(model, self.device, self.precision)
            return Task(found.name, info, None, model, "its head reads every token, others' one a text")
        try:
            parts = take_apart(model, self.backbone.layout)
            self._check_mixed(model, parts)
        except Inseparable as error:
            _log.info("task %r is served alone: %s", found.name, error)
            return Task(found.name, info, None, model, str(error))
        return Task(found.name, info, parts, None)

    def _of_its_own(self, info: DeltaInfo) -> Loaded:
        """The base model with another head than the backbone's; its pages are those of the file, until a delta changes them."""
        return load(
            self.base.source, info.codec.outputs, info.task_kind, torch.Generator().manual_seed(0), self._allow_pickle
        )

    def _check_memory(self, size: int) -> None:
        """Twice the file: as it is read, and as it stays."""
        cuda = self.device.type == "cuda"
        free = torch.cuda.mem_get_info(self.device)[0] if cuda else psutil.virtual_memory().available
        if 2 * size > free:
            raise DeltaError(
                f"it needs {2 * size / 1e6:.0f} MB of memory while it loads, and {free / 1e6:.0f} MB are free"
            )

    def _check_mixed(self, model: PreTrainedModel, parts: Parts) -> None:
        """Raises Inseparable unless the parts, in a batch with the plain model, give what the tuned model gives by itself.

        A method or an architecture that parts cannot express after all is thus served as a model of its own.
        """
        inputs = self._inputs(tokenize(self.backbone.tokenizer, PROBE, None, 32))
        expected = torch.from_numpy(self._alone(model, inputs))[0]
        try:
            self.backbone.make_room(parts)
            mixed = self.backbone.logits([parts, self._blank], inputs)[0].float().cpu()[: len(expected)]
        except Exception as error:  # of whatever kind: by itself the model answers
            _log.warning("a mixed batch fails; the task is served alone", exc_info=True)
            raise Inseparable(f"in a batch with others it fails: {first_line(error)}") from error
        tolerance = TOLERANCE[self.precision]
        if not torch.allclose(mixed, expected, atol=tolerance, rtol=tolerance):
            off = float((mixed - expected).abs().max())
            raise Inseparable(f"in a batch with others its logits are off by {off:.2g}")

    def _alone(self, model: PreTrainedModel, inputs: dict[str, Any]) -> NDArray[np.float32]:
        with torch.inference_mode(), autocast(self.device, self.precision):
            values: NDArray[np.float32] = model(**inputs).logits.float().cpu().numpy()
        return values

    def _inputs(self, tokens: Tokens) -> dict[str, Any]:
        rows = np.arange(len(tokens.lengths))
        return collate(tokens, rows, self.device)


def _together(firsts: Sequence[NDArray[np.int32] | None]) -> NDArray[np.int32] | None:
    """`Tokens.words` of examples that were encoded apart."""
    known = [one for one in firsts if one is not None]
    if not known:
        return None
    found = np.full((len(known), max(map(len, known))), -1, dtype=np.int32)
    for row, one in enumerate(known):
        found[row, : len(one)] = one
    return found
