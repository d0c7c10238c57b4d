"""One colour and one shape a method, the same in every chart and table.

Colours after Okabe and Ito, "Color Universal Design" (2008), which most colour-blind readers can tell apart; sky blue
and orange are darkened, so that every colour stands out at 3:1 or more from both the light and the dark page (a test
computes it). Shapes repeat the message for readers who see no colour.
"""

from __future__ import annotations

from collections.abc import Sequence

__all__ = ["COLOURS", "DARK_PAGE", "LIGHT_PAGE", "SHAPES", "colours", "shapes"]

COLOURS = ("#0072b2", "#d55e00", "#009e73", "#c4709e", "#b98000", "#3d99cf", "#808080")
SHAPES = ("circle", "square", "triangle-up", "diamond", "triangle-down", "cross", "triangle-right", "triangle-left")
LIGHT_PAGE = "#ffffff"
DARK_PAGE = "#15181d"


def colours(methods: Sequence[str]) -> list[str]:
    return [COLOURS[i % len(COLOURS)] for i in range(len(methods))]


def shapes(methods: Sequence[str]) -> list[str]:
    # 7 colours and 8 shapes have no common divisor: the first 56 methods all look unlike.
    return [SHAPES[i % len(SHAPES)] for i in range(len(methods))]
