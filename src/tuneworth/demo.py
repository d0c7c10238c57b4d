"""The demo's study: real training of the packaged encoder on tasks that the package generates."""

from __future__ import annotations

from tuneworth.spec import Budget, StudySpec

TIME_LIMIT = 240.0
"""Seconds of running, so that all of `tuneworth demo` ends within five minutes; what is missing then is said."""


def demo_spec() -> StudySpec:
    """Four methods, three seeds. Where bf16 is in the hardware there is time for a third task (which takes the longest to
    learn), for 30% of the data as well, and for a third epoch."""
    from tuneworth.train import device as devices

    fast = devices.has_bf16(devices.pick("auto"))
    tasks = ("demo/paraphrase", "demo/similarity")
    return StudySpec(
        name="demo", models=("minilm",), methods=("head", "full", "bitfit", "houlsby"),
        tasks=("demo/acceptability", *tasks) if fast else tasks, fractions=(0.3, 1.0) if fast else (1.0,),
        budgets=(Budget(amount=3 if fast else 2, unit="epochs"),), seeds=(0, 1, 2), evaluations=3,
    )  # fmt: skip
