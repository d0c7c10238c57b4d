"""A comparison on data of one's own: a study without a study file. `tuneworth compare` is this function."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tuneworth import words
from tuneworth.errors import DataError, SpecError, did_you_mean
from tuneworth.spec import Budget, FileTask, StudySpec, parse_seconds
from tuneworth.store import files_dir
from tuneworth.study import Study, store_url
from tuneworth.writing import make_directory, whole_file

if TYPE_CHECKING:
    import pandas as pd

    from tuneworth.progress import Watch
    from tuneworth.until_decided import Question

__all__ = ["Asked", "ask", "compare"]

MOST = Budget(amount=3, unit="epochs")
"""Of training where nothing is said; as many as fit into a time limit that is too short for these."""
RATES = 3
"""Learning rates that each method tries where nothing is said. A study file, whose author may have chosen them, says 1."""


OPTIONS = (FileTask.model_fields.keys() | StudySpec.model_fields.keys()) - {
    "budgets", "data", "label", "models", "name", "stated", "stream", "task", "tasks", "test", "text", "train",
}  # fmt: skip
"""What may be asked beside the named arguments: the other keys of a `[task.NAME]` table and of a study file."""


@dataclass(frozen=True)
class Asked:
    """A comparison that is ready to run. `workers` and `time_limit` (seconds): what its budget was chosen for."""

    study: Study
    workers: int | str
    time_limit: float | None


def compare(
    train: Any, text: str, label: str, *, test: Any = None, model: str | Sequence[str] = "minilm",
    methods: str | Sequence[str] | None = None, budget: str | Sequence[str] | None = None, seeds: int | Sequence[int] = 3,
    tune: int | None = None, until_decided: Question | bool = False, time_limit: str | float | None = None,
    name: str | None = None, store: str | None = None, workers: int | str = "auto", device: str = "auto",
    retry_failed: bool = False, allow_pickle: bool = False, checkpoint_seconds: float = 30.0, watch: Watch | None = None,
    **more: Any,
) -> Study:  # fmt: skip
    """Compare ways to fine-tune on data of your own, and return the study, run: `study.advise()` says which is worth it.

    `train` and `test` are paths (CSV, TSV, JSONL, Parquet), or tables: a pandas or Polars DataFrame, a `datasets.Dataset`, a
    dict of columns, a list of rows. `text` and `label` name columns; without `test` a fifth of `train` is set aside. `budget`
    is one or several of `3epochs`, `500steps`, `60s`, `2e14flops`; without it each trial gets three epochs, or what fits into
    `time_limit` (`10m`). `more` is any other key of a `[task.NAME]` table (text_pair, kind, metric, positive, ...) or of a study
    file (fractions, max_length, recipe, method, precision, ...). The rest is as in `Study.run`. The same call again goes on
    where it stopped, and adds to a study what was not asked before. Where `methods` are not named, those that do not fit the
    model are left out, each with its reason.

    Raises UserError before any training. A script needs no `if __name__ == "__main__"`.
    """
    asked = ask(
        train, text, label, test=test, model=model, methods=methods, budget=budget, seeds=seeds, tune=tune,
        until_decided=until_decided, time_limit=time_limit, name=name, store=store, workers=workers, device=device,
        allow_pickle=allow_pickle, **more,
    )  # fmt: skip
    asked.study.run(
        asked.workers, device, retry_failed, allow_pickle, checkpoint_seconds, watch, until_decided, asked.time_limit
    )
    return asked.study


def ask(
    train: Any, text: str, label: str, *, test: Any = None, model: str | Sequence[str] = "minilm",
    methods: str | Sequence[str] | None = None, budget: str | Sequence[str] | None = None, seeds: int | Sequence[int] = 3,
    tune: int | None = None, until_decided: Question | bool = False, time_limit: str | float | None = None,
    name: str | None = None, store: str | None = None, workers: int | str = "auto", device: str = "auto",
    allow_pickle: bool = False, **more: Any,
) -> Asked:  # fmt: skip
    """What `compare` would run, checked; trains nothing but the few steps that choose a budget within `time_limit`."""
    unknown = sorted(more.keys() - OPTIONS)
    if unknown:
        raise SpecError(f"compare has no option {unknown[0]!r}", did_you_mean(unknown[0], sorted(OPTIONS)))
    url = store_url(store)
    file = _file(train, name or "data", url)
    table = {"train": file, "test": None if test is None else _file(test, f"{name or 'data'}-test", url)}
    table |= {"text": text, "label": label} | {key: more.pop(key) for key in [*more] if key in FileTask.model_fields}
    spec = StudySpec.parse(
        {
            "name": _plain(file.stem) if name is None else name, "models": model, "tasks": [file.stem],
            "budgets": str(MOST) if budget is None else budget, "seeds": seeds, "tune": RATES if tune is None else tune,
            "task": {file.stem: table}, **({} if methods is None else {"methods": methods}), **more,
        },
        "the comparison",
    )  # fmt: skip
    study = _fitting(Study(spec, url), allow_pickle) if methods is None else Study(spec, url)
    begun = study.known_spec()
    if begun and tune is None:
        study = _with(study, tune=begun.tune)
    limit = None if time_limit is None else parse_seconds(time_limit)
    if budget is None and begun:
        study = _with(study, budgets=begun.budgets, recipe=begun.recipe)
    elif budget is None and limit is not None:
        return _within(limit, study, bool(until_decided), workers, device, allow_pickle)
    return Asked(study, workers, limit)


def _fitting(study: Study, allow_pickle: bool) -> Study:
    """Without the methods that nobody asked for and that do not fit the model; with a line for each. Raises what the first of
    them would end with where none is left."""
    from tuneworth.prepare import misfits

    out = misfits(study.spec, allow_pickle)
    left = tuple(method for method in study.spec.methods if method not in out)
    if not left:
        raise next(iter(out.values()))
    study = _with(study, methods=left)
    study.said = (*study.said, *(f"{method} is left out: {error.problem}" for method, error in out.items()))
    return study


def _within(
    limit: float, study: Study, until_decided: bool, workers: int | str, device: str, allow_pickle: bool
) -> Asked:
    """With as many epochs as fit into the limit, up to MOST, in batches that keep the number of steps (`pace.batch_size`)."""
    from tuneworth.machine.workers import on_cpu, worker_count

    started = time.monotonic()
    worker_count(workers, device, [])  # what is no number of workers is said first
    prepared = study.prepare(allow_pickle, until_decided)
    if not on_cpu(device):
        return Asked(study, workers, limit)
    from tuneworth.machine import pace
    from tuneworth.tasks.planned import load_task

    (task,) = study.spec.tasks
    data = load_task(task, study.spec.task[task], study.data_dir)[1]
    found = pace.measure(prepared, data, workers)
    epochs, whole = found.epochs(limit, MOST.amount), found.seconds(MOST.amount)
    if epochs < MOST.amount:
        batch = pace.batch_size(prepared.candidates[0].recipe.batch_size, epochs / MOST.amount)
        recipes = {method: {**study.spec.recipe.get(method, {}), "batch_size": batch} for method in study.spec.methods}
        study = _with(study, recipe=recipes, budgets=(Budget(amount=epochs, unit="epochs"),))
        found = pace.measure(study.prepare(allow_pickle, until_decided), data, workers)
        epochs = found.epochs(limit, epochs)
    if epochs < MOST.amount:
        compared = sum(trial.seed in study.spec.seeds for trial in prepared.candidates)
        study.said = (
            *study.said,
            f"{MOST} of {compared} trials would take some {words.duration(whole)} here, {epochs:g} some "
            f"{words.duration(found.seconds(epochs))}: each gets {epochs:g}epochs, in batches of {batch}, which keeps the number "
            f"of steps (a budget of your own decides it)",
        )
    study = _with(study, budgets=(Budget(amount=epochs, unit="epochs"),))
    return Asked(study, found.workers, max(1.0, limit - (time.monotonic() - started)))


def _with(study: Study, **changes: Any) -> Study:
    """The same study with something of its specification changed."""
    changed = Study(study.spec.model_copy(update=changes), study.store_url, study.data_dir)
    changed.said = study.said
    return changed


def _plain(name: str) -> str:
    """Without what cannot be in a study's name: `my data (1)` -> `my-data-1`."""
    return re.sub(r"[^\w.+-]+", "-", name).strip("-.")


