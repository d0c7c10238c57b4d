"""One class a text."""

from __future__ import annotations

import datetime
import math
import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from tuneworth import words
from tuneworth.errors import DataError, SpecError, did_you_mean
from tuneworth.kinds.base import Answer, Errors, Kind, NamedOutputs, Read, Words
from tuneworth.kinds.metric import F1_HEADER, Array, Meaning, Metric, Scores, by_name, f1_of, f1_row, mean_of
from tuneworth.kinds.numerals import found_numbers, is_numeral
from tuneworth.kinds.strata import ByClass
from tuneworth.kinds.values import LIKE_NOTHING, is_broken, no_missing

if TYPE_CHECKING:
    import torch

    from tuneworth.spec import FileTask
    from tuneworth.tasks.tables import Table

__all__ = ["Classes", "Classification"]

_WHOLE = re.compile(r"-?(0|[1-9]\d*)(\.0+)?", re.ASCII)
FEW_CLASSES = 12
"""So many have a table of which is taken for which."""
_UNSEEN = re.compile("[\u00ad\u200b\u2060\ufeff]")


# --- what a task's answers are


class Classes(NamedOutputs):
    """Outputs are the classes' logits, in the order of their names."""

    @property
    def chance(self) -> float:
        return math.log(self.outputs)

    def encode(self, labels: Array) -> torch.Tensor:
        """Shape (n,): int64 class numbers."""
        import torch

        return torch.from_numpy(labels.astype(np.int64))

    def loss(self, outputs: torch.Tensor, targets: torch.Tensor, reduction: str = "mean") -> torch.Tensor:
        import torch.nn.functional as F

        return F.cross_entropy(outputs, targets.long(), reduction=reduction)

    def decode(self, outputs: NDArray[np.float32]) -> Array:
        """(n, classes) -> (n,)."""
        return np.asarray(outputs.argmax(axis=1))

    def answers(self, outputs: NDArray[np.float32], words: Sequence[Words] | None = None) -> list[Answer]:
        """The likeliest class's name, its probability, and every class's by name."""
        import torch

        probabilities = torch.from_numpy(outputs).double().softmax(dim=1).numpy()
        return [
            {
                "label": self.labels[best],
                "score": float(row[best]),
                "probabilities": dict(zip(self.labels, row.tolist(), strict=True)),
            }
            for best, row in zip(outputs.argmax(axis=1), probabilities, strict=True)
        ]

    def surprise(self, outputs: NDArray[np.float32], labels: Array) -> NDArray[np.float64]:
        """The probability of a wrong class that was answered."""
        shifted = np.exp(outputs.astype(np.float64) - outputs.max(1, keepdims=True))
        return np.where(self.decode(outputs) == labels, 0.0, shifted.max(1) / shifted.sum(1))

    def told(self, label: Any, text: str, words: Words | None) -> str:
        return self.labels[int(label)]

    def columns(
        self,
        answers: Sequence[Answer | None],
        probabilities: bool = False,
        in_words: bool = False,
    ) -> dict[str, list[Any]]:
        """`label`, `confidence`, and `probability_NAME` for each class."""
        added = {
            "label": [answer and answer["label"] for answer in answers],
            "confidence": [answer and answer["score"] for answer in answers],
        }
        for name in self.labels if probabilities else ():
            added[f"probability_{name}"] = [answer and answer["probabilities"][name] for answer in answers]
        return added


# --- metrics


def _right(labels: Array, predictions: Array, _: Meaning) -> NDArray[np.bool_]:
    return np.asarray(predictions == labels)


def _accuracy(labels: Array, predictions: Array, _: Meaning) -> float:
    return float(np.mean(labels == predictions))


def _accuracy_without(labels: Array, predictions: Array, meaning: Meaning) -> Scores:
    return mean_of(_right(labels, predictions, meaning).astype(float))


def _f1(labels: Array, predictions: Array, meaning: Meaning) -> float:
    from sklearn.metrics import f1_score

    return float(f1_score(labels == meaning.positive, predictions == meaning.positive, zero_division=0.0))


def _f1_without(labels: Array, predictions: Array, meaning: Meaning) -> Scores:
    return f1_of(*_counted(labels == meaning.positive, predictions == meaning.positive))


def _counted(true: Array, given: Array) -> tuple[Array, Array]:
    return (true & given).astype(float), true.astype(float) + given


def _macro_f1(labels: Array, predictions: Array, meaning: Meaning) -> float:
    from sklearn.metrics import f1_score

    every = range(meaning.classes) if meaning.classes else None
    return float(f1_score(labels, predictions, labels=every, average="macro", zero_division=0.0))


