"""A tag a word: named entities, parts of speech."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from tuneworth.errors import DataError, SpecError
from tuneworth.kinds.base import Answer, Errors, Kind, NamedOutputs, Read, Words
from tuneworth.kinds.metric import F1_HEADER, Array, Meaning, Metric, Scores, by_name, f1_of, f1_row
from tuneworth.kinds.strata import ByBins, Indices
from tuneworth.kinds.tags import BLANK, OUTSIDE, Entities, Scheme, entities, names_of, scheme_of, types_of
from tuneworth.kinds.values import count_rows, is_empty, no_missing, texts_of
from tuneworth.words import brief, several

if TYPE_CHECKING:
    import torch

    from tuneworth.spec import FileTask
    from tuneworth.tasks.tables import Table

__all__ = ["Tags", "Tokens", "words_in"]

IGNORED = -100
"""The target of what is no word, or was not read; cross-entropy's own number for it."""
_WORD = re.compile(r"\w+|[^\w\s]")


def words_in(text: str) -> NDArray[np.int64]:
    """Where the words of a text stand, (words, 2): runs of letters and digits, and each other sign by itself."""
    return np.array([match.span() for match in _WORD.finditer(text)], dtype=np.int64).reshape(-1, 2)


# --- what a task's answers are


class Tags(NamedOutputs):
    """Outputs are the tags' logits at the first piece of each word; -inf where none of the word's pieces was read."""

    scheme: Scheme

    @property
    def chance(self) -> float:
        return math.log(self.outputs)

    @property
    def blank(self) -> int:
        """What a word is answered with that was not read: that it is outside, or no tag at all."""
        return BLANK if self.scheme == "plain" else self.labels.index(OUTSIDE)

    def words(self, texts: Sequence[str]) -> list[Words]:
        return [words_in(text) for text in texts]

    def encode(self, labels: Array) -> torch.Tensor:
        """Shape (n, words): int64 tag numbers, IGNORED where there is no word."""
        import torch

        return torch.from_numpy(np.where(labels < 0, IGNORED, labels).astype(np.int64))

    def loss(self, outputs: torch.Tensor, targets: torch.Tensor, reduction: str = "mean") -> torch.Tensor:
        """Cross-entropy over words; outputs (n, words, tags) may be of fewer words, where all texts are shorter."""
        import torch.nn.functional as F

        targets = targets[:, : outputs.shape[1]]
        known = targets >= 0
        if not known.any():
            return outputs.new_zeros((), requires_grad=True)
        return F.cross_entropy(outputs[known], targets[known], reduction=reduction)

    def terms(self, targets: torch.Tensor) -> int:
        return int((targets >= 0).sum())

    def decode(self, outputs: NDArray[np.float32]) -> Array:
        """(n, words, tags) -> (n, words)."""
        unread = np.isneginf(outputs[..., 0])
        return np.where(unread, self.blank, outputs.argmax(axis=-1))

    def answers(self, outputs: NDArray[np.float32], words: Sequence[Words] | None = None) -> list[Answer]:
        """`label`: the entities of a text, or its tagged words where tags mark none, as `start`, `end` (in characters), `label`
        and `score`, the least probability of its words' tags; `tags`: of each of the `words`; `score`: the least sure
        word's; `probabilities`: None."""
        assert words is not None, "offsets are asked for"
        found = []
        for row, tags, where in zip(outputs.astype(np.float64), self.decode(outputs), words, strict=True):
            count = len(where)
            shifted = np.exp(row[:count] - row[:count].max(-1, keepdims=True, initial=-1e30))
            total = shifted.sum(-1)
            sure = np.where(total > 0, shifted.max(-1, initial=0.0) / np.where(total > 0, total, 1.0), 0.0)
            spans = [
                {"start": int(where[start, 0]), "end": int(where[end - 1, 1]), "label": name, "score": float(sure[start:end].min())}
                for start, end, name in self._spans(tags[:count])
            ]  # fmt: skip
            found.append({
                "label": spans, "score": float(sure.min(initial=1.0)), "probabilities": None,
                "tags": [None if tag == BLANK else self.labels[tag] for tag in tags[:count]],
            })  # fmt: skip
        return found

    def _spans(self, tags: Array) -> list[tuple[int, int, str]]:
        if self.scheme == "plain":
            return [(place, place + 1, self.labels[tag]) for place, tag in enumerate(tags) if tag != BLANK]
        if not len(tags):
            return []
        types, found = types_of(self.labels), entities(tags[None], self.labels)
        return [(int(start), int(end), types[kind]) for _, start, end, kind in zip(*found, strict=True)]

    def surprise(self, outputs: NDArray[np.float32], labels: Array) -> NDArray[np.float64]:
        """The probability of the surest of the tags that are wrong."""
        shifted = np.exp(outputs.astype(np.float64) - np.maximum(outputs.max(-1, keepdims=True), -1e30))
        sure = shifted.max(-1) / np.maximum(shifted.sum(-1), 1e-300)
        wrong = (labels >= 0) & (self.decode(outputs) != labels)
        return np.asarray(np.where(wrong, sure, 0.0).max(1))

    def told(self, label: Any, text: str, words: Words | None) -> str:
        """Entities with their types, or words with their tags."""
        assert words is not None
        spans = self._spans(np.asarray(label)[: len(words)])
        return "; ".join(f"{text[words[a, 0] : words[b - 1, 1]]}: {name}" for a, b, name in spans) or "nothing"

    def columns(
        self, answers: Sequence[Answer | None], probabilities: bool = False, in_words: bool = False
    ) -> dict[str, list[Any]]:
        """`spans`, with offsets into the text; or, beside words, `tags`."""
        if probabilities:
            raise DataError("tags are written without probabilities", "leave out --probabilities")
        if in_words:
            return {"tags": [answer and answer["tags"] for answer in answers]}
        return {"spans": [answer and answer["label"] for answer in answers]}


