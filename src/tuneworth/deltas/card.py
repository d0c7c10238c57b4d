"""The model card of a delta, in the hub's own format, written from what the trial recorded."""

from __future__ import annotations

from pathlib import Path

from tuneworth.deltas.files import DeltaInfo
from tuneworth.kinds import get_kind
from tuneworth.models import list_models

TEMPLATE = Path(__file__).with_name("card.md.j2")


def write_card(info: DeltaInfo, repo: str) -> str:
    """Markdown under the hub's YAML front matter: scores, data, method, recipe, and how to load it from `repo`."""
    from jinja2 import Environment, StrictUndefined

    environment = Environment(undefined=StrictUndefined, keep_trailing_newline=True, autoescape=False)
    return environment.from_string(TEMPLATE.read_text(encoding="utf-8")).render(
        info=info, repo=repo, title=repo.rpartition("/")[2], base=base_name(info), local=is_local(info),
        front_matter=_front_matter(info, repo),
    )  # fmt: skip


def is_local(info: DeltaInfo) -> bool:
    """Whether the base is known by a directory of the machine it was tuned on, which says nothing elsewhere."""
    return Path(info.base).is_absolute()


def base_name(info: DeltaInfo) -> str:
    return Path(info.base).name if is_local(info) else info.base


def _front_matter(info: DeltaInfo, repo: str) -> str:
    """The hub's metadata: huggingface.co/docs/hub/model-cards. A base model is named where the hub knows it."""
    from huggingface_hub import EvalResult, ModelCardData

    on_hub = not is_local(info) and info.base not in {alias.name for alias in list_models()}
    kind = get_kind(info.task_kind)
    data = ModelCardData(
        base_model=info.base if on_hub else None,
        library_name="tuneworth",
        pipeline_tag=kind.pipeline,
        tags=["tuneworth", "delta", info.kind],
        model_name=repo.rpartition("/")[2],
        eval_results=[
            EvalResult(
                task_type=kind.hub_task, dataset_type=info.task, dataset_name=info.task, dataset_split="test",
                metric_type=name, metric_value=round(score, 4),
            )
            for name, score in info.metrics.items()
        ],
    )  # fmt: skip
    return data.to_yaml()