def _macro_f1_without(labels: Array, predictions: Array, meaning: Meaning) -> Scores:
    """The mean over all classes of the task, or, where their number is 0, over those that occur among labels or predictions."""
    whole, present = np.zeros(len(predictions)), np.zeros(len(predictions))
    without, left = np.zeros(predictions.shape), np.zeros(predictions.shape)
    for label in np.union1d(labels, predictions):
        hits, sizes = _counted(labels == label, predictions == label)
        score, scores = f1_of(hits, sizes)
        size = sizes.sum(1)
        whole, without = whole + np.nan_to_num(score), without + np.nan_to_num(scores)
        present, left = present + (size > 0), left + (size[:, None] - sizes > 0)
    return whole / (meaning.classes or present), without / (meaning.classes or left)


def _matthews(labels: Array, predictions: Array, _: Meaning) -> float:
    from sklearn.metrics import matthews_corrcoef

    return float(matthews_corrcoef(labels, predictions))


def _matthews_without(labels: Array, predictions: Array, _: Meaning) -> Scores:
    """R_K = (c n - sum_k p_k t_k) / sqrt((n^2 - sum p_k^2)(n^2 - sum t_k^2)): Gorodkin, Comput. Biol. Chem. 28 (2004)."""
    every, coded = np.unique(np.concatenate([labels[None], predictions]), return_inverse=True)
    coded = coded.reshape(len(predictions) + 1, -1)
    true, given = coded[0], coded[1:]
    t = np.bincount(true, minlength=len(every)).astype(float)
    p = np.stack([np.bincount(row, minlength=len(every)) for row in given]).astype(float)
    right = (given == true).astype(float)
    n, c = float(len(labels)), right.sum(1)
    pt, pp, tt = p @ t, np.square(p).sum(1), np.square(t).sum()
    p_own = np.take_along_axis(p, given, 1)  # how often this example's prediction was given
    # One example less: its class is given once less and is true once less.
    pt_left = pt[:, None] - t[given] - np.take_along_axis(p, np.broadcast_to(true, given.shape), 1) + right
    pp_left, tt_left = pp[:, None] - 2 * p_own + 1, tt - 2 * t[true] + 1

    def score(c: Any, n: float, pt: Any, pp: Any, tt: Any) -> NDArray[np.float64]:
        return np.asarray((c * n - pt) / np.sqrt((n * n - pp) * (n * n - tt)))

    return score(c, n, pt, pp, tt), score(c[:, None] - right, n - 1, pt_left, pp_left, tt_left)


# --- the kind


