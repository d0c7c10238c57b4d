"""Advice: which method to use under the user's limits, how sure that is, and what would strengthen the evidence. Pure."""

from tuneworth.advice.advise import advise, advise_each
from tuneworth.advice.claims import Judged, JudgedCell, judge_claims
from tuneworth.advice.limits import Limits
from tuneworth.advice.value import Advice, Candidate, Excluded, Grade, Pair, Recommendation, Status

__all__ = [
    "Advice", "Candidate", "Excluded", "Grade", "Judged", "JudgedCell", "Limits", "Pair", "Recommendation", "Status",
    "advise", "advise_each", "judge_claims",
]  # fmt: skip