# --- metrics: labels and predictions of shape (n, words), or (trials, n, words); BLANK where there is no word


def _counts(labels: Array, predictions: Array, meaning: Meaning) -> tuple[Array, Array]:
    """True positives, and entities that are there or given, of each sentence of each trial: (trials, n)."""
    true, width = entities(labels, meaning.names), labels.shape[1]
    hits, sizes = np.zeros(predictions.shape[:2]), np.zeros(predictions.shape[:2])
    size = np.bincount(true.row, minlength=len(labels))
    for trial, tags in enumerate(predictions):
        given = _given(tags, labels, meaning.names)
        right = np.isin(given.keys(width), true.keys(width))
        hits[trial] = np.bincount(given.row[right], minlength=len(labels))
        sizes[trial] = size + np.bincount(given.row, minlength=len(labels))
    return hits, sizes


def _given(tags: Array, labels: Array, names: tuple[str, ...]) -> Entities:
    return entities(np.where(labels < 0, BLANK, tags), names)


def _entity_f1(labels: Array, predictions: Array, meaning: Meaning) -> float:
    hits, sizes = _counts(labels, predictions[None], meaning)
    return float(2 * hits.sum() / sizes.sum())


def _entity_f1_without(labels: Array, predictions: Array, meaning: Meaning) -> Scores:
    return f1_of(*_counts(labels, predictions, meaning))


def _word_accuracy(labels: Array, predictions: Array, _: Meaning) -> float:
    there = labels >= 0
    return float((labels == predictions)[there].mean())


def _word_accuracy_without(labels: Array, predictions: Array, _: Meaning) -> Scores:
    there = labels >= 0
    sizes, right = there.sum(1), ((predictions == labels) & there).sum(-1)
    total = right.sum(1)
    return total / sizes.sum(), (total[:, None] - right) / (sizes.sum() - sizes)


def _rarest(labels: Array) -> Indices:
    """Sentences by the rarest tag that they hold."""
    names, counts = np.unique(labels[labels >= 0], return_counts=True)
    rank = np.full(int(names.max(initial=0)) + 2, len(names))  # the last is BLANK's
    rank[names[np.argsort(counts, kind="stable")]] = np.arange(len(names))
    return np.unique(rank[labels].min(1), return_inverse=True)[1].astype(np.int64)


# --- the kind


