"""How processes that compute come to life: forked from one that has loaded the libraries, where that is safe."""

from __future__ import annotations

import multiprocessing
import signal
import sys
import threading
from multiprocessing import forkserver, resource_tracker
from multiprocessing.context import ForkServerContext, SpawnContext
from multiprocessing.process import BaseProcess
from pathlib import Path
from types import ModuleType

__all__ = ["no_accelerator", "start", "starter"]

_DRIVERS = ("/dev/nvidiactl", "/dev/nvidia0", "/dev/dxg", "/dev/kfd")
"""What CUDA (on Windows' Linux too) and ROCm speak to; none of them survives a fork once it was asked anything."""


def no_accelerator() -> bool:
    """True where it is plain, without torch, that there is nothing but the CPU."""
    return sys.platform == "linux" and not any(Path(driver).exists() for driver in _DRIVERS)


def starter() -> ForkServerContext | SpawnContext:
    """The context that starts workers.

    Where there is nothing but the CPU, the libraries load once, in a process of their own that begins with it now, and
    workers are forked from that one; elsewhere each worker loads its own.
    """
    if not no_accelerator():
        return multiprocessing.get_context("spawn")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tuneworth.executors.preload"])
    resource_tracker.ensure_running()  # it unblocks signals when it starts, so before they are blocked
    # Ctrl-C reaches every process of a terminal; this one and its children must not die of it amid an import.
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        forkserver.ensure_running()
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
    return context


_one_at_a_time = threading.Lock()


def start(process: BaseProcess) -> None:
    """Start a process of `starter` that does not run the user's script again.

    multiprocessing has each child import its parent's `__main__`. Ours need nothing of it: their targets lie in this
    package, methods and tasks in packages. A script without `if __name__ == "__main__"` would begin anew in every child, and
    one that comes from standard input is nowhere to be found. So for that moment the main module is one that has no file.
    """
    with _one_at_a_time:
        main = sys.modules["__main__"]
        sys.modules["__main__"] = ModuleType("__main__")
        try:
            process.start()
        finally:
            sys.modules["__main__"] = main
