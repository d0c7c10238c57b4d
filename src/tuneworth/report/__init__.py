"""Reports: `build` makes one Report value from rows; `terminal` and `write_html` render it."""

from tuneworth.report.build import build
from tuneworth.report.html import render_html, write_html
from tuneworth.report.toml import to_toml
from tuneworth.report.value import Report

__all__ = ["Report", "build", "render_html", "to_toml", "write_html"]
