"""The command line: one thin function a command, in the words of the library."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, NoReturn

import typer
from rich.console import Console

from tuneworth.errors import SpecError, UserError

if TYPE_CHECKING:
    from tuneworth.study import Study

app = typer.Typer(
    name="tuneworth", no_args_is_help=True, pretty_exceptions_enable=False, rich_markup_mode="rich", add_completion=False,
    help="Which fine-tuning is worth it, on your model, your data, your budget? Start with [bold]tuneworth demo[/bold].",
)  # fmt: skip
out, err = Console(highlight=False), Console(stderr=True, highlight=False)

Store = Annotated[
    str | None,
    typer.Option(
        envvar="TUNEWORTH_STORE", help="Where studies live: a path or a database URL.  [default: tuneworth.db]"
    ),
]
DataDir = Annotated[
    Path | None,
    typer.Option(envvar="TUNEWORTH_DATA", help="Directory with GLUE data in GLUE's own layout (MRPC/, CoLA/, ...)."),
]
Workers = Annotated[str, typer.Option(help="Trials at once: a number, or auto.")]
Device = Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:1, mps.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Check everything and show the plan; train nothing.")]
Retry = Annotated[bool, typer.Option("--retry-failed", help="Run failed and diverged trials again.")]
Pickle = Annotated[
    bool,
    typer.Option("--allow-pickle", help="Accept a model directory with pickled weights (loaded with weights_only)."),
]
CheckpointEvery = Annotated[float, typer.Option(min=0.0, help="Seconds between checkpoints of a running trial.")]


@app.command()
def run(
    study: Annotated[Path, typer.Argument(help="The study file (TOML).", metavar="STUDY.toml")],
    store: Store = None, data_dir: DataDir = None, workers: Workers = "auto", device: Device = "auto",
    dry_run: DryRun = False, retry_failed: Retry = False, allow_pickle: Pickle = False, checkpoint_every: CheckpointEvery = 30.0,
) -> None:  # fmt: skip
    """Run what is missing of a study. The same command again goes on where it stopped."""
    from tuneworth.study import Study

    _run(
        Study.from_toml(study, store, data_dir), workers, device, dry_run, retry_failed, allow_pickle, checkpoint_every
    )


@app.command()
def stream(
    study: Annotated[Path, typer.Argument(help="A study file with a [stream] table.", metavar="STREAM.toml")],
    store: Store = None, data_dir: DataDir = None, workers: Workers = "auto", device: Device = "auto",
    dry_run: DryRun = False, retry_failed: Retry = False, allow_pickle: Pickle = False, checkpoint_every: CheckpointEvery = 30.0,
) -> None:  # fmt: skip
    """Measure methods on a stream: data that arrives in chunks, or tasks that arrive one after another."""
    from tuneworth.study import Study

    asked = Study.from_toml(study, store, data_dir)
    if asked.spec.stream is None:
        raise SpecError(f"{str(study)!r} has no [stream] table", "docs/streaming.md shows one; or: tuneworth run")
    _run(asked, workers, device, dry_run, retry_failed, allow_pickle, checkpoint_every)


@app.command()
def compare(
    train: Annotated[Path, typer.Option(help="Training data: CSV, TSV, JSONL or Parquet.")],
    text: Annotated[str, typer.Option(help="Column of the text.")],
    label: Annotated[str, typer.Option(help="Column of the label or target.")],
    test: Annotated[Path | None, typer.Option(help="Test data; else a fifth of the training data is set aside.")] = None,
    text_pair: Annotated[str | None, typer.Option(help="Column of the second text, for text pairs.")] = None,
    kind: Annotated[str | None, typer.Option(help="classification or regression; else seen from the labels.")] = None,
    metric: Annotated[str | None, typer.Option(help="The primary metric; else the kind's default.")] = None,
    model: Annotated[str, typer.Option(help="minilm, a local directory or a hub name.")] = "minilm",
    methods: Annotated[str, typer.Option(help="Methods, separated by commas.")] = "head,full,bitfit,houlsby",
    fractions: Annotated[str, typer.Option(help="Shares of the training data, separated by commas.")] = "1",
    budget: Annotated[str, typer.Option(help="3epochs, 500steps, 60s, 2e14flops; several separated by commas.")] = "3epochs",
    seeds: Annotated[int, typer.Option(help="How many seeds; 3 or more let the report say something.")] = 3,
    name: Annotated[str | None, typer.Option(help="The study's name; else that of the training file.")] = None,
    store: Store = None, workers: Workers = "auto", device: Device = "auto", dry_run: DryRun = False,
    retry_failed: Retry = False, allow_pickle: Pickle = False, checkpoint_every: CheckpointEvery = 30.0,
) -> None:  # fmt: skip
    """Compare methods on a file of your own: a study without a study file."""
    from tuneworth.spec import StudySpec
    from tuneworth.study import Study

    task = {
        "train": train,
        "test": test,
        "text": text,
        "text_pair": text_pair,
        "label": label,
        "kind": kind,
        "metric": metric,
    }
    spec = StudySpec.parse(
        {
            "name": name or _study_name(train), "models": [model], "methods": _split(methods), "tasks": [train.stem],
            "fractions": [_number(part) for part in _split(fractions)], "budgets": _split(budget), "seeds": seeds,
            "task": {train.stem: task},
        },
        "the command line",
    )  # fmt: skip
    _run(Study(spec, store), workers, device, dry_run, retry_failed, allow_pickle, checkpoint_every)


@app.command()
def status(study: Annotated[str | None, typer.Argument(help="A study; else all.")] = None, store: Store = None) -> None:
    """How far studies are."""
    from rich.table import Table

    from tuneworth.store import open_store
    from tuneworth.study import DEFAULT_STORE

    url = store or DEFAULT_STORE
    opened = open_store(url, create=False)
    names = [opened.get_study(study).name] if study else opened.study_names()
    table = Table("study", box=None, pad_edge=False)
    for state in ("done", "running", "pending", "failed", "total"):
        table.add_column(state, justify="right")
    for name in names:
        counts = opened.counts(name)
        table.add_row(
            name, *(str(getattr(counts, state)) for state in ("done", "running", "pending", "failed", "total"))
        )
    out.print(table)
    _say(f"\nnext: tuneworth results {names[0]}{_store_flag(url)}" if names else "\nnext: tuneworth run STUDY.toml")


@app.command()
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
        _show(opened)
    elif format == "json":
        from tuneworth.results import to_json

        print(to_json(opened.rows()))
    else:
        from tuneworth.results import to_csv

        print(to_csv(opened.rows()), end="")


@app.command()
def report(
    study: Annotated[str, typer.Argument(help="The study's name.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="The HTML file to write.")] = Path("report.html"),
    store: Store = None,
) -> None:
    """Write the report of a study: one HTML file that needs no network."""
    from tuneworth.study import Study

    path = Study.open(study, store).report(output)
    _say(f"report: {path.resolve()}")


@app.command()
def methods() -> None:
    """The methods, their defaults and their sources."""
    from tuneworth.methods import all_methods

    for name, method in all_methods().items():
        recipe = method.recipe
        out.print(f"[bold]{name}[/bold]  {_plain(method.summary)}", soft_wrap=True)
        _say(f"  recipe   learning_rate {recipe.learning_rate:g}, batch_size {recipe.batch_size}, {recipe.schedule} "
             f"schedule, warmup {recipe.warmup:g}, weight_decay {recipe.weight_decay:g}")  # fmt: skip
        for option, field in method.Options.model_fields.items():
            _say(f"  option   {option} = {field.default!r}")
        out.print(f"  source   {method.source}\n", style="dim", markup=False, soft_wrap=True)
    _say("next: name them in a study file (methods = [...]) or in tuneworth compare --methods a,b")


@app.command()
def tasks() -> None:
    """The tasks that are built in; your own files need no registration."""
    from rich.table import Table

    from tuneworth.tasks import all_tasks

    table = Table("task", "kind", "metrics", "what it is", box=None, pad_edge=False)
    for name, task in all_tasks().items():
        table.add_row(name, task.kind, ", ".join(task.metrics), task.summary)
    out.print(table)
    _say("\nnext: tuneworth compare --train FILE --text COLUMN --label COLUMN, for a task of your own")


@app.command()
def models() -> None:
    """The models known by a short name; a local directory or a hub name works as well."""
    from tuneworth.models import list_models

    for alias in list_models():
        there = "installed" if alias.directory else f"not installed: pip install 'tuneworth[{alias.extra}]'"
        out.print(f"[bold]{alias.name}[/bold]  {_plain(f'{alias.summary} ({there})')}", soft_wrap=True)
    _say(
        "\nnext: tuneworth compare --model NAME, or models = [...] in a study file; a directory or a hub name works too"
    )


@app.command()
def predict(
    delta: Annotated[Path, typer.Argument(help="A delta directory (delta_path in the results).", metavar="DELTA_DIR")],
    input: Annotated[Path, typer.Option("--input", "-i", help="CSV, TSV, JSONL or Parquet with the texts.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="CSV, TSV or JSONL to write.")],
    text: Annotated[str | None, typer.Option(help="Column of the text; else as in training.")] = None,
    text_pair: Annotated[str | None, typer.Option(help="Column of the second text; else as in training.")] = None,
    model: Annotated[str | None, typer.Option(help="The base model, if it is not where it was at training.")] = None,
    device: Device = "auto",
    allow_pickle: Pickle = False,
) -> None:
    """Label new texts with a tuned delta."""
    from tuneworth.predict import predict_file

    count = predict_file(delta, input, output, text, text_pair, model, device, allow_pickle)
    _say(f"{count} predictions: {output.resolve()}")


@app.command()
def doctor() -> None:
    """What this machine can do: device, bf16, cores, memory, versions, the packaged model."""
    from tuneworth.doctor import examine

    for name, value in examine():
        out.print(f"[bold]{name:<15}[/bold] {_plain(value)}", soft_wrap=True)
    _say("\nnext: tuneworth demo")


@app.command()
def demo(
    directory: Annotated[Path, typer.Option(help="Where its store and its report go.")] = Path("tuneworth-demo"),
    workers: Workers = "auto",
) -> None:
    """A real study with the packaged encoder on generated tasks, in a few minutes."""
    from tuneworth.demo import demo_spec
    from tuneworth.study import Study

    directory.mkdir(parents=True, exist_ok=True)
    study = Study(demo_spec(), str(directory / "demo.db"))
    code = _train(study, workers, "auto", False, False, 30.0)
    path = study.report(directory / "report.html")
    _say(f"\nreport: {path.resolve()}\nnext:   open it in a browser; then tuneworth compare --train FILE --text COLUMN "
         "--label COLUMN")  # fmt: skip
    raise typer.Exit(code)


def _run(study: Study, workers: str, device: str, dry: bool, retry: bool, allow_pickle: bool, every: float) -> NoReturn:
    if dry:
        _show_plan(study, allow_pickle)
        raise typer.Exit(0)
    code = _train(study, workers, device, retry, allow_pickle, every)
    if code:
        _say(f"\nsome trials failed: see tuneworth report {study.spec.name}; --retry-failed runs them again")
    _say(f"\nnext: tuneworth report {study.spec.name} -o report.html{_store_flag(study.store_url)}")
    raise typer.Exit(code)


def _train(study: Study, workers: str, device: str, retry: bool, allow_pickle: bool, every: float) -> int:
    """Run with a progress display, then show the table. Returns the exit code: 1 where trials failed."""
    try:
        counts = study.run(workers, device, retry, allow_pickle, every)
    except KeyboardInterrupt:
        err.print("\ninterrupted; nothing that was finished is lost. To go on, run the same command again:")
        err.print("  " + _same_command(), markup=False, soft_wrap=True)
        raise typer.Exit(130) from None
    _show(study)
    return 1 if counts.failed else 0


def _show(study: Study) -> None:
    if study.spec.stream is not None:
        from tuneworth.report.stream_terminal import show_streams

        show_streams(study.streams(), out)
    else:
        from tuneworth.report import build, terminal

        terminal.show(build(study.rows(), study.spec), out)


def _show_plan(study: Study, allow_pickle: bool) -> None:
    from tuneworth.display import duration

    trials = study.prepare(allow_pickle).trials
    done = study.known_keys()
    missing = [trial for trial in trials if trial.key not in done]
    cells = len({trial.cell for trial in trials})
    _say(f"study {study.spec.name}: {len(trials)} trials in {cells} cells, {len(trials) - len(missing)} there already")
    timed = sum(trial.budget.amount for trial in missing if trial.budget.timed)
    if timed and study.spec.stream is None:
        _say(f"the budgets in seconds alone take {duration(timed)} of training")
    _say(f"\nnext: the same command without --dry-run trains the {len(missing)} that are missing")


def _store_flag(url: str) -> str:
    """What finds the same store again in the next command."""
    import shlex

    from tuneworth.study import DEFAULT_STORE

    return "" if url == os.environ.get("TUNEWORTH_STORE", DEFAULT_STORE) else f" --store {shlex.quote(url)}"


def _study_name(train: Path) -> str:
    """A study is named after its training file, without what cannot be in a name: `my data (1).csv` -> `my-data-1`."""
    import re

    return re.sub(r"[^\w.+-]+", "-", train.stem).strip("-.")


def _same_command() -> str:
    import shlex

    return shlex.join(["tuneworth", *sys.argv[1:]])


def _split(text: str) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()]


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise SpecError(f"fraction {text!r} is no number", "write fractions like 0.1,0.3,1") from None


def main(arguments: list[str] | None = None) -> Any:
    """The entry point. Exit codes: 0 done, 1 some trials failed, 2 the user's mistake, 130 interrupted."""
    import signal

    signal.signal(signal.SIGTERM, signal.default_int_handler)  # a polite kill stops as cleanly as Ctrl-C
    try:
        return app(arguments)
    except UserError as error:
        err.print(f"[bold red]error:[/bold red] {_plain(error.problem)}", soft_wrap=True)
        if error.remedy:
            err.print(f"       {_plain(error.remedy)}", soft_wrap=True)
        sys.exit(2)
    except KeyboardInterrupt:
        sys.exit(130)


def _say(text: str) -> None:
    """Print as it is: brackets in a path are no markup, and a line to copy is not broken."""
    out.print(text, markup=False, soft_wrap=True)


def _plain(text: str) -> str:
    from rich.markup import escape

    return escape(text)
