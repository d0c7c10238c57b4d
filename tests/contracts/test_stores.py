"""What every store promises, run over each of them; over PostgreSQL on a server of the tests' own."""

from __future__ import annotations

import math
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from store.ledger import STUDY, answered, plan, result, trial
from tuneworth.errors import StoreError
from tuneworth.results.predictions import Predictions
from tuneworth.spec import TrialRecord
from tuneworth.store import Counts, Store, open_store
from tuneworth.store.sql import SqlStore

HOUR = 3600.0
EXPIRED = -1.0
"""A lease that ran out the moment it was given."""

CLAIM_ALL = """
import sys
from tuneworth.store import open_store
store, owner = open_store(sys.argv[1], create=False), sys.argv[2]
print("ready", flush=True)
sys.stdin.readline()
while (record := store.claim("first", owner, 3600.0)) is not None:
    print(record.trial.key)
"""


@pytest.fixture(params=["memory", "sqlite", "postgres"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    if request.param == "postgres":
        with request.getfixturevalue("postgres").database("stores") as made:
            yield made
    else:
        yield "memory:" if request.param == "memory" else str(tmp_path / "tuneworth.db")


@pytest.fixture
def store(url: str) -> Iterator[Store]:
    opened = open_store(url)
    yield opened
    opened.close()


def test_each_store_is_what_its_url_says(store: Store, url: str) -> None:
    assert (store.engine.dialect.name if isinstance(store, SqlStore) else "memory") in url.replace(".db", " sqlite")


def claim(store: Store, owner: str = "me", lease: float = HOUR, keys: list[str] | None = None) -> TrialRecord:
    record = store.claim("first", owner, lease, keys)
    assert record is not None
    return record


def states(store: Store) -> list[str]:
    return [record.state for record in store.records("first")]


def test_a_study_comes_back_as_it_went_in(store: Store) -> None:
    assert store.put_study(STUDY, plan(3)) == 3
    assert store.get_study("first") == STUDY
    assert store.records("first") == [TrialRecord(study="first", trial=trial(seed)) for seed in range(3)]
    assert store.counts("first") == Counts(pending=3)


def test_studies_are_named_in_the_order_in_which_they_were_made(store: Store) -> None:
    for name in ("zeta", "alpha", "mid"):
        store.put_study(STUDY.model_copy(update={"name": name}), plan(1))
    store.put_study(STUDY.model_copy(update={"name": "zeta"}), [])
    assert store.study_names() == ["zeta", "alpha", "mid"]


def test_studies_do_not_mix(store: Store) -> None:
    other = STUDY.model_copy(update={"name": "other"})
    store.put_study(STUDY, plan(1))
    store.put_study(other, plan(2))
    key = claim(store).trial.key
    assert not store.finish("other", key, "me", result())
    assert store.release("other", "me") == 0
    assert store.finish("first", key, "me", result())
    assert store.counts("other") == Counts(pending=2)


@pytest.mark.parametrize(
    "call",
    [
        lambda store: store.get_study("frist"),
        lambda store: store.claim("frist", "me", HOUR),
        lambda store: store.renew("frist", [], "me", HOUR),
        lambda store: store.release("frist", "me"),
        lambda store: store.release_one("frist", "k", "me"),
        lambda store: store.owners("frist"),
        lambda store: store.finish("frist", "k", "me", result()),
        lambda store: store.fail("frist", "k", "me", "why"),
        lambda store: store.forget_delta("frist", "k"),
        lambda store: store.retry_failed("frist"),
        lambda store: store.records("frist"),
        lambda store: store.counts("frist"),
        lambda store: store.predictions("frist"),
    ],
)
def test_an_unknown_study_is_named_with_the_nearest(store: Store, call: Callable[[Store], object]) -> None:
    store.put_study(STUDY, [])
    with pytest.raises(StoreError) as caught:
        call(store)
    assert caught.value.problem == "unknown study 'frist'"
    assert caught.value.remedy == "did you mean 'first'?"


def test_trials_are_claimed_in_plan_order_once_each(store: Store) -> None:
    trials = plan(5)[::-1]
    store.put_study(STUDY, trials)
    claimed = [claim(store) for _ in trials]
    assert [record.trial for record in claimed] == trials
    assert {(record.state, record.attempt) for record in claimed} == {("running", 1)}
    assert store.claim("first", "you", HOUR) is None
    assert store.counts("first") == Counts(running=5)


def test_only_the_asked_for_keys_are_claimed(store: Store) -> None:
    store.put_study(STUDY, plan(4))
    wanted = [trial(3).key, trial(2).key, "unknown"]
    assert claim(store, keys=wanted).trial.seed == 2
    assert claim(store, keys=wanted).trial.seed == 3
    assert store.claim("first", "me", HOUR, wanted) is None
    assert store.claim("first", "me", HOUR, []) is None
    # more keys than one SQL statement may have parameters
    assert claim(store, keys=[*(f"{number:x}" for number in range(100_000)), trial(1).key]).trial.seed == 1


def test_a_trial_twice_in_a_plan_is_one_trial(store: Store) -> None:
    assert store.put_study(STUDY, [trial(0), trial(1), trial(0)]) == 2
    assert [record.trial.seed for record in store.records("first")] == [0, 1]


def test_an_expired_lease_frees_the_trial_and_shuts_out_its_owner(store: Store) -> None:
    store.put_study(STUDY, plan(2))
    key = claim(store, "dead", lease=EXPIRED).trial.key
    again = claim(store, "me")
    assert (again.trial.key, again.attempt) == (key, 2)
    assert not store.finish("first", key, "dead", result())
    assert not store.fail("first", key, "dead", "too late")
    assert store.finish("first", key, "me", result())


def test_a_lease_runs_out_with_time(store: Store) -> None:
    store.put_study(STUDY, plan(1))
    claim(store, "slow", lease=0.3)
    assert store.claim("first", "me", HOUR) is None
    time.sleep(0.35)
    assert claim(store, "me").attempt == 2


def test_who_is_late_but_still_holds_the_trial_may_finish(store: Store) -> None:
    store.put_study(STUDY, plan(1))
    key = claim(store, lease=EXPIRED).trial.key
    assert store.finish("first", key, "me", result())


def test_renewing_keeps_a_trial(store: Store) -> None:
    store.put_study(STUDY, plan(2))
    keys = [claim(store, "me", EXPIRED, [trial(seed).key]).trial.key for seed in range(2)]
    store.renew("first", keys, "you", HOUR)
    assert claim(store, "you", EXPIRED).trial.key == keys[0], "a stranger prolonged a lease"
    store.renew("first", keys, "me", HOUR)
    assert [claim(store, "you").trial.key, store.claim("first", "you", HOUR)] == [keys[0], None]


def test_released_trials_are_pending_again(store: Store) -> None:
    store.put_study(STUDY, plan(4))
    keys = [claim(store).trial.key for _ in range(3)]
    claim(store, "you")
    store.finish("first", keys[0], "me", result())
    store.release_one("first", keys[1], "you")
    assert states(store) == ["done", "running", "running", "running"]
    store.release_one("first", keys[1], "me")
    assert states(store) == ["done", "pending", "running", "running"]
    assert store.owners("first") == ["me", "you"]
    assert store.release("first", "me") == 1
    assert states(store) == ["done", "pending", "pending", "running"]
    assert store.owners("first") == ["you"]
    assert (claim(store).attempt, claim(store).attempt) == (2, 2)


def test_a_result_comes_back_exactly_and_is_recorded_once(store: Store) -> None:
    store.put_study(STUDY, plan(1))
    key = claim(store).trial.key
    assert not store.finish("first", key, "you", result(1.0))
    assert store.finish("first", key, "me", result())
    assert not store.finish("first", key, "me", result(2.0))
    assert not store.fail("first", key, "me", "after all")
    [record] = store.records("first")
    assert record == TrialRecord(study="first", trial=trial(0), state="done", attempt=1, result=result())
    assert record.result is not None
    assert math.copysign(1, record.result.validation_score) == -1, "-0.0 lost its sign"
    assert store.counts("first") == Counts(done=1)
    assert store.owners("first") == []


def plain(store: Store) -> dict[str, tuple[str, str, list[float], list[float], str]]:
    """All that a store says of predictions, types included, as values that can be compared."""
    return {
        key: (str(p.predicted.dtype), str(p.targets.dtype), p.predicted.tolist(), p.targets.tolist(), p.task_fingerprint)
        for key, p in store.predictions("first").items()
    }  # fmt: skip


def test_predictions_come_back_exactly_with_the_result_they_came_with(store: Store) -> None:
    store.put_study(STUDY, plan(3)[::-1])
    keys = [claim(store).trial.key for _ in range(3)]
    assert not store.finish("first", keys[0], "you", result(), answered(9)), "a stranger's predictions"
    assert store.predictions("first") == {}
    for key, seed in zip(reversed(keys), range(3), strict=True):
        assert store.finish("first", key, "me", result(), answered(seed))
    assert not store.finish("first", keys[0], "me", result(), answered(9)), "recorded twice"
    found = store.predictions("first")
    assert list(found) == keys, "plan order"
    for key, seed in zip(reversed(keys), range(3), strict=True):
        assert found[key].predicted.dtype == np.uint8
        assert np.array_equal(found[key].predicted, answered(seed).predicted)
    assert len({id(one.targets) for one in found.values()}) == 1, "targets are there once a task"
    assert np.array_equal(found[keys[0]].targets, np.arange(40) % 3)


def test_a_trial_without_predictions_has_none(store: Store) -> None:
    store.put_study(STUDY, plan(2))
    first, second = claim(store).trial.key, claim(store).trial.key
    store.finish("first", first, "me", result())
    store.finish("first", second, "me", result(), answered(1))
    assert list(store.predictions("first")) == [second]
    store.put_study(STUDY, plan(1))
    assert store.predictions("first") == {}, "of a trial outside of the plan"
    store.put_study(STUDY, plan(2))
    assert list(store.predictions("first")) == [second]


def test_predictions_of_tasks_and_studies_stay_apart(store: Store) -> None:
    other = STUDY.model_copy(update={"name": "other"})
    values = np.array([1.5, -2.0, 1e6])
    for study, told in ((STUDY, answered(0)), (other, Predictions.compact(values, values / 3, "b" * 16))):
        store.put_study(study, plan(1))
        assert store.claim(study.name, "me", HOUR) is not None
        assert store.finish(study.name, trial(0).key, "me", result(), told)
    [classes], [numbers] = store.predictions("first").values(), store.predictions("other").values()
    assert np.array_equal(classes.predicted, answered(0).predicted)
    assert (numbers.predicted.dtype, numbers.predicted.tolist()) == (np.float32, values.tolist())
    assert numbers.targets.tolist() == (values / 3).tolist()
    assert (classes.task_fingerprint, numbers.task_fingerprint) == ("a" * 16, "b" * 16)


def test_a_result_with_nan_and_infinity_can_be_read(store: Store) -> None:
    store.put_study(STUDY, plan(1))
    key = claim(store).trial.key
    store.finish("first", key, "me", result(math.nan).model_copy(update={"baseline_score": -math.inf}))
    [record] = store.records("first")
    assert record.result is not None
    assert math.isnan(record.result.score)
    assert record.result.baseline_score == -math.inf


def test_a_failure_is_kept_with_its_reason_until_it_is_retried(store: Store) -> None:
    store.put_study(STUDY, plan(3))
    first, second = claim(store).trial.key, claim(store).trial.key
    assert not store.fail("first", first, "you", "not mine")
    assert store.fail("first", first, "me", "Diverged: loss is nan")
    store.finish("first", second, "me", result())
    [failed, *_] = store.records("first")
    assert (failed.state, failed.error, failed.result) == ("failed", "Diverged: loss is nan", None)
    assert store.counts("first") == Counts(failed=1, done=1, pending=1)
    assert store.retry_failed("first") == 1
    again = claim(store)
    assert (again.trial.key, again.attempt, again.error) == (first, 2, None)
    assert store.retry_failed("first") == 0


def test_any_text_can_be_a_reason(store: Store) -> None:
    store.put_study(STUDY, plan(1))
    assert store.fail("first", claim(store).trial.key, "me", "file 'caf\udce9\0.csv' ünread")
    [record] = store.records("first")
    assert record.error is not None
    assert record.error.startswith("file 'caf")
    assert record.error.endswith(".csv' ünread")


def test_a_forgotten_delta_takes_nothing_else_with_it(store: Store) -> None:
    store.put_study(STUDY, plan(2))
    key = claim(store).trial.key
    store.finish("first", key, "me", result())
    for some in (key, trial(1).key, "unknown"):
        store.forget_delta("first", some)
    done, pending = store.records("first")
    assert done.result == result().model_copy(update={"delta_path": None})
    assert (pending.state, pending.result) == ("pending", None)


def test_a_plan_shrinks_and_grows_and_results_stay(store: Store) -> None:
    store.put_study(STUDY, plan(4))
    done, failed, running = (claim(store).trial.key for _ in range(3))
    store.finish("first", done, "me", result())
    store.fail("first", failed, "me", "why")
    smaller = STUDY.model_copy(update={"max_length": 64})
    assert store.put_study(smaller, [trial(9), trial(3)]) == 1
    assert store.get_study("first") == smaller
    assert [record.trial.seed for record in store.records("first")] == [9, 3]
    assert store.counts("first") == Counts(pending=2)
    assert store.retry_failed("first") == 0, "a failed trial outside of the plan was retried"
    assert claim(store).trial.seed == 9
    assert store.owners("first") == ["me"]
    assert store.finish("first", running, "me", result(1.0)), "a trial in flight was lost when the plan dropped it"
    assert store.put_study(STUDY, plan(4)) == 0
    records = store.records("first")
    assert [record.trial.seed for record in records] == [0, 1, 2, 3]
    assert [record.state for record in records] == ["done", "failed", "done", "pending"]
    assert [record.result for record in records] == [result(), None, result(1.0), None]
    assert records[1].error == "why"


def test_what_is_outside_of_the_plan_is_never_claimed(store: Store) -> None:
    store.put_study(STUDY, plan(3))
    claim(store, lease=EXPIRED)
    store.put_study(STUDY, [trial(2)])
    assert claim(store).trial.seed == 2
    assert store.claim("first", "me", HOUR) is None
    assert store.release("first", "me") == 2
    store.put_study(STUDY, [])
    assert store.claim("first", "me", HOUR) is None
    assert store.counts("first") == Counts()


def test_threads_never_claim_one_trial_twice(store: Store) -> None:
    store.put_study(STUDY, plan(40))
    claimed: list[str] = []

    def work(owner: str) -> None:
        while (record := store.claim("first", owner, HOUR)) is not None:
            claimed.append(record.trial.key)
            assert store.finish("first", record.trial.key, owner, result())

    threads = [threading.Thread(target=work, args=(f"thread {number}",)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert Counter(claimed) == {one.key: 1 for one in plan(40)}
    assert store.counts("first") == Counts(done=40)


@pytest.mark.parametrize("url", ["sqlite", "postgres"], indirect=True)  # a store in memory has one process
def test_processes_never_claim_one_trial_twice(store: Store, url: str) -> None:
    store.put_study(STUDY, plan(120))
    workers = [
        subprocess.Popen([sys.executable, "-c", CLAIM_ALL, url, f"process {number}"], text=True,
                         stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        for number in range(3)
    ]  # fmt: skip
    outputs = _released_together(workers)
    assert Counter(key for output in outputs for key in output.split()) == {one.key: 1 for one in plan(120)}
    assert store.counts("first") == Counts(running=120)


def _released_together(workers: list[subprocess.Popen[str]]) -> list[str]:
    """What each worker printed; none starts to claim before all have opened the store."""
    for worker in workers:
        assert worker.stdout is not None
        assert worker.stdout.readline() == "ready\n"
    for worker in workers:
        assert worker.stdin is not None
        worker.stdin.write("go\n")
        worker.stdin.flush()
    outputs = [worker.communicate(timeout=60)[0] for worker in workers]
    assert [worker.returncode for worker in workers] == [0] * len(workers)
    return outputs


def test_deaths_are_counted_apart_from_claims(store: Store) -> None:
    store.put_study(STUDY, plan(2))
    key = claim(store).trial.key
    for died in (False, True, False, True):
        store.release_one("first", key, "you", died=True)
        store.release_one("first", key, "me", died)
        record = claim(store)
    assert (record.trial.key, record.attempt, record.deaths) == (key, 5, 2)
    assert claim(store, "gone", lease=EXPIRED).deaths == claim(store, "next").deaths == 0, "a lease that ran out"
    store.release("first", "next")
    assert [record.deaths for record in store.records("first")] == [2, 0]
    store.fail("first", key, "me", "killed, 3 times")
    store.retry_failed("first")
    assert (claim(store).deaths, store.records("first")[0].attempt) == (0, 6)


def test_releasing_keeps_what_is_still_in_flight(store: Store) -> None:
    store.put_study(STUDY, plan(3))
    keys = [claim(store).trial.key for _ in range(3)]
    assert store.release("first", "me", keep=[keys[1], "unknown"]) == 2
    assert states(store) == ["pending", "running", "pending"]


def seeds(store: Store, study: str) -> list[int]:
    return [record.trial.seed for record in store.records(study)]


def test_a_plan_that_gives_way_with_begun_trials_can_be_read_still(store: Store) -> None:
    store.put_study(STUDY, plan(3)[::-1])
    store.put_study(STUDY, plan(2))
    assert store.set_aside("first") == [], "nothing of it was begun"
    done, running = claim(store).trial.key, claim(store).trial.key
    store.finish("first", done, "me", result(), answered(0))
    other = STUDY.model_copy(update={"max_length": 64})
    store.put_study(other, plan(2, start=7))
    assert store.set_aside("first") == ["first@1"]
    assert store.get_study("first@1") == STUDY.model_copy(update={"name": "first@1"})
    assert (store.get_study("first"), store.study_names()) == (other, ["first"])
    assert (seeds(store, "first@1"), seeds(store, "first")) == ([0, 1], [7, 8])
    assert store.counts("first@1") == Counts(done=1, running=1)
    assert list(store.predictions("first@1")) == [done]
    assert store.predictions("first") == {}
    assert store.finish("first", running, "me", result(), answered(1))
    assert store.counts("first@1") == Counts(done=2)
    seventh = claim(store).trial
    assert seventh.seed == 7
    store.finish("first", seventh.key, "me", result())

    store.put_study(STUDY, plan(2))
    assert store.set_aside("first") == ["first@2"], "all of the first is in the plan again"
    store.put_study(STUDY, plan(3))
    store.put_study(other, plan(2, start=7))
    assert store.set_aside("first") == ["first@1"]
    assert seeds(store, "first@1") == [0, 1, 2], "a plan that grew keeps its number"


@pytest.mark.parametrize("call", [lambda store: store.get_study("first@7"), lambda store: store.records("first@7"),
                                  lambda store: store.claim("first@1", "me", HOUR), lambda store: store.set_aside("f"),
                                  lambda store: store.put_study(store.get_study("first@1"), [])])  # fmt: skip
def test_a_kept_plan_is_only_read(store: Store, call: Callable[[Store], object]) -> None:
    store.put_study(STUDY, plan(1))
    claim(store)
    store.put_study(STUDY, [])
    with pytest.raises(StoreError, match=r"first@|unknown study 'f'"):
        call(store)
    assert store.study_names() == ["first"]


class SameAsMemory(RuleBasedStateMachine):
    """Any sequence of calls gives the same answers from SQLite as from memory."""

    @initialize()
    def open(self) -> None:
        self.folder = TemporaryDirectory()
        self.stores = (open_store("memory:"), open_store(f"{self.folder.name}/tuneworth.db"))
        self.both(lambda store: store.put_study(STUDY, plan(3)))

    def both(self, call: Callable[[Store], object]) -> None:
        expected, found = (call(store) for store in self.stores)
        assert found == expected

    @rule(seeds=st.lists(st.integers(0, 5), max_size=6))
    def put(self, seeds: list[int]) -> None:
        self.both(lambda store: store.put_study(STUDY, [trial(seed) for seed in seeds]))

    @rule(
        owner=st.sampled_from("ab"),
        lease=st.sampled_from([EXPIRED, HOUR]),
        seeds=st.none() | st.sets(st.integers(0, 5)),
    )
    def claim(self, owner: str, lease: float, seeds: set[int] | None) -> None:
        keys = None if seeds is None else [trial(seed).key for seed in seeds]
        self.both(lambda store: store.claim("first", owner, lease, keys))

    @rule(owner=st.sampled_from("ab"), lease=st.sampled_from([EXPIRED, HOUR]), seeds=st.sets(st.integers(0, 5)))
    def renew(self, owner: str, lease: float, seeds: set[int]) -> None:
        self.both(lambda store: store.renew("first", [trial(seed).key for seed in seeds], owner, lease))

    @rule(
        owner=st.sampled_from("ab"), seed=st.integers(0, 5), score=st.floats(allow_nan=False),
        task=st.none() | st.sampled_from("ab"),
    )  # fmt: skip
    def finish(self, owner: str, seed: int, score: float, task: str | None) -> None:
        told = None if task is None else answered(seed, task)
        self.both(lambda store: store.finish("first", trial(seed).key, owner, result(score), told))

    @rule(owner=st.sampled_from("ab"), seed=st.integers(0, 5))
    def fail(self, owner: str, seed: int) -> None:
        self.both(lambda store: store.fail("first", trial(seed).key, owner, "why"))

    @rule(owner=st.sampled_from("ab"), seed=st.integers(0, 5), died=st.none() | st.booleans())
    def release(self, owner: str, seed: int, died: bool | None) -> None:
        key = trial(seed).key
        if died is None:
            self.both(lambda store: store.release("first", owner, [key]))
        else:
            self.both(lambda store: store.release_one("first", key, owner, died))

    @rule(seed=st.integers(0, 5))
    def forget_delta(self, seed: int) -> None:
        self.both(lambda store: store.forget_delta("first", trial(seed).key))

    @rule()
    def retry_failed(self) -> None:
        self.both(lambda store: store.retry_failed("first"))

    @invariant()
    def same(self) -> None:
        self.both(lambda store: (store.records("first"), store.counts("first"), store.owners("first"), plain(store)))
        self.both(lambda store: [(name, store.records(name)) for name in store.set_aside("first")])

    def teardown(self) -> None:
        for store in getattr(self, "stores", ()):
            store.close()
        if hasattr(self, "folder"):
            self.folder.cleanup()


def test_sqlite_answers_as_memory_does() -> None:
    few = settings(
        max_examples=12, stateful_step_count=25, deadline=None, derandomize=True, database=None,
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    run_state_machine_as_test(SameAsMemory, settings=few)
