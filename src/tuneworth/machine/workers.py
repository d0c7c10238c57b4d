"""This machine as the run loop sees it: how many trials it bears at once, and which process is which."""

from __future__ import annotations

import json
import logging
import os
import random
import socket
from collections.abc import Mapping, Sequence
from contextlib import suppress
from math import ceil
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import uuid4

from tuneworth import words
from tuneworth.errors import SpecError
from tuneworth.machine.starter import no_accelerator
from tuneworth.machine.throughput import TOKENS, Rate, probe

if TYPE_CHECKING:
    from tuneworth.spec import TrialSpec

__all__ = [
    "cores_here",
    "free_memory",
    "is_dead",
    "on_cpu",
    "owner_name",
    "race",
    "room",
    "trial_bytes",
    "worker_count",
]


PROBE_FROM = 50
"""Trials without a clock that must be missing for a probe to pay: it takes some ten seconds, most of them torch's start."""
_log = logging.getLogger(__name__)


def worker_count(
    workers: int | str, device: str, missing: Sequence[TrialSpec] | None = None, sources: Mapping[str, str] | None = None,
) -> int:  # fmt: skip
    """How many trials run at once, of those that are `missing` (None: of unknown ones), whose models' directories
    are `sources`, by name. Where nothing is missing, 1, without a look at the device.

    `auto`: one on an accelerator. On a CPU one a core, while their memory (`trial_bytes`) fits into what is free; where
    many trials are missing, a probe says whether one worker with all cores is quicker than that. Raises SpecError for what
    is no number, and for a device that is not there.
    """
    if workers != "auto" and (not str(workers).isdigit() or not 1 <= int(workers) <= 1024):
        raise SpecError(f"workers = {workers!r} is not a number from 1 to 1024", "give a number, or auto")
    if workers != "auto" and device in ("auto", "cpu"):
        return int(workers)
    if missing is not None and not missing and device == "auto":
        return 1
    here = on_cpu(device)  # a device that is not there is found here, once, not by every worker
    if workers != "auto":
        return int(workers)
    if not here:
        return 1
    fit = room(missing or (), sources or {})
    untimed = [trial for trial in missing or () if not trial.budget.timed]
    if fit == 1 or len(untimed) < PROBE_FROM:
        return fit
    trial = untimed[-1]  # any of them; studies tend to name the cheapest methods first
    (rate,) = race([trial], sources or {}, fit)
    return fit if rate.several >= rate.one else 1


def on_cpu(device: str) -> bool:
    """Whether trials run on the CPU. Raises SpecError for a device that is not there."""
    if device in ("auto", "cpu") and no_accelerator():
        return True
    from tuneworth.train.device import pick

    return pick(device).type == "cpu"