class Tokens(Kind):
    name: ClassVar = "tokens"
    summary: ClassVar = "a tag a word: named entities, parts of speech"
    noun: ClassVar = "a task of tags"
    codec: ClassVar = Tags
    metrics: ClassVar = by_name((
        Metric("entity_f1", "F1 of entities, right in bounds and type: seqeval's strict count", _entity_f1, _entity_f1_without),
        Metric("word_accuracy", "share of words with the right tag", _word_accuracy, _word_accuracy_without),
    ))  # fmt: skip
    strata: ClassVar = ByBins(_rarest)
    auto_class: ClassVar = "AutoModelForTokenClassification"
    reads: ClassVar = "tokens"
    peft_type: ClassVar = "TOKEN_CLS"
    pipeline: ClassVar = "token-classification"
    hub_task: ClassVar = "token-classification"
    in_task_streams: ClassVar = False

    def sees(self, table: Table, task: FileTask) -> tuple[str, ...] | None:
        """Where the text is a list of words, or labels are spans."""
        texts, labels = table.columns[task.text], table.columns[task.label]
        if table.path.suffix.lower() == ".conll":
            return ("a .conll file was taken for a tag a word: --kind tokens",)
        if any(isinstance(text, list) for text in texts):
            return (f"{task.text!r} holds lists of words, and {task.label!r} was taken for their tags: --kind tokens",)
        spans = [label for label in labels if isinstance(label, list) and label]
        if spans and all(isinstance(one, dict) for label in spans for one in label):
            return (f"{task.label!r} holds spans and was taken for the entities of a text: --kind tokens",)
        return None

    def texts(self, table: Table, column: str) -> list[str]:
        """Lists of words are joined by blanks."""
        values = table.columns[column]
        if not any(isinstance(value, list) for value in values):
            return texts_of(table, column)
        for row, value in enumerate(values):
            if not isinstance(value, list) or not value:
                what = f"{brief(repr(value), 60)}, no list of words"
            elif odd := [one for one in value if not isinstance(one, str) or not one.strip()]:
                what = f"a list with {odd[0]!a} in it, which is no word"
            else:
                continue
            raise DataError(f"{str(table.path)!r}, {table.at([row])}: {column!r} is {what}",
                            'write a list of words, like ["New", "York"]')  # fmt: skip
        return [" ".join(value) for value in values]

    def words(self, table: Table, column: str) -> list[Words] | None:
        values = table.columns[column]
        if not any(isinstance(value, list) for value in values):
            return None
        return [_offsets(value) for value in values]

    def read(self, tables: Sequence[Table], task: FileTask) -> Read:
        """(n, words), int16, BLANK beyond a sentence's end; and where the words stand. Raises DataError."""
        if task.text_pair is not None:
            raise SpecError("words of text pairs have no tags", "leave out --text-pair (text_pair)")
        text, label = task.text, task.label
        spelt: list[list[list[str]]] = []
        spans: list[list[Words]] = []
        for table in tables:
            listed = self.words(table, text)
            tags, places = _from_spans(table, text, label) if listed is None else (_tags(table, text, label), listed)
            spelt.append(tags)
            spans.append(places)
        scheme = scheme_of(tag for own in spelt[0] for tag in own)
        notes: list[str] = []
        if scheme == "BIO":
            spelt = [_begun(table, label, own, notes) for table, own in zip(tables, spelt, strict=True)]
        names = _names(tables, label, spelt, scheme)
        number = {name: i for i, name in enumerate(names)}
        width = max(len(own) for part in spelt for own in part)
        encoded = []
        for part in spelt:
            array = np.full((len(part), width), BLANK, dtype=np.int16)
            for row, sentence in enumerate(part):
                array[row, : len(sentence)] = [number[tag] for tag in sentence]
            encoded.append(array)
        how = "plain, a tag a word" if scheme == "plain" else f"of the scheme {scheme}, which marks entities"
        notes.append(f"the tags in {label!r} are {how}")
        return Read(encoded, names, tuple(notes), words=spans)

    def default_metrics(self, meaning: Meaning) -> tuple[str, ...]:
        plain = bool(meaning.names) and scheme_of(meaning.names) == "plain"
        return ("word_accuracy",) if plain else ("entity_f1", "word_accuracy")

    def fit(self, labels: Array, names: tuple[str, ...] | None, settings: Mapping[str, Any]) -> Tags:
        assert names is not None
        return Tags(labels=names, scheme=scheme_of(names))

    def constant(self, labels: Array, metric: str, meaning: Meaning) -> Any:
        """The most frequent tag, or that all is outside."""
        outside = metric == "entity_f1" and OUTSIDE in meaning.names
        tag = meaning.names.index(OUTSIDE) if outside else int(np.bincount(labels[labels >= 0]).argmax())
        return np.full(labels.shape[1], tag)

    def one_answer(self, predictions: Array, targets: Array) -> bool:
        """One tag for every word."""
        given = predictions[targets >= 0]
        return bool((given == given[0]).all())

    def counts(self, labels: Array, names: tuple[str, ...] | None) -> dict[str, int]:
        """Words with each tag."""
        assert names is not None
        return dict(zip(names, map(int, np.bincount(labels[labels >= 0], minlength=len(names))), strict=True))

    def described(self, counts: Mapping[str, int] | None) -> tuple[str, ...]:
        if not counts:
            return ()
        if scheme_of(counts) == "plain":
            return (f"{several(len(counts), 'tag')} (rarest {min(counts.values()):,})",)
        each = {
            name: sum(count for tag, count in counts.items() if tag[0] in "BSU" and tag[2:] == name)
            for name in types_of(counts)
        }
        return (f"{several(sum(each.values()), 'entity', 'entities')} of {several(len(each), 'type')} "
                f"(rarest {min(each.values()):,})",)  # fmt: skip

    def untested(self, test: Array, metrics: Sequence[str], names: tuple[str, ...] | None) -> tuple[str, ...]:
        assert names is not None
        there = {names[tag] for tag in np.unique(test[test >= 0])}
        if scheme_of(names) == "plain":
            missing = [name for name in names if name not in there]
        else:
            missing = [name for name in types_of(names) if name not in types_of(there)]
        if not missing:
            return ()
        more = ", ".join(map(repr, missing[:3])) + (f" and {len(missing) - 3:,} more" if len(missing) > 3 else "")
        return (f"nothing in test is tagged {more}",)

    def errors(self, labels: Array, predictions: Array, meaning: Meaning) -> tuple[Errors, ...]:
        """By type of entity, as seqeval's report has it; by tag where tags mark none."""
        trials, names = len(predictions), meaning.names
        if scheme_of(names) == "plain":
            there = labels >= 0
            rows = [
                f1_row(name, ((predictions == i) & (labels == i)).sum() / trials, (labels == i).sum(),
                       ((predictions == i) & there).sum() / trials) for i, name in enumerate(names)
            ]  # fmt: skip
            return (Errors("By tag", ("tag", *F1_HEADER), tuple(rows)),)
        types, width, true = types_of(names), labels.shape[1], entities(labels, names)
        counts = np.zeros((3, len(types)))
        counts[1] = np.bincount(true.type, minlength=len(types))
        for tags in predictions:
            given = _given(tags, labels, names)
            right = np.isin(given.keys(width), true.keys(width))
            counts[0] += np.bincount(given.type[right], minlength=len(types)) / trials
            counts[2] += np.bincount(given.type, minlength=len(types)) / trials
        rows = [f1_row(name, *counts[:, i].tolist()) for i, name in enumerate(types)]
        return (Errors("By type of entity", ("type", *F1_HEADER), tuple(rows)),)


