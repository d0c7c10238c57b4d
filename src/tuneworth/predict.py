"""Predictions for a file: what `tuneworth predict` does."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

from tuneworth.deltas.files import read_info
from tuneworth.errors import DataError
from tuneworth.tasks.files import read_texts
from tuneworth.writing import check_file, whole_file

CHUNK = 512
_DELIMITERS = {".csv": ",", ".tsv": "\t"}


def predict_file(
    delta: Path, source: Path, target: Path, text: str | None, text_pair: str | None, model: str | None, device: str,
    allow_pickle: bool = False,
) -> int:  # fmt: skip
    """Label every row of `source` and write `target` whole or not at all. Returns how many. Raises UserError."""
    info = read_info(delta)
    first, second = (*info.columns, None, None)[:2]
    columns = [text or first, text_pair or second]
    if columns[0] is None or (info.pairs and columns[1] is None):
        raise DataError(f"which column holds the {'texts' if columns[0] is None else 'second texts'}?",
                        "name them with --text" + (" and --text-pair" if info.pairs else ""))  # fmt: skip
    if text_pair and not info.pairs:
        raise DataError(f"{str(delta)!r} was tuned on single texts", "leave out --text-pair")
    _check_target(target, source)
    texts, pairs = read_texts(source, columns[0], columns[1] if info.pairs else None)

    import numpy as np
    from rich.console import Console
    from rich.progress import track

    from tuneworth.deltas.predictor import Predictor
    from tuneworth.tasks import Examples
    from tuneworth.tasks.lengths import counter, longer

    predictor = Predictor(delta, model, device, allow_pickle)
    rows: list[dict[str, Any]] = []
    console = Console(stderr=True)
    for start in track(range(0, len(texts), CHUNK), "predicting", console=console, disable=not console.is_terminal):
        part = slice(start, start + CHUNK)
        for offset, answer in enumerate(predictor.predict(texts[part], pairs[part] if pairs else None)):
            given = {columns[0]: texts[start + offset], **({str(columns[1]): pairs[start + offset]} if pairs else {})}
            rows.append({**given, **answer})
    cut = longer(Examples(texts, pairs, np.empty(len(texts))), info.max_length, counter(predictor.tokenizer))
    if number := cut.cut(info.max_length):
        console.print(f"{number:,} of {len(texts):,} texts are longer than {info.max_length:,} tokens and were cut there",
                      highlight=False)  # fmt: skip
    _write(target, rows)
    return len(rows)


def _check_target(target: Path, source: Path) -> None:
    if target.suffix.lower() not in (*_DELIMITERS, ".jsonl"):
        what = repr(target.suffix) if target.suffix else "a file without a suffix"
        raise DataError(f"cannot write {what}", "end --output in .csv, .tsv or .jsonl")
    if check_file(target) == source.resolve():
        raise DataError(f"{str(target)!r} is the input", "give --output another path")


def _write(target: Path, rows: list[dict[str, Any]]) -> None:
    suffix = target.suffix.lower()
    with whole_file(target) as scratch, scratch.open("w", encoding="utf-8", newline="") as file:
        if suffix == ".jsonl":
            file.writelines(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
        else:
            names = [name for name in rows[0] if name != "probabilities"]
            writer = csv.DictWriter(file, names, delimiter=_DELIMITERS[suffix], extrasaction="ignore")
            writer.writeheader()
            writer.writerows(rows)
