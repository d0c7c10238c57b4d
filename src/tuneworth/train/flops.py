"""Training FLOPs, counted: the same on every machine, whatever attention kernel runs there."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass

import numpy as np
import torch
from torch.utils.flop_counter import FlopCounterMode
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from tuneworth.train.batches import stand_in


@dataclass(frozen=True)
class FlopModel:
    """FLOPs of one example of padded length s: `constant + linear * s + quadratic * s**2`."""

    constant: float
    linear: float
    quadratic: float

    def batch(self, examples: int, length: int) -> float:
        return examples * (self.constant + self.linear * length + self.quadratic * length**2)


_counted: dict[Hashable, FlopModel] = {}


def count(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, alike: Hashable = None) -> FlopModel:
    """Forward and backward matrix products of a training step of `model` as it is frozen now.

    A transformer's cost in the length is a polynomial of degree two: linear layers, attention's two products, and the
    head once an example. Three counted lengths thus give it exactly. A multiply-add is two FLOPs.

    Counted with eager attention, whose products are plain matrix products. PyTorch's counter knows no formula for the fused
    attention that runs on a CPU (`_scaled_dot_product_flash_attention_for_cpu`, PyTorch 2.13) and takes it for free: there it
    says less by exactly the 12 s^2 d of each layer, 2.7% of a step at 64 tokens and 5.3% at 128 with 6 layers 384 wide. This
    count has them. On a GPU a fused kernel computes the scores again on the way back: the kernel's price, not the model's.

    `alike` names what decides the count (the checkpoint, the method and its options, the head's size): models of one
    name are counted once a process, since counting takes as long as some steps. None: counted anew.
    """
    if alike in _counted:
        return _counted[alike]
    lengths = (4, 8, 12)
    kept, training = model.config._attn_implementation, model.training
    model.eval()  # no dropout: the count must not draw from the trial's random stream
    model.set_attn_implementation("eager")
    counts = [_count_one(model, stand_in(tokenizer, 1, length)) for length in lengths]
    model.set_attn_implementation(kept)
    model.train(training)
    quadratic, linear, constant = np.polyfit(lengths, counts, 2)
    found = FlopModel(round(constant), round(linear), round(quadratic))
    if alike is not None:
        _counted[alike] = found
    return found


def _count_one(model: PreTrainedModel, batch: dict[str, torch.Tensor]) -> int:
    batch = {name: tensor.to(model.device) for name, tensor in batch.items()}
    with FlopCounterMode(display=False) as counter:
        model(**batch).logits.float().sum().backward()
    model.zero_grad(set_to_none=True)
    return int(counter.get_total_flops())
