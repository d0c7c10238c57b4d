"""The C++ files beside this one, built for this machine the first time they are wanted, and their functions on tensors.

Built once a source, compiler and processor, in some three seconds, into the user's cache. Where there is no C++ compiler, or
it fails, `library` says why, and the parts of the fast path do without.
"""

from __future__ import annotations

import ctypes
import functools
import hashlib
import os
import platform
import re
import shlex
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from ctypes import c_float, c_int, c_int64, c_uint64, c_void_p
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import torch

from tuneworth.cache import cache_dir

SOURCES = tuple(
    Path(__file__).with_name(name) for name in ("lanes.h", "kernels.cpp", "attention.cpp", "adamw.cpp", "int8.cpp")
)
FLAGS = (
    "-O3",
    "-march=native",
    "-std=gnu++17",
    "-fopenmp",
    "-fno-math-errno",
    "-fno-trapping-math",
    "-shared",
    "-fPIC",
    "-w",
)
"""None of -ffast-math: a NaN must stay one, and exp's rounding trick is arithmetic that it would undo."""
OFF = "TUNEWORTH_CXX"
"""The environment variable that names another compiler than c++; empty: none."""
SUFFIX = {torch.float32: "f32", torch.bfloat16: "bf16"}


_DROPOUT = [c_uint64, c_int, c_float, c_int]
_SIGNATURES: dict[str, list[Any]] = {
    "dropout": [c_void_p, c_void_p, c_int64, *_DROPOUT],
    "column_sums": [c_void_p, c_void_p, c_int64, c_int64, c_int],
    "gelu": [c_void_p, c_void_p, c_void_p, c_int64, c_int],
    "attention": [*[c_void_p] * 6, *[c_int64] * 4, c_float, *_DROPOUT],
    "attention_backward": [*[c_void_p] * 9, *[c_int64] * 4, c_float, *_DROPOUT],
    "norm": [*[c_void_p] * 6, c_int64, c_int64, c_float, c_int],
    "norm_backward": [*[c_void_p] * 8, c_int64, c_int64, c_int],
    "int8_product": [*[c_void_p] * 6, c_int64, c_int64, c_int64, c_int],
    "adamw_squares": [c_void_p, c_int64, c_void_p, c_int],
    "adamw_step": [c_void_p, c_int64, *[c_float] * 4, c_int],
}


@functools.cache
def library() -> ctypes.CDLL | str:
    """The built kernels, or in a few words why there are none."""
    compiler = shlex.split(os.environ.get(OFF, "c++"))
    if not compiler or not shutil.which(compiler[0]):
        return "no C++ compiler" if compiler else f"{OFF} is empty"
    path = cache_dir() / f"kernels-{_fingerprint(compiler)}.so"
    try:
        if not path.exists():
            _build(compiler, path)
        found = ctypes.CDLL(str(path))
    except subprocess.CalledProcessError as error:
        lines = error.stderr.strip().splitlines()
        return (
            f"{compiler[0]} failed: {next((line for line in lines if 'error' in line), lines[-1] if lines else error)}"
        )
    except OSError as error:
        return f"not built: {error}"
    return found


def there() -> bool:
    return not isinstance(library(), str)