class Classification(Kind):
    name: ClassVar = "classification"
    summary: ClassVar = "one class a text"
    noun: ClassVar = "a classification"
    codec: ClassVar = Classes
    metrics: ClassVar = by_name((
        Metric("accuracy", "share of right answers", _accuracy, _accuracy_without, right=_right),
        Metric("macro_f1", "mean of the classes' F1", _macro_f1, _macro_f1_without),
        Metric("matthews", "Matthews correlation of predicted and true classes", _matthews, _matthews_without),
        Metric("f1", "F1 of the positive class, of two", _f1, _f1_without, classes=2),
    ))  # fmt: skip
    strata: ClassVar = ByClass()
    problem_type: ClassVar = "single_label_classification"
    drifts: ClassVar = Kind.drifts | {"label-shift", "noise-burst"}

    def sees(self, table: Table, task: FileTask) -> tuple[str, ...]:
        """Whatever no other kind has seen; whole numbers that could be amounts are said."""
        found = found_numbers(table, task.label)
        if found is None or len(found) == 2:
            return ()
        return (f"the {len(found)} different whole numbers in {task.label!r} were taken for the names of classes; if they are "
                "amounts, say --kind regression",)  # fmt: skip

    def read(self, tables: Sequence[Table], task: FileTask) -> Read:
        """Class numbers, int64. Raises DataError: missing, one class only, seen once only, in test only."""
        name = task.label
        for table in tables:
            no_missing(table, name)
        spelt = [[class_name(table, name, i) for i in range(len(table.where))] for table in tables]
        merged, notes = merge([label for column in spelt for label in column], name)
        columns = [[merged[label] for label in column] for column in spelt]
        counts, path = Counter(columns[0]), str(tables[0].path)
        if len(counts) == 1:
            raise DataError(
                f"{path!r}: every label {name!r} is {columns[0][0]!r}", "give examples of two classes at least"
            )
        once = [label for label, count in counts.items() if count == 1]
        if once:
            row = tables[0].at([columns[0].index(once[0])])
            more = f", and {len(once) - 1:,} more labels" if len(once) > 1 else ""
            raise DataError(f"{path!r}: the label {once[0]!r} is seen once only ({row}){more}",
                            f"is {name!r} the right column? add examples of it, or remove it")  # fmt: skip
        for table, column in zip(tables[1:], columns[1:], strict=True):
            for i, label in enumerate(column):
                if label not in counts:
                    raise DataError(f"{str(table.path)!r}, {table.at([i])}: the label {label!r} is in test only",
                                    f"train has {', '.join(map(repr, list(counts)[:5]))}")  # fmt: skip
        names = tuple(sorted(counts, key=by_value(counts)))
        number = {label: i for i, label in enumerate(names)}
        encoded = [np.array([number[label] for label in column], dtype=np.int64) for column in columns]
        return Read(encoded, names, (*notes, *odd_names(counts, name)))

    def positive(self, labels: Array, names: Sequence[str] | None, asked: str | None) -> int:
        """The class that F1 is of: the one asked for, else the rarer one of two (what is rare is what is looked for), and the
        second where both are as frequent. `labels`: class numbers of the training rows. Raises SpecError."""
        if asked is None:
            rarer = names is not None and len(names) == 2 and 2 * np.count_nonzero(labels == 0) < len(labels)
            return 0 if rarer else 1
        if names is None or len(names) != 2:
            raise SpecError(f"a task of {len(names or ())} classes has no positive class {asked!r}",
                            "leave it out; it is for two classes")  # fmt: skip
        if asked not in names:
            raise SpecError(f"there is no class {asked!r}", did_you_mean(asked, names))
        return list(names).index(asked)

    def default_metrics(self, meaning: Meaning) -> tuple[str, ...]:
        return ("accuracy", "macro_f1", "matthews", *(("f1",) if meaning.classes == 2 else ()))

    def scored_by(self, metrics: Sequence[str], meaning: Meaning) -> str | None:
        """Of two classes as ever; of more, accuracy, by which a frequent class counts as often as it occurs."""
        if meaning.classes < 3 or metrics[0] != "accuracy":
            return None
        return "accuracy, the share of right answers (--metric macro_f1 counts a rare class as much as a frequent one)"

    def fit(self, labels: Array, names: tuple[str, ...] | None, settings: Mapping[str, Any]) -> Classes:
        assert names is not None
        return Classes(labels=names)

    def constant(self, labels: Array, metric: str, meaning: Meaning) -> Any:
        """Train's majority class (ties: the lowest); by F1 the positive class, however rare, since to it any other answer is
        worth nothing."""
        return meaning.positive if metric == "f1" else np.bincount(labels).argmax()

    def counts(self, labels: Array, names: tuple[str, ...] | None) -> dict[str, int]:
        assert names is not None
        return dict(zip(names, map(int, np.bincount(labels, minlength=len(names))), strict=True))

    def described(self, counts: Mapping[str, int] | None) -> tuple[str, ...]:
        if counts is None:
            return ()
        classes = words.several(len(counts), "class", "classes")
        return (f"{classes} (smallest {min(counts.values(), default=0):,})",)

    def untested(self, test: Array, metrics: Sequence[str], names: tuple[str, ...] | None) -> tuple[str, ...]:
        assert names is not None
        there = np.bincount(test, minlength=len(names))
        missing = [repr(name) for name, count in zip(names, there, strict=True) if not count]
        if not missing:
            return ()
        more = f"{', '.join(missing[:3])}" + (f" and {len(missing) - 3:,} more" if len(missing) > 3 else "")
        counted = "; macro F1 counts it with 0" if "macro_f1" in metrics else ""
        return (f"no test example is of the {words.several(len(missing), 'class', 'classes')} {more}{counted}",)

    def errors(self, labels: Array, predictions: Array, meaning: Meaning) -> tuple[Errors, ...]:
        """Each class's F1; and which classes are taken for which: all of them where they are few, else the most frequent
        mistakes."""
        names, trials = meaning.names, len(predictions)
        if not names:
            return ()
        table = np.zeros((len(names), len(names)))
        np.add.at(table, (np.broadcast_to(labels, predictions.shape), predictions), 1 / trials)
        rows = (f1_row(name, table[i, i], table[i].sum(), table[:, i].sum()) for i, name in enumerate(names))
        found = [Errors("By class", ("class", *F1_HEADER), tuple(rows))]
        if len(names) <= FEW_CLASSES:
            cells = tuple((name, *(f"{count:,.3g}" for count in table[i])) for i, name in enumerate(names))
            found.append(
                Errors("Which class is taken for which", ("is \\ answered", *names), cells, "Texts, a mean over seeds.")
            )
        else:
            wrong = sorted(
                ((table[i, j], i, j) for i in range(len(names)) for j in range(len(names)) if i != j), reverse=True
            )
            most = tuple((names[i], names[j], f"{count:,.3g}") for count, i, j in wrong[:10] if count)
            found.append(Errors("The most frequent mistakes", ("is", "answered", "texts"), most, "A mean over seeds."))
        return tuple(found)

    def late(self, labels: Array) -> NDArray[np.bool_]:
        """Every second class."""
        return np.asarray(np.unique(labels, return_inverse=True)[1] % 2 == 1)

    def spoiled(self, labels: Array, struck: NDArray[np.int64], rng: np.random.Generator) -> Array:
        """Another class, each equally likely."""
        classes = int(labels.max()) + 1
        return np.asarray((labels[struck] + rng.integers(1, classes, len(struck))) % classes)


