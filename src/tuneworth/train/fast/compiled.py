"""kernels.cpp, built for this machine the first time it is wanted, and its functions on tensors.

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
from ctypes import c_float, c_int, c_int64, c_uint64, c_void_p
from pathlib import Path

import torch

from tuneworth.fits import cache_dir

SOURCE = Path(__file__).with_name("kernels.cpp")
FLAGS = ("-O3", "-march=native", "-std=c++17", "-fopenmp", "-fno-math-errno", "-fno-trapping-math", "-shared", "-fPIC", "-w")
"""None of -ffast-math: a NaN must stay one, and exp's rounding trick is arithmetic that it would undo."""
OFF = "TUNEWORTH_CXX"
"""The environment variable that names another compiler than c++; empty: none."""
SUFFIX = {torch.float32: "f32", torch.bfloat16: "bf16"}


class _Strides(ctypes.Structure):
    _fields_ = (("a", c_int64), ("b", c_int64), ("c", c_int64))


_DROPOUT = [c_uint64, c_int, c_float, c_int]
_SIGNATURES = {
    "dropout": [c_void_p, c_void_p, c_int64, *_DROPOUT],
    "softmax": [c_void_p, c_void_p, c_void_p, *[c_int64] * 7, *_DROPOUT],
    "softmax_backward": [c_void_p, c_void_p, c_void_p, c_int64, c_int64, *_DROPOUT],
    "norm": [*[c_void_p] * 6, c_int64, c_int64, c_float, c_int],
    "norm_backward": [*[c_void_p] * 8, c_int64, c_int64, c_int],
    "rearrange": [c_void_p, _Strides, c_void_p, _Strides, *[c_int64] * 4, c_int],
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
        return f"{compiler[0]} failed: {next((line for line in lines if 'error' in line), lines[-1] if lines else error)}"
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
        subprocess.run([*compiler, *FLAGS, SOURCE, "-o", made], check=True, capture_output=True, text=True)
        os.replace(made, path)


def _fingerprint(compiler: list[str]) -> str:
    """Of all that decides what is built: `-march=native` makes that the processor, too, on a home that machines share."""
    said = subprocess.run([*compiler, "--version"], capture_output=True, text=True).stdout
    cpu = platform.processor()
    if platform.system() == "Linux":
        found = re.search(r"^(?:flags|Features)\s*: (.+)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
        cpu = found[1] if found else cpu
    parts = (SOURCE.read_text(), repr(FLAGS), repr(compiler), said, platform.machine(), cpu)
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:16]


@functools.cache
def _function(name: str, suffix: str) -> ctypes._NamedFuncPointer:
    found = library()
    assert not isinstance(found, str), "who calls this has asked there()"
    function = found[f"{name}_{suffix}"]
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


def softmax_(
    scores: torch.Tensor, bias: torch.Tensor | None, seed: int, threshold: int, scale: float
) -> torch.Tensor:
    """scores := softmax(scores + bias), shape (batch, heads, queries, keys); returns them with dropout, if any, else as they
    are. `bias` broadcasts to that shape."""
    batch, heads, queries, keys = scores.shape
    strides = (0, 0, 0)
    if bias is not None:
        bias = bias.float()
        bias = (bias if bias.stride(-1) == 1 else bias.contiguous()).expand(batch, heads, queries, keys)
        strides = bias.stride()[:3]
    dropped = torch.empty_like(scores) if threshold else None
    _function("softmax", SUFFIX[scores.dtype])(
        scores.data_ptr(), None if dropped is None else dropped.data_ptr(), None if bias is None else bias.data_ptr(),
        *strides, batch, heads, queries, keys, seed, threshold, scale, torch.get_num_threads(),
    )  # fmt: skip
    return scores if dropped is None else dropped


def softmax_backward_(
    gradient: torch.Tensor, weights: torch.Tensor, seed: int, threshold: int, scale: float
) -> torch.Tensor:
    """gradient := that of the scores, from that of what `softmax_` returned, which is returned once more."""
    dropped = torch.empty_like(weights) if threshold else None
    keys = weights.shape[-1]
    _function("softmax_backward", SUFFIX[weights.dtype])(
        gradient.data_ptr(), weights.data_ptr(), None if dropped is None else dropped.data_ptr(), weights.numel() // keys,
        keys, seed, threshold, scale, torch.get_num_threads(),
    )  # fmt: skip
    return weights if dropped is None else dropped


def norm(
    x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor, eps: float, dtype: torch.dtype
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """LayerNorm over the last dimension: (y in `dtype`, mean, reciprocal deviation), the latter two of shape (rows,)."""
    cols = x.shape[-1]
    rows = x.numel() // cols
    y, mean, rstd = torch.empty_like(x, dtype=dtype), x.new_empty(rows, dtype=torch.float32), x.new_empty(rows, dtype=torch.float32)
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


def heads_apart(x: torch.Tensor) -> torch.Tensor:
    """(batch, heads, length, width), usually a view of (batch, length, heads, width), laid out as it reads."""
    if x.is_contiguous() or x.stride(-1) != 1:
        return x.contiguous()
    return _copied(x, torch.empty(x.shape, dtype=x.dtype))


def heads_together(x: torch.Tensor) -> torch.Tensor:
    """(batch, heads, length, width) as a view of a new tensor that lies as (batch, length, heads, width)."""
    batch, heads, length, width = x.shape
    return _copied(x.contiguous(), torch.empty((batch, length, heads, width), dtype=x.dtype).transpose(1, 2))


def _copied(x: torch.Tensor, to: torch.Tensor) -> torch.Tensor:
    size = x.element_size()
    batch, heads, length, width = x.shape
    strides = (_Strides(*(t.stride(dim) * size for dim in (0, 2, 1))) for t in (x, to))
    source, target = strides
    _function("rearrange", "bytes")(
        x.data_ptr(), source, to.data_ptr(), target, batch, length, heads, width * size, torch.get_num_threads()
    )
    return to
