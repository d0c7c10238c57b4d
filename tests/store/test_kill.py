"""A process killed in the middle of writing costs the trial in flight, never the store."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

from store.ledger import STUDY, plan, result
from tuneworth.store import open_store

WRITER = """
import sys
from store.ledger import plan, result
from tuneworth.store import open_store
store = open_store(sys.argv[1])
print("ready", flush=True)
while (record := store.claim("first", sys.argv[2], 3600.0)) is not None:
    store.finish("first", record.trial.key, sys.argv[2], result(float(record.trial.seed)))
    print(record.trial.key, flush=True)
"""


def killed_writer(path: str, owner: str, seconds: float) -> list[str]:
    """Keys that the writer said were finished before it was killed with SIGKILL."""
    paths = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    writer = subprocess.Popen([sys.executable, "-c", WRITER, path, owner], stdout=subprocess.PIPE, text=True, env=paths)
    assert writer.stdout is not None
    assert writer.stdout.readline() == "ready\n"
    time.sleep(seconds)
    writer.kill()
    return writer.communicate()[0].split()


def test_kill_9_loses_only_the_trial_in_flight(tmp_path: Path) -> None:
    path = str(tmp_path / "store.db")
    with closing(open_store(path)) as store:
        store.put_study(STUDY, plan(2000))
    chance = random.Random(0)
    acknowledged: set[str] = set()
    for attempt in range(3):
        owner = f"writer {attempt}"
        acknowledged.update(killed_writer(path, owner, chance.uniform(0.02, 0.3)))
        with closing(open_store(path, create=False)) as store:
            records = store.records("first")
            done = {record.trial.key for record in records if record.state == "done"}
            assert acknowledged <= done
            assert len(done - acknowledged) <= attempt + 1, "a finish was recorded that nobody asked for"
            assert all(r.result == result(float(r.trial.seed)) for r in records if r.state == "done")
            assert store.release("first", owner) <= 1
            assert store.counts("first").running == 0
    assert acknowledged
