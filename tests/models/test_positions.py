"""How long a text a model can read, from its files; checked against the model itself."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from families import NAMED, UNNAMED, make_model_dir
from tuneworth.errors import SpecError
from tuneworth.models._files import known_types
from tuneworth.models.load import load
from tuneworth.models.positions import AFTER_PADDING, check_length, positions
from tuneworth.study import Study

BOUNDS = {"roberta": 159, "mpnet": 158, "longformer": 159, "bert": 160, "distilbert": 160, "electra": 160, "albert": 160,
          "bart": 160, "gpt2": 160, "opt": 160}  # fmt: skip
"""Of the tiny models, whose padding token is number 0, though MPNet always counts from behind 1; others have no bound."""


@pytest.mark.parametrize("family", [*NAMED, UNNAMED])
def test_a_text_of_just_so_many_tokens_can_be_read(family: str, tmp_path: Path) -> None:
    source = str(make_model_dir(family, tmp_path))
    most = positions(source)
    assert most == BOUNDS.get(family)
    model = load(source, 2, "classification", torch.Generator().manual_seed(0)).model.eval()

    def read(length: int) -> None:
        ids = torch.full((1, length), 7)
        ids[0, -1] = 3  # the end mark that an encoder-decoder's head looks for
        model(input_ids=ids, attention_mask=torch.ones_like(ids))

    read(most or 200)
    check_length("tiny", source, most or 10**6)
    if most is not None and family != "longformer":  # whose own padding, to a whole window, takes a place as well
        with pytest.raises((IndexError, RuntimeError)):
            read(most + 1)
    if most is not None:
        with pytest.raises(SpecError, match=f"{most} tokens"):
            check_length("tiny", source, most + 1)


def test_a_study_of_longer_texts_is_refused_before_training(make_study: Callable[..., Study]) -> None:
    study = make_study(max_length=161)
    with pytest.raises(SpecError, match=r"max_length 161(.|\n)*160 tokens(.|\n)*160 or less"):
        study.prepare()
    assert make_study(max_length=160).prepare().trials


def test_pickled_weights_are_bounded_by_their_config(tmp_path: Path) -> None:
    make_model_dir("roberta", tmp_path)
    (tmp_path / "model.safetensors").rename(tmp_path / "pytorch_model.bin")
    assert positions(str(tmp_path)) == 159


def test_families_that_count_from_behind_the_padding_are_those_of_transformers() -> None:
    from transformers import models

    def counts(kind: str) -> bool:
        files = Path(models.__file__).parent.glob(f"{kind.replace('-', '_').removesuffix('_text')}/modeling_*.py")
        return any(re.search(r"def create_position_ids_from_input_ids", f.read_text(encoding="utf-8")) for f in files)

    assert {kind for kind in known_types() if counts(kind)} == AFTER_PADDING
