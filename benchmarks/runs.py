"""One training run, by Tuneworth or by a peer, in a process of its own: what peers.py, same_learning.py and gpu.py share.

A process of its own, so that peak memory is that run's, and no side finds the machine warmed up by the other. The parent
plans the trial and tokenises for the peers; the child of Tuneworth's side gets a Job, as a study's worker does.
"""

from __future__ import annotations

import json
import math
import os
import pickle
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from tuneworth.events import Finished, Job
from tuneworth.spec import Budget, Precision, StudySpec

if TYPE_CHECKING:
    from tuneworth.train.batches import Batches

HERE = Path(__file__).resolve().parent
BESIDE = HERE.parents[1] / "shared" / "glue"
"""Where GLUE is looked for last: beside the checkout."""
BERT_BASE = "bert-base"
"""Not the published weights: their shape, made on the spot, since speed and memory depend on nothing else."""


@dataclass(frozen=True)
class Measurement:
    """One run. `seconds` are wall-clock, of training alone; they, `examples`, `steps` and `flops` are of the timed part."""

    seconds: float
    examples: int
    steps: int
    trainable: int
    peak_memory_bytes: int
    environment: dict[str, Any]
    flops: float = 0.0
    score: float | None = None
    """Tuneworth's own, on the test split, in points."""
    outputs: list[list[float]] | None = None
    """A peer's logits on the test split, where they were asked for."""

    @property
    def speed(self) -> float:
        """Examples a second."""
        return self.examples / self.seconds


