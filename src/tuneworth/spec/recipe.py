"""How a method trains."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from tuneworth.spec.base import Frozen


class Recipe(Frozen):
    """A method's training hyper-parameters. `warmup` is a share of the budget; `gradient_clip` a global 2-norm."""

    learning_rate: Annotated[float, Field(gt=0, allow_inf_nan=False)]
    batch_size: Annotated[int, Field(ge=1)] = 32
    schedule: Literal["linear", "cosine", "constant"] = "linear"
    warmup: Annotated[float, Field(ge=0, lt=1)] = 0.1
    weight_decay: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 0.01
    gradient_clip: Annotated[float, Field(gt=0)] = 1.0
