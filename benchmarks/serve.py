"""Serving many tasks on one backbone: correctness, throughput, memory, and a task added under load.

    python benchmarks/serve.py            # about 10 minutes on two cores
    python benchmarks/serve.py --quick    # fewer methods and examples: about 3

Correctness: deltas of every method, trained for some steps on generated tasks, in mixed batches, against each delta's own
model. Throughput: BitFit tasks, copies of a trained one with every parameter moved a little at random, without HTTP; a
fixed number of texts is always in flight, as with so many clients. `swapped` is one plain model whose biases and head are
overwritten before each batch, which holds the oldest text and all others of its task that wait. All three take turns.
Memory: resident size of a fresh process, at rest and after a batch. Load: a real server, clients that ask over HTTP while
a task comes and goes.
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import random
import re
import shlex
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import cycle, islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from tuneworth.serve.engine import Engine, Example

TASK = "demo/paraphrase"
TOKEN = "benchmark"
PARTS = ("fp32", "bf16", "throughput", "memory", "load")


def train(options: argparse.Namespace, into: Path) -> None:
    """One delta a method and task, each in a directory `TASK-METHOD`."""
    from tuneworth.methods import all_methods
    from tuneworth.spec import StudySpec
    from tuneworth.study import Study

    tasks = [TASK] if options.quick else [TASK, "demo/similarity"]
    study = Study(
        StudySpec.parse({
            "name": "serve", "models": [options.model], "tasks": tasks, "seeds": 1,
            "methods": [name for name in all_methods() if not name.startswith("peft/")],
            "budgets": [f"{options.steps}steps"], "evaluations": 1, "precision": "fp32",
        }),
        str(into / "store.db"),
    )  # fmt: skip
    study.run(workers=1, device=options.device, watch=lambda _: None)
    (into / "trained").mkdir()
    for row in study.rows():
        Path(row["delta_path"]).rename(into / "trained" / f"{row['task']}-{row['method']}".replace("/", "-"))


def copies(trained: Path, count: int, into: Path) -> None:
    """`count` deltas like the trained BitFit one, every parameter moved by N(0, 0.01)."""
    import torch

    from tuneworth.deltas.files import read_info, read_tensors, save_delta

    source = trained / f"{TASK}-bitfit".replace("/", "-")
    info = read_info(source)
    tensors = read_tensors(source, info)
    noise = torch.Generator().manual_seed(0)
    for number in range(count):
        moved = {name: t + 0.01 * torch.randn(t.shape, generator=noise) for name, t in tensors.items()}
        save_delta(into / f"task-{number:03}", moved, info)


def engine_of(root: Path, options: argparse.Namespace, precision: Any = "fp32") -> Engine:
    from tuneworth.serve.engine import Engine
    from tuneworth.serve.found import choose_base, find
    from tuneworth.train.device import pick

    found = find(root)
    engine = Engine(choose_base(found, None, False), pick(options.device), precision)
    for delta in found:
        engine.load(delta)
    return engine


def pairs_of(task: str) -> Iterator[tuple[str, str]]:
    """The test split's text pairs, over and over."""
    from tuneworth.tasks import get_task

    test = get_task(task, {}).load(None).test
    return cycle(zip(test.texts, test.pairs or (), strict=True))


