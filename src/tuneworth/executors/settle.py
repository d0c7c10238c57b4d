"""What a worker does once, after its first trial."""

from __future__ import annotations

import gc


def settle() -> None:
    """Take what is alive now (libraries above all: a million objects) out of the collector's sight.

    Every trial begins with a collection, so that the last one's memory does not count as its own; without this, most of
    it would be spent on walking through what never goes away. `gc.unfreeze` undoes it.
    """
    gc.collect()
    gc.freeze()
