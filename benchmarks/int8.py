"""What products of bytes gain: whole training steps in int8 and in bf16, in turn, on one thread.

    python benchmarks/int8.py                                  # {bitfit, houlsby, lora} on the packaged encoder: two minutes
    python benchmarks/int8.py --model DIRECTORY --steps 8

Batches of 32 x `--length` random tokens, forward, backward and update. The figure is the median over the steps of one side's
processor seconds, by the other's: what else a machine does is in neither. `changed`: the relative difference, from bf16, of the
logits of 64 texts of a generated task before training, dropout off.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable, Sequence

import torch
from torch import nn

from tuneworth.methods import get_method
from tuneworth.models import resolve
from tuneworth.spec import Precision, Recipe
from tuneworth.tasks import get_task
from tuneworth.train import device as devices
from tuneworth.train.fast import kernels, lay_out
from tuneworth.train.fast.int8 import Int8Linear
from tuneworth.train.fast.linear import PackedLinear
from tuneworth.train.optim import make_optimizer
from tuneworth.tuned import tuned_model

CPU = torch.device("cpu")
SIDES: tuple[Precision, ...] = ("bf16", "int8")


class Asked:
    """What decides a tuned model beside its base and its task."""

    options: dict[str, object] = {}  # noqa: RUF012 - nobody changes it
    seed = 0

    def __init__(self, kind: str) -> None:
        self.kind = kind


def parse(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="benchmarks/int8.py", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--model", default="minilm")
    parser.add_argument("--methods", nargs="+", default=["bitfit", "houlsby", "lora"])
    parser.add_argument("--steps", type=int, default=16)
    parser.add_argument("--products", action="store_true", help="single products instead, quantising rows included")
    parser.add_argument("--length", type=int, default=54, help="tokens; 54 is what a batch of MRPC has")
    return parser.parse_args(argv)


def stepper(
    source: str, method: str, precision: Precision, ids: torch.Tensor
) -> tuple[Callable[[], float], torch.Tensor, str]:
    """A step that tells its processor seconds; the logits before the first; what of the fast path the model takes."""
    tuned = tuned_model(Asked(method), source, 2, "classification")
    model, tokenizer = tuned.model, tuned.tokenizer
    lay_out(model, CPU, precision)
    ids = ids % model.config.vocab_size
    texts = get_task("demo/acceptability", {}).load(None).train.texts[:64]
    with torch.no_grad(), devices.autocast(CPU, precision):
        before = model.eval()(**tokenizer(list(texts), padding=True, return_tensors="pt")).logits.float()
    recipe: Recipe = get_method(method).recipe
    optimizer = make_optimizer(model.train(), recipe)

    def step() -> float:
        start = time.process_time()
        with devices.autocast(CPU, precision):
            loss = model(input_ids=ids, attention_mask=torch.ones_like(ids)).logits.float().square().mean()
        torch.autograd.backward(loss)
        optimizer.clipped_step(recipe.gradient_clip)
        optimizer.zero_grad(set_to_none=True)
        return time.process_time() - start

    return step, before, kernels(model)


def products() -> None:
    """TOP/s by processor seconds, the median of 15, of int8 and packed bf16 in turn."""
    print("| rows x inputs x outputs | int8 | bf16 |\n|---|---|---|")
    for rows, inputs, outputs in ((1750, 384, 1536), (1750, 1536, 384), (1750, 384, 384), (1750, 768, 3072)):
        layers = [nn.Linear(inputs, outputs).requires_grad_(False) for _ in SIDES]
        layers[0].__class__, layers[1].__class__ = Int8Linear, PackedLinear
        layers[1].packed_for = torch.bfloat16  # type: ignore[assignment]
        x, times = torch.randn(rows, inputs).bfloat16(), [[], []]  # type: torch.Tensor, list[list[float]]
        with torch.inference_mode(), devices.autocast(CPU, "bf16"):
            for _ in range(16):
                for layer, spent in zip(layers, times, strict=True):
                    start = time.process_time()
                    layer(x)
                    spent.append(time.process_time() - start)
        rates = [2 * rows * inputs * outputs / statistics.median(spent[1:]) / 1e12 for spent in times]
        print(f"| {rows} x {inputs} x {outputs} | {rates[0]:.3f} | {rates[1]:.3f} |", flush=True)


def main(argv: Sequence[str] | None = None) -> None:
    options = parse(argv)
    if reason := devices.why_no_int8(CPU):
        raise SystemExit(f"no int8 on this machine: {reason}")
    torch.set_num_threads(1)
    if options.products:
        products()
        return
    ref = resolve(options.model)
    print("| method | bf16, s a step | int8 | ratio | changed | parts |\n|---|---|---|---|---|---|")
    for method in options.methods:
        ids = torch.randint(5, 1000, (32, options.length), generator=torch.Generator().manual_seed(0))
        made = {side: stepper(ref.source, method, side, ids) for side in SIDES}
        for step, _, _ in made.values():
            step()  # what is packed and quantised once
        times = {side: [] for side in SIDES}  # type: dict[Precision, list[float]]
        for _ in range(options.steps):
            for side in SIDES:
                times[side].append(made[side][0]())
        bf16, int8 = (statistics.median(times[side]) for side in SIDES)
        changed = float((made["int8"][1] - made["bf16"][1]).norm() / made["bf16"][1].norm())
        print(
            f"| {method} | {bf16:.3f} | {int8:.3f} | {bf16 / int8:.2f} | {changed:.3f} | {made['int8'][2]} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
