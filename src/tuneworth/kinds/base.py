"""What a kind says of an answer, and what is remembered of one task's answers. A new kind is a `Kind` and its `Codec`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from tuneworth.errors import SpecError
from tuneworth.kinds.metric import Array, Meaning, Metric
from tuneworth.kinds.strata import Strata
from tuneworth.kinds.values import texts_of
from tuneworth.spec import Frozen

if TYPE_CHECKING:
    from pathlib import Path

    import torch

    from tuneworth.spec import FileTask
    from tuneworth.tasks.tables import Table

__all__ = ["Answer", "Codec", "Errors", "Kind", "NamedOutputs", "Read", "Words"]

Answer = dict[str, Any]
"""What `Predictor` and the server say of one text: `label`, `score` and `probabilities`, which a kind fills as it needs."""


Words = NDArray[np.int64]
"""Where the words of a text stand in it: (words, 2), start and end in characters."""


@dataclass(frozen=True)
class Read:
    """What the label columns of a task's files say; one entry a file."""

    labels: Sequence[Array]
    names: tuple[str, ...] | None
    """Of the classes, by number; None: numbers."""
    notes: tuple[str, ...] = ()
    """How they were read, a sentence each, where that could be otherwise."""
    settings: Mapping[str, Any] = field(default_factory=dict)
    """What else decides the answers, and is thus part of the task's fingerprint: `Kind.fit` gets it."""
    manner: Mapping[str, Any] = field(default_factory=dict)
    """How answers are to be written, which is no part of it: `Kind.fit` gets it too."""
    words: Sequence[Sequence[Words]] | None = None
    """Of each text of each file, for kinds that answer word by word."""


@dataclass(frozen=True)
class Errors:
    """Where a method errs, as a table: what is counted, over all of its seeds; the first cell of a row names it."""

    caption: str
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    note: str = ""


class Codec(Frozen):
    """One task's answers: labels as the loss wants them, a model's outputs as metrics and people want them.

    Its fields are all that a delta must remember, beside the tensors, to answer: plain data, checked where it is read.
    """

    @property
    def outputs(self) -> int:
        """Of the model's head."""
        raise NotImplementedError

    @property
    def names(self) -> tuple[str, ...] | None:
        """Of the outputs; None: numbers."""
        return None

    @property
    def unit(self) -> tuple[float, float] | None:
        """(mean, scale) where an output x means x * scale + mean; None where outputs are no values by themselves."""
        return None

    @property
    def chance(self) -> float:
        """The loss of a model that knows nothing but how frequent answers are."""
        raise NotImplementedError

    @property
    def settles(self) -> bool:
        """Whether something is yet to be chosen on the validation split (`settled`)."""
        return False

    def settled(self, outputs: NDArray[np.float32], labels: Array, metric: Metric, meaning: Meaning) -> Codec:
        """The codec with what is chosen by the metric, of the outputs and labels of the validation split."""
        return self

    def encode(self, labels: Array) -> torch.Tensor:
        """Shape (n, ...): what `loss` compares outputs with."""
        raise NotImplementedError

    def loss(self, outputs: torch.Tensor, targets: torch.Tensor, reduction: str = "mean") -> torch.Tensor:
        """Of the model's outputs, shape (n, ...), and their targets; `reduction`: mean or sum, over `terms`."""
        raise NotImplementedError

    def terms(self, targets: torch.Tensor) -> int:
        """How many losses the mean is over: examples, unless a kind says otherwise."""
        return len(targets)

    def decode(self, outputs: NDArray[np.float32]) -> Array:
        """Predictions as metrics want them: shape (n, ...)."""
        raise NotImplementedError

    def words(self, texts: Sequence[str]) -> list[Words] | None:
        """Which words of texts are answered one by one; None: a text is answered as a whole."""
        return None

    def answers(self, outputs: NDArray[np.float32], words: Sequence[Words] | None = None) -> list[Answer]:
        """The same for people. `words`: those that outputs are of."""
        raise NotImplementedError

    def surprise(self, outputs: NDArray[np.float32], labels: Array) -> NDArray[np.float64]:
        """How sure the model was of what is wrong in its answer to each text, 0 where nothing is: (n,)."""
        return np.zeros(len(labels))

    def told(self, label: Any, text: str, words: Words | None) -> str:
        """One of `decode`'s answers, or a label, for people."""
        return str(label)

    def columns(
        self, answers: Sequence[Answer | None], probabilities: bool = False, in_words: bool = False
    ) -> dict[str, list[Any]]:
        """What `tuneworth predict` writes beside each row; None: the row has no text. `probabilities`: a column a class as
        well. `in_words`: the text was given as a list of words. Raises DataError where there are no probabilities."""
        raise NotImplementedError


class NamedOutputs(Codec):
    """Of a head with an output a name: of a class, a label, a tag."""

    labels: Annotated[tuple[str, ...], Field(min_length=1)]

    @property
    def outputs(self) -> int:
        return len(self.labels)

    @property
    def names(self) -> tuple[str, ...]:
        return self.labels


