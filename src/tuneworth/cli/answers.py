"""Commands that read a store: how far studies are, what they measured, what to do."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from tuneworth.cli.common import Store, app, out, print_json, say, show, store_flag
from tuneworth.errors import SpecError
from tuneworth.terminal import Fitted, write

if TYPE_CHECKING:
    from tuneworth.report import Report
    from tuneworth.study import Study

PANEL = "Answers"


@app.command(rich_help_panel=PANEL)
def status(study: Annotated[str | None, typer.Argument(help="A study; else all.")] = None, store: Store = None) -> None:
    """How far studies are."""
    from rich.table import Table

    from tuneworth.set_aside import set_aside
    from tuneworth.store import open_store
    from tuneworth.study import DEFAULT_STORE

    url = store or DEFAULT_STORE
    opened = open_store(url, create=False)
    names = [opened.get_study(study).name] if study else opened.study_names()
    table = Table(box=None, pad_edge=False)
    table.add_column("study", overflow="fold")
    for state in ("done", "running", "pending", "failed", "total"):
        table.add_column(state, justify="right", no_wrap=True)
    for name in names:
        counts = opened.counts(name)
        table.add_row(
            name, *(str(getattr(counts, state)) for state in ("done", "running", "pending", "failed", "total"))
        )
    out.print(Fitted(table))
    for name in names:
        for line in set_aside(opened, name, store_flag(url)):
            say(f"{name}: {line}")
    say(f"\nnext: tuneworth results {names[0]}{store_flag(url)}" if names else "\nnext: tuneworth run STUDY.toml")


@app.command(rich_help_panel=PANEL)
def results(
    study: Annotated[str, typer.Argument(help="The study's name.")],
    format: Annotated[
        Literal["table", "json", "csv"], typer.Option(help="table: by cell; json, csv: by trial.")
    ] = "table",
    store: Store = None,
) -> None:
    """What the trials of a study measured."""
    from tuneworth.study import Study

    opened = Study.open(study, store)
    if format == "table":
        show(opened)
    elif format == "json":
        print_json(opened.rows())
    else:
        from tuneworth.results.rows import to_csv

        write(to_csv(opened.rows()))


@app.command(rich_help_panel=PANEL)
def report(
    study: Annotated[str, typer.Argument(help="The study's name.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="The HTML file to write.")] = Path("report.html"),
    margin: Annotated[float, typer.Option(help="Points of score below which a difference does not matter.")] = 1.0,
    confidence: Annotated[float, typer.Option(help="How sure to be.")] = 0.95,
    store: Store = None,
) -> None:
    """Write the report of a study: one HTML file that needs no network."""
    from tuneworth.study import Study
    from tuneworth.until_decided import Question

    path = Study.open(study, store).report(output, Question(margin, confidence))
    say(f"report: {path.resolve()}\n\nnext: open it in a browser")


@app.command(rich_help_panel=PANEL)
def table(
    study: Annotated[str, typer.Argument(help="The study's name.")],
    format: Annotated[
        Literal["markdown", "latex", "html", "csv"], typer.Option(help="csv: one row a method, amount and budget.")
    ] = "markdown",
    margin: Annotated[float, typer.Option(help="Points of score below which a difference does not matter.")] = 1.0,
    confidence: Annotated[float, typer.Option(help="How sure to be.")] = 0.95,
    store: Store = None,
) -> None:
    """Method by amount of data and budget, for a paper: mean and interval, the best and what equals it marked."""
    from tuneworth.report.papers import table as written

    write(written(_summary(study, store, margin, confidence), format))


@app.command(rich_help_panel=PANEL)
def figures(
    study: Annotated[str, typer.Argument(help="The study's name.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="The directory to write to.")] = Path("figures"),
    format: Annotated[Literal["svg", "pdf", "png"], typer.Option(help="What kind of files.")] = "svg",
    margin: Annotated[float, typer.Option(help="Points of score below which a difference does not matter.")] = 1.0,
    confidence: Annotated[float, typer.Option(help="How sure to be.")] = 0.95,
    store: Store = None,
) -> None:
    """The report's charts as files, one a chart and task."""
    from tuneworth.report.figures import write_figures
    from tuneworth.study import store_url

    written = write_figures(_summary(study, store, margin, confidence), output, format)
    for path in written:
        say(str(path))
    say("\nnext: tuneworth table " + study + " --format latex" + store_flag(store_url(store)) if written
        else "no trial has finished, so there is nothing to draw")  # fmt: skip


