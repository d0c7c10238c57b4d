"""GLUE's data: the real files where they are, and made-up ones in GLUE's own layout, which need no download."""

from __future__ import annotations

import os
from pathlib import Path

from tuneworth.tasks.glue import TASKS

_BEGIN = "index promptID pairID genre sentence1_binary_parse sentence2_binary_parse sentence1_parse sentence2_parse"
_MNLI = "{i}|{i}|{i}e|fiction|( a )|( b )|(ROOT a)|(ROOT b)|{text}|{pair}|"
LAYOUTS = {
    "CoLA": {None: "src{i}|{number}||{text}"},
    "MRPC": {"\ufeffQuality|#1 ID|#2 ID|#1 String|#2 String": '{number}|{i}|{i}1|{text}|"{pair}'},
    "MNLI": {
        f"{_BEGIN} sentence1 sentence2 label1 gold_label".replace(" ", "|"): _MNLI + "{name}|{name}",
        f"{_BEGIN} sentence1 sentence2 label1 label2 gold_label".replace(" ", "|"): _MNLI + "{name}|{name}|{name}",
    },
    "QNLI": {"index|question|sentence|label": "{i}|{text}|{pair}|{name}"},
    "QQP": {"id|qid1|qid2|question1|question2|is_duplicate": "{i}|{i}1|{i}2|{text}|{pair}|{number}"},
    "RTE": {"index|sentence1|sentence2|label": "{i}|{text}|{pair}|{name}"},
    "SST-2": {"sentence|label": "{text} |{number}"},
    "STS-B": {
        "index|genre|filename|year|old_index|source1|source2|sentence1|sentence2|score":
        "{i}|main-news|MSRpar|2012test|{i}|none|none|{text}|{pair}|{score}",
    },
    "WNLI": {"index|sentence1|sentence2|label": "{i}|{text}|{pair}|{number}"},
}  # fmt: skip
"""By directory, the header and the rows of train and, where they differ, of dev; a bar stands for a tab."""


def real_glue(name: str) -> Path | None:
    """The directory that holds the real `name` (MRPC, say), in TUNEWORTH_DATA or beside the project; None: nowhere."""
    beside = Path(__file__).resolve().parents[3] / "shared" / "glue"
    roots = (Path(os.environ.get("TUNEWORTH_DATA") or beside), beside)
    return next((root for root in roots if (root / name).is_dir()), None)


def write_glue(root: Path, train: int = 60, dev: int = 24) -> Path:
    """All tasks of GLUE under `root`, which is given back: the files that are handed out, with made-up sentences."""
    for task in TASKS:
        layouts = list(LAYOUTS[task.directory].items())
        (root / task.directory).mkdir(parents=True)
        for file, rows, (header, row) in (("train.tsv", train, layouts[0]), (task.dev, dev, layouts[-1])):
            lines = [header] if header else []
            for i in range(rows):
                number = i % len(task.labels or "ab")
                text, pair = (
                    f"A {'dull' if number else 'lovely'} {noun} {file[0]}{i} was seen." for noun in ("film", "play")
                )
                name = task.labels[number] if task.labels else ""
                lines.append(row.format(i=i, number=number, name=name, text=text, pair=pair, score=f"{i % 11 / 2:.3f}"))
            content = "".join(line.replace("|", "\t") + "\n" for line in lines)
            (root / task.directory / file).write_text(content, encoding="utf-8")
    return root
