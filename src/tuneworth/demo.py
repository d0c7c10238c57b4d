"""The demo's study: real training of the packaged encoder on tasks that the package generates."""

from __future__ import annotations

from tuneworth.spec import Budget, StudySpec


def demo_spec() -> StudySpec:
    return StudySpec(
        name="demo", models=("minilm",), methods=("head", "full", "bitfit", "houlsby"),
        tasks=("demo/acceptability", "demo/paraphrase", "demo/similarity"), fractions=(0.3, 1.0),
        budgets=(Budget(amount=3, unit="epochs"),), seeds=(0, 1, 2), evaluations=3,
    )  # fmt: skip
