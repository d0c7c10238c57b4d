"""A request to begin with."""

from __future__ import annotations

import json
import shlex


def try_it(url: str, task: str, pairs: bool) -> str:
    """A command that asks the server at `url`; any curl knows its options (--json came with 7.82)."""
    body = {"task": task, **({"pairs": [["a text", "another"]]} if pairs else {"texts": ["a text"]})}
    said = shlex.quote(json.dumps(body))
    return f"curl {url.rstrip('/')}/v1/predict -H 'Content-Type: application/json' -d {said}"
