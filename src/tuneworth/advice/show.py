"""Advice and claims in a terminal."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from html import escape
from typing import TYPE_CHECKING

from tuneworth import words
from tuneworth.advice.limits import cost_in_words
from tuneworth.advice.value import Advice, Candidate
from tuneworth.terminal import Fitted

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

__all__ = ["as_html", "overall", "show"]

_STATUS = {"inside": "yes", "open": "open", "outside": "no"}


def show(advices: Sequence[Advice], console: Console) -> None:
    """Each advice: the sentence, the methods within the limits, what was excluded, cautions, the next command."""
    for advice in advices:
        _line(console, advice.sentence)
        if advice.candidates:
            console.print(Fitted(_table(advice)))
        for one in advice.excluded:
            _line(console, f"beyond your limits: {one.method}, {cost_in_words(one.limit, one.value)}")
        for caution in advice.cautions:
            _line(console, f"note: {caution}")
        if advice.recommendation and advice.recommendation.delta_path:
            delta = shlex.quote(advice.recommendation.delta_path)
            _line(console, f"to use it: tuneworth predict {delta} --input NEW.csv --output labelled.csv")
        if advice.next_command:
            _line(console, f"for stronger evidence: {advice.next_command}")
        _line(console, "")
    if len(advices) > 1:
        _line(console, overall(advices))


def as_html(advice: Advice) -> str:
    """The same for a notebook: the sentence, the methods, the next command."""
    heads = (
        "method",
        words.metric(advice.metric),
        "behind best",
        "seeds",
        "trained",
        "delta",
        "time",
        f"within {advice.margin:g}?",
    )
    rows = [
        (one.method, words.points(one.score), _behind(one), _seeds(one), words.share(one.trainable_share),
         words.size(one.delta_bytes), words.seconds(one.train_seconds), _STATUS[one.status])
        for one in advice.candidates
    ]  # fmt: skip
    head = "".join(f"<th>{escape(text)}</th>" for text in heads)
    body = "".join(f"<tr>{''.join(f'<td>{escape(text)}</td>' for text in row)}</tr>" for row in rows)
    table = f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>" if rows else ""
    more = (
        f"<p>For stronger evidence: <code>{escape(str(advice.next_command))}</code></p>" if advice.next_command else ""
    )
    return f"<p>{escape(advice.sentence)}</p>{table}{more}"


def overall(advices: Sequence[Advice]) -> str:
    """What holds over several tasks or models: one method for all of them, or which is recommended where."""
    chosen = [advice.recommendation.method if advice.recommendation else None for advice in advices]
    where = [f"{advice.task} ({advice.model})" for advice in advices]
    if len(set(chosen)) == 1:
        return f"Overall: {chosen[0]} is recommended everywhere, on {words.listed(where)}." if chosen[0] else (
            "Overall: nothing can be recommended anywhere yet.")  # fmt: skip
    each = [f"{method or 'nothing yet'} on {place}" for method, place in zip(chosen, where, strict=True)]
    return f"Overall: no single method; {words.listed(each)}."


def _table(advice: Advice) -> Table:
    from rich.table import Table

    table = Table(box=None, pad_edge=False, padding=(0, 1, 0, 0))  # 80 columns hold all of it
    table.add_column("method", no_wrap=True)
    for column in (words.metric(advice.metric), "behind best", "seeds", "trained", "delta", "time", "memory"):
        table.add_column(column, justify="right", no_wrap=True)
    table.add_column(f"within {advice.margin:g}?", no_wrap=True)
    for one in advice.candidates:
        table.add_row(
            one.method, words.points(one.score), _behind(one), _seeds(one), words.share(one.trainable_share),
            words.size(one.delta_bytes), words.seconds(one.train_seconds), words.size(one.peak_memory_bytes),
            _STATUS[one.status],
        )  # fmt: skip
    return table


def _behind(one: Candidate) -> str:
    low, high = one.behind
    return "not known" if high is None else f"{words.points(low)} to {words.points(high)}"


def _seeds(one: Candidate) -> str:
    return f"{one.seeds}, {one.collapsed} collapsed" if one.collapsed else str(one.seeds)


def _line(console: Console, text: str) -> None:
    console.print(text, markup=False, soft_wrap=True)