class Kind:
    """A kind of task. One class in one file, which says here what is not as it usually is."""

    name: ClassVar[str]
    summary: ClassVar[str]
    """One line: what its labels are."""
    noun: ClassVar[str]
    """As in "a regression has no positive class"."""
    codec: ClassVar[type[Codec]]
    metrics: ClassVar[Mapping[str, Metric]]
    strata: ClassVar[Strata]
    optional_label: ClassVar[bool] = False
    """Whether a row without a label is an answer."""

    auto_class: ClassVar[str] = "AutoModelForSequenceClassification"
    """transformers' class of a model with the head that it wants."""
    reads: ClassVar[Literal["text", "tokens"]] = "text"
    """Whether the head gives one answer a text, or one a token."""
    problem_type: ClassVar[str | None] = None
    """config.problem_type, which says to transformers what a merged model's outputs are."""
    peft_type: ClassVar[str] = "SEQ_CLS"
    """task_type of peft's configurations."""
    pipeline: ClassVar[str] = "text-classification"
    """The hub's name for what its models do, and (`hub_task`) for what their scores are of."""
    hub_task: ClassVar[str] = "text-classification"
    drifts: ClassVar[frozenset[str]] = frozenset({"none", "topic-order"})
    """The scenarios of a data stream that make sense for it."""
    in_task_streams: ClassVar[bool] = True
    """Whether its tasks can come one after another on one model."""

    def sees(self, table: Table, task: FileTask) -> tuple[str, ...] | None:
        """Where the columns that `task` names plainly hold labels of this kind: what is to be said of that. None: not plainly.
        Raises DataError where it cannot be told what they hold."""
        return None

    def texts(self, table: Table, column: str) -> list[str]:
        """The column, of which every row must be a text with something in it. Raises DataError."""
        return texts_of(table, column)

    def words(self, table: Table, column: str) -> list[Words] | None:
        """Where the words of those texts stand, if the column says it."""
        return None

    def read(self, tables: Sequence[Table], task: FileTask) -> Read:
        """The labels of each table, train first. Raises DataError, with the line."""
        raise NotImplementedError

    def positive(self, labels: Array, names: Sequence[str] | None, asked: str | None) -> int:
        """The class that F1 is of, where that is a question. Raises SpecError."""
        if asked is not None:
            raise SpecError(f"{self.noun} has no positive class {asked!r}", "leave it out; it is for two classes")
        return 1

    def check_test(self, path: Path, labels: Array) -> None:
        """Raises DataError where nothing can be told apart on a test split."""

    def default_metrics(self, meaning: Meaning) -> tuple[str, ...]:
        """What a task in the user's own files is scored with: all that suit it, the primary one first."""
        return tuple(self.metrics)

    def scored_by(self, metrics: Sequence[str], meaning: Meaning) -> str | None:
        """The primary metric in full, and what else could be asked for."""
        others = [name for name in self.default_metrics(meaning) if name != metrics[0]]
        also = f"; --metric {' or '.join(others)} asks for another" if others else ""
        return f"{metrics[0]} ({self.metrics[metrics[0]].summary}{also})"

    def fit(self, labels: Array, names: tuple[str, ...] | None, settings: Mapping[str, Any]) -> Codec:
        """`labels`: of what is trained on; `names` and `settings`: as `read` gave them."""
        raise NotImplementedError

    def constant(self, labels: Array, metric: str, meaning: Meaning) -> Any:
        """The best answer by `metric` that is the same for all, from training labels; as one of `Codec.decode`'s."""
        raise NotImplementedError

    def one_answer(self, predictions: Array, targets: Array) -> bool:
        """Whether all predictions are the same, or nearly so: a model that has learnt nothing of its texts."""
        return bool((predictions == predictions[0]).all())

    def counts(self, labels: Array, names: tuple[str, ...] | None) -> dict[str, int] | None:
        """Examples of each class, by number."""
        return None

    def described(self, counts: Mapping[str, int] | None) -> tuple[str, ...]:
        """A few words on the labels, from `counts`."""
        return ()

    def untested(self, test: Array, metrics: Sequence[str], names: tuple[str, ...] | None) -> tuple[str, ...]:
        """What the test split cannot tell, a sentence each."""
        return ()

    def contradicts(self) -> bool:
        """Whether two labels of one text are a contradiction."""
        return True

    def errors(self, labels: Array, predictions: Array, meaning: Meaning) -> tuple[Errors, ...]:
        """Where a method errs on the test split; `predictions`: (trials, n, ...)."""
        return ()

    def late(self, labels: Array) -> NDArray[np.bool_]:
        """Which examples come late in a stream under `label-shift`."""
        raise NotImplementedError

    def spoiled(self, labels: Array, struck: NDArray[np.int64], rng: np.random.Generator) -> Array:
        """Wrong labels for the examples `struck`, by a `noise-burst`."""
        raise NotImplementedError
