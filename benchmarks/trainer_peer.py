"""One training run by transformers.Trainer, with peft or AdapterHub's adapters: what others do with the same examples.

    python benchmarks/trainer_peer.py SETTINGS.json     # prints a line of JSON

runs.py writes the settings. Nothing of tuneworth is imported here: memory is then the peer's alone, and `adapters`, which
pins an older transformers, can run this file in an environment of its own. It works with transformers 4.57 and 5.
"""

from __future__ import annotations

import importlib
import json
import platform
import re
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, ClassVar

import torch
from safetensors.torch import load_file
from torch import nn
from transformers import (
    AutoModelForSequenceClassification,
    DataCollatorWithPadding,
    PreTrainedTokenizerFast,
    Trainer,
    TrainerCallback,
    TrainingArguments,
    default_data_collator,
    set_seed,
)
from transformers.trainer_callback import PrinterCallback
from transformers.utils import logging

Settings = dict[str, Any]
PACKAGES = ("torch", "transformers", "accelerate", "peft", "adapters")


def best(settings: Settings, folder: str) -> TrainingArguments:
    """The Trainer's best settings: bf16 where the device has it, fused AdamW; nothing is logged or saved.

    Its check of each loss is off, since that waits for the device.
    """
    recipe = settings["recipe"]
    newer = "train_sampling_strategy" in TrainingArguments.__dataclass_fields__
    return TrainingArguments(
        output_dir=folder, num_train_epochs=1, per_device_train_batch_size=recipe["batch_size"],
        optim="adamw_torch_fused", bf16=settings["precision"] == "bf16", use_cpu=settings["device"] == "cpu",
        dataloader_pin_memory=settings["device"] != "cpu", dataloader_num_workers=0,
        learning_rate=recipe["learning_rate"], lr_scheduler_type=recipe["schedule"],
        weight_decay=recipe["weight_decay"], max_grad_norm=recipe["gradient_clip"], seed=settings["seed"],
        eval_strategy="no", save_strategy="no", logging_strategy="no", logging_nan_inf_filter=False, report_to="none",
        disable_tqdm=True, remove_unused_columns=False, per_device_eval_batch_size=recipe["batch_size"],
        **{"warmup_steps" if newer else "warmup_ratio": recipe["warmup"]},
    )  # fmt: skip


def defaults(settings: Settings, folder: str) -> TrainingArguments:
    """What run_glue.py leaves as it is: fp32; but the batch size is everybody's, and nothing is saved."""
    recipe = settings["recipe"]
    return TrainingArguments(
        output_dir=folder, num_train_epochs=1, per_device_train_batch_size=recipe["batch_size"],
        learning_rate=recipe["learning_rate"], use_cpu=settings["device"] == "cpu", seed=settings["seed"],
        save_strategy="no", report_to="none", disable_tqdm=True,
    )  # fmt: skip


class Counting:
    """A collator that counts the examples which it was given."""

    def __init__(self, collator: Any) -> None:
        self.collator, self.examples = collator, 0

    def __call__(self, rows: Sequence[Any]) -> Any:
        self.examples += len(rows)
        return self.collator(rows)


class Given:
    """Over a Trainer: the batches that it is given, in their order, as one epoch."""

    batches: list[list[int]]
    train_dataset: Any
    data_collator: Any

    def get_train_dataloader(self) -> torch.utils.data.DataLoader[Any]:
        return torch.utils.data.DataLoader(
            self.train_dataset, batch_sampler=self.batches, collate_fn=self.data_collator
        )  # fmt: skip


class Stopwatch(TrainerCallback):  # type: ignore[misc]
    """(time, steps, examples) when training begins, behind the steps that warm up, and at the end."""

    def __init__(self, counting: Counting, warmup: int) -> None:
        self.counting, self.warmup = counting, warmup
        self.marks: list[tuple[float, int, int]] = []

    def mark(self, state: Any) -> None:
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        self.marks.append((time.perf_counter(), state.global_step, self.counting.examples))

    def on_train_begin(self, _: Any, state: Any, *__: Any, **___: Any) -> None:
        self.mark(state)

    def on_step_end(self, _: Any, state: Any, *__: Any, **___: Any) -> None:
        if state.global_step == self.warmup:
            self.mark(state)

    def on_train_end(self, _: Any, state: Any, *__: Any, **___: Any) -> None:
        self.mark(state)


