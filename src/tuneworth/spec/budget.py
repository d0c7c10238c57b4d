"""What a trial may spend on training."""

from __future__ import annotations

import re
from typing import Annotated, Literal

from pydantic import Field

from tuneworth.errors import SpecError
from tuneworth.spec.base import Frozen

Unit = Literal["epochs", "steps", "seconds", "flops"]


_SUFFIX: dict[str, tuple[Unit, float]] = {
    "epoch": ("epochs", 1), "epochs": ("epochs", 1), "step": ("steps", 1), "steps": ("steps", 1),
    "s": ("seconds", 1), "m": ("seconds", 60), "h": ("seconds", 3600), "flops": ("flops", 1),
}  # fmt: skip


class Budget(Frozen):
    """What a trial may spend on training. Written `3epochs`, `500steps`, `60s` (also `2m`, `1h`), `2e14flops`."""

    amount: Annotated[float, Field(gt=0, allow_inf_nan=False)]
    unit: Unit

    @classmethod
    def parse(cls, text: str) -> Budget:
        match = re.fullmatch(r"\s*([0-9.]+(?:e[+-]?[0-9]+)?)\s*([a-z]+)\s*", str(text).lower())
        remedy = "write it like 3epochs, 500steps, 60s or 2e14flops"
        if match is None or match[2] not in _SUFFIX:
            raise SpecError(f"cannot read the budget {text!r}", remedy)
        unit, factor = _SUFFIX[match[2]]
        try:
            amount = float(match[1]) * factor
        except ValueError:
            raise SpecError(f"cannot read the budget {text!r}", remedy) from None
        if not 0 < amount < float("inf"):
            raise SpecError(f"budget {text!r} is not more than nothing", remedy)
        if unit == "steps" and amount != int(amount):
            raise SpecError(f"budget {text!r} is not a whole number of steps", "write it like 500steps")
        return cls(amount=amount, unit=unit)

    def __str__(self) -> str:
        number = f"{self.amount:.12g}".replace("e+", "e")
        return number + ("s" if self.unit == "seconds" else self.unit)

    @property
    def timed(self) -> bool:
        """Measured in seconds, so the trial must have the machine to itself."""
        return self.unit == "seconds"


def parse_seconds(text: str | float) -> float:
    """A length of time in seconds: `90s`, `10m`, `2h`, or a number of seconds. Raises SpecError."""
    try:
        budget = Budget.parse(text if isinstance(text, str) else f"{text}s")
    except SpecError:
        budget = None
    if budget is None or not budget.timed:
        raise SpecError(f"{text!r} is no time limit", "write it like 90s, 10m or 2h")
    return budget.amount
