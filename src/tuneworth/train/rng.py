"""Every source of chance has its own stream, derived from the trial's seed.

Two methods at one seed thus see the same head initialisation, the same data in the same order: they are paired.
"""

from __future__ import annotations

import hashlib
from typing import Literal

import torch

Purpose = Literal["head", "delta", "order", "dropout"]


def stream_seed(seed: int, purpose: Purpose) -> int:
    """63 bits from SHA-256 over seed and purpose, so that neighbouring seeds give unrelated streams."""
    digest = hashlib.sha256(f"tuneworth/{purpose}/{seed}".encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1


def generator(seed: int, purpose: Purpose) -> torch.Generator:
    return torch.Generator().manual_seed(stream_seed(seed, purpose))