# --- how names are read: as a person would


def class_name(table: Table, column: str, row: int) -> str:
    """The label as it is written. Raises DataError for what is no text and no number."""
    value = table.columns[column][row]
    if (spelt := spelling(value)) is not None:
        return spelt
    what = "holds half a character" if isinstance(value, str) else f"is a {type(value).__name__}"
    raise DataError(f"{str(table.path)!r}, {table.at([row])}: the label {column!r} is {value!a}, which {what}",
                    "give each row one label: a text or a number")  # fmt: skip


def spelling(value: Any) -> str | None:
    """A label as text; None for what is no text, number or date."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    if isinstance(value, (str, int, float, Decimal, datetime.date, datetime.time)):
        spelt = str(value).strip()
        return None if is_broken(spelt) else spelt
    return None


def merge(spelt: Iterable[str], name: str) -> tuple[dict[str, str], list[str]]:
    """The class of each spelling, and what is to be said of that.

    Spellings that look alike (another Unicode form of the same characters, other blanks) and, among them, whole numbers
    with and without decimals are one class. A class of one spelling keeps it.
    """
    spellings: defaultdict[str, list[str]] = defaultdict(list)
    for label in dict.fromkeys(spelt):
        spellings[_fold(label)].append(label)
    several = {key: all_of for key, all_of in spellings.items() if len(all_of) > 1}
    numeric = [key for key in several if _WHOLE.fullmatch(key)]
    merged = {
        label: key if key in several or (numeric and _WHOLE.fullmatch(key)) else label
        for key, all_of in spellings.items()
        for label in all_of
    }
    notes = []
    if numeric:
        first = " and ".join(map(repr, sorted(several[numeric[0]])))
        more = f", and so {len(numeric) - 1:,} others" if len(numeric) > 1 else ""
        notes.append(f"{first} in {name!r} were taken for one class{more}")
    alike = [key for key in several if key not in numeric]
    if alike:
        notes.append(
            f"{_some(alike)} in {name!r}: spellings that look alike (Unicode forms, blanks) were taken for one class"
        )
    by_case: defaultdict[str, list[str]] = defaultdict(list)
    for label in dict.fromkeys(merged.values()):
        by_case[label.casefold()].append(label)
    cases = [same for same in by_case.values() if len(same) > 1]
    if cases:
        more = f" (and so {len(cases) - 1:,} others)" if len(cases) > 1 else ""
        notes.append(f"{' and '.join(map(repr, cases[0]))} in {name!r}{more} differ in case alone and were taken for "
                     f"{len(cases[0])} classes; if they are one, spell them alike")  # fmt: skip
    return merged, notes


def _fold(label: str) -> str:
    """What two spellings have in common that a person would take for the same."""
    if "." in label and _WHOLE.fullmatch(label):
        return label.partition(".")[0]
    if label.isascii() and " " not in label and label.isprintable():
        return label
    return " ".join(_UNSEEN.sub("", unicodedata.normalize("NFC", label)).split()) or label


def odd_names(names: Iterable[str], column: str) -> list[str]:
    """Names that one could take for something else."""
    names = list(names)
    missing = [name for name in names if name.lower() in LIKE_NOTHING]
    notes = (
        [f"{column!r} holds {_some(missing)}, taken for the name of a class, not for a missing label"]
        if missing
        else []
    )
    like_numbers = [name for name in names if re.fullmatch(r"[^a-zA-Z]*\d[^a-zA-Z]*", name) and not is_numeral(name)]
    if 2 * len(like_numbers) > len(names):
        notes.append(f"labels like {like_numbers[0]!r} in {column!r} were taken for the names of {len(names)} classes, not for "
                     "numbers")  # fmt: skip
    return notes


def by_value(labels: Iterable[str]) -> Any:
    """A key to sort by: numbers by value, texts by alphabet."""
    numeric = all(is_numeral(label) and math.isfinite(float(label)) for label in labels)
    return (lambda label: (float(label), label)) if numeric else None


def _some(labels: Sequence[str]) -> str:
    return ", ".join(map(repr, labels[:3])) + (f" and {len(labels) - 3:,} more" if len(labels) > 3 else "")
