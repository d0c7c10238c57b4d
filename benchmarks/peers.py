"""Training speed and peak memory beside other libraries: one epoch of a task, each run in a fresh process, in turn.

    python benchmarks/peers.py            # full and bitfit on MRPC with the packaged encoder
    python benchmarks/peers.py --quick    # a quarter of the data, three runs each: under 5 minutes

What is alike on all sides: the examples, batch size, longest length, precision, optimiser (fused AdamW), learning rate,
gradient clipping, and which parameters are trained (the run ends with an error where these, or the examples, differ).
What is timed: one whole epoch, its first steps included, without set-up, tokenising, evaluation or saving. Peak memory
is the process's on a CPU, what is allocated on an accelerator, from before data and model are loaded; Tuneworth's holds
its evaluations too. To add a peer, write one function like those below and a row in PEERS.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import math
import os
import shlex
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from tuneworth.errors import UserError

Runs = dict[tuple[str, str], list["Measurement"]]  # (method, peer) -> its measurements
METHODS = ("full", "bitfit")
SEED = 0
BESIDE = Path(__file__).resolve().parents[2] / "shared" / "glue"
"""Where GLUE is looked for last: beside the checkout."""


@dataclass(frozen=True)
class Measurement:
    """One epoch. `seconds` are wall-clock, of training alone; `environment` names machine and versions."""

    seconds: float
    examples: int
    steps: int
    trainable: int
    peak_memory_bytes: int
    environment: dict[str, Any]


def tuneworth(options: argparse.Namespace, method: str) -> Measurement:
    """A trial as a study runs it, timed by its own clock (within 0.1% of the wall time of its loop less evaluation)."""
    from tuneworth.events import Finished, Job
    from tuneworth.trial import run_trial

    with tempfile.TemporaryDirectory() as scratch:
        trial, source = _plan(options, method, Path(scratch))
        job = Job(trial, source, None, options.data_dir, Path(scratch), "peers", options.device,
                  checkpoint_seconds=math.inf, keep_delta=False)  # fmt: skip
        *_, last = run_trial(job)
    if not isinstance(last, Finished):
        sys.exit(f"the trial failed: {last}")
    result = last.result
    return Measurement(result.train_seconds, result.examples_seen, result.steps, result.trainable_parameters,
                       result.peak_memory_bytes, dict(result.environment))  # fmt: skip


def trainer(options: argparse.Namespace, method: str) -> Measurement:
    """transformers.Trainer at its best settings: bf16 where the device has it, group by length, fused AdamW.

    Timed from on_train_begin to on_epoch_end. Nothing is logged, saved or evaluated; its check of each loss is off.
    Before it, the tiny passes that Tuneworth's set-up makes to count FLOPs, which start threads and libraries, run too.
    """
    if importlib.util.find_spec("accelerate") is None:
        sys.exit("transformers.Trainer needs accelerate: pip install accelerate")
    from transformers import DataCollatorWithPadding, Trainer, TrainerCallback, TrainingArguments
    from transformers.trainer_callback import PrinterCallback
    from transformers.utils import logging

    from tuneworth.train import device as devices
    from tuneworth.train import flops

    class Stopwatch(TrainerCallback):  # type: ignore[misc]
        seconds = 0.0

        def on_train_begin(self, *_: Any, **__: Any) -> None:
            devices.synchronize(device)
            self.seconds -= time.perf_counter()

        def on_epoch_end(self, *_: Any, **__: Any) -> None:
            devices.synchronize(device)
            self.seconds += time.perf_counter()

    logging.set_verbosity_error()
    logging.disable_progress_bar()
    device = devices.pick(options.device)
    precision = devices.resolve_precision("auto", device)
    with tempfile.TemporaryDirectory() as scratch:
        trial, source = _plan(options, method, Path(scratch))
        devices.reset_peak_memory(device)
        model, tokenizer, rows = _plain(options, method, source)
        recipe = trial.recipe
        arguments = TrainingArguments(
            output_dir=scratch, num_train_epochs=1, per_device_train_batch_size=recipe.batch_size,
            optim="adamw_torch_fused", train_sampling_strategy="group_by_length", bf16=precision == "bf16",
            use_cpu=device.type == "cpu", dataloader_pin_memory=device.type == "cuda", dataloader_num_workers=0,
            learning_rate=recipe.learning_rate, lr_scheduler_type="linear", warmup_steps=recipe.warmup,
            weight_decay=recipe.weight_decay, max_grad_norm=recipe.gradient_clip, seed=SEED, eval_strategy="no",
            save_strategy="no", logging_strategy="no", logging_nan_inf_filter=False, report_to="none",
            disable_tqdm=True, remove_unused_columns=False,
        )  # fmt: skip
        stopwatch = Stopwatch()
        run = Trainer(model, arguments, DataCollatorWithPadding(tokenizer), train_dataset=rows,
                      processing_class=tokenizer, callbacks=[stopwatch])  # fmt: skip
        run.remove_callback(PrinterCallback)
        flops.count(run.model)
        run.train()
    trainable = sum(p.numel() for p in model.parameters() if p.requires_grad)
    environment = {**devices.environment(device, precision), "accelerate": version("accelerate")}
    return Measurement(stopwatch.seconds, len(rows), run.state.global_step, trainable,
                       devices.peak_memory(device), environment)  # fmt: skip


PEERS: dict[str, Callable[[argparse.Namespace, str], Measurement]] = {"tuneworth": tuneworth, "trainer": trainer}
FIRST, *OTHERS = PEERS
"""What is compared, and with whom."""


def _plan(options: argparse.Namespace, method: str, scratch: Path) -> tuple[Any, str]:
    """The trial of these settings, and where its model is."""
    from tuneworth.prepare import prepare
    from tuneworth.spec import Budget, StudySpec

    spec = StudySpec(
        name="peers", models=(options.model,), methods=(method,), tasks=(options.task,), seeds=(SEED,),
        fractions=(options.fraction,), budgets=(Budget(amount=1, unit="epochs"),), max_length=options.max_length,
        evaluations=1, recipe={method: {"batch_size": options.batch_size}},
    )  # fmt: skip
    prepared = prepare(spec, options.data_dir, scratch)
    return prepared.trials[0], prepared.model_sources[options.model]


def _plain(options: argparse.Namespace, method: str, source: str) -> tuple[Any, Any, list[dict[str, Any]]]:
    """(model, tokenizer, rows) as a user of transformers has them: the examples are those that the trial trains on."""
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    from tuneworth.tasks.planned import load_task
    from tuneworth.tasks.splits import take
    from tuneworth.train.targets import Targets

    task, data = load_task(options.task, None, options.data_dir)
    kept = take(data.train.labels, task.kind, options.fraction, SEED).train
    labels = Targets.fit(task.kind, data.train.labels[kept]).encode(data.train.labels[kept])
    tokenizer = AutoTokenizer.from_pretrained(source)
    pairs = [data.train.pairs[i] for i in kept] if data.train.pairs is not None else None
    tokens = tokenizer([data.train.texts[i] for i in kept], pairs, truncation=True, max_length=options.max_length)
    rows = [{**{k: v[i] for k, v in tokens.items()}, "labels": label.item()} for i, label in enumerate(labels)]
    kind = "regression" if task.kind == "regression" else "single_label_classification"
    model, report = AutoModelForSequenceClassification.from_pretrained(
        source, num_labels=len(data.label_names or ("",)), problem_type=kind, dtype="float32", output_loading_info=True,
    )  # fmt: skip
    base = f"{model.base_model_prefix}."
    for name, parameter in model.named_parameters():
        head = not name.startswith(base) or name in report["missing_keys"]
        parameter.requires_grad_(head or method == "full" or name.endswith("bias"))
    return model, tokenizer, rows


def parse(argv: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="benchmarks/peers.py", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--methods", nargs="+", choices=METHODS, default=list(METHODS))
    parser.add_argument("--peers", nargs="+", choices=OTHERS, default=OTHERS)
    parser.add_argument("--model", default="minilm", help="an alias, a directory or a hub name")
    parser.add_argument("--task", default="glue/mrpc")
    parser.add_argument("--data-dir", type=Path, help="GLUE's files; else TUNEWORTH_DATA, else ../shared/glue")
    parser.add_argument("--fraction", type=float, help="share of the training split (1; --quick: 0.25)")
    parser.add_argument("--repeats", type=int, help="runs of each, in turn (5; --quick: 3)")
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--max-length", type=int, default=128)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--one", nargs=2, metavar=("PEER", "METHOD"), help="one run, in this process: a line of JSON")
    options = parser.parse_args(argv)
    options.fraction = (0.25 if options.quick else 1.0) if options.fraction is None else options.fraction
    options.repeats = (3 if options.quick else 5) if options.repeats is None else options.repeats
    if options.repeats < 1:
        parser.error(f"--repeats {options.repeats}: nothing would run")
    if options.one and (options.one[0] not in PEERS or options.one[1] not in METHODS):
        parser.error(f"--one: PEER is one of {', '.join(PEERS)}; METHOD one of {', '.join(METHODS)}")
    if options.data_dir is None and not os.environ.get("TUNEWORTH_DATA") and BESIDE.is_dir():
        options.data_dir = BESIDE
    return options


def compare(argv: Sequence[str], options: argparse.Namespace) -> Runs:
    """Every run in its own process: A B A B, so that what else the machine does falls on all alike."""
    runs: Runs = {(method, peer): [] for method in options.methods for peer in (FIRST, *options.peers)}
    for turn in range(options.repeats):
        for method, peer in runs:
            print(f"run {turn + 1} of {options.repeats}: {method}, {peer}", file=sys.stderr)
            command = [sys.executable, __file__, *argv, "--one", peer, method]
            child = subprocess.run(command, stdout=subprocess.PIPE, text=True)
            if child.returncode:
                sys.exit(f"{peer} failed on {method} (exit code {child.returncode})")
            one = Measurement(**json.loads(child.stdout.splitlines()[-1]))
            first = next((r[0] for (m, _), r in runs.items() if m == method and r), one)
            if (one.examples, one.steps, one.trainable) != (first.examples, first.steps, first.trainable):
                sys.exit(f"not comparable, {method}: {peer} gives\n{one}\nand the first peer\n{first}")
            runs[method, peer].append(one)
    return runs


def summary(runs: Runs) -> list[dict[str, Any]]:
    """A row a method and peer. `ratio`: the first peer's median speed over this one's; above 1 the first is faster."""
    speeds = {key: [one.examples / one.seconds for one in measured] for key, measured in runs.items()}
    middle = {key: statistics.median(values) for key, values in speeds.items()}
    peaks = {key: statistics.median(one.peak_memory_bytes for one in measured) for key, measured in runs.items()}
    return [
        {"method": key[0], "peer": key[1], "examples_per_second": middle[key], "slowest": min(speeds[key]),
         "fastest": max(speeds[key]), "ratio": middle[key[0], FIRST] / middle[key], "peak_memory_mb": peaks[key] / 1e6}
        for key in runs
    ]  # fmt: skip


def main(argv: Sequence[str]) -> None:
    options = parse(argv)
    if options.one:
        peer, method = options.one
        try:
            print(json.dumps(asdict(PEERS[peer](options, method))))
        except UserError as error:
            sys.exit(str(error))
        return
    load = os.getloadavg()[0]
    runs = compare(argv, options)
    rows = summary(runs)
    print(f"{'method':<10}{'peer':<12}{'examples/s':>11}{'slowest':>10}{'fastest':>10}{'ratio':>8}{'peak MB':>10}")
    for row in rows:
        print("{method:<10}{peer:<12}{examples_per_second:>11.1f}{slowest:>10.1f}{fastest:>10.1f}{ratio:>8.3f}"
              "{peak_memory_mb:>10.0f}".format(**row))  # fmt: skip
    print(f"medians of {options.repeats}; ratio: tuneworth's examples/s over the peer's, above 1 tuneworth is faster\n")
    machine = {name: value for measured in runs.values() for name, value in measured[0].environment.items()}
    print(json.dumps({"command": shlex.join(["python", "benchmarks/peers.py", *argv]), "rows": rows,
                      "machine": machine, "load_before": load}))  # fmt: skip


if __name__ == "__main__":
    main(sys.argv[1:])
