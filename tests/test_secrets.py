"""The password of a store's URL is in nothing that a command prints or writes."""

from __future__ import annotations

import gc
import os
import shlex
import warnings
from pathlib import Path
from typing import Any

import pytest

from commands import Said, tuneworth
from tuneworth.store.shown import has_secret, shown

SECRET = "hunter2"
NOWHERE = "127.0.0.1:1/db"


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("TUNEWORTH_STORE", raising=False)


@pytest.mark.parametrize(
    ("url", "seen"),
    [
        (f"postgresql://u:{SECRET}@h:5432/db", "postgresql://u@h:5432/db"),
        (f"postgres+psycopg://u:a%40{SECRET}@h/db", "postgresql://u@h/db"),
        (f"postgresql://u%40srv:{SECRET}@h/db", "postgresql://u%40srv@h/db"),
        (f"postgresql://u@h/db?password={SECRET}&sslmode=require", "postgresql://u@h/db?sslmode=require"),
        (f"postgresql://u@h/db?passfile=p&sslpassword={SECRET}", "postgresql://u@h/db?passfile=p"),
    ],
)
def test_a_url_is_shown_as_who_gives_the_password_otherwise_would_write_it(url: str, seen: str) -> None:
    assert shown(url) == seen
    assert has_secret(url)
    assert not has_secret(seen)
    assert shown(seen) == seen


@pytest.mark.parametrize("path", ["tuneworth.db", "sqlite:////a/b.db", "memory:", "a:b@c.db"])
def test_a_path_has_no_secret(path: str) -> None:
    assert shown(path) == path
    assert not has_secret(path)


URLS = [
    f"postgresql://u:{SECRET}@{NOWHERE}",
    f"postgresql://u:x@{SECRET}@{NOWHERE}",
    f"postgresql://u:{SECRET}/x@y@{NOWHERE}",
    f"postgresql://u@{NOWHERE}?password={SECRET}",
    f"postgresql://u@{NOWHERE}?sslpassword={SECRET}&connect_timeout=1",
    f"postgresql://u@{NOWHERE}?pasword={SECRET}",
    f"postgresql:/u:{SECRET}@{NOWHERE}",
    f"postgresql://u:{SECRET}@127.0.0.1:port/db",
    f"mysql://u:{SECRET}@{NOWHERE}",
]


@pytest.mark.parametrize("url", URLS)
def test_no_error_repeats_it(url: str, tmp_path: Path) -> None:
    (tmp_path / "s.toml").write_text('name = "s"\ntasks = ["mrpc"]\nmethods = ["head"]\n')
    (tmp_path / "t.toml").write_text(
        'name = "t"\ntasks = ["demo/similarity"]\nbudgets = ["2steps"]\n[stream]\nkind = "data"\n'
    )
    for command in ("status", "results s", "report s", "advise s", "claims s", "run s", "predict d -i x.csv -o y.csv",
                    "stream t.toml", "merge d -o m", "export d --to bf16 -o m", "push d me/mine"):  # fmt: skip
        said = tuneworth(*shlex.split(command), "--store", url)
        assert said.code == 2, (command, said)
        assert said.err.count("error:") == 1
        assert SECRET not in said.out + said.err, command


def test_an_at_sign_in_the_password_is_said_to_need_its_code() -> None:
    assert "%40" in tuneworth("status", "--store", URLS[1]).err


def test_the_command_that_goes_on_has_none(monkeypatch: pytest.MonkeyPatch) -> None:
    from tuneworth.cli.common import same_command

    for given in ([f"--store={URLS[0]}"], ["--store", URLS[0]]):
        monkeypatch.setattr("sys.argv", ["tuneworth", "run", "a study.toml", *given])
        assert same_command().startswith("tuneworth run 'a study.toml' --store")
        assert SECRET not in same_command()
        assert "u@127.0.0.1:1/db" in same_command()


def test_no_command_on_a_real_server_tells_it(
    request: pytest.FixtureRequest, reviews: Path, tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("postgres", reason="the tests' own server")
    server: Any = request.getfixturevalue("postgres")
    with server.database("stores") as plain:
        url = plain.replace("@", f":{SECRET}@", 1)

        def say(*arguments: str | Path, code: int = 0) -> Said:
            said = tuneworth(*arguments)
            with warnings.catch_warnings():
                warnings.simplefilter("error", ResourceWarning)  # of a connection that nobody has closed
                gc.collect()
            assert said.code == code, said
            assert SECRET not in said.out + said.err, arguments
            return said

        ran = say("compare", "--train", reviews, "--text", "text", "--label", "label", "--model", tiny_model, "--methods",
                  "head,bitfit", "--budget", "2steps", "--seeds", "1", "--name", "r", "--workers", "1", "--store", url)  # fmt: skip
        assert "PGPASSWORD" in ran.err
        following = ran.out.rsplit("next: tuneworth ", 1)[1]
        assert "--store 'postgresql://" in following
        assert say(*shlex.split(following)).code == 0, (
            "the next command can be pasted: this server asks for no password"
        )
        for command in ("status", "results r", "results r --format json", "results r --format csv", "advise r", "advise r --json",
                        "claims r", "report r"):  # fmt: skip
            say(*shlex.split(command), "--store", url)
        say("predict", "gone", "-i", "x.csv", "-o", "y.csv", "--store", url, code=2)
        say("merge", "gone", "-o", "m", "--store", url, code=2)
        say("export", "gone", "--to", "bf16", "-o", "m", "--store", url, code=2)
        say("push", "gone", "me/mine", "--store", url, code=2)
        delta = next(Path().glob("*.files/deltas/r/*"))
        say("merge", delta, "-o", "merged", "--store", url)
        say("export", delta, "--to", "bf16", "-o", "half", "--store", url)
        say("push", delta, "me/mine", "--dry-run", "--store", url)
        Path("t.toml").write_text(
            f"name = 't'\nmodels = ['{tiny_model}']\nmethods = ['head']\ntasks = ['demo/similarity']\nbudgets = ['1steps']\n"
            "seeds = 1\n[stream]\nkind = 'data'\nlength = 64\nchunk = 32\n"
        )
        say("stream", "t.toml", "--workers", "1", "--store", url)
        monkeypatch.setenv("TUNEWORTH_STORE", url)
        assert "--store" not in say("status").out
        say("serve", "nowhere", code=2)
    written = [path for path in Path.cwd().rglob("*") if path.is_file()]
    assert Path.cwd() / "report.html" in written
    assert not [path for path in written if SECRET.encode() in path.read_bytes()]
    assert os.environ["TUNEWORTH_STORE"] == url
