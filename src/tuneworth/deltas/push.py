"""A delta published: its two files and a model card, in one commit to the model hub."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from tuneworth.deltas.card import base_name, is_local, write_card
from tuneworth.deltas.files import TENSORS, DeltaInfo, read_info, write_info
from tuneworth.errors import DeltaError, HubError
from tuneworth.writing import whole_file

CARD = "README.md"


@dataclass(frozen=True)
class Pushed:
    """Where the delta is (`url`), or would go, and what was sent: bytes by file name."""

    url: str
    card: Path
    sent: dict[str, int]


def push_delta(delta: str | Path, repo: str, private: bool = False, dry_run: bool = False) -> Pushed:
    """Send `delta` to the hub's model repository `repo` (`owner/name`), made if it is not there.

    The card is the delta's README.md; where there is none it is written, so that `dry_run`, which sends nothing, leaves
    one to edit. A base model in a directory is named by the directory's last part alone: paths stay at home. Raises
    DeltaError for what is no delta, HubError where the hub cannot be reached or refuses.
    """
    from huggingface_hub import HfApi

    delta = Path(delta)
    _check_repo(repo)
    info = read_info(delta)
    _check_tensors(delta)
    card = delta / CARD
    if not card.exists():
        with whole_file(card) as scratch:
            scratch.write_text(write_card(info, repo), encoding="utf-8")
    with TemporaryDirectory() as folder:
        scratch = Path(folder)
        for name in (CARD, TENSORS):
            shutil.copyfile(delta / name, scratch / name)
        write_info(scratch, _without_paths(info))
        sent = {path.name: path.stat().st_size for path in sorted(scratch.iterdir())}
        api = HfApi()
        if dry_run:
            return Pushed(f"{api.endpoint}/{repo}", card, sent)
        with _hub_errors(repo):
            made = api.create_repo(repo, private=private or None, exist_ok=True)
            api.upload_folder(repo_id=made.repo_id, folder_path=scratch, commit_message=f"{info.method} on {info.task}")
        return Pushed(str(made), card, sent)


def _check_repo(repo: str) -> None:
    from huggingface_hub.errors import HFValidationError
    from huggingface_hub.utils._validators import validate_repo_id

    try:
        validate_repo_id(repo)
    except HFValidationError:
        repo = ""
    if "/" not in repo:
        raise HubError("a repository is named owner/name, in letters, digits, '-', '_' and '.'",
                       "tuneworth push DELTA you/your-delta")  # fmt: skip


def _check_tensors(delta: Path) -> None:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(delta / TENSORS, framework="np"):
            pass
    except (SafetensorError, OSError) as error:
        raise DeltaError(f"{str(delta / TENSORS)!r} is damaged: {error}", "copy it again, or tune again") from None


def _without_paths(info: DeltaInfo) -> DeltaInfo:
    return info.model_copy(update={"base": base_name(info)}) if is_local(info) else info


@contextmanager
def _hub_errors(repo: str) -> Iterator[None]:
    """The client raises many kinds: HTTP statuses, its own, and those of the HTTP library below it."""
    from huggingface_hub.errors import HfHubHTTPError, OfflineModeIsEnabled

    try:
        yield
    except HfHubHTTPError as error:
        status = error.response.status_code
        reason = (error.server_message or str(error)).strip().splitlines()[0]
        remedy = "log in with `hf auth login`, or set HF_TOKEN to a token that may write" if status in (401, 403) else (
            "try again later; what is there already is not sent twice")  # fmt: skip
        raise HubError(f"the hub refuses {repo!r} ({status}): {reason}", remedy) from error
    except OfflineModeIsEnabled:
        raise HubError(f"cannot send {repo!r}: HF_HUB_OFFLINE is set", "unset it, and try again") from None
    except Exception as error:  # no network, no route, a broken proxy
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise HubError(
            f"the hub cannot be reached: {reason}", "check the network and HF_ENDPOINT, and try again"
        ) from error
