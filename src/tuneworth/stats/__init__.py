"""Statistics: pure functions on arrays. Chance, where one needs it, comes from an explicit generator."""

from tuneworth.stats.across import average_rank, normalised, over_tasks, performance_profile, stratified_interval
from tuneworth.stats.best import Differences, Regret, beaten, by_seeds, on_new_data, regrets, regrets_of
from tuneworth.stats.collapse import collapsed, trained_ones
from tuneworth.stats.compare import Comparison, Verdict, compare, holm, over_training_data
from tuneworth.stats.curves import (
    Crossing,
    CurvePoint,
    ScoreCurve,
    area_under,
    crossover,
    learning_curve,
    reaches,
    score_at,
    time_to,
)
from tuneworth.stats.estimate import Estimate, over_seeds, shared_seeds
from tuneworth.stats.examples import (
    Answers,
    above_one_answer,
    over_seeds_and_examples,
    over_seeds_or_examples,
    score_on_new_data,
)
from tuneworth.stats.location import (
    Interval,
    interquartile_interval,
    interquartile_mean,
    mean,
    mean_interval,
    median,
    median_interval,
    standard_deviation,
)
from tuneworth.stats.pareto import front, front_probability
from tuneworth.stats.power import ORDINARY_SPREAD, examples_needed, look_needed, seeds_needed
from tuneworth.stats.sequential import LOOKS, Decision, decide, level, next_look
from tuneworth.stats.spreads import FEWEST_FOR_SPREADS, SpreadRatio, spread_ratio
from tuneworth.stats.stability import (
    expected_best_of,
    spread_interval,
    wilson,
    worst_of,
)
from tuneworth.stats.training import still_rising

__all__ = [
    "FEWEST_FOR_SPREADS",
    "LOOKS",
    "ORDINARY_SPREAD",
    "Answers",
    "Comparison",
    "Crossing",
    "CurvePoint",
    "Decision",
    "Differences",
    "Estimate",
    "Interval",
    "Regret",
    "ScoreCurve",
    "SpreadRatio",
    "Verdict",
    "above_one_answer",
    "area_under",
    "average_rank",
    "beaten",
    "by_seeds",
    "collapsed",
    "compare",
    "crossover",
    "decide",
    "examples_needed",
    "expected_best_of",
    "front",
    "front_probability",
    "holm",
    "interquartile_interval",
    "interquartile_mean",
    "learning_curve",
    "level",
    "look_needed",
    "mean",
    "mean_interval",
    "median",
    "median_interval",
    "next_look",
    "normalised",
    "on_new_data",
    "over_seeds",
    "over_seeds_and_examples",
    "over_seeds_or_examples",
    "over_tasks",
    "over_training_data",
    "performance_profile",
    "reaches",
    "regrets",
    "regrets_of",
    "score_at",
    "score_on_new_data",
    "seeds_needed",
    "shared_seeds",
    "spread_interval",
    "spread_ratio",
    "standard_deviation",
    "still_rising",
    "stratified_interval",
    "time_to",
    "trained_ones",
    "wilson",
    "worst_of",
]
