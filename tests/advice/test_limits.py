import pytest

from tuneworth.advice import Limits
from tuneworth.advice.limits import cost_in_words
from tuneworth.errors import SpecError


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ({"max_train_seconds": "60s"}, Limits(max_train_seconds=60)),
        ({"max_train_seconds": "2m"}, Limits(max_train_seconds=120)),
        ({"max_train_seconds": 90}, Limits(max_train_seconds=90)),
        ({"max_memory": "2GB"}, Limits(max_memory=2e9)),
        ({"max_memory": "1 GiB"}, Limits(max_memory=2.0**30)),
        ({"max_delta_size": "0.5MB"}, Limits(max_delta_size=5e5)),
        ({"max_delta_size": ".5mb"}, Limits(max_delta_size=5e5)),
        ({"max_trainable": "1%"}, Limits(max_trainable_share=0.01)),
        ({"max_trainable": "100k"}, Limits(max_trainable=1e5)),
        ({"max_trainable": 770}, Limits(max_trainable=770)),
        ({}, Limits()),
    ],
)
def test_limits_as_users_write_them(written: dict[str, str], read: Limits) -> None:
    assert Limits.parse(**written) == read


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ({"max_memory": "2 gigs"}, "max-memory '2 gigs'"),
        ({"max_memory": "-1GB"}, "max-memory '-1GB'"),
        ({"max_memory": "0"}, "not more than nothing"),
        ({"max_train_seconds": "soon"}, "write it like 60s"),
        ({"max_trainable": "150%"}, "more than the whole model"),
        ({"max_delta_size": "1e999"}, "not more than nothing"),
    ],
)
def test_limits_that_say_nothing(written: dict[str, str], said: str) -> None:
    with pytest.raises(SpecError, match=said):
        Limits.parse(**written)


def test_costs_in_words() -> None:
    assert cost_in_words("max_memory", 2.5e9) == "2.5 GB"
    assert cost_in_words("max_train_seconds", 41.2) == "41 s"
    assert cost_in_words("max_trainable", 26882) == "26,882 trained parameters"
    assert cost_in_words("max_trainable_share", 0.0118) == "1.2% of the parameters"
    assert cost_in_words("max_delta_size", None) == "not measured"
