"""The command line: one thin function a command, in the words of the library; a file for each kind of command."""

from __future__ import annotations

import sys
from typing import Any

# Each adds its commands to the app, in the order that --help shows.
# isort: off
from tuneworth.cli import training, answers, deltas, catalogue  # noqa: F401

# isort: on
from tuneworth.cli.common import app, err, plain
from tuneworth.errors import SpecError, UserError
from tuneworth.terminal import forgive

__all__ = ["app", "main"]


def main(arguments: list[str] | None = None) -> Any:
    """The entry point. Exit codes: 0 done, 1 some trials failed, 2 the user's mistake, 130 interrupted."""
    import signal

    forgive(sys.stdout, sys.stderr)
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # a polite kill stops as cleanly as Ctrl-C
    if hasattr(signal, "SIGHUP") and signal.getsignal(signal.SIGHUP) is signal.SIG_DFL:  # nohup ignores it
        signal.signal(signal.SIGHUP, signal.default_int_handler)  # so does a terminal that is closed
    try:
        _readable(sys.argv[1:] if arguments is None else arguments)
        return app(arguments)
    except UserError as error:
        err.print(f"[bold red]error:[/bold red] {plain(error.problem)}", soft_wrap=True)
        if error.remedy:
            err.print(f"       {plain(error.remedy)}", soft_wrap=True)
        sys.exit(2)
    except KeyboardInterrupt:
        sys.exit(130)


def _readable(arguments: list[str]) -> None:
    """Raises SpecError where bytes of an argument are no text here: they could not be kept in a store, nor named again."""
    for argument in arguments:
        if any("\ud800" <= sign <= "\udfff" for sign in argument):
            raise SpecError(
                f"the argument {argument!a} is no {sys.getfilesystemencoding()} text",
                "set LC_ALL=C.UTF-8 (and leave PYTHONUTF8 alone); where the file's own name is not UTF-8, rename it",
            )
