"""What a run tells whoever watches it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from tuneworth.events import Progress
from tuneworth.spec import TrialRecord
from tuneworth.store import Counts


@dataclass
class Board:
    """What is going on, for a progress display: counts of the study, trials running here, their last progress."""

    counts: Counts
    running: dict[str, TrialRecord] = field(default_factory=dict)
    progress: dict[str, Progress] = field(default_factory=dict)
    open_groups: int = 0
    """Groups that got more seeds in this run, since the question was open in them."""
    notice: str = ""
    """What people must see, in lines of its own, once: what was read, trials that are set aside, a store that is away."""


Watch = Callable[[Board], None]
