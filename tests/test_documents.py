"""What the documents say can be typed, and does what they say."""

from __future__ import annotations

import re
import shlex

import pytest
from typer.main import get_command

from documents import PAGES, ROOT, tuneworth_commands
from tuneworth.cli import app

COMMANDS = get_command(app).commands  # type: ignore[attr-defined]


@pytest.mark.parametrize(("page", "line"), tuneworth_commands())
def test_a_command_has_the_options_that_a_page_gives_it(page: str, line: str) -> None:
    """Parsed as the program would: an unknown option, a missing one, a value that cannot be, ends it."""
    _, command, *arguments = shlex.split(line)
    assert command in COMMANDS, page
    COMMANDS[command].make_context(command, arguments)


def test_benchmarks_that_a_page_names_are_there() -> None:
    named = {name for page in PAGES for name in re.findall(r"benchmarks/\w+\.py", page.read_text(encoding="utf-8"))}
    assert len(named) > 5
    assert [name for name in sorted(named) if not (ROOT / name).exists()] == []


def test_links_between_pages_lead_somewhere() -> None:
    for page in PAGES:
        for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8")):
            assert (page.parent / target).exists(), f"{page.name}: {target}"
