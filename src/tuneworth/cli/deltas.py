"""Commands on tuned deltas: use, convert, publish, serve."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from tuneworth.cli.common import (
    BaseModel,
    Delimiter,
    DeltaDir,
    DeltaStore,
    Device,
    Pickle,
    Quoting,
    app,
    err,
    plain,
    say,
)
from tuneworth.errors import SpecError, StoreError

if TYPE_CHECKING:
    from tuneworth.serve.found import Found
    from tuneworth.serve.server import Server

PANEL = "Deltas"


@app.command(rich_help_panel=PANEL)
def predict(
    delta: DeltaDir,
    input: Annotated[Path, typer.Option("--input", "-i", help="CSV, TSV, JSONL or Parquet with the texts.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="CSV, TSV, JSONL or Parquet to write.")],
    text: Annotated[str | None, typer.Option(help="Column of the text; else as in training.")] = None,
    text_pair: Annotated[str | None, typer.Option(help="Column of the second text; else as in training.")] = None,
    probabilities: Annotated[bool, typer.Option("--probabilities", help="Add a column for each class.")] = False,
    delimiter: Delimiter = None,
    quoting: Quoting = None,
    model: BaseModel = None,
    device: Device = "auto",
    allow_pickle: Pickle = False,
    store: DeltaStore = None,
) -> None:
    """Label new texts with a tuned delta: every row and column of the input, with a label beside it."""
    from tuneworth.predict import predict_file
    from tuneworth.spec import Form

    delta = _delta(delta, store)
    form = Form(delimiter=delimiter, quoting=quoting)
    done = predict_file(delta, input, output, text, text_pair, model, device, allow_pickle, form, probabilities)
    say(f"{done.count} predictions: {output.resolve()}")
    for note in done.notes:
        say(note)


@app.command(rich_help_panel=PANEL)
def merge(
    delta: DeltaDir,
    output: Annotated[Path, typer.Option("--output", "-o", help="The directory to make.")],
    model: BaseModel = None,
    allow_pickle: Pickle = False,
    store: DeltaStore = None,
) -> None:
    """Merge a delta into its base model: a plain transformers checkpoint."""
    from tuneworth.deltas import merge_delta

    delta = _delta(delta, store)
    with err.status("merging"):
        merge_delta(delta, output, model, allow_pickle)
    say(f"model, tokenizer and labels: {output.resolve()}\n\nnext: load it with "
         f"AutoModelForSequenceClassification.from_pretrained({str(output)!r})")  # fmt: skip


@app.command(rich_help_panel=PANEL)
def export(
    delta: DeltaDir,
    to: Annotated[
        Literal["peft", "onnx", "bf16"], typer.Option(help="peft: lora alone; onnx: any method; bf16: half the size.")
    ],
    output: Annotated[Path, typer.Option("--output", "-o", help="onnx: a file, like model.onnx; else a directory.")],
    model: BaseModel = None,
    allow_pickle: Pickle = False,
    store: DeltaStore = None,
) -> None:
    """Write a delta in another format, checked against the delta."""
    from tuneworth.deltas import export_delta

    delta = _delta(delta, store)
    with err.status(f"exporting to {to}"):
        export_delta(delta, to, output, model, allow_pickle)
    load = {
        "peft": f"peft.PeftModel.from_pretrained(base_model, {str(output)!r})",
        "onnx": f"onnxruntime.InferenceSession({str(output)!r}); docs/deltas.md has the whole of it",
        "bf16": f"tw.Predictor({str(output)!r})",
    }
    say(f"{to}: {output.resolve()}\n\nnext: load it with {load[to]}")


@app.command(rich_help_panel=PANEL)
def push(
    delta: DeltaDir,
    repo: Annotated[str, typer.Argument(help="owner/name on the model hub.", metavar="REPO")],
    private: Annotated[bool, typer.Option("--private", help="A repository that is made new is private.")] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Write the card, show what would be sent, send nothing.")
    ] = False,
    store: DeltaStore = None,
) -> None:
    """Publish a delta on the model hub, with a model card written from its trial."""
    from tuneworth.deltas import push_delta

    delta = _delta(delta, store)
    with err.status("sending" if not dry_run else "preparing"):
        pushed = push_delta(delta, repo, private, dry_run)
    for name, size in pushed.sent.items():
        say(f"{size:>12,} bytes  {name}")
    if dry_run:
        say(f"would go to {pushed.url}\n\nnext: read and edit {pushed.card}, then the same command without --dry-run")
    else:
        say(f"sent to {pushed.url}\n\nnext: open it in a browser; its card says how to load it")


@app.command(rich_help_panel=PANEL)
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
    say("\nstopped; every request that was taken has its answer")


def _delta(named: Path, store: str | None) -> Path:
    """The directory of that path, else the delta that the study of that name recommends. Raises SpecError where it recommends
    none; DeltaError where there is neither, with the machine that made the delta if the store knows it."""
    if named.exists():
        return named
    from tuneworth.deltas.elsewhere import not_here
    from tuneworth.study import DEFAULT_STORE, Study

    try:
        study = Study.open(str(named), store)
    except StoreError:
        raise not_here(named, store or DEFAULT_STORE) from None
    found = study.recommended_delta()
    if not found.exists():
        raise not_here(found, store or DEFAULT_STORE)
    say(f"the delta that {named} recommends: {found}")
    return found


def _show_tasks(server: Server, loaded: list[tuple[Found, str]]) -> None:
    """What is served, what is not and why, and a request to begin with."""
    from tuneworth.serve.request import try_it

    served = [(delta.name, delta.info) for delta, reason in loaded if delta.info and not reason]
    for delta, reason in loaded:
        if reason:
            err.print(f"unavailable: {plain(delta.name)}: {plain(reason)}", soft_wrap=True)
    for name, info in served[:20]:
        say(f"{name}  {info.method}, {info.shown(info.metric)} {info.score:.1f}")
    if len(served) > 20:
        say(f"... and {len(served) - 20} more")
    name, info = served[0]
    say(f"\n{len(served)} tasks on {server.base.name}: {server.url}; Ctrl-C stops it")
    if server.open:
        err.print(f"warning: whoever reaches {server.url} may ask it, and reads along; put something in front that knows "
                  "your users and speaks TLS", soft_wrap=True)  # fmt: skip
    say(f"\nnext: {try_it(server.url, name, info.pairs)}")