# --- how words and tags are read


def _offsets(sentence: Sequence[str]) -> Words:
    """Where words stand that are joined by blanks."""
    ends = np.cumsum([len(word) + 1 for word in sentence]) - 1
    return np.stack([ends - [len(word) for word in sentence], ends], axis=1)


def _tags(table: Table, text: str, label: str) -> list[list[str]]:
    """A list of tags for each list of words. Raises DataError."""
    no_missing(table, label)
    found = []
    for row, (sentence, tags) in enumerate(zip(table.columns[text], table.columns[label], strict=True)):
        where = f"{str(table.path)!r}, {table.at([row])}"
        if not isinstance(tags, list) or not all(isinstance(tag, (str, int)) and str(tag).strip() for tag in tags):
            raise DataError(f"{where}: the tags {label!r} are {brief(repr(tags), 60)}, no list of tags",
                            'write one tag a word, like ["B-place", "I-place"]')  # fmt: skip
        if len(tags) != len(sentence):
            count = f"{several(len(sentence), 'word')} in {text!r}, but {several(len(tags), 'tag')} in {label!r}"
            raise DataError(f"{where}: {count}", "give each word one tag")
        found.append([str(tag).strip() for tag in tags])
    return found


def _from_spans(table: Table, text: str, label: str) -> tuple[list[list[str]], list[Words]]:
    """Tags and places of the words of texts, from spans. Raises DataError where a span is none, overlaps or cuts a word."""
    found, places = [], []
    for row, (said, spans) in enumerate(zip(texts_of(table, text), table.columns[label], strict=True)):
        where, own = f"{str(table.path)!r}, {table.at([row])}", words_in(said)
        tags = [OUTSIDE] * len(own)
        if not isinstance(spans, list) and not is_empty(spans):
            raise DataError(f"{where}: the spans {label!r} are {brief(repr(spans), 60)}, no list",
                            'write a list like [{"start": 0, "end": 8, "label": "place"}]; [] where there is none')  # fmt: skip
        for span in sorted(spans or [], key=_start):
            start, end, name = _span(where, label, said, span)
            at = np.flatnonzero((own[:, 1] > start) & (own[:, 0] < end))
            if not len(at) or own[at[0], 0] != start or own[at[-1], 1] != end:
                cut = said[own[at[0], 0] : own[at[-1], 1]] if len(at) else said[start:end]
                raise DataError(f"{where}: the span {start} to {end} ({said[start:end]!r}) cuts a word of {cut!r}",
                                "let spans begin and end where words do")  # fmt: skip
            if any(tags[i] != OUTSIDE for i in at):
                raise DataError(f"{where}: the span {start} to {end} ({said[start:end]!r}) overlaps another",
                                "keep one of the two: a word has one tag")  # fmt: skip
            for i in at:
                tags[i] = f"{'B' if i == at[0] else 'I'}-{name}"
        found.append(tags)
        places.append(own)
    return found, places


