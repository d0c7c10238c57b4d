"""The command line: one thin function a command, in the words of the library; a file for each kind of command."""

from __future__ import annotations

import sys
from typing import Any

# isort: off - each adds its commands to the app, in the order that --help shows
from tuneworth.cli import training, answers, deltas, catalogue  # noqa: F401

# isort: on
from tuneworth.cli.common import app, err, plain
from tuneworth.errors import UserError
from tuneworth.terminal import forgive

__all__ = ["app", "main"]


def main(arguments: list[str] | None = None) -> Any:
    """The entry point. Exit codes: 0 done, 1 some trials failed, 2 the user's mistake, 130 interrupted."""
    import signal

    forgive(sys.stdout, sys.stderr)
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # a polite kill stops as cleanly as Ctrl-C
    try:
        return app(arguments)
    except UserError as error:
        err.print(f"[bold red]error:[/bold red] {plain(error.problem)}", soft_wrap=True)
        if error.remedy:
            err.print(f"       {plain(error.remedy)}", soft_wrap=True)
        sys.exit(2)
    except KeyboardInterrupt:
        sys.exit(130)