def _summary(study: str, store: str | None, margin: float, confidence: float) -> Report:
    """Raises SpecError for a study of streams, which has no such table."""
    from tuneworth.study import Study
    from tuneworth.until_decided import Question

    opened = Study.open(study, store)
    if opened.spec.stream is not None:
        raise SpecError(f"{study!r} is a study of streams", f"its table and charts are in: tuneworth report {study}")
    return opened.summary(Question(margin, confidence))


@app.command(rich_help_panel=PANEL)
def advise(
    study: Annotated[str, typer.Argument(help="The study's name.")],
    task: Annotated[str | None, typer.Option(help="One task; else each.")] = None,
    model: Annotated[str | None, typer.Option(help="One model; else each.")] = None,
    fraction: Annotated[float | None, typer.Option(help="Share of the training data; else the most.")] = None,
    budget: Annotated[str | None, typer.Option(help="One budget; else the longest within the limits.")] = None,
    max_train_seconds: Annotated[str | None, typer.Option(help="Training time: 60s, 2m, 1h.")] = None,
    max_memory: Annotated[str | None, typer.Option(help="Peak memory of training: 2GB.")] = None,
    max_trainable: Annotated[str | None, typer.Option(help="Trained parameters: 1%, 100k.")] = None,
    max_delta_size: Annotated[str | None, typer.Option(help="What is saved per task: 0.5MB.")] = None,
    prefer: Annotated[
        Literal["size", "time", "memory"], typer.Option(help="What to save, of methods that are as good.")
    ] = "size",
    margin: Annotated[float, typer.Option(help="Points of score below which a difference does not matter.")] = 1.0,
    confidence: Annotated[float, typer.Option(help="How sure to be.")] = 0.95,
    json: Annotated[bool, typer.Option("--json", help="An object; a list where there are several models or tasks.")] = False,
    store: Store = None,
) -> None:  # fmt: skip
    """Which method to use within your limits, how sure that is, and what would strengthen the evidence."""

    from tuneworth.study import Study

    opened = Study.open(study, store)
    if opened.spec.stream is not None:
        _advise_stream(
            opened, json, task=task, model=model, fraction=fraction, budget=budget, max_train_seconds=max_train_seconds,
            max_memory=max_memory, max_trainable=max_trainable, max_delta_size=max_delta_size,
            prefer=None if prefer == "size" else prefer,
        )  # fmt: skip
        return
    found = opened.advise(
        task, fraction, budget, model, margin, confidence, max_train_seconds=max_train_seconds, max_memory=max_memory,
        max_trainable=max_trainable, max_delta_size=max_delta_size, prefer=prefer,
    )  # fmt: skip
    if json:
        print_json(
            [advice.model_dump(mode="json") for advice in found] if len(found) > 1 else found[0].model_dump(mode="json")
        )
    else:
        from tuneworth.advice.show import show

        show(found, out)


@app.command(rich_help_panel=PANEL)
def claims(
    study: Annotated[str, typer.Argument(help="The study's name.")],
    confidence: Annotated[float, typer.Option(help="How sure to be.")] = 0.95,
    json: Annotated[bool, typer.Option("--json", help="Every claim with its cells.")] = False,
    store: Store = None,
) -> None:
    """What the study says of the claims in its study file: supported, contradicted or undecided."""
    from tuneworth.study import Study

    opened = Study.open(study, store)
    judged = opened.claims(confidence)
    if json:
        print_json([claim.model_dump(mode="json") for claim in judged])
        return
    for claim in judged:
        say(claim.sentence)
    say(f"\nnext: tuneworth claims {study} --json{store_flag(opened.store_url)}, for every cell" if judged
         else f"{study} states no claims\n\nnext: write [claim.NAME] tables in its study file (docs/advice.md)")  # fmt: skip


def _advise_stream(study: Study, json: bool, **limits: Any) -> None:
    """One sentence a stream. Raises SpecError for a limit: the rule for streams knows none."""
    for name, value in limits.items():
        if value is not None:
            flag = f"--{name.replace('_', '-')} {value}"
            raise SpecError(
                f"{flag} does not apply to a study of streams", "leave it out; docs/streaming.md has the rule"
            )
    said = study.streams().advice
    if json:
        print_json(list(said))
        return
    for sentence in said:
        say(sentence)
    say(f"\nnext: tuneworth report {study.spec.name} -o report.html{store_flag(study.store_url)}")
