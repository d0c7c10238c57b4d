"""A task in the user's own files."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, model_validator

from tuneworth.errors import SpecError
from tuneworth.spec.base import Frozen

Quoting = Literal["double", "backslash", "none"]


def _delimiter(value: Any) -> Any:
    sign = {"tab": "\t", "\\t": "\t"}.get(value, value)  # what can be typed in a shell
    if not isinstance(sign, str) or len(sign) != 1 or sign in '"\r\n\0':
        raise SpecError(f"{value!r} cannot separate columns", "give one character, like ';' or 'tab'")
    return sign


Delimiter = Annotated[str, BeforeValidator(_delimiter)]


class Form(Frozen):
    """How CSV and TSV files are written; None: as reading them shows.

    `delimiter` separates the columns. A quote is `double` (RFC 4180: doubled inside a quoted field), `backslash` (after one
    there) or `none` (a character like any other, and each line is a row).
    """

    delimiter: Delimiter | None = None
    quoting: Quoting | None = None


class FileTask(Frozen):
    """A task in the user's own files: `[task.NAME]` in a study file, or the flags of `tuneworth compare`."""

    train: Path
    test: Path | None = None
    text: str = ""
    """Its column; of a .conll file, whose columns are numbers from 0, the first one by default."""
    text_pair: str | None = None
    label: str = ""
    """Its column; of a .conll file the last one by default."""
    kind: str | None = None
    """The name of one in `kinds`; None: seen from the columns."""
    metric: str | None = None
    label_separator: str | None = Field(None, min_length=1)
    """Between several labels of a text, where they are no lists."""
    threshold: Annotated[float, Field(gt=0, lt=1)] | Literal["tuned"] = 0.5
    """The probability from which on a text is given a label, of several; tuned: chosen on the validation split."""
    positive: str | None = None
    """The class that F1 is of; else, of two, the rarer one in train."""
    drop_duplicates: bool = False
    """Leave out training rows that repeat another one, or whose text stands in test, but for case, white space and punctuation."""
    test_fraction: Annotated[float, Field(gt=0, lt=1)] = 0.2
    split_seed: Annotated[int, Field(ge=0, lt=2**32)] = 0
    delimiter: Delimiter | None = None
    quoting: Quoting | None = None
    """As in Form."""
    skip_empty: bool = False
    """Leave out the rows without a text or without a label, instead of refusing the file."""

    @model_validator(mode="after")
    def _columns_are_named(self) -> FileTask:
        defaults = {"text": "0", "label": "-1"} if self.train.suffix.lower() == ".conll" else {}
        for name in ("text", "label"):
            if not getattr(self, name) and name not in defaults:
                raise SpecError(
                    f"which column of {self.train.name!r} holds the {name}?",
                    f"name it: --{name} COLUMN ({name} in a study file)",
                )
            object.__setattr__(self, name, getattr(self, name) or defaults.get(name))
        return self

    @property
    def form(self) -> Form:
        return Form(delimiter=self.delimiter, quoting=self.quoting)
