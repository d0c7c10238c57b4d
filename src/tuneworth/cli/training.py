"""Commands that train: a study, a stream, a file, the demo."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, NoReturn

import typer

from tuneworth import words
from tuneworth.cli.common import (
    CheckpointEvery,
    Confidence,
    DataDir,
    Delimiter,
    Device,
    DryRun,
    Margin,
    Pickle,
    Quoting,
    Retry,
    Store,
    TimeLimit,
    UntilDecided,
    Verbose,
    Workers,
    app,
    err,
    same_command,
    say,
    show,
    store_flag,
)
from tuneworth.errors import SpecError, StoreError

if TYPE_CHECKING:
    from tuneworth.study import Study
    from tuneworth.until_decided import Question

PANEL = "Train"


@app.command(rich_help_panel=PANEL)
def run(
    study: Annotated[
        str | None, typer.Argument(help="The study file (TOML), or the name of a study in the store.", metavar="STUDY.toml")
    ] = None,
    preset: Annotated[str | None, typer.Option(help="A packaged study file instead: paper.")] = None,
    store: Store = None, data_dir: DataDir = None, workers: Workers = "auto", device: Device = "auto",
    dry_run: DryRun = False, retry_failed: Retry = False, allow_pickle: Pickle = False, checkpoint_every: CheckpointEvery = 30.0,
    until_decided: UntilDecided = False, margin: Margin = None, confidence: Confidence = None, time_limit: TimeLimit = None,
    verbose: Verbose = False,  # noqa: ARG001 - its callback does it
) -> None:  # fmt: skip
    """Run what is missing of a study. The same command again goes on where it stopped."""
    _run(
        _find_study(study, preset, store, data_dir), dry_run, _question(until_decided, margin, confidence), time_limit,
        workers=workers, device=device, retry_failed=retry_failed, allow_pickle=allow_pickle,
        checkpoint_seconds=checkpoint_every,
    )  # fmt: skip


@app.command(rich_help_panel=PANEL)
def stream(
    study: Annotated[Path, typer.Argument(help=r"A study file with a \[stream] table.", metavar="STREAM.toml")],
    store: Store = None, data_dir: DataDir = None, workers: Workers = "auto", device: Device = "auto",
    dry_run: DryRun = False, retry_failed: Retry = False, allow_pickle: Pickle = False, checkpoint_every: CheckpointEvery = 30.0,
    time_limit: TimeLimit = None, verbose: Verbose = False,  # noqa: ARG001 - its callback does it
) -> None:  # fmt: skip
    """Measure methods on a stream: data that arrives in chunks, or tasks that arrive one after another."""
    from tuneworth.study import Study

    asked = Study.from_toml(study, store, data_dir)
    if asked.spec.stream is None:
        raise SpecError(f"{str(study)!r} has no [stream] table", "docs/streaming.md shows one; or: tuneworth run")
    _run(
        asked, dry_run, None, time_limit, workers=workers, device=device, retry_failed=retry_failed,
        allow_pickle=allow_pickle, checkpoint_seconds=checkpoint_every,
    )  # fmt: skip


@app.command(rich_help_panel=PANEL)
def compare(
    train: Annotated[Path, typer.Option(help="Training data: CSV, TSV, JSONL, Parquet or CoNLL.")],
    text: Annotated[str, typer.Option(help="Column of the text; of a .conll file the first.", show_default=False)] = "",
    label: Annotated[
        str, typer.Option(help="Column of the label or target; of a .conll file the last.", show_default=False)
    ] = "",
    test: Annotated[Path | None, typer.Option(help="Test data; else a fifth of the training data is set aside.")] = None,
    text_pair: Annotated[str | None, typer.Option(help="Column of the second text, for text pairs.")] = None,
    kind: Annotated[
        str | None,
        typer.Option(help="What a label is: classification, regression, multilabel, tokens; else seen from the file."),
    ] = None,
    label_separator: Annotated[
        str | None, typer.Option(help="What separates the labels of a text that has several.", metavar="TEXT")
    ] = None,
    threshold: Annotated[
        str,
        typer.Option(help="The probability from which on one of several labels is given; tuned: chosen on validation."),
    ] = "0.5",
    delimiter: Delimiter = None,
    quoting: Quoting = None,
    skip_empty: Annotated[
        bool, typer.Option("--skip-empty", help="Leave out the rows without a text or a label; else they are refused.")
    ] = False,
    metric: Annotated[str | None, typer.Option(help="The primary metric; else the kind's default.")] = None,
    positive: Annotated[str | None, typer.Option(help="The class that F1 is of; else the rarer one of two.")] = None,
    drop_duplicates: Annotated[
        bool, typer.Option("--drop-duplicates", help="Train without repeated rows and texts that stand in test, punctuation aside.")
    ] = False,
    max_length: Annotated[
        str, typer.Option(help="Tokens at which a text is cut; auto: the shortest that cuts few of them.")
    ] = "auto",
    model: Annotated[str, typer.Option(help="minilm, a local directory or a hub name; several, separated by commas.")] = "minilm",
    methods: Annotated[
        str | None,
        typer.Option(
            help="Methods, separated by commas.", show_default="of head, full, bitfit, houlsby those that fit the model"
        ),
    ] = None,
    fractions: Annotated[str, typer.Option(help="Shares of the training data, separated by commas.")] = "1",
    budget: Annotated[
        str | None,
        typer.Option(
            help="3epochs, 500steps, 60s, 2e14flops; several separated by commas.",
            show_default="3epochs, or as many as fit into --time-limit",
        ),
    ] = None,
    seeds: Annotated[int, typer.Option(help="How many seeds; 3 or more let the report say something.")] = 3,
    tune: Annotated[
        int | None,
        typer.Option(
            min=1,
            max=9,
            help="Learning rates that each method tries first, chosen on validation; 1: the default alone.",
            show_default="3",
        ),
    ] = None,
    precision: Annotated[
        Literal["auto", "fp32", "bf16", "int8"],
        typer.Option(help="auto: bf16 where the hardware has it; int8: products of bytes, some 1.4 times as fast."),
    ] = "auto",
    name: Annotated[str | None, typer.Option(help="The study's name; else that of the training file.")] = None,
    store: Store = None, workers: Workers = "auto", device: Device = "auto", dry_run: DryRun = False,
    retry_failed: Retry = False, allow_pickle: Pickle = False, checkpoint_every: CheckpointEvery = 30.0,
    until_decided: UntilDecided = False, margin: Margin = None, confidence: Confidence = None, time_limit: TimeLimit = None,
    verbose: Verbose = False,  # noqa: ARG001 - its callback does it
) -> None:  # fmt: skip
    """Compare methods on a file of your own: a study without a study file."""
    from tuneworth.own_data import ask

    question = _question(until_decided, margin, confidence)
    with err.status("getting ready"):
        asked = ask(
            train, text, label, test=test, text_pair=text_pair, kind=kind, label_separator=label_separator,
            threshold=threshold if threshold == "tuned" else _number(threshold, "threshold", "give a number like 0.5, or tuned"),
            delimiter=delimiter, quoting=quoting, skip_empty=skip_empty, metric=metric, positive=positive,
            drop_duplicates=drop_duplicates, max_length=int(max_length) if max_length.isdecimal() else max_length,
            model=_split(model), methods=_split(methods) if methods else None,
            fractions=[_number(part) for part in _split(fractions)], precision=precision,
            budget=_split(budget) if budget else None, seeds=seeds, tune=tune, name=name, until_decided=question or False,
            time_limit=time_limit, store=store, workers=workers, device=device, allow_pickle=allow_pickle,
        )  # fmt: skip
    _run(
        asked.study, dry_run, question, asked.time_limit, workers=asked.workers, device=device, retry_failed=retry_failed,
        allow_pickle=allow_pickle, checkpoint_seconds=checkpoint_every,
    )  # fmt: skip


@app.command(rich_help_panel=PANEL)
def demo(
    directory: Annotated[Path, typer.Option(help="Where its store and its report go.")] = Path("tuneworth-demo"),
    workers: Workers = "auto",
) -> None:
    """A real study with the packaged encoder on generated tasks, in a few minutes."""
    from tuneworth.demo import TIME_LIMIT, demo_spec
    from tuneworth.study import Study
    from tuneworth.writing import make_directory

    make_directory(directory)
    study = Study(demo_spec(), str(directory / "demo.db"))
    code = _train(study, workers=workers, time_limit=TIME_LIMIT)
    path = study.report(directory / "report.html")
    if study.store.counts("demo").pending:
        say("\nthis machine did not finish it in the demo's four minutes; to go on, run the same command again")
    say(f"\nreport: {path.resolve()}\nnext:   open it in a browser; then tuneworth compare --train FILE --text COLUMN "
         "--label COLUMN")  # fmt: skip
    raise typer.Exit(code)


def _find_study(study: str | None, preset: str | None, store: str | None, data_dir: Path | None) -> Study:
    """The study of a preset, of a study file, or of that name in the store."""
    from tuneworth.presets import preset_path
    from tuneworth.study import Study

    if preset is not None and study is None:
        return Study.from_toml(preset_path(preset), store, data_dir)
    if study is None or preset is not None:
        raise SpecError(f"{'no' if study is None else 'a'} study file and {'no' if preset is None else 'a'} preset",
                        "give one of them: tuneworth run STUDY.toml, or tuneworth run --preset paper")  # fmt: skip
    if Path(study).suffix != ".toml" and not Path(study).exists():
        try:
            return Study.open(study, store, data_dir)
        except StoreError:
            pass  # no file and no study: the missing file is what is said
    return Study.from_toml(study, store, data_dir)


def _run(
    study: Study, dry: bool, question: Question | None, time_limit: str | float | None, **options: Any
) -> NoReturn:
    if dry:
        _show_plan(study, options["allow_pickle"], question)
        raise typer.Exit(0)
    code = _train(study, until_decided=question or False, time_limit=time_limit, **options)
    left = study.store.counts(study.spec.name).pending
    if question:
        left += _show_decisions(study, question)
    if time_limit and left:
        say(f"\ntime is up; what is finished is kept. To go on, with this limit or another:\n  {same_command()}")
    store = store_flag(study.store_url)
    if code:
        say(f"\nsome trials failed: see tuneworth report {study.spec.name}{store}; --retry-failed runs them again")
    if question:
        margin = "" if question.margin == 1 else f" --margin {question.margin:g}"
        say(f"\nnext: tuneworth advise {study.spec.name}{margin}{store}")
    else:
        say(f"\nnext: tuneworth report {study.spec.name} -o report.html{store}")
    raise typer.Exit(code)


def _train(study: Study, **options: Any) -> int:
    """Run with a progress display, then show the table. Returns the exit code: 1 where trials failed."""
    try:
        counts = study.run(**options)
    except KeyboardInterrupt:
        err.print("\ninterrupted; nothing that was finished is lost. To go on, run the same command again:")
        err.print("  " + same_command(), markup=False, soft_wrap=True)
        raise typer.Exit(130) from None
    show(study, options.get("until_decided") or None)
    return 1 if counts.failed else 0


def _question(until_decided: bool, margin: float | None, confidence: float | None) -> Question | None:
    from tuneworth.until_decided import Question

    given = {name: value for name, value in (("margin", margin), ("confidence", confidence)) if value is not None}
    if given and not until_decided:
        raise SpecError(f"--{next(iter(given))} is for a run that decides", "add --until-decided")
    return Question(**given) if until_decided else None


def _show_decisions(study: Study, question: Question) -> int:
    """Print what is decided and what is open. Returns how many groups more seeds may decide."""
    from tuneworth.report.decided import decided

    decisions = study.decisions(question)
    for line in decided(study.rows(), decisions, question):
        say(line)
    return sum(bool(decision.wanted) for decision in decisions.values())


def _show_plan(study: Study, allow_pickle: bool, question: Question | None) -> None:
    from tuneworth.set_aside import left_out, why

    prepared = study.prepare(allow_pickle, question is not None)
    done = study.known_keys()
    tuned = prepared.tuning.grow(prepared.candidates, prepared.earlier)
    trials = [trial for trial in prepared.trials if trial.tunes is None]
    trials += [t for t in prepared.candidates if t.cell in tuned.open and t.seed in study.spec.seeds]
    missing = [trial for trial in trials if trial.key not in done]
    cells = len({trial.cell for trial in trials})
    for line in (*prepared.said, *study.said):
        say(line)
    say(f"study {study.spec.name}: {len(trials)} trials in {cells} cells, {len(trials) - len(missing)} there already")
    if old := left_out(prepared.earlier, prepared.trials):
        say(f"{why(old, prepared.trials)}: {len(old)} of its earlier trials will be kept, but not shown")
    if tuned.trials:
        raced = len({trial.cell for trial in tuned.trials})
        say(f"before them, {study.spec.tune} learning rates of each method race in {raced} cells, in short trials, by validation "
            f"loss; {len(tuned.open)} races are open")  # fmt: skip
    if question:
        from tuneworth.report.decided import outlook

        seeds = len({trial.seed for trial in prepared.candidates})
        say(
            f"seeds are added, up to {seeds}, where it is open which methods are within {question.margin:g} of the best"
        )
        say(outlook(question, len(study.spec.methods)))
    timed = sum(trial.budget.amount for trial in missing if trial.budget.timed)
    if timed and study.spec.stream is None:
        say(f"the budgets in seconds alone take {words.duration(timed)} of training")
    say(f"\nnext: the same command without --dry-run trains the {len(missing)} that are missing")


def _split(text: str) -> list[str]:
    if Path(text).exists():  # a directory may have a comma in its name
        return [text]
    return [part.strip() for part in text.split(",") if part.strip()]


def _number(text: str, what: str = "fraction", remedy: str = "write fractions like 0.1,0.3,1") -> float:
    try:
        return float(text)
    except ValueError:
        raise SpecError(f"{what} {text!r} is no number", remedy) from None
