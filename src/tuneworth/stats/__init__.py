"""Statistics: pure functions on arrays. Chance, where one needs it, comes from an explicit generator."""

from tuneworth.stats.location import Interval, mean, mean_interval, standard_deviation
from tuneworth.stats.paired import PairedDifference, paired_difference

__all__ = ["Interval", "PairedDifference", "mean", "mean_interval", "paired_difference", "standard_deviation"]
