"""What a trial answered on the test split, example by example: the evidence behind its score, kept compactly."""

from __future__ import annotations

import io
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["Predictions", "pack", "unpack"]


@dataclass(frozen=True, eq=False)
class Predictions:
    """`predicted` and `targets` have shape (n, ...), in the order of the test split: whole numbers as the kind of task has
    them (of classes, of tags), or values in the unit of the labels. Every trial of one task fingerprint has the same targets,
    so that a store keeps those once."""

    predicted: NDArray[Any]
    targets: NDArray[Any]
    task_fingerprint: str

    @classmethod
    def compact(cls, predicted: NDArray[Any], targets: NDArray[Any], task_fingerprint: str) -> Predictions:
        """Whole numbers in the fewest bytes that hold them; predicted values as float32 (seven digits). A task's
        targets, kept once, stay float64."""
        if predicted.dtype.kind == "f":
            return cls(predicted.astype("float32"), targets.astype("float64"), task_fingerprint)
        return cls(_fewest_bytes(predicted), _fewest_bytes(targets), task_fingerprint)


def pack(array: NDArray[Any]) -> bytes:
    """The array in NumPy's own file format, compressed: 1,500 answers to a question of two classes take some 300 bytes."""
    import numpy as np

    file = io.BytesIO()
    np.save(file, array, allow_pickle=False)
    return zlib.compress(file.getvalue())


def unpack(packed: bytes) -> NDArray[Any]:
    """What `pack` was given. Raises ValueError where the bytes are not such an array."""
    import numpy as np

    try:
        found: NDArray[Any] = np.load(io.BytesIO(zlib.decompress(packed)), allow_pickle=False)
    except (zlib.error, EOFError) as error:
        raise ValueError(f"not a packed array: {error}") from error
    return found


def _fewest_bytes(numbers: NDArray[Any]) -> NDArray[Any]:
    """uint8 for up to 256 classes, else uint16, and so on; where some are below 0, int8, int16, ..."""
    import numpy as np

    low, high = int(numbers.min(initial=0)), int(numbers.max(initial=0))
    kind = np.min_scalar_type(high) if low >= 0 else np.min_scalar_type(min(low, -high - 1))
    return numbers.astype(kind)
