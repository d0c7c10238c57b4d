"""What stands under each command's help: commands to copy."""

from __future__ import annotations

__all__ = ["EXAMPLES"]

EXAMPLES = {
    "run": ("tuneworth run first.toml --dry-run", "tuneworth run first.toml --until-decided --time-limit 1h"),
    "stream": ("tuneworth stream arrivals.toml --workers 2",),
    "compare": (
        "tuneworth compare --train reviews.csv --text review --label stars",
        "tuneworth compare --train reviews.csv --text review --label stars --until-decided --time-limit 10m",
    ),
    "demo": ("tuneworth demo --directory /tmp/demo",),
    "status": ("tuneworth status", "tuneworth status reviews --store tuneworth.db"),
    "results": ("tuneworth results reviews", "tuneworth results reviews --format csv"),
    "report": ("tuneworth report reviews -o reviews.html", "tuneworth report reviews --margin 0.5"),
    "table": ("tuneworth table reviews --format latex", "tuneworth table reviews --format csv"),
    "figures": ("tuneworth figures reviews -o figures --format pdf",),
    "advise": ("tuneworth advise reviews", "tuneworth advise reviews --max-delta-size 1MB --prefer time"),
    "claims": ("tuneworth claims paper --json",),
    "predict": ("tuneworth predict reviews --input new.csv --output labelled.csv",),
    "merge": ("tuneworth merge reviews --output merged",),
    "export": ("tuneworth export reviews --to onnx --output model.onnx",),
    "push": ("tuneworth push reviews me/reviews-bitfit --dry-run",),
    "serve": ("tuneworth serve tuneworth.db.files --port 8000",),
    "methods": ("tuneworth methods",),
    "tasks": ("tuneworth tasks",),
    "models": ("tuneworth models",),
    "preset": ("tuneworth preset", "tuneworth preset paper"),
    "doctor": ("tuneworth doctor",),
}
"""By command. A test parses each of them."""
