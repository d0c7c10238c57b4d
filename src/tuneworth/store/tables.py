"""The tables of a SQL store. A change here needs a new file in migrations/versions; a test compares the two."""

from __future__ import annotations

from sqlalchemy import (
    Column,
    Double,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
)

metadata = MetaData()

studies = Table(
    "studies",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("name", String(100), nullable=False, unique=True),
    Column("spec", Text, nullable=False),
    Column("created", Double, nullable=False),
)

# `spec` and `result` are text, not a JSON type: nothing queries inside them, and floats come back as they went in.
# Times are UTC seconds since 1970. `position` is NULL while the study's present plan does not ask for the trial.
trials = Table(
    "trials",
    metadata,
    Column("study_id", Integer, ForeignKey("studies.id"), primary_key=True),
    Column("key", String(64), primary_key=True),
    Column("position", Integer),
    Column("spec", Text, nullable=False),
    Column("state", String(10), nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("deaths", Integer, nullable=False, server_default="0"),
    Column("owner", Text),
    Column("lease_expires", Double),
    Column("result", Text),
    Column("error", Text),
    Column("updated", Double, nullable=False),
    Index("ix_trials_claim", "study_id", "state", "position"),
)

# Plans of before, of which the present one leaves out trials that were begun. `keys`: a JSON list, in plan order.
plans = Table(
    "plans",
    metadata,
    Column("study_id", Integer, ForeignKey("studies.id"), primary_key=True),
    Column("number", Integer, primary_key=True),
    Column("spec", Text, nullable=False),
    Column("keys", Text, nullable=False),
)

# Arrays, as `predictions.pack` makes them; apart from the trials, so that listing those reads none of it.
targets = Table(
    "targets",
    metadata,
    Column("task_fingerprint", String(64), primary_key=True),
    Column("packed", LargeBinary, nullable=False),
)
predictions = Table(
    "predictions",
    metadata,
    Column("study_id", Integer, primary_key=True),
    Column("key", String(64), primary_key=True),
    Column("task_fingerprint", String(64), ForeignKey("targets.task_fingerprint"), nullable=False),
    Column("packed", LargeBinary, nullable=False),
    ForeignKeyConstraint(["study_id", "key"], ["trials.study_id", "trials.key"]),
)
