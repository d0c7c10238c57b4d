"""Commands that say what there is."""

from __future__ import annotations

from typing import Annotated

import typer

from tuneworth.cli.common import app, out, plain, say
from tuneworth.terminal import Fitted, write

PANEL = "Look around"


@app.command(rich_help_panel=PANEL)
def methods() -> None:
    """The methods, their defaults and their sources."""
    from tuneworth.methods import all_methods

    elsewhere = {name: m for name, m in all_methods().items() if hasattr(m, "options_at")}
    for name, method in all_methods().items():
        if name in elsewhere:
            continue
        recipe = method.recipe
        out.print(f"[bold]{name}[/bold]  {plain(method.summary)}", soft_wrap=True)
        say(f"  recipe   learning_rate {recipe.learning_rate:g}, batch_size {recipe.batch_size}, {recipe.schedule} "
             f"schedule, warmup {recipe.warmup:g}, weight_decay {recipe.weight_decay:g}")  # fmt: skip
        for option, field in method.Options.model_fields.items():
            say(f"  option   {option} = {field.default!r}")
        out.print(f"  source   {method.source}\n", style="dim", markup=False, soft_wrap=True)
    if elsewhere:
        say("through peft, with its own options under [method.NAME]:")
        for name, method in elsewhere.items():
            say(f"  {name}  learning_rate {method.recipe.learning_rate:g}; {method.source.partition(';')[0]}")
        say("")
    say("next: name them in a study file (methods = [...]) or in tuneworth compare --methods a,b")


@app.command(rich_help_panel=PANEL)
def tasks() -> None:
    """The tasks that are built in; your own files need no registration."""
    from rich.table import Table

    from tuneworth.tasks import all_tasks

    table = Table(box=None, pad_edge=False)
    for column in ("task", "kind", "metrics"):
        table.add_column(column, no_wrap=True)
    table.add_column("what it is", min_width=20)
    for name, task in all_tasks().items():
        table.add_row(name, task.kind, ", ".join(task.metrics), task.summary)
    out.print(Fitted(table))
    say("\nnext: tuneworth compare --train FILE --text COLUMN --label COLUMN, for a task of your own")


@app.command(rich_help_panel=PANEL)
def models() -> None:
    """The models known by a short name; a local directory or a hub name works as well."""
    from tuneworth.models import list_models

    for alias in list_models():
        there = "installed" if alias.path else f"not installed: {alias.install}"
        out.print(f"[bold]{alias.name}[/bold]  {plain(f'{alias.summary} ({there})')}", soft_wrap=True)
    say(
        "\nnext: tuneworth compare --model NAME, or models = [...] in a study file; a directory or a hub name works too"
    )


@app.command(rich_help_panel=PANEL)
def preset(name: Annotated[str | None, typer.Argument(help="A packaged study file; else list them.")] = None) -> None:
    """Print a packaged study file, to copy and change."""
    from tuneworth.presets import preset_names, preset_path

    if name:
        write(preset_path(name).read_text(encoding="utf-8"))
    else:
        say("\n".join([*preset_names(), "", "next: tuneworth preset NAME > my.toml, or tuneworth run --preset NAME"]))


@app.command(rich_help_panel=PANEL)
def doctor() -> None:
    """What this machine can do: device, bf16, cores, memory, versions, the packaged model."""
    from tuneworth.machine.doctor import examine

    for name, value in examine():
        out.print(f"[bold]{name:<15}[/bold] {plain(value)}", soft_wrap=True)
    say("\nnext: tuneworth demo")
