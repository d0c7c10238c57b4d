"""Ctrl-C in the middle of a transaction: it happens whole, and the store stays usable."""

from __future__ import annotations

import os
import signal
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event

from store.ledger import STUDY, plan
from tuneworth.store.sql import SqlStore


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_an_interrupt_waits_for_the_end_of_the_transaction(tmp_path: Path, sent: signal.Signals) -> None:
    before = signal.signal(sent, signal.default_int_handler)
    try:
        with closing(SqlStore(str(tmp_path / "s.db"), busy_seconds=0.2)) as store:
            store.put_study(STUDY, plan(2))
            interrupted: list[str] = []

            @event.listens_for(store.engine, "before_cursor_execute")
            def _interrupt(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
                if statement.startswith("UPDATE") and not interrupted:
                    interrupted.append(statement)
                    os.kill(os.getpid(), sent)

            with pytest.raises(KeyboardInterrupt):
                store.claim("first", "me", 600)
            assert interrupted
            assert store.owners("first") == ["me"]
            assert store.release("first", "me") == 1  # so it is not locked
        assert signal.getsignal(sent) is signal.default_int_handler
    finally:
        signal.signal(sent, before)
