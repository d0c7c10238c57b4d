"""What commands share: the app, options that stand in several commands, and how text is printed."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer
from rich.console import Console

if TYPE_CHECKING:
    from tuneworth.study import Study
    from tuneworth.until_decided import Question

app = typer.Typer(
    name="tuneworth", no_args_is_help=True, pretty_exceptions_enable=False, rich_markup_mode="rich",
    help="Which fine-tuning is worth it, on your model, your data, your budget? Start with [bold]tuneworth demo[/bold].",
)  # fmt: skip
out, err = Console(highlight=False), Console(stderr=True, highlight=False)


def _version(asked: bool) -> None:
    if asked:
        from importlib.metadata import version

        say(f"tuneworth {version('tuneworth')}")
        raise typer.Exit


@app.callback()
def _all(
    version: Annotated[
        bool, typer.Option("--version", help="Say which version this is.", callback=_version, is_eager=True)
    ] = False,
) -> None: ...


def _talk(verbose: bool) -> bool:
    """Let the package's own log be read, on stderr."""
    if verbose:
        import logging

        logger = logging.getLogger("tuneworth")
        handler = logging.StreamHandler(sys.stderr)
        handler.setFormatter(logging.Formatter("%(message)s"))
        logger.handlers[:] = [handler]
        logger.setLevel(logging.INFO)
    return verbose


def _advise_on_password(context: typer.Context, parameter: typer.CallbackParam, url: str | None) -> str | None:
    """A password among a command's arguments is in the shell's history and in every list of processes."""
    given = context.get_parameter_source(parameter.name or "")
    if url and given is not None and given.name == "COMMANDLINE" and "://" in url:
        from tuneworth.store.shown import has_secret

        if has_secret(url):
            err.print(
                "note: commands to copy leave the password of --store out; give it in PGPASSWORD or ~/.pgpass, "
                "or the whole URL in TUNEWORTH_STORE", soft_wrap=True,
            )  # fmt: skip
    return url


Store = Annotated[
    str | None,
    typer.Option(
        envvar="TUNEWORTH_STORE",
        help="Where studies live: a path or a database URL.",
        show_default="tuneworth.db",
        callback=_advise_on_password,
    ),
]  # fmt: skip
DeltaStore = Annotated[
    str | None,
    typer.Option(
        "--store", envvar="TUNEWORTH_STORE", callback=_advise_on_password,
        help="The study's store: it knows on which machine a delta was made that is not here.",
    ),
]  # fmt: skip
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
    typer.Option(help="Points of score that make no difference to you.", show_default="1, with --until-decided"),
]
Confidence = Annotated[
    float | None,
    typer.Option(help="How sure to be of all answers together.", show_default="0.95, with --until-decided"),
]
TimeLimit = Annotated[
    str | None, typer.Option(help="90s, 10m, 2h: then stop; the same command goes on.", metavar="TIME")
]
Verbose = Annotated[
    bool,
    typer.Option("--verbose", help="Say what is decided on the way, such as the number of workers.", callback=_talk),
]
DeltaDir = Annotated[
    Path,
    typer.Argument(help="A study, whose recommended delta it is; or a delta's directory.", metavar="STUDY|DELTA_DIR"),
]
BaseModel = Annotated[str | None, typer.Option(help="The base model, if it is not where it was at training.")]
Delimiter = Annotated[
    str | None,
    typer.Option(help="What separates the columns of CSV or TSV; else seen from the header.", metavar="CHAR"),
]
Quoting = Annotated[
    Literal["double", "backslash", "none"] | None,
    typer.Option(help="A quote within quotes of CSV or TSV: doubled, or after a backslash; none: quotes are text."),
]
CheckpointEvery = Annotated[float, typer.Option(min=0.0, help="Seconds between checkpoints of a running trial.")]


def show(study: Study, question: Question | None = None) -> None:
    """What was measured, as tables and in words."""
    if study.spec.stream is not None:
        from tuneworth.report.stream_terminal import show_streams

        show_streams(study.streams(), out)
    else:
        from tuneworth.report import terminal

        terminal.show(study.summary(question), out)


def print_json(value: Any) -> None:
    """JSON on standard output: UTF-8, as its readers expect; where the stream is none, other letters are \\u escapes."""
    import json

    unicode = (sys.stdout.encoding or "utf-8").lower().replace("-", "") == "utf8"
    print(json.dumps(value, indent=1, ensure_ascii=not unicode, allow_nan=False))


def store_flag(url: str) -> str:
    """What finds the same store again in the next command."""
    from tuneworth import study

    return study.store_flag(url)


def same_command() -> str:
    """The command as it was given, without a store's password."""
    import shlex

    from tuneworth.store.shown import shown

    def safe(argument: str) -> str:
        flag, equals, value = argument.partition("=") if argument.startswith("--") else ("", "", argument)
        return flag + equals + (shown(value) if "://" in value else value)

    return shlex.join(["tuneworth", *map(safe, sys.argv[1:])])


def say(text: str) -> None:
    """Print as it is: brackets in a path are no markup, and a line to copy is not broken."""
    out.print(text, markup=False, soft_wrap=True)


def plain(text: str) -> str:
    from rich.markup import escape

    return escape(text)