def _start(span: Any) -> float:
    start = span.get("start") if isinstance(span, dict) else None
    return start if isinstance(start, int) else -1


def _span(where: str, label: str, text: str, span: Any) -> tuple[int, int, str]:
    """Without blanks at its ends. Raises DataError."""
    start, end, name = (span.get(key) for key in ("start", "end", "label")) if isinstance(span, dict) else (None,) * 3
    fits = isinstance(start, int) and isinstance(end, int) and 0 <= start < end <= len(text) and text[start:end].strip()
    if not fits or not isinstance(name, str) or not name.strip():
        raise DataError(f"{where}: {brief(repr(span), 80)} in {label!r} is no span of the text's {len(text):,} characters",
                        'write it like {"start": 0, "end": 8, "label": "place"}, in characters')  # fmt: skip
    assert isinstance(start, int)
    assert isinstance(end, int)
    inner = text[start:end]
    return start + len(inner) - len(inner.lstrip()), end - len(inner) + len(inner.rstrip()), name.strip()


def _begun(table: Table, label: str, sentences: list[list[str]], notes: list[str]) -> list[list[str]]:
    """Entities that begin with I, as in the older scheme IOB1, begin with B."""
    found, odd, rows = [], 0, []
    for row, tags in enumerate(sentences):
        fixed, before = [], OUTSIDE
        for tag in tags:
            if tag[0] == "I" and tag[2:] != before[2:]:
                odd += 1
                rows.append(row)
                fixed.append(f"B{tag[1:]}")
            else:
                fixed.append(tag)
            before = tag
        found.append(fixed)
    if odd:
        notes.append(f"{table.path.name}: {several(odd, 'entity', 'entities')} in {label!r} begin with I- after O or another "
                     f"type ({count_rows(table, sorted(set(rows)))}); each was read as B-")  # fmt: skip
    return found


def _names(tables: Sequence[Table], label: str, spelt: Sequence[list[list[str]]], scheme: Scheme) -> tuple[str, ...]:
    """All tags, by number. Raises DataError: one tag only, in test only."""
    counts = Counter(tag for tags in spelt[0] for tag in tags)
    if len(counts) == 1:
        raise DataError(
            f"{str(tables[0].path)!r}: every tag {label!r} is {next(iter(counts))!r}", "there is nothing to learn"
        )
    names = tuple(sorted(counts)) if scheme == "plain" else names_of(scheme, types_of(counts))
    known = set(names)
    for table, sentences in zip(tables[1:], spelt[1:], strict=True):
        for row, tags in enumerate(sentences):
            if new := next((tag for tag in tags if tag not in known), None):
                raise DataError(f"{str(table.path)!r}, {table.at([row])}: the tag {new!r} is in test only",
                                f"train has {', '.join(list(counts)[:5])}")  # fmt: skip
    return names