class Ledger:
    """Finished runs by key, one JSON line each in a file that outlives an interruption; without a path, in memory."""

    def __init__(self, path: Path | None) -> None:
        self.path = path
        self.kept: dict[str, dict[str, Any]] = {}
        if path is not None and path.exists():
            for line in path.read_text().splitlines():
                try:
                    entry = json.loads(line)
                except ValueError:
                    continue  # cut short by an interruption: that run is made again
                self.kept[entry.pop("key")] = entry

    def once(self, key: str, make: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        """What is kept under `key`; made and kept where nothing is."""
        if key not in self.kept:
            self.kept[key] = made = make()
            if self.path is not None:
                cut = self.path.exists() and not self.path.read_bytes().endswith(b"\n")
                with self.path.open("a") as stream:
                    stream.write("\n" * cut + json.dumps({"key": key, **made}) + "\n")
        return self.kept[key]


def data_dir(given: Path | None) -> Path | None:
    """The flag; else, for None, the task itself reads TUNEWORTH_DATA; else GLUE beside the checkout."""
    return BESIDE if given is None and not os.environ.get("TUNEWORTH_DATA") and BESIDE.is_dir() else given


def bert_base(into: Path) -> Path:
    """BERT-base (Devlin et al. 2019; BertConfig's defaults), random, with the packaged encoder's tokenizer (30,522 pieces)."""
    import torch
    from transformers import BertConfig, BertModel

    from tuneworth import models
    from tuneworth.models.load import quiet

    packaged = Path(models.resolve("minilm").source)
    with torch.random.fork_rng(devices=[]), quiet():
        torch.manual_seed(0)
        BertModel(BertConfig()).save_pretrained(into)
    for name in ("tokenizer.json", "tokenizer_config.json", "vocab.txt", "special_tokens_map.json"):
        shutil.copy(packaged / name, into / name)
    return into


def without_dropout(model: str, into: Path) -> Path:
    """The same model with every rate of dropout at 0, in a folder of links."""
    from tuneworth import models

    source = Path(models.resolve(model).source)
    into.mkdir()
    for file in source.iterdir():
        if file.name != "config.json":
            (into / file.name).symlink_to(file)
    config = json.loads((source / "config.json").read_text())
    rates = {name: 0.0 for name, value in config.items() if "dropout" in name and isinstance(value, float)}
    (into / "config.json").write_text(json.dumps(config | rates))
    return into


def plan(
    model: str, method: str, task: str, folder: Path | None, files: Path, device: str, *, fraction: float = 1.0,
    seed: int = 0, epochs: int = 1, timed_steps: int = 0, batch_size: int = 32, max_length: int = 128,
    precision: Precision = "auto",
) -> Job:  # fmt: skip
    """The one trial of these settings, as a study plans it: of so many epochs, or of `timed_steps` behind as many that warm up.
    `files`: a folder for tokens. Raises UserError."""
    from tuneworth.prepare import prepare

    spec = StudySpec(
        name="benchmark", models=(model,), methods=(method,), tasks=(task,), seeds=(seed,), fractions=(fraction,),
        budgets=(Budget(amount=2 * timed_steps, unit="steps") if timed_steps else Budget(amount=epochs, unit="epochs"),),
        max_length=max_length, precision=precision, evaluations=2 if timed_steps else 1,
        recipe={method: {"batch_size": batch_size}},
    )  # fmt: skip
    prepared = prepare(spec, folder, files)
    return Job(prepared.trials[0], prepared.model_sources[model], None, folder, files, "benchmark", device,
               checkpoint_seconds=math.inf, keep_delta=False)  # fmt: skip


def ours(job: Job) -> Measurement:
    """Tuneworth's run, timed by the trial's own clock; of a trial planned with `timed_steps`, these alone: the later half, whose
    batches are those of the first."""
    return Measurement(**_child("_ours", job))


def theirs(peer: str, job: Job, python: str = sys.executable, test: bool = False) -> Measurement:
    """The same run by transformers.Trainer: `trainer` at its best settings, `defaults` as run_glue has it, `adapters`
    through AdapterHub, whose environment `python` belongs to. It starts from the same head and gets the same batches in the
    same order. `test`: the outputs on the test split are wanted."""
    settings = job.files / "settings.json"
    settings.write_text(json.dumps(_settings(peer, job, test)))
    said = subprocess.run([python, HERE / "trainer_peer.py", settings], stdout=subprocess.PIPE, text=True)
    return Measurement(**_last_line(said, f"{peer}, {job.trial.method}, {job.trial.task}"))


@dataclass(frozen=True)
class Rate:
    """Matrix products of a model's shape: `flops` a second, in the precision that trials use."""

    flops: float
    shape: tuple[int, int, int]
    precision: str = field(default="fp32")


def matrix_rate(device: str, tokens: int, hidden: int, precision: str = "auto") -> Rate:
    """The rate of (tokens, hidden) x (hidden, 4 hidden) and back, in a process of its own: the highest of some ten tries."""
    return Rate(**_child("_matrix_rate", device, tokens, hidden, precision))


def test_score(job: Job, outputs: NDArray[Any]) -> float:
    """The task's first metric of logits on its test split, in points. Raises Diverged where they are not finite."""
    from tuneworth.kinds import evaluate

    task, data, kept = _data(job)
    predictions = data.codec(task.kind, data.train.labels[kept]).decode(outputs)
    return evaluate(task.metrics[:1], predictions, data.test.labels)[task.metrics[0]]


test_score.__test__ = False  # type: ignore[attr-defined]  # pytest: not a test


def mean_length(job: Job) -> float:
    """Tokens an example of the trial's training part, on average."""
    lengths = [len(ids) for ids in _columns(job, test=False)["input_ids"]]
    return sum(lengths) / len(lengths)


def hidden_size(job: Job) -> int:
    return int(json.loads((Path(job.model_source) / "config.json").read_text())["hidden_size"])


def _ours(job: Job) -> dict[str, Any]:
    from tuneworth import trial

    timed = job.trial.budget.unit == "steps"
    if timed:
        trial.Batches = _twice(job)  # type: ignore[attr-defined]
    *_, last = trial.run_trial(job)
    if not isinstance(last, Finished):
        sys.exit(f"the trial failed: {last.error}" if hasattr(last, "error") else f"the trial failed: {last}")
    result = last.result
    seconds, examples, steps, timed_share = 0.0, 0, 0, 1.0
    if timed:  # the first of the two evaluations says what was spent by then
        point = result.curve[0]
        seconds, examples, steps, timed_share = point.seconds, point.examples, point.step, 0.5
    return asdict(Measurement(
        result.train_seconds - seconds, result.examples_seen - examples, result.steps - steps,
        result.trainable_parameters, result.peak_memory_bytes, dict(result.environment),
        result.train_flops * timed_share, result.score,
    ))  # fmt: skip


def _matrix_rate(device: str, tokens: int, hidden: int, precision: Any) -> dict[str, Any]:
    import torch

    from tuneworth.train import device as devices

    where = devices.pick(device)
    precision = devices.resolve_precision(precision, where)
    dtype = torch.bfloat16 if precision == "bf16" else torch.float32
    x = torch.randn(tokens, hidden, device=where).to(dtype)
    up = torch.randn(hidden, 4 * hidden, device=where).to(dtype)
    down = torch.randn(4 * hidden, hidden, device=where).to(dtype)
    wide = torch.empty(tokens, 4 * hidden, device=where, dtype=dtype)
    narrow = torch.empty(tokens, hidden, device=where, dtype=dtype)
    pair = 2 * 2 * tokens * hidden * 4 * hidden  # two products, a multiply-add is two FLOPs
    rates: list[float] = []
    repeats = 1
    while len(rates) < 10:
        devices.synchronize(where)
        start = time.perf_counter()
        for _ in range(repeats):
            torch.mm(x, up, out=wide)
            torch.mm(wide, down, out=narrow)
        devices.synchronize(where)
        took = time.perf_counter() - start
        if took < 0.05:
            repeats *= 2  # also the warm-up
            continue
        rates.append(pair * repeats / took)
    return asdict(Rate(max(rates), (tokens, hidden, 4 * hidden), str(precision)))


def _settings(peer: str, job: Job, test: bool) -> dict[str, Any]:
    from tuneworth.train import device as devices

    trial, device = job.trial, devices.pick(job.device)
    task, data, _ = _data(job)
    train = _columns(job, test=False)
    batches = _batches(job, [len(ids) for ids in train["input_ids"]])
    return {
        "peer": peer, "method": trial.kind, "options": dict(trial.options), "places": _places(job.model_source),
        "source": job.model_source, "head": _head(job), "outputs": len(data.label_names or ("",)),
        "problem_type": "regression" if task.kind == "regression" else "single_label_classification",
        "recipe": trial.recipe.model_dump(), "batches": batches,
        "untimed_steps": len(batches) // 2 if trial.budget.unit == "steps" else 0,
        "max_length": trial.max_length, "seed": trial.seed, "device": device.type,
        "pad_token": _tokenizer(job.model_source).pad_token,
        "precision": devices.resolve_precision(trial.precision, device),
        "train": train, "test": _columns(job, test=True) if test else None,
    }  # fmt: skip


def _batches(job: Job, lengths: list[int]) -> list[list[int]]:
    """Which examples each step trains on, on all sides. Where only the later half of the steps is timed, its batches are the
    first half's again: all shapes are known by then, as they are in a long run."""
    from tuneworth.train import rng
    from tuneworth.train.batches import Batches

    kind = _twice(job) if job.trial.budget.unit == "steps" else Batches
    order = kind(np.array(lengths), job.trial.recipe.batch_size, rng.stream_seed(job.trial.seed, "order"))
    steps = int(job.trial.budget.amount) * (1 if job.trial.budget.unit == "steps" else order.steps_per_epoch)
    return [order.at(step).tolist() for step in range(steps)]


def _twice(job: Job) -> type[Batches]:
    from tuneworth.train.batches import Batches

    class Twice(Batches):
        def at(self, step: int) -> NDArray[np.int64]:
            return super().at(step % (int(job.trial.budget.amount) // 2))

    return Twice


def _head(job: Job) -> str:
    """A file of the task head that the trial starts from."""
    from safetensors.torch import save_file

    from tuneworth.models.load import load
    from tuneworth.train import rng

    task, data, _ = _data(job)
    outputs = len(data.label_names or ("",))
    loaded = load(job.model_source, outputs, task.kind, rng.generator(job.trial.seed, "head"), job.allow_pickle)
    path = job.files / "head.safetensors"
    save_file({name: p.detach() for name, p in loaded.model.named_parameters() if name in loaded.head}, path)
    return str(path)


def _data(job: Job) -> tuple[Any, Any, Any]:
    """(task, its data, which of its training split the trial trains on)."""
    from tuneworth.tasks.planned import load_task
    from tuneworth.tasks.splits import take

    task, data = load_task(job.trial.task, None, job.data_dir)
    return task, data, take(data.train.labels, task.kind, job.trial.fraction, job.trial.seed).train


def _columns(job: Job, test: bool) -> dict[str, list[Any]]:
    """Tokenised as a user of transformers does it, with labels as the loss wants them where they are for training."""

    task, data, kept = _data(job)
    part, which = (data.test, range(len(data.test))) if test else (data.train, kept)
    pairs = [part.pairs[i] for i in which] if part.pairs is not None else None
    tokenizer = _tokenizer(job.model_source)
    tokens = tokenizer([part.texts[i] for i in which], pairs, truncation=True, max_length=job.trial.max_length)
    if test:
        return dict(tokens)
    labels = data.train.labels[kept]
    return {**tokens, "labels": data.codec(task.kind, labels).encode(labels).tolist()}


@lru_cache(maxsize=4)
def _tokenizer(source: str) -> Any:
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(source)


def _places(source: str) -> list[str]:
    """Where Tuneworth's lora is put: the query and value projections, by the ends of their names."""
    from tuneworth.models.families import all_families

    family = all_families()[json.loads((Path(source) / "config.json").read_text())["model_type"]]
    return [family.stacks[0].query, family.stacks[0].value]


def _child(name: str, *arguments: Any) -> dict[str, Any]:
    """A function of this module in a new process."""
    said = subprocess.run([sys.executable, __file__, name], input=pickle.dumps(arguments), stdout=subprocess.PIPE)
    return _last_line(said, name)


def _last_line(said: subprocess.CompletedProcess[Any], who: str) -> dict[str, Any]:
    if said.returncode:
        sys.exit(f"{who} failed (exit code {said.returncode})")
    found: dict[str, Any] = json.loads(said.stdout.splitlines()[-1])
    return found


def installed(python: str, packages: Iterable[str]) -> bool:
    """Whether that Python finds all of these; False too where there is no such Python."""
    code = f"import importlib.util as u, sys; sys.exit(any(u.find_spec(n) is None for n in {list(packages)!r}))"
    try:
        return subprocess.run([python, "-c", code], stderr=subprocess.DEVNULL).returncode == 0
    except OSError:
        return False


if __name__ == "__main__":
    known: dict[str, Callable[..., dict[str, Any]]] = {"_ours": _ours, "_matrix_rate": _matrix_rate}
    print(json.dumps(known[sys.argv[1]](*pickle.load(sys.stdin.buffer))))
