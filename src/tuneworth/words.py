"""Numbers in words, the same in terminal and HTML; and how much of a text is shown."""

from __future__ import annotations

import re

MINUS = "\N{MINUS SIGN}"
PLUS_MINUS = "\N{PLUS-MINUS SIGN}"
NOTHING = "\N{EN DASH}"


def brief(text: str, most: int = 200) -> str:
    """A text from outside, to be named in a sentence: where it is long, its beginning."""
    return text if len(text) <= most else f"{text[: most - 3]}..."


def first_line(error: Exception) -> str:
    """An error of others' code, in a sentence of ours: its kind, and the first line of what it says."""
    return f"{type(error).__name__}: {brief(next(iter(str(error).splitlines()), 'no message'))}"


def points(value: float | None) -> str:
    """A score: 84.1."""
    return NOTHING if value is None else _signed_zero_free(value).replace("-", MINUS)


def change(value: float) -> str:
    """A difference of scores, with its sign: +0.4."""
    text = points(value)
    return f"+{text}" if value > 0 and text != "0.0" else text


def between(interval: tuple[float, float]) -> str:
    """An interval of differences: -3.0 to -0.8."""
    return f"{change(interval[0])} to {change(interval[1])}"


def spread(mean: float | None, deviation: float | None) -> str:
    """Mean and standard deviation: 84.1 +- 0.6."""
    return points(mean) if deviation is None else f"{points(mean)} {PLUS_MINUS} {deviation:.1f}"


def share(value: float | None) -> str:
    """A share in percent, with two digits that say something: 100%, 12%, 0.91%, 0.0042%."""
    if value is None:
        return NOTHING
    percent = 100 * value
    return f"{percent:.0f}%" if percent >= 9.95 or percent == 0 else f"{percent:.2g}%"


def fraction(value: float) -> str:
    """A fraction of the data, exactly: 30%, 2.5%."""
    return f"{100 * value:.12g}%"


def seconds(value: float | None) -> str:
    """A time: 0.8 s, 41 s, 3 min 20 s, 2 h 05 min."""
    if value is None:
        return NOTHING
    if value < 9.95:
        return f"{value:.1f} s"
    whole = round(value)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    minutes = round(value / 60)
    return f"{minutes // 60} h {minutes % 60:02d} min"


def duration(value: float) -> str:
    """A time that is a forecast, in two units at most: 42 s, 3 min, 1 h 20 min."""
    if value < 90:
        return f"{value:.0f} s"
    minutes = round(value / 60)
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


def size(value: float | None) -> str:
    """Bytes: 512 B, 0.4 MB, 90 MB. Units of 1000, as disks are sold and files are listed."""
    if value is None:
        return NOTHING
    for unit, factor in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if value >= factor:
            number = value / factor
            return f"{number:.1f} {unit}" if number < 99.95 else f"{number:.0f} {unit}"
    return f"{value:.0f} B"


def count(value: float | None) -> str:
    """A whole number, in groups of three: 102,912."""
    return NOTHING if value is None else f"{round(value):,}"


_METRICS = {"f1": "F1", "macro_f1": "macro F1", "matthews": "Matthews correlation", "pearson": "Pearson correlation",
            "spearman": "Spearman correlation", "r2": "R²"}  # fmt: skip
_UNITS = {"epochs": ("epoch", "epochs"), "steps": ("step", "steps"), "flops": ("FLOPs", "FLOPs")}


def metric(name: str | None) -> str:
    """A metric as people write it: F1, Matthews correlation; as it is called where nothing better is known."""
    return _METRICS.get(name or "", (name or "score").replace("_", " "))


def budget(typed: object) -> str:
    """A budget as people write what they type as `3epochs`, `500steps`, `60s`, `2e14flops`: 3 epochs, 60 s, 2e14 FLOPs."""
    found = re.fullmatch(r"([0-9.]+(?:e[+-]?[0-9]+)?)([a-z]+)", str(typed))
    if found is None:
        return str(typed)
    one, more = _UNITS.get(found[2], (found[2], found[2]))
    return f"{found[1]} {one if found[1] == '1' else more}"


def several(number: int, noun: str, plural: str | None = None) -> str:
    """1 seed, 2 seeds."""
    return f"{number:,} {noun if number == 1 else plural or noun + 's'}"


def agreeing(seeds: int) -> str:
    """What stands where an interval would, of seeds that show no spread: one seed; 3 seeds agree."""
    return "one seed" if seeds == 1 else f"{seeds} seeds agree"


def listed(names: list[str]) -> str:
    """a; a and b; a, b and c."""
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}" if names else "none"


def _signed_zero_free(value: float) -> str:
    text = f"{value:.1f}"
    return "0.0" if text == "-0.0" else text
