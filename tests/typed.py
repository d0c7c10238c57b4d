"""What a document has people do, done: its files written, its commands typed, its Python run, in the order of the page.

A page is not copied: it is read. What would take long is made small by the two tables here, and by nothing else.
"""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

from commands import Said, tuneworth
from documents import ROOT, Block

SMALLER_FILES = [
    (r"^seeds = \d+", "seeds = 1"),
    (r"^budgets = \[.*?\]", 'budgets = ["2steps"]'),
    (r"^tasks = \[\"glue/mrpc\", \"glue/cola\", ", 'tasks = ["glue/mrpc", '),
    (r"^fractions = \[.*?\]", "fractions = [0.5]"),
    (r"^tune = \d+", "tune = 1"),
    (r"^length = \d+", "length = 64"),
    (r"^chunk = \d+", "chunk = 32"),
]
"""What replaces what in study files."""

SMALLER_COMMANDS = {
    "compare": "--budget 2steps --seeds 1 --tune 1",
    "compare --until-decided": "--budget 2steps --tune 1 --methods head,bitfit --margin 99 --time-limit 60s",
    "serve": "--port 0",
}
"""What is typed behind a command; of a flag that is given twice, the last counts."""

NEW_KIND = "needs a package that is installed; tests/kinds/test_a_new_kind.py runs it"
NOT_RUN = {
    "make demo": "installs; the command `tuneworth demo` is run by its own test",
    "make test": "runs the tests",
    "make check": "runs beside the tests",
    "source .venv/bin/activate": "a virtual environment",
    "pip install 'tuneworth[demo,serve]'": "installs",
    "tuneworth compare --train films.jsonl --text text --label grade --kind grades": NEW_KIND,
    "tuneworth predict films --input new.jsonl --output graded.jsonl": NEW_KIND,
    "tuneworth serve DIRECTORY_OF_DELTAS": NEW_KIND,
    "tuneworth doctor": "looks at the machine for seconds; run by its own test",
}
"""What is not typed, and why."""


def smaller(study: str) -> str:
    for pattern, instead in SMALLER_FILES:
        study = re.sub(pattern, instead, study, flags=re.MULTILINE)
    return study


class Reader:
    """Who reads a page in the working directory. `stands_for`: words of the page, and what the reader takes them for."""

    def __init__(self, stands_for: dict[str, str] | None = None) -> None:
        self.stands_for = stands_for or {}
        self.python: dict[str, Any] = {"__name__": "__page__"}
        self.typed: list[str] = []
        self.said: Said | None = None
        self.server: subprocess.Popen[str] | None = None

    def do(self, block: Block) -> None:
        if block.language == "toml":
            self.write(block.text)
        elif block.into:
            Path(block.into).parent.mkdir(parents=True)
            Path(block.into).write_text(block.text, encoding="utf-8")
        elif block.language == "python":
            exec(compile(block.text, block.page.name, "exec"), self.python)
        elif block.language == "json":
            self.answered(block.text)
        elif "<<" in block.text and block.language == "sh":
            self.shell(block.text)
        else:
            for command, shown in block.typed:
                self.type(command, shown)

    def write(self, text: str) -> None:
        """A study file, under its study's name; what is none is a part of the one before."""
        named = re.search(r'^name = "(.+)"', text, re.MULTILINE)
        if named:
            self.study = Path(f"{named[1]}.toml")
            self.study.write_text(smaller(text), encoding="utf-8")
        else:
            with self.study.open("a", encoding="utf-8") as file:
                file.write(smaller(text))

    def type(self, command: str, shown: str) -> None:
        """Raises AssertionError where it does not end as the page shows: with its words, and well unless these are an error."""
        command = re.split(r"\s+#\s", command)[0]
        if command in NOT_RUN:
            return
        self.typed.append(command)
        for word, instead in self.stands_for.items():
            command = command.replace(word, instead)
        name, *arguments = shlex.split(command)
        if name != "tuneworth":
            if name == "cat" and shown:
                self.write(shown)
            elif name == "pytest":
                done = subprocess.run([sys.executable, "-m", name, *arguments, "-q", "-n", "0"], cwd=ROOT, check=False)
                assert done.returncode == 0
            elif name == "python" and arguments[0].startswith("benchmarks/"):
                self.benchmark(arguments)
            else:
                self.shell(command)
            return
        into = Path(arguments.pop()) if ">" in arguments and arguments.pop(-2) else None
        decides = " --until-decided" if "--until-decided" in arguments else ""
        arguments += shlex.split(SMALLER_COMMANDS.get(arguments[0] + decides, ""))
        arguments = [str(next(Path().glob(one), one)) if "*" in one else one for one in arguments]
        if arguments[0] == "serve":
            self.serve(arguments)
            return
        said = tuneworth(*arguments)
        assert said.code == (2 if shown.startswith("error:") else 0), (command, said)
        assert plain(shown) in plain(said.out + said.err), (command, said)
        if into:
            into.write_text(said.out, encoding="utf-8")

    def shell(self, command: str) -> None:
        done = subprocess.run(["bash", "-e", "-c", command], capture_output=True, text=True, check=False)
        assert done.returncode == 0, (command, done)
        self.said = Said(0, done.stdout, done.stderr)

    def serve(self, arguments: list[str]) -> None:
        program = Path(sys.executable).with_name("tuneworth")
        self.server = subprocess.Popen([program, *arguments], stdout=subprocess.PIPE, text=True)
        assert self.server.stdout is not None
        for line in self.server.stdout:
            if found := re.search(r"http://127\.0\.0\.1:\d+", line):
                self.stands_for["http://127.0.0.1:8400"] = found[0]
            if line.startswith("next:"):
                return
        raise AssertionError(self.server.wait())

    def answered(self, shown: str) -> None:
        """What the last command printed has the form of the page's JSON."""
        assert self.said is not None
        assert form(json.loads(self.said.out)) == form(json.loads(shown))

    def close(self) -> None:
        if self.server is not None:
            self.server.terminate()
            self.server.communicate(timeout=60)
            assert self.server.returncode == 0

    def benchmark(self, arguments: list[str]) -> None:
        """Parsed alone: a benchmark's own test runs it."""
        done = subprocess.run(
            [sys.executable, ROOT / arguments[0], *arguments[1:], "--help"], capture_output=True, check=False
        )
        assert done.returncode == 0, done


def plain(text: str) -> str:
    """Without what differs from machine to machine and from model to model: numbers, the place of files, line breaks."""
    return " ".join(re.sub(r"\d[\d,.]*", "N", re.sub(r"(?<!\S)(/[\w.-]+)+/", "", text)).split())


def form(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: form(one) for name, one in value.items()}
    return [form(one) for one in value] if isinstance(value, list) else type(value)
