"""What the machine offers, and how a model is laid on it: device, precision, peak memory, who else is training."""

from __future__ import annotations

import ctypes
import fcntl
import functools
import gc
import os
import platform
import re
import tempfile
from pathlib import Path
from typing import Any

import torch
from torch import nn

from tuneworth.errors import SpecError, did_you_mean
from tuneworth.spec import Precision
from tuneworth.writing import writing


def pick(name: str) -> torch.device:
    """The device of that name; `auto` takes the first accelerator, else the CPU. Raises SpecError."""
    if name == "auto":
        return torch.device(
            "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
        )
    kind = name.partition(":")[0]
    there = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if kind not in there:
        raise SpecError(f"unknown device {name!r}", did_you_mean(name, ["auto", *there]))
    if not there[kind]:
        raise SpecError(
            f"device {name!r} is not on this machine", "`tuneworth doctor` shows what is; --device auto picks"
        )
    try:
        device = torch.device(name)
    except RuntimeError:
        raise SpecError(f"cannot read the device {name!r}", "write it like cpu, cuda or cuda:1") from None
    if kind == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise SpecError(f"device {name!r} is not on this machine", f"it has {torch.cuda.device_count()}, from cuda:0")
    return device


def has_bf16(device: torch.device) -> bool:
    """Whether bf16 matrix products run in hardware (on a CPU: AVX512-BF16 or AMX; emulated ones are slower than fp32)."""
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    return device.type == "cpu" and bool(torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported())


def resolve_precision(wanted: Precision, device: torch.device) -> Precision:
    """What `auto` is here. Raises SpecError for int8 where it is no gain, which no check before could see."""
    if wanted == "auto":
        return "bf16" if has_bf16(device) else "fp32"
    if wanted == "int8" and (reason := why_no_int8(device)):
        raise SpecError(f"precision = 'int8' is not for this machine: {reason}", "leave it at 'auto'")
    return wanted


def why_no_int8(device: torch.device) -> str:
    """Why products of 8-bit integers are no gain on `device`; "" where they are."""
    from tuneworth.train.fast import compiled

    if device.type != "cpu":
        return f"it is for processors, not for {device.type}"
    if not has_bf16(device):
        return "its processor has no bf16 for what is no product"
    if isinstance(found := compiled.library(), str):
        return f"its kernels are not there ({found})"
    return "" if compiled.int8_there() else "its processor has no VNNI"


def autocast(device: torch.device, precision: Precision) -> torch.autocast:
    return torch.autocast(device.type, dtype=torch.bfloat16, enabled=precision != "fp32")


def cast_frozen(model: nn.Module) -> None:
    """Keep the frozen weights of plain Linear layers in bf16, so that autocast does not cast them again at every step.

    The products are the same to the bit: autocast would have rounded these weights to bf16 in just this way.
    """
    for module in model.modules():
        if type(module) is nn.Linear:
            for parameter in (module.weight, module.bias):
                if parameter is not None and not parameter.requires_grad:
                    parameter.data = parameter.data.to(torch.bfloat16)


def synchronize(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    elif device.type == "mps":
        torch.mps.synchronize()


def is_out_of_memory(error: BaseException) -> bool:
    """CUDA raises OutOfMemoryError; the CPU allocator a plain RuntimeError, told apart by its text."""
    return isinstance(error, (torch.OutOfMemoryError, MemoryError)) or "can't allocate memory" in str(error)


def reset_peak_memory(device: torch.device) -> None:
    gc.collect()
    if device.type == "cuda":
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats(device)
    elif platform.system() == "Linux":
        give_pages_back()  # or the last trial's memory counts as this one's
        Path("/proc/self/clear_refs").write_text("5")  # resets VmHWM (proc(5))


def give_pages_back() -> None:
    """Have glibc return what was freed to the system. Does nothing with another C library."""
    library = ctypes.CDLL(None)
    if hasattr(library, "malloc_trim"):
        library.malloc_trim(0)


@functools.cache
def keep_pages() -> None:
    """Have glibc keep freed memory for what comes next: fresh pages cost more than the work done on them.

    A step frees and asks for the same sizes over and over; by default the large ones go back to the system each time.
    `reset_peak_memory` still gives everything back between trials. Does nothing with another C library.
    """
    library = ctypes.CDLL(None)
    if platform.system() == "Linux" and hasattr(library, "mallopt"):
        for parameter, value in ((_MMAP_MAX, 0), (_TRIM_THRESHOLD, -1), (_TOP_PAD, 2**26)):
            library.mallopt(parameter, value)


_MMAP_MAX, _TRIM_THRESHOLD, _TOP_PAD = -4, -1, -2
"""glibc's malloc.h, mallopt(3); a threshold of -1 is none."""


def peak_memory(device: torch.device) -> int:
    """Bytes at the highest since `reset_peak_memory`: allocated on an accelerator, resident in the process on a CPU."""
    if device.type == "cuda":
        return int(torch.cuda.max_memory_allocated(device))
    if platform.system() == "Linux":
        found = re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())
        return int(found[1]) * 1024 if found else 0
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if platform.system() == "Darwin" else peak * 1024


class DeviceLock:
    """Holds a device together with others, or `alone` (budgets in seconds), across every process of this machine.

    A file lock: the kernel drops it when its holder dies, however it dies.
    """

    def __init__(self, device: torch.device, alone: bool) -> None:
        path = Path(tempfile.gettempdir()) / f"tuneworth-{os.getuid()}-{str(device).replace(':', '')}.lock"
        with writing(path):
            self._file = path.open("a")
        self._mode = fcntl.LOCK_EX if alone else fcntl.LOCK_SH

    def __enter__(self) -> DeviceLock:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def acquire(self) -> bool:
        """Whether it is held now; never waits."""
        try:
            fcntl.flock(self._file, self._mode | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True


def environment(device: torch.device, precision: Precision) -> dict[str, Any]:
    """What numbers and times depend on: recorded with every trial, so that comparisons that mix it can say so."""
    return {**_machine(), "device": _device_name(device), "precision": precision, "threads": torch.get_num_threads()}


@functools.cache
def _machine() -> dict[str, Any]:
    from importlib.metadata import version

    packages = {name: version(name) for name in ("tuneworth", "torch", "transformers", "tokenizers", "peft", "numpy")}
    return {"python": platform.python_version(), "os": platform.platform(), "cores": os.cpu_count() or 1, **packages}


def _device_name(device: torch.device) -> str:
    if device.type == "cuda":
        return f"cuda: {torch.cuda.get_device_name(device)}"
    return f"{device.type}: {cpu_name()}"


@functools.cache
def cpu_name() -> str:
    if platform.system() == "Linux":
        found = re.search(r"model name\s*: (.+)", Path("/proc/cpuinfo").read_text())
        if found:
            return found[1]
    return platform.processor() or platform.machine()
