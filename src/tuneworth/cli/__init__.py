"""The command line: one thin function a command, in the words of the library; a file for each kind of command."""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from typing import Any, NoReturn

from rich.console import Console

# Each adds its commands to the app, in the order that --help shows.
# isort: off
from tuneworth.cli import training, answers, deltas, catalogue  # noqa: F401

# isort: on
from tuneworth.cli.common import app, err, plain
from tuneworth.cli.examples import EXAMPLES
from tuneworth.errors import SpecError, UserError
from tuneworth.terminal import forgive

__all__ = ["app", "main"]

for _command in app.registered_commands:
    if _command.callback is not None:
        _command.epilog = "\n\n".join(["Examples", *EXAMPLES.get(_command.callback.__name__, ())])

CLOSED = 141
"""What a shell reports of a program whose reader has gone away: 128 + SIGPIPE."""


def main(arguments: list[str] | None = None) -> Any:
    """The entry point. Exit codes: 0 done, 1 some trials failed, 2 what the user can mend, 130 interrupted, 141 nobody reads
    the output any more."""
    import signal

    if sys.stdout is None:  # closed by who called (`>&-`): nobody reads, and nothing else is wrong
        sys.stdout = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115 - it ends with the process
    forgive(sys.stdout, sys.stderr)
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # a polite kill stops as cleanly as Ctrl-C
    if hasattr(signal, "SIGHUP") and signal.getsignal(signal.SIGHUP) is signal.SIG_DFL:  # nohup ignores it
        signal.signal(signal.SIGHUP, signal.default_int_handler)  # so does a terminal that is closed
    stdout = sys.stdout
    Console.on_broken_pipe = _reader_is_gone  # type: ignore[assignment,method-assign]  # of every console, those of the help too
    try:
        try:
            given = sys.argv[1:] if arguments is None else arguments
            _readable(given)
            _refuse_empty(given)
            return app(arguments)
        finally:
            if sys.stdout is not stdout:  # typer has found that it is closed, and put it out of use
                _reader_is_gone()
            if stdout is not None:
                stdout.flush()  # here, where a full disk or a closed pipe can still be told, not when the process ends
    except UserError as error:
        _fail(error)
    except KeyboardInterrupt:
        sys.exit(130)
    except BrokenPipeError:
        _reader_is_gone()
    except PermissionError as error:
        if not error.filename:
            raise
        _fail(UserError(f"permission denied: {str(error.filename)!r}", "make it and its directory open to this user"))
    except Exception as error:
        from tuneworth.writing import disk_problem

        found = disk_problem(error)
        if found is None:
            raise
        _end_output()
        _fail(found)


def _fail(error: UserError) -> NoReturn:
    with suppress(OSError):
        err.print(f"[bold red]error:[/bold red] {plain(error.problem)}", soft_wrap=True)
        if error.remedy:
            err.print(f"       {plain(error.remedy)}", soft_wrap=True)
    sys.exit(2)


def _readable(arguments: list[str]) -> None:
    """Raises SpecError where bytes of an argument are no text here: they could not be kept in a store, nor named again."""
    for argument in arguments:
        if any("\ud800" <= sign <= "\udfff" for sign in argument):
            raise SpecError(
                f"the argument {argument!a} is no {sys.getfilesystemencoding()} text",
                "set LC_ALL=C.UTF-8 (and leave PYTHONUTF8 alone); where the file's own name is not UTF-8, rename it",
            )


def _refuse_empty(arguments: list[str]) -> None:
    """An option without a value is a shell's variable that is not set: taken for the default it would be silent."""
    for number, argument in enumerate(arguments):
        flag, equals, value = argument.partition("=")
        if flag == "--":
            return
        alone = not equals and number + 1 < len(arguments) and arguments[number + 1] == ""
        if flag.startswith("-") and (alone or (equals and not value)):
            raise SpecError(f"{flag} is empty", "give it a value, or leave it out")


def _reader_is_gone(_: object = None) -> NoReturn:
    _end_output()
    sys.exit(CLOSED)


def _end_output() -> None:
    """What is left in the buffers goes nowhere, so that the interpreter's own flush at the end has nothing to complain of."""
    with suppress(OSError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