def run(settings: Settings) -> dict[str, Any]:
    """Train on `batches` from the head that is given. Timed is what comes behind `untimed_steps`; outputs are those on `test`,
    where there is one."""
    set_seed(settings["seed"])
    # It only pads here; from its plain file, since an older transformers cannot read what a newer one saved beside it.
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_file=str(Path(settings["source"]) / "tokenizer.json"), pad_token=settings["pad_token"]
    )
    model = AutoModelForSequenceClassification.from_pretrained(
        settings["source"], num_labels=settings["outputs"], problem_type=settings["problem_type"], dtype=torch.float32
    )
    head = load_file(settings["head"])
    if unknown := model.load_state_dict(head, strict=False).unexpected_keys:
        sys.exit(f"the model has no {', '.join(unknown)}")
    model, make_trainer = TUNE[settings["method"]](model, set(head), settings)
    padded = settings["peer"] == "defaults"
    counting = Counting(default_data_collator if padded else DataCollatorWithPadding(tokenizer))
    stopwatch = Stopwatch(counting, settings["untimed_steps"])
    with tempfile.TemporaryDirectory() as folder:
        training = type("GivenTrainer", (Given, make_trainer), {"batches": settings["batches"]})(
            model=model, args=(defaults if padded else best)(settings, folder), data_collator=counting,
            train_dataset=_rows(settings["train"], tokenizer, settings["max_length"] if padded else 0),
            processing_class=tokenizer, callbacks=[stopwatch],
        )  # fmt: skip
        training.remove_callback(PrinterCallback)
        training.train()
        peak, (start, end) = _peak_memory(), stopwatch.marks[-2:]
        outputs = None
        if settings["test"]:
            outputs = training.predict(_rows(settings["test"], tokenizer, 0)).predictions.tolist()
    return {
        "seconds": end[0] - start[0], "steps": end[1] - start[1], "examples": end[2] - start[2],
        "trainable": sum(p.numel() for p in model.parameters() if p.requires_grad), "peak_memory_bytes": peak,
        "environment": _environment(), "outputs": outputs,
    }  # fmt: skip


def _full(model: Any, _: set[str], __: Settings) -> tuple[Any, Any]:
    return model, Trainer


def _bitfit(model: Any, head: set[str], _: Settings) -> tuple[Any, Any]:
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(name in head or name.endswith("bias"))
    return model, Trainer


def _lora(model: Any, head: set[str], settings: Settings) -> tuple[Any, Any]:
    """Through peft, at the places, rank and alpha that the settings name."""
    peft = importlib.import_module("peft")
    options = settings["options"]
    config = peft.LoraConfig(
        r=options["r"], lora_alpha=options["alpha"], lora_dropout=options["dropout"], target_modules=settings["places"],
        modules_to_save=sorted({name.rpartition(".")[0] for name in head}),
    )  # fmt: skip
    return peft.get_peft_model(model, config), Trainer


def _houlsby(model: Any, head: set[str], settings: Settings) -> tuple[Any, Any]:
    """Through AdapterHub. Its LayerNorms are frozen by default; they are trained where the settings say so."""
    adapters = importlib.import_module("adapters")
    options = settings["options"]
    hidden = model.config.hidden_size
    factor = hidden / options["bottleneck"] if options["bottleneck"] else options["reduction_factor"]
    adapters.init(model)
    config = adapters.DoubleSeqBnConfig(reduction_factor=factor, non_linearity=options["non_linearity"])
    model.add_adapter("one", config=config)
    model.train_adapter("one")
    for module in model.base_model.modules():
        if isinstance(module, nn.LayerNorm):
            module.requires_grad_(options["train_layer_norms"])
    for name, parameter in model.named_parameters():
        if name in head:
            parameter.requires_grad_(True)
    return model, adapters.AdapterTrainer


TUNE = {"full": _full, "bitfit": _bitfit, "lora": _lora, "houlsby": _houlsby}


class Rows(torch.utils.data.Dataset[dict[str, Any]]):
    """Tokenised examples as dicts; a plain list would do, but for older versions that look for a Dataset."""

    column_names: ClassVar[list[str]] = []

    def __init__(self, rows: list[dict[str, Any]]) -> None:
        self.rows = rows

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, place: int) -> dict[str, Any]:
        return self.rows[place]


def _rows(columns: dict[str, list[Any]], tokenizer: Any, padded_to: int) -> Rows:
    """A dict an example; padded to one length where `padded_to` is not 0."""
    inputs = {name: values for name, values in columns.items() if name != "labels"}
    if padded_to:
        inputs = dict(tokenizer.pad(inputs, padding="max_length", max_length=padded_to))
    whole = {**inputs, **({"labels": columns["labels"]} if "labels" in columns else {})}
    return Rows([dict(zip(whole, row, strict=True)) for row in zip(*whole.values(), strict=True)])


def _peak_memory() -> int:
    """Bytes, as tuneworth counts them: allocated on a GPU; resident in the process on a CPU."""
    if torch.cuda.is_available() and torch.cuda.max_memory_allocated():
        return int(torch.cuda.max_memory_allocated())
    if platform.system() == "Linux":
        found = re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())
        return int(found[1]) * 1024 if found else 0
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if platform.system() == "Darwin" else peak * 1024


def _environment() -> dict[str, Any]:
    found = {}
    for name in PACKAGES:
        with suppress(PackageNotFoundError):
            found[name] = version(name)
    return found


def main(path: str) -> None:
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    print(json.dumps(run(json.loads(Path(path).read_text()))))


if __name__ == "__main__":
    main(sys.argv[1])