def race(trials: Sequence[TrialSpec], sources: Mapping[str, str], workers: int, tokens: int = TOKENS) -> list[Rate]:
    """Steps of each trial, run for a second by `workers` processes at once and by one with all cores (`probe`)."""
    cores = len(cores_here())
    rates = probe([(trial, sources[trial.model]) for trial in trials], workers, cores, tokens)
    for trial, (several, one) in zip(trials, rates, strict=True):
        _log.info(
            "workers: %s steps of %s, %d workers with %d threads %.1f examples/s, 1 with %d threads %.1f examples/s",
            trial.method, trial.model, workers, max(1, cores // workers), several, cores, one,
        )  # fmt: skip
    return rates


def room(missing: Sequence[TrialSpec], sources: Mapping[str, str]) -> int:
    """How many of the trials can run at once on the CPU: one a core, while their memory (`trial_bytes`) is free."""
    cores, free = len(cores_here()), free_memory()
    shapes = {(t.model, t.recipe.batch_size, t.max_length): t for t in missing}
    need = max((trial_bytes(Path(sources[t.model]), t) for t in shapes.values() if t.model in sources), default=UNKNOWN)
    fit = max(1, min(cores, int(free // need)))
    _log.info(
        "workers: %d cores, %s free, up to %s a trial: room for %d", cores, words.size(free), words.size(need), fit
    )
    return fit


CGROUPS, OWN = Path("/sys/fs/cgroup"), Path("/proc/self/cgroup")


def free_memory(cgroups: Path = CGROUPS, own: Path = OWN) -> int:
    """Bytes that may still be taken: of the host's, and of each control group's that this process is in. A container or a
    batch system's job has a limit that the host's numbers do not show."""
    import psutil

    free = [psutil.virtual_memory().available]
    free += [left for group in _groups("memory", cgroups, own) if (left := _left(group)) is not None]
    return max(0, min(free))


def _groups(controller: str, cgroups: Path, own: Path) -> list[Path]:
    """The control groups with this controller that this process is in, the inner ones first."""
    found: list[Path] = []
    with suppress(OSError):
        for line in own.read_text().splitlines():
            _, controllers, path = line.split(":", 2)  # cgroups(7): 0::/path, or, in version 1, 4:cpu,cpuacct:/path
            if controllers and controller not in controllers.split(","):
                continue
            tops = (cgroups / controllers, cgroups / controller)  # version 1 links the one to the other
            top = next((place for place in tops if place.is_dir()), cgroups)
            group = top / path.lstrip("/")
            found += [place for place in (group, *group.parents) if place.is_relative_to(top)]
    return found


def _left(group: Path) -> int | None:
    """Bytes until a control group's limit, with the page cache that goes first; None where it has none."""
    for limit, used, cache in (
        ("memory.max", "memory.current", "inactive_file"),
        ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
    ):
        try:
            stat = dict(line.split() for line in (group / "memory.stat").read_text().splitlines())
            return int((group / limit).read_text()) - int((group / used).read_text()) + int(stat.get(cache, 0))
        except (OSError, ValueError):  # not of this version, or "max"
            continue
    return None


UNKNOWN = int(3e9)
"""Bytes taken for a trial whose model's shape cannot be read."""


def trial_bytes(source: Path, trial: TrialSpec) -> int:
    """Bytes that a worker needs at most for such a trial of the model in the directory `source`.

    The libraries and what the allocator holds besides, 0.9 GB (docs/log.md); four times the weights' file, as if all were
    trained in float32 (own copy, gradient, two moments; frozen weights lie in pages that all workers share, and take none);
    the activations of one batch at its longest, by Korthikanti et al. 2022 (arXiv 2205.05198), eq. 2, doubled for float32:
    per layer batch x length x hidden x (34 + 5 heads length / hidden) x 2.
    """
    try:
        config = json.loads((source / "config.json").read_text(encoding="utf-8"))
        layers, hidden, heads = (
            next(int(config[name]) for name in names if name in config)
            for names in (("num_hidden_layers", "n_layers", "n_layer"), ("hidden_size", "dim", "n_embd", "d_model"),
                          ("num_attention_heads", "n_heads", "n_head"))
        )  # fmt: skip
    except (OSError, ValueError, TypeError, RuntimeError, StopIteration):
        return UNKNOWN
    weights = sum(file.stat().st_size for file in source.glob("*.safetensors"))
    length, batch = trial.max_length, trial.recipe.batch_size
    activations = 2 * layers * batch * length * (34 * hidden + 5 * heads * length)
    return int(0.9e9) + 4 * weights + activations


def cores_here(cgroups: Path = CGROUPS, own: Path = OWN) -> set[int]:
    """The cores this process may use: no more than the time that its control groups grant it fills, begun ones counted.

    Which of them is drawn by the host's name, a container's own, so that not all containers choose the first.
    """
    cores = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else set(range(os.cpu_count() or 1))
    granted = [share for group in _groups("cpu", cgroups, own) if (share := _cpu_share(group)) is not None]
    number = max(1, ceil(min(granted, default=len(cores))))
    return cores if number >= len(cores) else set(random.Random(socket.gethostname()).sample(sorted(cores), number))


def _cpu_share(group: Path) -> float | None:
    """Cores' worth of time that a control group may take; None where it has no limit."""
    for names in (("cpu.max",), ("cpu.cfs_quota_us", "cpu.cfs_period_us")):
        try:
            quota, period = map(int, " ".join((group / name).read_text() for name in names).split())
        except (OSError, ValueError):  # not of this version, or "max"
            continue
        return quota / period if quota > 0 and period > 0 else None  # -1: none, in version 1
    return None


def owner_name() -> str:
    """host/pid/start/random/space: names one process, also after its pid is used again, and the space its pid is of."""
    return f"{socket.gethostname()}/{os.getpid()}/{_start(os.getpid())}/{uuid4().hex[:8]}/{_pid_space()}"


def _start(pid: int) -> str:
    """When a process started: on Linux the kernel's ticks since it booted, which no clock that is set moves.

    Raises psutil.NoSuchProcess.
    """
    import psutil

    try:
        fields = Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2].split()
        return f"{fields[19]}ticks"  # proc_pid_stat(5), field 22; the name in brackets before may hold anything
    except (OSError, IndexError):
        return f"{psutil.Process(pid).create_time():.2f}"


def is_dead(owner: str) -> bool:
    """Whether the owner was a process of this host that is no more; owners elsewhere keep their leases.

    Elsewhere is also another container on this host, another machine of the same name, or this one before it was started
    anew: none of them can be told from the others. Owners of before version 0.2 do not name their space, and give the time of
    their start instead of its ticks.
    """
    import psutil

    host, pid, start, _, *space = owner.split("/")
    if host != socket.gethostname() or space not in ([], [_pid_space()]):
        return False
    try:
        process = psutil.Process(int(pid))
        now = _start(int(pid)) if start.endswith("ticks") else f"{process.create_time():.2f}"
        return now != start or process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def _pid_space() -> str:
    """What a process id means something in: this start of the system's kernel, and on Linux the PID namespace."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        return f"{boot}-{os.stat('/proc/self/ns/pid').st_ino}"
    except OSError:  # no Linux, and so no PID namespaces
        return ""
