import pytest

from tuneworth.stats import still_rising

THIRDS = (1 / 3, 2 / 3, 1.0)


@pytest.mark.parametrize(
    ("scores", "rising"),
    [
        ((80.0, 81.0, 83.0), True),
        ((60.0, 82.5, 83.0), False),  # nearly all of the rise came before
        ((80.0, 83.0, 82.9), False),  # past its best
        ((80.0, 80.0, 80.4), False),  # less than half a point
        ((81.2, 81.2, 81.2), False),  # has not begun to learn: the collapse rate tells
        ((81.2, 81.2, 85.0), True),  # has just begun to
    ],
)
def test_the_rule(scores: tuple[float, ...], rising: bool) -> None:
    assert still_rising(list(zip(THIRDS, scores, strict=True))) is rising


def test_two_evaluations_say_nothing() -> None:
    assert not still_rising([(0.5, 10.0), (1.0, 90.0)])
    assert not still_rising([])


def test_a_shift_of_the_scores_changes_nothing() -> None:
    curve = [(i / 10, 70 + 2.0 * i) for i in range(1, 11)]
    assert still_rising(curve)
    assert still_rising([(share, score - 50) for share, score in curve])
