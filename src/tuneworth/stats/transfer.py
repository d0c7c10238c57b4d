"""What a learner of several tasks keeps and loses: pure functions of the matrix of scores.

R[i][j] is the score on task j after the tasks 0 to i were learned, for j <= i; T is the number of tasks.
"""

from __future__ import annotations

from collections.abc import Sequence

__all__ = ["average_score", "backward_transfer", "forgetting"]

Matrix = Sequence[Sequence[float]]
"""Lower triangular: row i holds R[i][0] to R[i][i]."""


def average_score(scores: Matrix) -> float:
    """ACC = 1/T sum_{j=1..T} R[T][j] (Lopez-Paz and Ranzato 2017, "Gradient Episodic Memory", eq. 2): after the last task."""
    last = _last(scores)
    return sum(last) / len(last)


def backward_transfer(scores: Matrix) -> float | None:
    """BWT = 1/(T-1) sum_{j=1..T-1} R[T][j] - R[j][j] (ibid., eq. 3): below zero, learning on has harmed earlier tasks.

    None for a single task.
    """
    last = _last(scores)
    changes = [last[j] - scores[j][j] for j in range(len(scores) - 1)]
    return sum(changes) / len(changes) if changes else None


def forgetting(scores: Matrix) -> float | None:
    """F = 1/(T-1) sum_{j=1..T-1} max_{l in 1..T-1} R[l][j] - R[T][j] (Chaudhry et al. 2018, "Riemannian Walk", section 3).

    Here l >= j, since a task that has not been seen has no head to be scored with. Never smaller than -BWT; below zero
    only where every earlier task is at its best after the last one. None for a single task.
    """
    last = _last(scores)
    tops = [max(row[j] for row in scores[j:-1]) for j in range(len(scores) - 1)]
    return sum(top - last[j] for j, top in enumerate(tops)) / len(tops) if tops else None


def _last(scores: Matrix) -> Sequence[float]:
    if not scores or any(len(row) != i + 1 for i, row in enumerate(scores)):
        raise ValueError("row i of the matrix must hold the scores on tasks 0 to i")
    return scores[-1]
