"""The commands that the documents tell people to type."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
_FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
_INDENTED = re.compile(r"(?<=\n\n)((?: {4}.*\n|\n(?= {4}))+)")


@dataclass(frozen=True)
class Block:
    """A block of a page: its language (`sh`, `console`, `python`, `toml`, ...; "" where indented), its text, and the
    file that the sentence before it says to put it into ("" where none)."""

    page: Path
    language: str
    text: str
    into: str = ""

    @property
    def typed(self) -> list[tuple[str, str]]:
        """What a shell is given, without prompts, and what it then shows. A line that ends in a backslash goes on."""
        if self.language not in ("", "sh", "console"):
            return []
        lines = self.text.replace("\\\n", " ").splitlines()
        if not any(line.startswith("$ ") for line in lines):
            commands = [line for line in lines if not line[:1].isspace()] if self.language != "console" else []
            return [(line, "") for line in commands if line]
        parts = re.split(r"^\$ ", "\n".join(lines), flags=re.MULTILINE)[1:]
        return [(command, shown) for command, _, shown in (part.partition("\n") for part in parts)]

    @property
    def commands(self) -> list[str]:
        return [command for command, _ in self.typed]


def blocks(page: Path) -> list[Block]:
    """In the order of the page."""
    text = page.read_text(encoding="utf-8")
    fenced = [(match.start(), match[1] or "text", match[2]) for match in _FENCE.finditer(text)]
    outside = _FENCE.sub(lambda match: re.sub(r"[^\n]", "#", match[0]), text)
    plain = [
        (match.start(), "", re.sub(r"^ {4}", "", match[1], flags=re.MULTILINE)) for match in _INDENTED.finditer(outside)
    ]
    return [Block(page, language, body, _into(text[:at])) for at, language, body in sorted(fenced + plain)]


def _into(before: str) -> str:
    found = re.search(r"into `(\S+\.\w+)`:\s*\Z", before)
    return found[1] if found else ""


def tuneworth_commands() -> list[tuple[str, str]]:
    """(page, command line) of every `tuneworth ...` in a block of a page, comments left out."""
    return [
        (page.name, re.split(r"\s#|\s>\s|\s\|\s", line)[0])
        for page in PAGES
        for block in blocks(page)
        for line in block.commands
        if line.startswith("tuneworth ")
    ]
