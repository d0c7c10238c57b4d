"""Statistics: pure functions on arrays. Chance, where one needs it, comes from an explicit generator."""

from tuneworth.stats.best import Regret, regrets
from tuneworth.stats.compare import Comparison, Verdict, compare, holm
from tuneworth.stats.estimate import Estimate, over_seeds
from tuneworth.stats.examples import Answers, over_seeds_and_examples, score_on_new_data
from tuneworth.stats.location import Interval, mean, mean_interval, standard_deviation
from tuneworth.stats.paired import PairedDifference, paired_difference
from tuneworth.stats.sequential import LOOKS, Decision, decide, level, next_look

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
    "compare",
    "decide",
    "holm",
    "level",
    "mean",
    "mean_interval",
    "next_look",
    "over_seeds",
    "over_seeds_and_examples",
    "paired_difference",
    "regrets",
    "score_on_new_data",
    "standard_deviation",
]