def _build(compiler: list[str], path: Path) -> None:
    """Into a file of its own name first: whoever builds at the same time gets the same, and none gets half of one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=path.parent) as scratch:
        made = Path(scratch) / path.name
        subprocess.run([*compiler, *FLAGS, *SOURCES[1:], "-o", made], check=True, capture_output=True, text=True)
        os.replace(made, path)


def _fingerprint(compiler: list[str]) -> str:
    """Of all that decides what is built: `-march=native` makes that the processor, too, on a home that machines share."""
    said = subprocess.run([*compiler, "--version"], capture_output=True, text=True).stdout
    cpu = platform.processor()
    if platform.system() == "Linux":
        found = re.search(r"^(?:flags|Features)\s*: (.+)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
        cpu = found[1] if found else cpu
    parts = (*(source.read_text() for source in SOURCES), repr(FLAGS), repr(compiler), said, platform.machine(), cpu)
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:16]


@functools.cache
def _function(name: str, suffix: str = "") -> ctypes._NamedFuncPointer:
    found = library()
    assert not isinstance(found, str), "who calls this has asked there()"
    function = found[f"{name}_{suffix}" if suffix else name]
    function.argtypes, function.restype = _SIGNATURES[name], None
    return function


def dropout(x: torch.Tensor, seed: int, threshold: int, scale: float) -> torch.Tensor:
    """A new tensor: `scale` · x where the drawn byte is at least `threshold`, else 0. The same bytes for the same seed."""
    x = x.contiguous()
    y = torch.empty_like(x)
    _function("dropout", SUFFIX[x.dtype])(
        x.data_ptr(), y.data_ptr(), x.numel(), seed, threshold, scale, torch.get_num_threads()
    )
    return y


def column_sums(x: torch.Tensor) -> torch.Tensor:
    """Sums over all dimensions but the last, in float32."""
    if x.dtype not in SUFFIX or not there():
        return x.flatten(0, -2).sum(0, dtype=torch.float32)
    x, sums = x.contiguous(), torch.empty(x.shape[-1])
    _function("column_sums", SUFFIX[x.dtype])(
        x.data_ptr(), sums.data_ptr(), x.numel() // x.shape[-1], x.shape[-1], torch.get_num_threads()
    )
    return sums


def gelu(x: torch.Tensor, with_slope: bool) -> tuple[torch.Tensor, torch.Tensor | None]:
    """GELU of x, and its derivative there."""
    x = x.contiguous()
    y, slope = torch.empty_like(x), torch.empty_like(x) if with_slope else None
    _function("gelu", SUFFIX[x.dtype])(
        x.data_ptr(), y.data_ptr(), None if slope is None else slope.data_ptr(), x.numel(), torch.get_num_threads()
    )
    return y, slope


@dataclass(frozen=True)
class Sequences:
    """Sequences of tokens that lie end to end: sequence s in rows starts[s] to starts[s + 1] of `rows`, of which the last ones
    may be nobody's. `queries`: so many are asked of each, in rows of their own; 0: a query a row."""

    starts: torch.Tensor
    rows: int
    queries: int = 0

    @cached_property
    def end(self) -> int:
        """The first row that is nobody's."""
        return int(self.starts[-1])

    @cached_property
    def weights(self) -> int:
        """How many attention weights a head has: a key's are padded to a multiple of 16, as attention.cpp has it. Asked by
        every layer, hence kept, as `end` is."""
        lengths = self.starts.diff()
        queries = torch.full_like(lengths, self.queries) if self.queries else lengths
        return int(((queries + 15) // 16 * 16 * lengths).sum())


@dataclass(frozen=True)
class Dropout:
    """A byte of `seed`'s stream below `threshold` drops its element; the others are multiplied by `scale`."""

    seed: int
    threshold: int
    scale: float


def attention(
    q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, heads: int, factor: float, of: Sequences, dropout: Dropout
) -> tuple[torch.Tensor, torch.Tensor]:
    """(context, weights) of q, k and v, each of shape (rows, heads * width); q and the context have `of.queries` rows a sequence
    where that is not 0. In bfloat16 the width is even. Rows that are nobody's get zeros."""
    context = torch.empty_like(q)
    weights = torch.empty(heads * of.weights, dtype=q.dtype)
    _function("attention", SUFFIX[q.dtype])(
        *(x.data_ptr() for x in (q, k, v, weights, context, of.starts)), len(of.starts) - 1, of.queries, heads,
        q.shape[1] // heads, factor, dropout.seed, dropout.threshold, dropout.scale, torch.get_num_threads(),
    )  # fmt: skip
    return context if of.queries else _nobodys_zeroed(context, of), weights


def attention_backward(
    gradient: torch.Tensor, q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, weights: torch.Tensor, heads: int,
    factor: float, of: Sequences, dropout: Dropout,
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:  # fmt: skip
    """The gradients of q, k and v, from that of the context."""
    dq, dk, dv = (torch.empty_like(x) for x in (q, k, v))
    _function("attention_backward", SUFFIX[q.dtype])(
        *(x.data_ptr() for x in (gradient, q, k, v, weights, dq, dk, dv, of.starts)), len(of.starts) - 1, of.queries, heads,
        q.shape[1] // heads, factor, dropout.seed, dropout.threshold, dropout.scale, torch.get_num_threads(),
    )  # fmt: skip
    return dq if of.queries else _nobodys_zeroed(dq, of), _nobodys_zeroed(dk, of), _nobodys_zeroed(dv, of)


def _nobodys_zeroed(x: torch.Tensor, of: Sequences) -> torch.Tensor:
    if of.end < len(x):
        x[of.end :] = 0
    return x


def norm(
    x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor, eps: float, dtype: torch.dtype
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """LayerNorm over the last dimension: (y in `dtype`, mean, reciprocal deviation), the latter two of shape (rows,)."""
    cols = x.shape[-1]
    rows = x.numel() // cols
    y, mean, rstd = (
        torch.empty_like(x, dtype=dtype),
        x.new_empty(rows, dtype=torch.float32),
        x.new_empty(rows, dtype=torch.float32),
    )
    _function("norm", f"{SUFFIX[x.dtype]}_{SUFFIX[dtype]}")(
        x.data_ptr(), weight.data_ptr(), bias.data_ptr(), y.data_ptr(), mean.data_ptr(), rstd.data_ptr(), rows, cols, eps,
        torch.get_num_threads(),
    )  # fmt: skip
    return y, mean, rstd


def norm_backward(
    gradient: torch.Tensor, x: torch.Tensor, weight: torch.Tensor, mean: torch.Tensor, rstd: torch.Tensor, trained: bool
) -> tuple[torch.Tensor, torch.Tensor | None, torch.Tensor | None]:
    """The gradients of x, and where they are `trained` of weight and bias."""
    gradient = gradient.contiguous()
    dx = torch.empty_like(x)
    of_weight, of_bias = (torch.zeros_like(weight) if trained else None for _ in range(2))
    _function("norm_backward", f"{SUFFIX[x.dtype]}_{SUFFIX[gradient.dtype]}")(
        gradient.data_ptr(), x.data_ptr(), weight.data_ptr(), mean.data_ptr(), rstd.data_ptr(), dx.data_ptr(),
        None if of_weight is None else of_weight.data_ptr(), None if of_bias is None else of_bias.data_ptr(),
        len(mean), x.shape[-1], torch.get_num_threads(),
    )  # fmt: skip
    return dx, of_weight, of_bias


@functools.cache
def int8_there() -> bool:
    """Whether int8.cpp has been built for a processor that multiplies bytes."""
    found = library()
    return not isinstance(found, str) and bool(found.int8_there())


def int8_product(
    x: torch.Tensor, values: torch.Tensor, factors: torch.Tensor, shifts: torch.Tensor, bias: torch.Tensor | None, outputs: int,
) -> torch.Tensor:  # fmt: skip
    """x Wᵀ + bias, x of shape (..., inputs); `values`, `factors`, `shifts`: W, as `int8.Weights` has it."""
    x = x.contiguous()
    y = x.new_empty(*x.shape[:-1], outputs)
    bias = None if bias is None else bias.float().contiguous()
    _function("int8_product", SUFFIX[x.dtype])(
        x.data_ptr(), values.data_ptr(), factors.data_ptr(), shifts.data_ptr(), None if bias is None else bias.data_ptr(),
        y.data_ptr(), x.numel() // x.shape[-1], x.shape[-1], outputs, torch.get_num_threads(),
    )  # fmt: skip
    return y


class Parameter(ctypes.Structure):
    """adamw.cpp's: one parameter's step, by addresses; what lies there lives as long as this."""

    _fields_ = (
        *((name, c_void_p) for name in ("value", "mean", "square", "gradient", "copy", "row_of", "seen")),
        *((name, c_int64) for name in ("rows", "cols", "gradients")),
        ("narrow", c_int),
        *((name, c_float) for name in ("decay", "rate", "correction")),
    )

    @classmethod
    def of(
        cls, value: torch.Tensor, mean: torch.Tensor, square: torch.Tensor, gradient: torch.Tensor, copy: torch.Tensor | None,
        rows: torch.Tensor | None, seen: torch.Tensor | None, decay: float, rate: float, correction: float,
    ) -> Parameter:  # fmt: skip
        """`gradient`: of value's shape, or with `rows` that of these rows of it alone. `copy`: bfloat16, of value's shape."""
        if rows is not None or gradient.dtype not in SUFFIX:  # adamw.cpp reads a table's rows as float32
            gradient = gradient.float()
        gradient, row_of = gradient.contiguous(), None
        if rows is not None:
            row_of = torch.full((len(value),), -1, dtype=torch.int32)
            row_of[rows] = torch.arange(len(rows), dtype=torch.int32)
        lying = (value, mean, square, gradient, copy, row_of, seen if rows is not None else None)
        made = cls(
            *(None if x is None else x.data_ptr() for x in lying), len(value) if rows is not None else 1,
            value.numel() // len(value) if rows is not None else value.numel(), gradient.numel(),
            gradient.dtype == torch.bfloat16, decay, rate, correction,
        )  # fmt: skip
        made.alive = lying
        return made


def adamw_squares(parameters: Sequence[Parameter]) -> float:
    """The sum of the squares of all gradients."""
    found = torch.empty((), dtype=torch.float64)
    _function("adamw_squares")(
        (Parameter * len(parameters))(*parameters), len(parameters), found.data_ptr(), torch.get_num_threads()
    )
    return float(found)


def adamw_step(parameters: Sequence[Parameter], betas: tuple[float, float], eps: float, scale: float) -> None:
    """AdamW's step with all gradients times `scale`, in place."""
    _function("adamw_step")(
        (Parameter * len(parameters))(*parameters), len(parameters), *betas, eps, scale, torch.get_num_threads()
    )
