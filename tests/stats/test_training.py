import numpy as np
import pytest

from tuneworth.stats import still_rising

THIRDS = (1 / 3, 2 / 3, 1.0)


def curves(
    scores: tuple[float, ...], seeds: int = 10, spread: float = 0.0, chance: int = 0
) -> list[list[tuple[float, float]]]:
    """One mean curve, evaluated at thirds of the budget, with chance of its own at each evaluation of each seed."""
    noise = np.random.default_rng(chance).normal(0, spread, (seeds, 3)) if spread else np.zeros((seeds, 3))
    return [list(zip(THIRDS, map(float, scores + own), strict=True)) for own in noise]


@pytest.mark.parametrize(
    ("scores", "rise"),
    [
        ((80.0, 81.0, 83.0), 2.0),
        ((60.0, 82.5, 83.0), None),  # half a point, which is what two evaluations differ by
        ((80.0, 83.0, 82.9), None),  # past its best
        ((81.2, 81.2, 81.2), None),  # has not begun to learn: the collapse rate tells
        ((81.2, 81.2, 85.0), 3.8),  # has just begun to
    ],
)
def test_the_rule(scores: tuple[float, ...], rise: float | None) -> None:
    assert still_rising(curves(scores)) == (rise and pytest.approx(rise))


def test_flat_curves_on_few_validation_examples_are_seldom_called_rising() -> None:
    """100 validation examples: an evaluation's chance is some 3 points. One curve in three would rise by half a point."""
    flat = [still_rising(curves((80.0, 80.0, 80.0), spread=3.0, chance=i)) for i in range(300)]
    assert sum(one is not None for one in flat) <= 0.05 * 300
    steep = [still_rising(curves((70.0, 75.0, 80.0), spread=3.0, chance=i)) for i in range(100)]
    assert sum(one is not None for one in steep) >= 80


def test_few_seeds_and_few_evaluations_say_nothing() -> None:
    assert still_rising(curves((70.0, 75.0, 80.0), seeds=2)) is None
    assert still_rising(curves((70.0, 75.0, 80.0), seeds=3, spread=0.1)) is not None
    assert still_rising([[(1.0, 90.0)]] * 10) is None
    assert still_rising([[]] * 10) is None
    assert still_rising([]) is None


def test_a_shift_of_the_scores_changes_nothing() -> None:
    rising = [[(i / 10, 70 + 2.0 * i + 0.01 * seed) for i in range(1, 11)] for seed in range(5)]
    assert still_rising(rising) == pytest.approx(8.0)
    assert still_rising([[(share, score - 50) for share, score in one] for one in rising]) == pytest.approx(8.0)
