"""A small file of each kind, which a tiny model learns something of; and a trial on it, in this process."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from tuneworth.events import Finished, Job
from tuneworth.spec import StudySpec
from tuneworth.study import Study
from tuneworth.trial import run_trial

COLOURS = ("blue", "green", "red")
NAMES = {"person": ("ann", "bob"), "place": ("oslo", "rome")}


def task(kind: str, folder: Path, count: int = 80) -> dict[str, Any]:
    """The declaration of a task; its file is made in `folder`."""
    rng = np.random.default_rng(0)
    path = folder / f"{kind}.jsonl"
    rows: list[dict[str, Any]] = []
    for number in range(count):
        if kind == "tokens":
            which = [("person", "place")[i] for i in rng.integers(0, 2, 2)]
            words = [str(rng.choice(NAMES[name])) for name in which]
            text = f"{words[0]} went {'and went ' * (20 if number == 7 else number % 3)}to {words[1]}"
            starts = (0, len(text) - len(words[1]))
            spans = [{"start": s, "end": s + len(w), "label": n} for s, w, n in zip(starts, words, which, strict=True)]
            rows.append({"text": text, "label": spans})
        elif kind == "multilabel":
            labels = [colour for colour in COLOURS if rng.random() < 0.5]
            rows.append({"text": f"{' '.join(labels) or 'nothing'} here", "label": labels})
        elif kind == "classification":
            label = COLOURS[number % 3]
            rows.append({"text": f"a {label} thing {number}", "label": label})
        else:
            rows.append({"text": f"a thing {'very ' * (number % 7)}big", "label": number % 7 + 0.5})
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return {"train": path, "text": "text", "label": "label", "kind": kind}


def study(kind: str, model: Path, folder: Path, **changes: Any) -> Study:
    spec = {
        "name": kind, "models": [str(model)], "methods": ["full"], "tasks": [kind], "budgets": ["100steps"], "seeds": 1,
        "evaluations": 1, "precision": "fp32", "recipe": {"full": {"learning_rate": 0.005, "batch_size": 8}},
        "task": {kind: task(kind, folder)},
    }  # fmt: skip
    return Study(StudySpec.parse({**spec, **changes}), str(folder / "store.db"))


def run(asked: Study, folder: Path) -> list[tuple[Job, Finished]]:
    """All trials, without workers."""
    prepared, found = asked.prepare(), []
    for trial in prepared.trials:
        streamed = {name: asked.spec.task[name] for name in trial.stream.tasks} if trial.stream else {}
        job = Job(trial, prepared.model_sources[trial.model], asked.spec.task.get(trial.task), None, folder / "files",
                  asked.spec.name, device="cpu", data=prepared.data_of(trial), stream_tasks=streamed)  # fmt: skip
        *_, last = run_trial(job)
        assert isinstance(last, Finished), last
        found.append((job, last))
    return found
