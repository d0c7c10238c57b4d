"""This machine as the run loop sees it: how many trials it bears at once, and which process is which."""

from __future__ import annotations

import os
import socket
from uuid import uuid4

from tuneworth.errors import SpecError

__all__ = ["cores_here", "is_dead", "owner_name", "worker_count"]


def worker_count(workers: int | str, device: str) -> int:
    """How many trials run at once. `auto`: on a CPU one a core, since small models gain little from a second thread
    (docs/log.md has the figures) while there are 3 GB for each; on an accelerator one. Raises SpecError."""
    if workers != "auto":
        if not str(workers).isdigit() or not 1 <= int(workers) <= 1024:
            raise SpecError(f"workers = {workers!r} is not a number from 1 to 1024", "give a number, or auto")
        if device in ("auto", "cpu"):
            return int(workers)
    from tuneworth.train.device import pick

    kind = pick(device).type  # a device that is not there is found here, once, not by every worker
    if workers != "auto":
        return int(workers)
    if kind != "cpu":
        return 1
    import psutil

    return max(1, min(len(cores_here()), int(psutil.virtual_memory().available // 3e9)))


def cores_here() -> set[int]:
    """The cores this process may use."""
    return os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else set(range(os.cpu_count() or 1))


def owner_name() -> str:
    """host/pid/start: names one process, also after its pid is used again."""
    import psutil

    return f"{socket.gethostname()}/{os.getpid()}/{psutil.Process().create_time():.2f}/{uuid4().hex[:8]}"


def is_dead(owner: str) -> bool:
    """Whether the owner was a process of this host that is no more; owners elsewhere keep their leases."""
    import psutil

    host, pid, start, *_ = owner.split("/")
    if host != socket.gethostname():
        return False
    try:
        process = psutil.Process(int(pid))
        return f"{process.create_time():.2f}" != start or process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True
