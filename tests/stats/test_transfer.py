"""Average score, backward transfer and forgetting on matrices small enough to do by hand."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tuneworth.stats.transfer import average_score, backward_transfer, forgetting

SCORES = [[80.0], [70.0, 60.0], [75.0, 50.0, 90.0]]


def test_by_hand() -> None:
    assert average_score(SCORES) == pytest.approx((75 + 50 + 90) / 3)
    assert backward_transfer(SCORES) == pytest.approx(((75 - 80) + (50 - 60)) / 2)
    assert forgetting(SCORES) == pytest.approx(((80 - 75) + (60 - 50)) / 2)


def test_forgetting_counts_from_the_best_and_transfer_from_the_first() -> None:
    scores = [[50.0], [70.0, 60.0], [65.0, 60.0, 90.0]]
    assert backward_transfer(scores) == pytest.approx((15 + 0) / 2)
    assert forgetting(scores) == pytest.approx((5 + 0) / 2)


def test_one_task_can_forget_nothing() -> None:
    assert (average_score([[42.0]]), backward_transfer([[42.0]]), forgetting([[42.0]])) == (42.0, None, None)


def test_a_matrix_that_is_not_lower_triangular_is_refused() -> None:
    with pytest.raises(ValueError, match="row i"):
        average_score([[1.0], [2.0]])


@given(
    st.integers(2, 6).flatmap(
        lambda n: st.tuples(*(st.lists(st.floats(0, 100), min_size=i, max_size=i) for i in range(1, n + 1)))
    )
)
def test_forgetting_is_never_less_than_the_transfer_lost(scores: tuple[list[float], ...]) -> None:
    lost, transfer = forgetting(scores), backward_transfer(scores)
    assert lost is not None
    assert transfer is not None
    assert lost >= -transfer - 1e-9
