"""The commands that the documents tell people to type."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
_FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
_INDENTED = re.compile(r"(?<=\n\n)((?: {4}.*\n|\n(?= {4}))+)")


@dataclass(frozen=True)
class Block:
    """A block of a page: its language (`sh`, `console`, `python`, `toml`, ...; "" where indented or unsaid) and text."""

    page: Path
    language: str
    text: str

    @property
    def commands(self) -> list[str]:
        """What a shell is given, without prompts and what it prints. A line that ends in a backslash goes on."""
        if self.language not in ("", "sh", "console"):
            return []
        lines = self.text.replace("\\\n", " ").splitlines()
        asked = [line.removeprefix("$ ") for line in lines if line.startswith("$ ")]
        return asked or ([line for line in lines if not line[:1].isspace()] if self.language != "console" else [])


def blocks(page: Path) -> Iterator[Block]:
    text = page.read_text(encoding="utf-8")
    for match in _FENCE.finditer(text):
        yield Block(page, match[1], match[2])
    for match in _INDENTED.finditer(_FENCE.sub("", text)):
        yield Block(page, "", re.sub(r"^ {4}", "", match[1], flags=re.MULTILINE))


def tuneworth_commands() -> list[tuple[str, str]]:
    """(page, command line) of every `tuneworth ...` in a block of a page, comments left out."""
    return [
        (page.name, re.split(r"\s#|\s>\s|\s\|\s", line)[0])
        for page in PAGES
        for block in blocks(page)
        for line in block.commands
        if line.startswith("tuneworth ")
    ]