def correctness(trained: Path, options: argparse.Namespace, precision: Any) -> dict[str, Any]:
    """Of every trained delta that mixes: mixed batches of all of them against its own model."""
    from tuneworth.deltas.load import load_tuned
    from tuneworth.train.batches import tokenize
    from tuneworth.train.evaluate import logits
    from tuneworth.train.fast import lay_out

    engine = engine_of(trained, options, precision)
    each = -(-options.examples // len(engine.tasks))
    own, mixed = [], []
    for name, task in engine.tasks.items():
        if task.parts is None:
            continue
        first, second = zip(*islice(pairs_of(task.info.task), each), strict=True)
        tuned = load_tuned(trained / name)
        lay_out(tuned.model, engine.device, precision)
        tokens = tokenize(tuned.tokenizer, first, second, task.info.max_length)
        own += list(logits(tuned.model, tokens, np.arange(each), precision))
        mixed += engine.encode(task, first, second)
    order = random.Random(0).sample(range(len(mixed)), len(mixed))
    apart, same = [], []
    for start in range(0, len(order), 64):
        rows = order[start : start + 64]
        for row, values in zip(rows, engine.logits([mixed[row] for row in rows]), strict=True):
            values = values[: len(own[row])]
            apart.append(float(np.abs(values - own[row]).max()))
            same.append(len(values) == 1 or values.argmax() == own[row].argmax())
    methods = {task.info.method for task in engine.tasks.values() if task.parts is not None}
    return {"methods": sorted(methods), "examples": len(mixed), "largest_difference": max(apart),
            "largest_logit": float(max(np.abs(values).max() for values in own)), "same_label": float(np.mean(same))}  # fmt: skip


def throughput(root: Path, options: argparse.Namespace) -> dict[str, dict[str, float]]:
    """By texts in flight: texts a second, the median of rounds in which the three ways take turns."""
    engine = engine_of(root, options)
    names = sorted(engine.tasks)

    def examples(tasks: Sequence[str]) -> list[Example]:
        turns = islice(zip(cycle(tasks), pairs_of(TASK), strict=False), options.texts)
        return [engine.encode(engine.tasks[name], [a], [b])[0] for name, (a, b) in turns]

    spread, alone = examples(names), examples(names[:1])
    swap = swapper(engine)
    found = {}
    for flight in options.in_flight:
        ways: dict[str, Callable[[], float]] = {
            "alone": partial(through_batcher, engine, alone, flight),
            "mixed": partial(through_batcher, engine, spread, flight),
            "swapped": partial(by_task, swap, spread, flight),
        }
        seconds: dict[str, list[float]] = {name: [way()] for name, way in ways.items()}
        for _ in range(options.rounds):
            for name, way in ways.items():
                seconds[name].append(way())
        found[str(flight)] = {name: options.texts / statistics.median(taken[1:]) for name, taken in seconds.items()}
    return found


def through_batcher(engine: Engine, examples: Sequence[Example], in_flight: int) -> float:
    """Seconds until every example has its answer from the server's own batcher."""
    from tuneworth.serve.batcher import Batcher
    from tuneworth.serve.server import Queue

    batcher = Batcher(engine.run, Queue().max_wait / 1000, in_flight)
    room = threading.Semaphore(in_flight)
    started = time.perf_counter()
    for example in examples:
        room.acquire()
        while True:  # an answer frees its client a moment before the queue has room
            try:
                (answer,) = batcher.submit([example])
                break
            except Exception:
                time.sleep(1e-4)
        answer.add_done_callback(lambda _: room.release())
    batcher.close()
    return time.perf_counter() - started


def by_task(run: Callable[[Sequence[Example]], object], examples: Sequence[Example], in_flight: int) -> float:
    """Seconds for the same with one-task batches: the oldest text, and all of its task that wait, up to a full batch."""
    from tuneworth.train.evaluate import BATCH_TOKENS

    coming = deque(examples)
    waiting: list[Example] = []
    started = time.perf_counter()
    while coming or waiting:
        while coming and len(waiting) < in_flight:
            waiting.append(coming.popleft())
        batch: list[Example] = []
        longest = 0
        for example in [e for e in waiting if e.task is waiting[0].task]:
            longest = max(longest, len(example.ids))
            if batch and (len(batch) + 1) * longest > BATCH_TOKENS:
                break
            batch.append(example)
        run(batch)
        taken = set(map(id, batch))
        waiting = [e for e in waiting if id(e) not in taken]
    return time.perf_counter() - started


def swapper(engine: Engine) -> Callable[[Sequence[Example]], object]:
    """Runs a batch of one task on one plain model, after its trained parameters were copied in."""
    import torch

    from tuneworth.serve.engine import Example, Task

    first = next(iter(engine.tasks.values()))
    model = engine.backbone.twin(first.outputs).model.eval()
    for parameter in model.parameters():
        parameter.data = parameter.data.clone()
    kept: dict[Task, list[torch.Tensor]] = {}
    targets = [model.get_parameter(f"{path}.{name}") for path, name in engine.backbone.layout.spans]
    for task in engine.tasks.values():
        assert task.parts is not None
        kept[task] = [task.parts.vector[span] for span in engine.backbone.layout.spans.values()]
        for path in engine.backbone.layout.heads:
            kept[task] += [t for t in task.parts.weights[path] if t is not None]
    for path in engine.backbone.layout.heads:
        targets += list(model.get_submodule(path).parameters())

    def run(batch: Sequence[Example]) -> object:
        with torch.no_grad():
            for target, value in zip(targets, kept[batch[0].task], strict=True):
                target.copy_(value)
        task = Task(batch[0].task.name, batch[0].task.info, None, model)
        return engine.run([Example(task, e.ids, e.types) for e in batch])

    return run


def memory(root: Path, options: argparse.Namespace) -> dict[str, float]:
    """Megabytes resident in this (fresh) process, with the backbone and one task, then with all of them: at rest, and
    once a batch of 64 texts, from as many tasks as there are, has passed."""
    import psutil

    from tuneworth.serve.engine import Engine
    from tuneworth.serve.found import choose_base, find
    from tuneworth.train.device import pick

    a, b = next(pairs_of(TASK))
    found = find(root)
    engine = Engine(choose_base(found, None, False), pick(options.device), "fp32")

    def resident() -> float:
        return float(psutil.Process().memory_info().rss) / 1e6

    def after_a_batch() -> float:
        tasks = islice(cycle(engine.tasks.values()), 64)
        engine.run([example for task in tasks for example in engine.encode(task, [a], [b])])
        return resident()

    engine.load(found[0])
    for parameter in engine.backbone.plain.parameters():
        parameter.sum()  # mapped from its file, a page counts as resident once it was read
    one = resident()
    for delta in found[1:]:
        engine.load(delta)
    sizes = {"all_at_rest": resident(), "one_at_rest": one, "all_after_a_batch": after_a_batch()}
    sizes["deltas"] = sum((d.directory / "delta.safetensors").stat().st_size for d in found[1:]) / 1e6
    sizes["backbone"] = sum(p.numel() * p.element_size() for p in engine.backbone.plain.parameters()) / 1e6
    return sizes


def load(root: Path, extra: Path, options: argparse.Namespace) -> dict[str, Any]:
    """Clients ask a real server all the time; in the middle a task is added, used, and taken away again."""
    program = [
        str(Path(sys.executable).with_name("tuneworth")),
        "serve",
        str(root),
        "--port",
        "0",
        "--device",
        options.device,
    ]
    environment = {**os.environ, "TUNEWORTH_ADMIN_TOKEN": TOKEN, "PYTHONUNBUFFERED": "1"}
    server = subprocess.Popen(program, stdout=subprocess.PIPE, text=True, env=environment)
    assert server.stdout is not None
    said = next(line for line in server.stdout if "http://" in line)
    match = re.search(r":(\d+);", said)
    assert match
    port = int(match[1])
    names = sorted(path.name for path in root.iterdir())
    pairs = list(islice(pairs_of(TASK), 500))
    stop, asked = threading.Event(), list[tuple[float, float, int]]()

    def client(number: int) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", port)
        for turn in range(number, 10**9, options.clients):
            if stop.is_set():
                return
            body = json.dumps({"task": names[turn % len(names)], "pairs": [pairs[turn % len(pairs)]]})
            began = time.perf_counter()
            status, _ = call(connection, "POST", "/v1/predict", body)
            asked.append((began, time.perf_counter() - began, status))

    clients = [threading.Thread(target=client, args=(number,)) for number in range(options.clients)]
    for thread in clients:
        thread.start()
    time.sleep(options.seconds / 2)
    connection = http.client.HTTPConnection("127.0.0.1", port)
    extra.rename(root / extra.name)
    began = time.perf_counter()
    added, _ = call(connection, "PUT", f"/v1/tasks/{extra.name}")
    ended = time.perf_counter()
    body = json.dumps({"task": extra.name, "pairs": pairs[:1]})
    used, _ = call(connection, "POST", "/v1/predict", body)
    removed, _ = call(connection, "DELETE", f"/v1/tasks/{extra.name}")
    time.sleep(options.seconds / 2)
    stop.set()
    for thread in clients:
        thread.join()
    server.send_signal(signal.SIGTERM)
    code = server.wait(60)
    latency = [taken for _, taken, _ in asked]
    meanwhile = [taken for start, taken, _ in asked if start < ended and start + taken > began]
    span = max(start + taken for start, taken, _ in asked) - min(start for start, _, _ in asked)
    return {
        "requests": len(asked), "lost": sum(status != 200 for *_, status in asked), "admin": [added, used, removed],
        "exit_code": code, "per_second": len(asked) / span, "median_ms": 1e3 * statistics.median(latency),
        "p99_ms": 1e3 * float(np.quantile(latency, 0.99)), "loading_ms": 1e3 * (ended - began),
        "slowest_while_loading_ms": 1e3 * max(meanwhile, default=0.0),
    }  # fmt: skip


def call(connection: http.client.HTTPConnection, method: str, path: str, body: str | None = None) -> tuple[int, bytes]:
    headers = {"Content-Type": "application/json", "Authorization": f"Bearer {TOKEN}"}
    connection.request(method, path, body, headers)
    response = connection.getresponse()
    return response.status, response.read()


def parse(argv: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("--quick", action="store_true", help="one task a method, fewer examples, fewer rounds")
    add("--model", default="minilm", help="base model")
    add("--device", default="cpu")
    add("--tasks", type=int, default=100, help="BitFit tasks")
    add("--steps", type=int, default=30, help="training steps of the deltas for correctness")
    add("--examples", type=int, help="examples for correctness  [1000; quick: 200]")
    add("--texts", type=int, help="texts a way and round  [600; quick: 300]")
    add("--rounds", type=int, help="[3; quick: 2]")
    add("--in-flight", type=int, nargs="+", default=[64, 256], help="texts in flight  [64 256]")
    add("--clients", type=int, default=16)
    add("--seconds", type=float, help="of load  [20; quick: 8]")
    add("--only", nargs="+", choices=PARTS, default=[part for part in PARTS if part != "bf16"],
        help="fp32 and bf16 mean correctness; bf16, left out by default, is slow where the hardware lacks it")  # fmt: skip
    add("--memory-of", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args(argv)
    whole, quick = (1000, 600, 3, 20.0), (200, 300, 2, 8.0)
    for name, value in zip(("examples", "texts", "rounds", "seconds"), quick if options.quick else whole, strict=True):
        if getattr(options, name) is None:
            setattr(options, name, value)
    return options


def measure(options: argparse.Namespace) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as scratch:
        here = Path(scratch)
        say("training deltas")
        train(options, here)
        copies(here / "trained", options.tasks, here / "many")
        copies(here / "trained", 1, here / "late")
        late = (here / "late" / "task-000").rename(here / "late-task")
        child = [sys.executable, __file__, *sys.argv[1:], "--memory-of", str(here / "many")]
        parts: dict[str, Callable[[], Any]] = {
            "fp32": partial(correctness, here / "trained", options, "fp32"),
            "bf16": partial(correctness, here / "trained", options, "bf16"),
            "throughput": partial(throughput, here / "many", options),
            "memory": lambda: json.loads(subprocess.run(child, check=True, stdout=subprocess.PIPE).stdout),
            "load": partial(load, here / "many", late, options),
        }
        found = {}
        for part in options.only:
            say(part)
            found[part] = parts[part]()
    return found


def figures(found: dict[str, Any], options: argparse.Namespace) -> Iterator[tuple[str, str, str]]:
    """(what, measured, wanted)."""
    for precision, bound in (("fp32", "<= 1e-4"), ("bf16", "<= 2e-2")):
        if precision in found:
            f = found[precision]
            yield (f"{precision}: largest difference of logits ({len(f['methods'])} methods mixed, {f['examples']} examples, "
                   f"logits up to {f['largest_logit']:.1f})", f"{f['largest_difference']:.1e}", bound)  # fmt: skip
            yield f"{precision}: same label", f"{f['same_label']:.2%}", ">= 99.9%" if precision == "bf16" else ""
    for flight, rate in found.get("throughput", {}).items():
        yield (f"{flight} texts in flight: texts a second, one task alone; {options.tasks} mixed; swapped",
               f"{rate['alone']:.0f}; {rate['mixed']:.0f}; {rate['swapped']:.0f}", "")  # fmt: skip
        yield f"{flight} texts in flight: mixed / one task alone", f"{rate['mixed'] / rate['alone']:.2f}", ">= 0.80"
        yield f"{flight} texts in flight: mixed / swapped", f"{rate['mixed'] / rate['swapped']:.1f}", ">= 2"
    if m := found.get("memory"):
        grown = m["all_at_rest"] - m["one_at_rest"]
        yield (f"at rest: (backbone {m['backbone']:.1f} MB + growth by tasks {grown:.1f} MB) / (backbone + "
               f"{m['deltas']:.1f} MB of deltas)",
               f"{(m['backbone'] + grown) / (m['backbone'] + m['deltas']):.3f}", "<= 1.10")  # fmt: skip
        yield (f"process at rest with one task; with {options.tasks}; after a batch of 64 texts",
               f"{m['one_at_rest']:.0f}; {m['all_at_rest']:.0f}; {m['all_after_a_batch']:.0f} MB", "")  # fmt: skip
    if u := found.get("load"):
        yield f"requests lost of {u['requests']} while a task came and went", f"{u['lost']}", "0"
        yield f"over HTTP, {options.clients} clients: texts a second", f"{u['per_second']:.0f}", ""
        yield "over HTTP: median and 99% latency", f"{u['median_ms']:.0f} ms, {u['p99_ms']:.0f} ms", ""
        yield ("loading a task under load; slowest answer meanwhile",
               f"{u['loading_ms']:.0f} ms; {u['slowest_while_loading_ms']:.0f} ms", "")  # fmt: skip


def say(what: str) -> None:
    print(f"{what} ...", file=sys.stderr, flush=True)


def main(argv: Sequence[str] | None = None) -> None:
    options = parse(argv)
    if options.memory_of:
        print(json.dumps(memory(options.memory_of, options)))
        return
    found = measure(options)
    from tuneworth.train.device import environment, pick

    rows = list(figures(found, options))
    widths = [max(len(row[i]) for row in rows) for i in range(3)]
    for row in rows:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
    found["machine"] = environment(pick(options.device), "fp32")
    found["command"] = shlex.join(["python", "benchmarks/serve.py", *sys.argv[1:]])
    print(json.dumps(found))


if __name__ == "__main__":
    main()