def _file(source: Any, name: str, store: str) -> Path:
    """A path as it is; a table as a Parquet file among the store's own, which trials read again from any process."""
    if isinstance(source, (str, os.PathLike)):
        return Path(source)
    import pyarrow as pa
    from pyarrow import parquet

    frame = _frame(source)
    tables = files_dir(store).absolute() / "tables"
    make_directory(tables)
    place = tables / f"{_plain(name)}.parquet"
    try:
        with whole_file(place) as path:
            parquet.write_table(pa.Table.from_pandas(frame, preserve_index=False), path)
    except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError) as error:
        raise DataError(f"the table cannot be kept as Parquet: {words.first_line(error)}",
                        "give each column values of one type") from None  # fmt: skip
    return place


def _frame(table: Any) -> pd.DataFrame:
    """Raises SpecError for what is no table."""
    import pandas as pd

    if hasattr(table, "to_pandas"):  # of Polars, of datasets
        table = table.to_pandas()
    rows = isinstance(table, Sequence) and all(isinstance(row, Mapping) for row in table)
    if not isinstance(table, pd.DataFrame) and (rows or isinstance(table, Mapping)):
        try:
            table = pd.DataFrame(table)
        except ValueError as error:
            raise SpecError(
                f"the columns make no table: {words.first_line(error)}", "give lists of one length"
            ) from None
    if not isinstance(table, pd.DataFrame):
        raise SpecError(f"a {type(table).__name__} is no training data",
                        "give a path, a DataFrame, a Dataset, a dict of columns or a list of rows")  # fmt: skip
    categories = {name: object for name, kind in table.dtypes.items() if isinstance(kind, pd.CategoricalDtype)}
    return table.astype(categories) if categories else table
