"""What a study's author expects, stated before it is run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal, get_args

from pydantic import Field, field_validator

from tuneworth.errors import SpecError, did_you_mean
from tuneworth.spec.base import Frozen
from tuneworth.spec.budget import Budget

if TYPE_CHECKING:
    from tuneworth.spec.study import StudySpec


ClaimTest = Literal["equivalent", "better", "no-worse", "spread-no-larger", "spread-larger", "inconsistent-gain"]


class Claim(Frozen):
    """`[claim.NAME]`: what the study's author expects of some of its cells, stated before they are run.

    Of each of `method` against `against`, in every cell of the named models, tasks, fractions and budgets (none named: all
    of the study's). `margin` is in points, `ratio` is one of standard deviations; advice.claims says what each test means.
    """

    says: str
    test: ClaimTest
    method: tuple[str, ...]
    against: str
    margin: Annotated[float, Field(ge=0, allow_inf_nan=False)] | None = None
    ratio: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None = None
    models: tuple[str, ...] = ()
    tasks: tuple[str, ...] = ()
    fractions: tuple[float, ...] = ()
    budgets: tuple[Budget, ...] = ()

    @field_validator("method", "models", "tasks", "fractions", mode="before")
    @classmethod
    def _one_is_a_list(cls, value: Any) -> Any:
        return [value] if isinstance(value, (str, float, int)) else value

    @field_validator("budgets", mode="before")
    @classmethod
    def _budgets(cls, value: Any) -> Any:
        value = [value] if isinstance(value, str) else value
        return (
            [Budget.parse(v) if isinstance(v, str) else v for v in value] if isinstance(value, (list, tuple)) else value
        )

    @field_validator("test", mode="before")
    @classmethod
    def _test(cls, value: Any) -> Any:
        if value not in get_args(ClaimTest):
            raise SpecError(f"a claim cannot be tested by {value!r}", did_you_mean(str(value), get_args(ClaimTest)))
        return value


def check_claim(name: str, claim: Claim, study: StudySpec) -> None:
    """Raises SpecError for a claim about cells that the study does not have, or with a number that its test does not use."""
    for key, asked, known in (
        ("method", claim.method, study.methods), ("against", (claim.against,), study.methods),
        ("models", claim.models, study.models), ("tasks", claim.tasks, study.tasks),
        ("fractions", claim.fractions, study.fractions), ("budgets", claim.budgets, study.budgets),
    ):  # fmt: skip
        there = set(known)
        for value in asked:
            if value not in there:
                raise SpecError(f"[claim.{name}] {key} = {str(value)!r} is not in the study",
                                did_you_mean(str(value), [str(one) for one in known]))  # fmt: skip
    if not claim.method or claim.against in claim.method:
        raise SpecError(f"[claim.{name}] sets {claim.against!r} against itself or nothing", "name two methods")
    spread = claim.test.startswith("spread")
    unused = claim.margin if spread else claim.ratio
    if unused is not None:
        key, used = ("margin", "ratio") if spread else ("ratio", "margin")
        raise SpecError(
            f"[claim.{name}] {key} = {unused:g}: {claim.test} does not use it", f"give {used}, or leave it out"
        )
