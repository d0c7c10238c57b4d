"""Statistics: pure functions on arrays. Chance, where one needs it, comes from an explicit generator."""

from tuneworth.stats.best import Regret, regrets
from tuneworth.stats.compare import Comparison, Verdict, compare, holm
from tuneworth.stats.estimate import Estimate, over_seeds
from tuneworth.stats.examples import Answers, over_seeds_and_examples, score_on_new_data
from tuneworth.stats.location import Interval, mean, mean_interval, standard_deviation
from tuneworth.stats.paired import PairedDifference, paired_difference
from tuneworth.stats.sequential import LOOKS, Decision, decide, level, next_look
from tuneworth.stats.stability import (
    brown_forsythe,
    collapse_rate,
    expected_best_of,
    pitman_morgan,
    spread_interval,
    spread_ratio,
    wilson,
    worst_of,
)
from tuneworth.stats.training import still_rising

__all__ = [
    "LOOKS",
    "Answers",
    "Comparison",
    "Decision",
    "Estimate",
    "Interval",
    "PairedDifference",
    "Regret",
    "Verdict",
    "brown_forsythe",
    "collapse_rate",
    "compare",
    "decide",
    "expected_best_of",
    "holm",
    "level",
    "mean",
    "mean_interval",
    "next_look",
    "over_seeds",
    "over_seeds_and_examples",
    "paired_difference",
    "pitman_morgan",
    "regrets",
    "score_on_new_data",
    "spread_interval",
    "spread_ratio",
    "standard_deviation",
    "still_rising",
    "wilson",
    "worst_of",
]
