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
    if device.type == "cpu":
        yield "products", "; ".join(_rates())
        reason = devices.why_no_int8(device)
        yield (
            "int8",
            f"no: {reason}" if reason else 'precision = "int8" trains with products of bytes (docs/performance.md)',
        )
    from tuneworth.train.fast import compiled

    built = compiled.library()
    slower = f"{built}: training on a CPU is slower without; a C++ compiler (gcc or clang) is all it takes"
    yield "compiled parts", slower if isinstance(built, str) else "built for this processor"
    yield "workers", f"{worker_count('auto', 'auto')} at once with --workers auto"
    yield "packaged model", _packaged()


def _rates() -> Iterator[str]:
    """What products of an encoder's size reach, on all cores, in each precision that this machine has."""
    import time

    import torch
    from torch import nn

    from tuneworth.train import device as devices
    from tuneworth.train.fast import int8
    from tuneworth.train.fast.linear import PackedLinear, packable

    rows, inputs, outputs = 2048, 768, 768
    for name, dtype in (("fp32", torch.float32), ("bf16", torch.bfloat16), ("int8", torch.bfloat16)):
        layer: nn.Linear = nn.Linear(inputs, outputs).requires_grad_(False)
        if (name != "fp32" and not devices.has_bf16(torch.device("cpu"))) or (name == "int8" and not int8.there()):
            yield f"{name} not in hardware"
            continue
        if name == "int8":
            layer.__class__ = int8.Int8Linear
        elif packable(layer, dtype):
            layer.__class__ = PackedLinear
            layer.packed_for = dtype  # type: ignore[assignment]
        x, best = torch.randn(rows, inputs).to(dtype), float("inf")
        with torch.inference_mode(), torch.autocast("cpu", dtype=torch.bfloat16, enabled=name != "fp32"):
            for _ in range(12):
                start = time.perf_counter()
                layer(x)
                best = min(best, time.perf_counter() - start)
        yield f"{name} {2 * rows * inputs * outputs / best / 1e12:.2f} TOP/s"


def _packaged() -> str:
    from tuneworth import models

    try:
        return f"minilm found and intact (content {models.resolve('minilm').fingerprint})"
    except ModelError as error:
        return f"{error.problem}: {error.remedy}"
