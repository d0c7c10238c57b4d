"""What this machine can do, in one look: `tuneworth doctor`."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterator

from tuneworth.errors import ModelError


def examine() -> Iterator[tuple[str, str]]:
    """(what, how it is), one by one, so that the quick answers show at once."""
    from importlib.metadata import version

    import psutil

    yield "tuneworth", f"{version('tuneworth')}, Python {platform.python_version()}, {platform.platform()}"
    yield (
        "versions",
        ", ".join(f"{name} {version(name)}" for name in ("torch", "transformers", "tokenizers", "peft", "numpy")),
    )
    from tuneworth import words
    from tuneworth.machine.workers import cores_here, free_memory, worker_count

    yield "memory", f"{words.size(free_memory())} free of {words.size(psutil.virtual_memory().total)}"

    from tuneworth.train import device as devices

    device = devices.pick("auto")
    yield "cores", f"{len(cores_here())} usable of {os.cpu_count()}, {devices.cpu_name()}"
    yield "device", f"{device} ({devices.environment(device, 'auto')['device']})"
    fast = devices.has_bf16(device)
    yield "precision", "bf16 (in hardware)" if fast else "fp32 (bf16 is not in the hardware, so auto does not use it)"
    from tuneworth.train.fast import compiled

    built = compiled.library()
    slower = f"{built}: training on a CPU is slower without; a C++ compiler (gcc or clang) is all it takes"
    yield "compiled parts", slower if isinstance(built, str) else "built for this processor"
    yield "workers", f"{worker_count('auto', 'auto')} at once with --workers auto"
    yield "packaged model", _packaged()


def _packaged() -> str:
    from tuneworth import models

    try:
        return f"minilm found and intact (content {models.resolve('minilm').fingerprint})"
    except ModelError as error:
        return f"{error.problem}: {error.remedy}"
