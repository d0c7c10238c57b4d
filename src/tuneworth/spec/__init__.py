"""What a study asks and what a trial answers: frozen values, validated once, when they are made. One idea a file.

Names (methods, tasks, models) are checked against their registries by `plan`; everything that can be said
without a registry is said here. Light on purpose: `tuneworth --help` and every mistake answer within a second.
"""

from __future__ import annotations

from tuneworth.spec.base import MAX_TRIALS, Frozen
from tuneworth.spec.budget import Budget, Unit, parse_seconds
from tuneworth.spec.claim import Claim, ClaimTest
from tuneworth.spec.recipe import Recipe
from tuneworth.spec.result import Chunk, CurvePoint, Stage, SurestError, TaskScore, TrialResult
from tuneworth.spec.stream import STREAMS, DataStream, Drift, Mode, StreamTrial, TaskStream
from tuneworth.spec.study import MAX_FILE, MethodVariant, StudySpec
from tuneworth.spec.task import Delimiter, FileTask, Form, Quoting
from tuneworth.spec.trial import ENGINE, SHORTEST, CellKey, Precision, State, TrialRecord, TrialSpec, engine_of

__all__ = [
    "ENGINE",
    "MAX_FILE",
    "MAX_TRIALS",
    "SHORTEST",
    "STREAMS",
    "Budget",
    "CellKey",
    "Chunk",
    "Claim",
    "ClaimTest",
    "CurvePoint",
    "DataStream",
    "Delimiter",
    "Drift",
    "FileTask",
    "Form",
    "Frozen",
    "MethodVariant",
    "Mode",
    "Precision",
    "Quoting",
    "Recipe",
    "Stage",
    "State",
    "StreamTrial",
    "StudySpec",
    "SurestError",
    "TaskScore",
    "TaskStream",
    "TrialRecord",
    "TrialResult",
    "TrialSpec",
    "Unit",
    "engine_of",
    "parse_seconds",
]
