"""The command line: one thin function a command, in the words of the library."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, NoReturn

import typer
from rich.console import Console

from tuneworth.errors import SpecError, StoreError, UserError

if TYPE_CHECKING:
    from tuneworth.looks import Question
    from tuneworth.serve.found import Found
    from tuneworth.serve.server import Server
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
UntilDecided = Annotated[
    bool, typer.Option("--until-decided", help="Add seeds, up to 20, until it is clear which methods are worth it.")
]
Margin = Annotated[
    float | None,
    typer.Option(help="Points of score that make no difference to you.  [default: 1, with --until-decided]"),
]
Confidence = Annotated[
    float | None, typer.Option(help="That no answer is wrong.  [default: 0.95, with --until-decided]")
]
TimeLimit = Annotated[
    str | None, typer.Option(help="90s, 10m, 2h: then stop; the same command goes on.", metavar="TIME")
]
DeltaDir = Annotated[Path, typer.Argument(help="A delta directory (delta_path in the results).", metavar="DELTA_DIR")]
BaseModel = Annotated[str | None, typer.Option(help="The base model, if it is not where it was at training.")]
CheckpointEvery = Annotated[float, typer.Option(min=0.0, help="Seconds between checkpoints of a running trial.")]


@app.command()
def run(
    study: Annotated[
        str | None, typer.Argument(help="The study file (TOML), or the name of a study in the store.", metavar="STUDY.toml")
    ] = None,
    preset: Annotated[str | None, typer.Option(help="A packaged study file instead: paper.")] = None,
    store: Store = None, data_dir: DataDir = None, workers: Workers = "auto", device: Device = "auto",
    dry_run: DryRun = False, retry_failed: Retry = False, allow_pickle: Pickle = False, checkpoint_every: CheckpointEvery = 30.0,
    until_decided: UntilDecided = False, margin: Margin = None, confidence: Confidence = None, time_limit: TimeLimit = None,
) -> None:  # fmt: skip
    """Run what is missing of a study. The same command again goes on where it stopped."""
    _run(
        _find_study(study, preset, store, data_dir), dry_run, _question(until_decided, margin, confidence), time_limit,
        workers=workers, device=device, retry_failed=retry_failed, allow_pickle=allow_pickle,
        checkpoint_seconds=checkpoint_every,
    )  # fmt: skip


@app.command()
def stream(
    study: Annotated[Path, typer.Argument(help="A study file with a [stream] table.", metavar="STREAM.toml")],
    store: Store = None, data_dir: DataDir = None, workers: Workers = "auto", device: Device = "auto",
    dry_run: DryRun = False, retry_failed: Retry = False, allow_pickle: Pickle = False, checkpoint_every: CheckpointEvery = 30.0,
    time_limit: TimeLimit = None,
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
    until_decided: UntilDecided = False, margin: Margin = None, confidence: Confidence = None, time_limit: TimeLimit = None,
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
    _run(
        Study(spec, store), dry_run, _question(until_decided, margin, confidence), time_limit,
        workers=workers, device=device, retry_failed=retry_failed, allow_pickle=allow_pickle,
        checkpoint_seconds=checkpoint_every,
    )  # fmt: skip


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
    margin: Annotated[float, typer.Option(help="Points of score below which a difference does not matter.")] = 1.0,
    confidence: Annotated[float, typer.Option(help="How sure to be.")] = 0.95,
    store: Store = None,
) -> None:
    """Write the report of a study: one HTML file that needs no network."""
    from tuneworth.looks import Question
    from tuneworth.study import Study

    path = Study.open(study, store).report(output, Question(margin, confidence))
    _say(f"report: {path.resolve()}")


@app.command()
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
    margin: Annotated[float, typer.Option(help="Points of score below which a difference does not matter.")] = 1.0,
    confidence: Annotated[float, typer.Option(help="How sure to be.")] = 0.95,
    json: Annotated[bool, typer.Option("--json", help="An object; a list where there are several models or tasks.")] = False,
    store: Store = None,
) -> None:  # fmt: skip
    """Which method to use within your limits, how sure that is, and what would make it surer."""
    import shlex

    from tuneworth.study import Study

    opened = Study.open(study, store)
    if opened.spec.stream is not None:
        _advise_stream(
            opened, json, task=task, model=model, fraction=fraction, budget=budget, max_train_seconds=max_train_seconds,
            max_memory=max_memory, max_trainable=max_trainable, max_delta_size=max_delta_size,
        )  # fmt: skip
        return
    found = opened.advise(
        task, fraction, budget, model, margin, confidence, max_train_seconds=max_train_seconds, max_memory=max_memory,
        max_trainable=max_trainable, max_delta_size=max_delta_size,
    )  # fmt: skip
    name = f" {shlex.quote(study)}"
    for i, advice in enumerate(found):
        command = advice.next_command and advice.next_command.replace(name, name + _store_flag(opened.store_url), 1)
        found[i] = advice.model_copy(update={"next_command": command})
    if json:
        _print_json(
            [advice.model_dump(mode="json") for advice in found] if len(found) > 1 else found[0].model_dump(mode="json")
        )
    else:
        from tuneworth.advice.show import show

        show(found, out)


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
        _print_json(list(said))
        return
    for sentence in said:
        _say(sentence)
    _say(f"\nnext: tuneworth report {study.spec.name} -o report.html{_store_flag(study.store_url)}")


@app.command()
def claims(
    study: Annotated[str, typer.Argument(help="The study's name.")],
    confidence: Annotated[float, typer.Option(help="How sure to be.")] = 0.95,
    json: Annotated[bool, typer.Option("--json", help="Every claim with its cells.")] = False,
    store: Store = None,
) -> None:
    """What the study says of the claims in its study file: supported, contradicted or undecided."""
    from tuneworth.study import Study

    judged = Study.open(study, store).claims(confidence)
    if json:
        _print_json([claim.model_dump(mode="json") for claim in judged])
        return
    for claim in judged:
        _say(claim.sentence)
    _say(f"\nnext: tuneworth claims {study} --json, for every cell" if judged
         else f"{study} states no claims\n\nnext: write [claim.NAME] tables in its study file (docs/advice.md)")  # fmt: skip


@app.command()
def preset(name: Annotated[str | None, typer.Argument(help="A packaged study file; else list them.")] = None) -> None:
    """Print a packaged study file, to copy and change."""
    from tuneworth.presets import preset_names, preset_path

    if name:
        print(preset_path(name).read_text(encoding="utf-8"), end="")
    else:
        _say("\n".join([*preset_names(), "", "next: tuneworth preset NAME > my.toml, or tuneworth run --preset NAME"]))


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
    delta: DeltaDir,
    input: Annotated[Path, typer.Option("--input", "-i", help="CSV, TSV, JSONL or Parquet with the texts.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="CSV, TSV or JSONL to write.")],
    text: Annotated[str | None, typer.Option(help="Column of the text; else as in training.")] = None,
    text_pair: Annotated[str | None, typer.Option(help="Column of the second text; else as in training.")] = None,
    model: BaseModel = None,
    device: Device = "auto",
    allow_pickle: Pickle = False,
) -> None:
    """Label new texts with a tuned delta."""
    from tuneworth.predict import predict_file

    count = predict_file(delta, input, output, text, text_pair, model, device, allow_pickle)
    _say(f"{count} predictions: {output.resolve()}")


@app.command()
def merge(
    delta: DeltaDir,
    output: Annotated[Path, typer.Option("--output", "-o", help="The directory to make.")],
    model: BaseModel = None,
    allow_pickle: Pickle = False,
) -> None:
    """Merge a delta into its base model: a plain transformers checkpoint."""
    from tuneworth.deltas import merge_delta

    with err.status("merging"):
        merge_delta(delta, output, model, allow_pickle)
    _say(f"model, tokenizer and labels: {output.resolve()}\n\nnext: load it with "
         f"AutoModelForSequenceClassification.from_pretrained({str(output)!r})")  # fmt: skip


@app.command()
def export(
    delta: DeltaDir,
    to: Annotated[
        Literal["peft", "onnx", "bf16"], typer.Option(help="peft: lora alone; onnx: any method; bf16: half the size.")
    ],
    output: Annotated[Path, typer.Option("--output", "-o", help="onnx: a file, like model.onnx; else a directory.")],
    model: BaseModel = None,
    allow_pickle: Pickle = False,
) -> None:
    """Write a delta in another format, checked against the delta."""
    from tuneworth.deltas import export_delta

    with err.status(f"exporting to {to}"):
        export_delta(delta, to, output, model, allow_pickle)
    load = {
        "peft": f"peft.PeftModel.from_pretrained(base_model, {str(output)!r})",
        "onnx": f"onnxruntime.InferenceSession({str(output)!r}); docs/deltas.md has the whole of it",
        "bf16": f"tw.Predictor({str(output)!r})",
    }
    _say(f"{to}: {output.resolve()}\n\nnext: load it with {load[to]}")


@app.command()
def push(
    delta: DeltaDir,
    repo: Annotated[str, typer.Argument(help="owner/name on the model hub.", metavar="REPO")],
    private: Annotated[bool, typer.Option("--private", help="A repository that is made new is private.")] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Write the card, show what would be sent, send nothing.")
    ] = False,
) -> None:
    """Publish a delta on the model hub, with a model card written from its trial."""
    from tuneworth.deltas import push_delta

    with err.status("sending" if not dry_run else "preparing"):
        pushed = push_delta(delta, repo, private, dry_run)
    for name, size in pushed.sent.items():
        _say(f"{size:>12,} bytes  {name}")
    if dry_run:
        _say(f"would go to {pushed.url}\n\nnext: read and edit {pushed.card}, then the same command without --dry-run")
    else:
        _say(f"sent to {pushed.url}\n\nnext: open it in a browser; its card says how to load it")


@app.command()
def serve(
    directory: Annotated[Path, typer.Argument(help="Every delta below it becomes a task.", metavar="DIR")],
    host: Annotated[str, typer.Option(help="Where to listen; the default answers this machine alone.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 picks a free one.")] = 8400,
    device: Device = "auto",
    precision: Annotated[
        Literal["auto", "fp32", "bf16"], typer.Option(help="auto: bf16 where the hardware has it.")
    ] = "auto",
    max_wait: Annotated[
        float, typer.Option(min=0.0, max=1000.0, help="Milliseconds that a text waits for others to share its batch.")
    ] = 5.0,
    max_queue: Annotated[int, typer.Option(min=1, help="Texts that may wait; beyond them the answer is 503.")] = 1024,
    max_texts: Annotated[int, typer.Option(min=1, help="Texts a request.")] = 256,
    max_body: Annotated[int, typer.Option(min=1, help="Bytes a request.")] = 1_000_000,
    admin_token: Annotated[
        str | None,
        typer.Option(envvar="TUNEWORTH_ADMIN_TOKEN", help="Allow loading and unloading to who bears it; else off."),
    ] = None,
    model: BaseModel = None,
    allow_pickle: Pickle = False,
) -> None:
    """Serve many deltas on one backbone over HTTP."""
    from tuneworth.serve.server import Queue, Server

    if admin_token == "":
        raise SpecError("the admin token is empty", "give one that cannot be guessed, or leave it out")
    if max_texts > max_queue:
        raise SpecError(f"a request of {max_texts} texts never fits a queue of {max_queue}", "raise --max-queue")
    with Server(directory, host, port, model, allow_pickle) as server:
        from rich.progress import track

        loading = server.load(device, precision)
        _show_tasks(
            server, list(track(loading, "loading", len(server.found), console=err, disable=not err.is_terminal))
        )
        from tuneworth.serve.app import Settings

        server.run(Settings(max_texts, max_body, admin_token), Queue(max_wait, max_queue))
    _say("\nstopped; every request that was taken has its answer")


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
    from tuneworth.demo import TIME_LIMIT, demo_spec
    from tuneworth.study import Study

    directory.mkdir(parents=True, exist_ok=True)
    study = Study(demo_spec(), str(directory / "demo.db"))
    code = _train(study, workers=workers, time_limit=TIME_LIMIT)
    path = study.report(directory / "report.html")
    if study.store.counts("demo").pending:
        _say("\nthis machine did not finish it in the demo's four minutes; to go on, run the same command again")
    _say(f"\nreport: {path.resolve()}\nnext:   open it in a browser; then tuneworth compare --train FILE --text COLUMN "
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


def _print_json(value: Any) -> None:
    import json

    print(json.dumps(value, indent=1, ensure_ascii=False, allow_nan=False))


def _run(study: Study, dry: bool, question: Question | None, time_limit: str | None, **options: Any) -> NoReturn:
    from tuneworth.spec import parse_seconds

    seconds = None if time_limit is None else parse_seconds(time_limit)
    if dry:
        _show_plan(study, options["allow_pickle"], question)
        raise typer.Exit(0)
    code = _train(study, until_decided=question or False, time_limit=seconds, **options)
    left = study.store.counts(study.spec.name).pending
    if question:
        left += _show_decisions(study, question)
    if time_limit and left:
        _say(f"\ntime is up; what is finished is kept. To go on, with this limit or another:\n  {_same_command()}")
    if code:
        _say(f"\nsome trials failed: see tuneworth report {study.spec.name}; --retry-failed runs them again")
    store = _store_flag(study.store_url)
    if question:
        margin = "" if question.margin == 1 else f" --margin {question.margin:g}"
        _say(f"\nnext: tuneworth advise {study.spec.name}{margin}{store}")
    else:
        _say(f"\nnext: tuneworth report {study.spec.name} -o report.html{store}")
    raise typer.Exit(code)


def _train(study: Study, **options: Any) -> int:
    """Run with a progress display, then show the table. Returns the exit code: 1 where trials failed."""
    try:
        counts = study.run(**options)
    except KeyboardInterrupt:
        err.print("\ninterrupted; nothing that was finished is lost. To go on, run the same command again:")
        err.print("  " + _same_command(), markup=False, soft_wrap=True)
        raise typer.Exit(130) from None
    _show(study, options.get("until_decided") or None)
    return 1 if counts.failed else 0


def _show(study: Study, question: Question | None = None) -> None:
    """What was measured, as tables and in words."""
    if study.spec.stream is not None:
        from tuneworth.report.stream_terminal import show_streams

        show_streams(study.streams(), out)
    else:
        from tuneworth.report import terminal

        terminal.show(study.summary(question), out)


def _question(until_decided: bool, margin: float | None, confidence: float | None) -> Question | None:
    from tuneworth.looks import Question

    given = {name: value for name, value in (("margin", margin), ("confidence", confidence)) if value is not None}
    if given and not until_decided:
        raise SpecError(f"--{next(iter(given))} is for a run that decides", "add --until-decided")
    return Question(**given) if until_decided else None


def _show_decisions(study: Study, question: Question) -> int:
    """Print what is decided and what is open. Returns how many groups more seeds may decide."""
    from tuneworth.report.decided import decided

    decisions = study.decisions(question)
    for line in decided(study.rows(), decisions, question):
        _say(line)
    return sum(bool(decision.wanted) for decision in decisions.values())


def _show_plan(study: Study, allow_pickle: bool, question: Question | None) -> None:
    from tuneworth.display import duration

    prepared = study.prepare(allow_pickle, question is not None)
    trials = prepared.trials
    done = study.known_keys()
    missing = [trial for trial in trials if trial.key not in done]
    cells = len({trial.cell for trial in trials})
    _say(f"study {study.spec.name}: {len(trials)} trials in {cells} cells, {len(trials) - len(missing)} there already")
    if question:
        seeds = len({trial.seed for trial in prepared.candidates})
        _say(
            f"seeds are added, up to {seeds}, where it is open which methods are within {question.margin:g} of the best"
        )
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


def _show_tasks(server: Server, loaded: list[tuple[Found, str]]) -> None:
    """What is served, what is not and why, and a request to begin with."""
    import json
    import shlex

    served = [(delta.name, delta.info) for delta, reason in loaded if delta.info and not reason]
    for delta, reason in loaded:
        if reason:
            err.print(f"unavailable: {_plain(delta.name)}: {_plain(reason)}", soft_wrap=True)
    for name, info in served[:20]:
        _say(f"{name}  {info.method}, {info.metric} {info.score:.1f}")
    if len(served) > 20:
        _say(f"... and {len(served) - 20} more")
    name, info = served[0]
    request = {"task": name, **({"pairs": [["a text", "another"]]} if info.pairs else {"texts": ["a text"]})}
    _say(f"\n{len(served)} tasks on {server.base.name}: {server.url}; Ctrl-C stops it\n\n"
         f"next: curl {server.url}/v1/predict --json {shlex.quote(json.dumps(request))}")  # fmt: skip


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
