"""The command as a process of its own."""

from __future__ import annotations

import json
import re
import shutil
import signal
import socket
import subprocess
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from commands import start, tuneworth
from families import make_model_dir
from made_deltas import make_delta

Serve = Callable[..., tuple[subprocess.Popen[str], str, str]]


@pytest.fixture
def serve(delta_root: Path) -> Iterator[Serve]:
    """Start a server on a free port; gives the process, its URL and what it said until it was ready."""
    started: list[subprocess.Popen[str]] = []

    def run(*options: str) -> tuple[subprocess.Popen[str], str, str]:
        process = start("serve", delta_root, "--port", "0", "--device", "cpu", *options, cwd=delta_root)
        started.append(process)
        assert process.stdout is not None
        said = ""
        for line in process.stdout:
            said += line
            if line.startswith("next: "):
                break
        found = re.search(r"http://[\d.]+:\d+", said)
        assert found, said + (process.stderr.read() if process.stderr else "")
        return process, found[0], said

    yield run
    for process in started:
        process.kill()
        process.communicate()


def ask(url: str, task: str = "mood") -> dict[str, object]:
    body = json.dumps({"task": task, "texts": ["a cat"]}).encode()
    request = urllib.request.Request(f"{url}/v1/predict", body, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=60) as response:
        answer: dict[str, object] = json.load(response)
    return answer


def test_from_start_to_a_stop_that_answers_what_it_took(serve: Serve) -> None:
    process, url, said = serve("--max-wait", "1000")
    assert "mood  bitfit, accuracy 0.5" in said
    assert "4 tasks on" in said
    first: list[object] = []
    asking = threading.Thread(target=lambda: first.append(ask(url)))
    asking.start()
    while "waiting_examples 1.0" not in urllib.request.urlopen(f"{url}/metrics").read().decode() and not first:
        time.sleep(0.01)
    process.send_signal(signal.SIGTERM)
    asking.join(60)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    assert "every request that was taken has its answer" in out
    assert "Traceback" not in err
    (answer,) = first
    assert answer["task"] == "mood"  # type: ignore[index]


def test_a_half_sent_request_does_not_hold_a_stop(serve: Serve) -> None:
    process, url, _ = serve()
    assert ask(url)["task"] == "mood"
    port, clients = int(url.rpartition(":")[2]), []
    for sent in (b"", b"POST /v1/pre", b"POST /v1/predict HTTP/1.1\r\nHost: x\r\nContent-Length: 99\r\n\r\n{"):
        clients.append(socket.create_connection(("127.0.0.1", port)))
        clients[-1].sendall(sent)
    time.sleep(0.3)
    process.send_signal(signal.SIGTERM)
    began = time.monotonic()
    _, err = process.communicate(timeout=60)
    assert time.monotonic() - began < 15
    assert process.returncode == 0, err
    assert "Traceback" not in err
    assert clients[-1].recv(100).startswith(b"HTTP/1.1 503")
    for client in clients:
        client.close()


def test_an_open_address_is_warned_of(serve: Serve) -> None:
    process, _, _ = serve("--host", "0.0.0.0")
    process.send_signal(signal.SIGTERM)
    _, err = process.communicate(timeout=60)
    assert "warning: whoever reaches http://0.0.0.0:" in err


def test_the_command_it_suggests_works(serve: Serve) -> None:
    _, _, said = serve()
    if shutil.which("curl") is None:
        pytest.skip("curl is not installed")
    command = said.splitlines()[-1].removeprefix("next: ")
    assert "--json" not in command, "curl knows it since 7.82 alone"
    ended = subprocess.run(command, shell=True, capture_output=True, text=True, check=True)
    assert json.loads(ended.stdout)["task"] == "mood"


def test_a_stranger_is_named_at_start(serve: Serve, delta_root: Path, tmp_path: Path) -> None:
    make_delta(delta_root / "stranger", make_model_dir("bert", tmp_path / "other", seed=7), "head")
    process, url, _ = serve()
    assert ask(url)["task"] == "mood"
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert "unavailable: stranger: made for 'other'" in err
    assert process.returncode == 0


def test_a_port_that_is_taken(delta_root: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        said = tuneworth("serve", delta_root, "--port", str(port))
    assert said.code == 2
    assert f"cannot listen on 127.0.0.1:{port}: Address already in use" in said.err
    assert "choose another --port" in said.err


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        (("--host", "no such host"), "'no such host' is no address"),
        (("--admin-token", ""), "--admin-token is empty"),
        (("--max-texts", "9", "--max-queue", "8"), "a request of 9 texts never fits a queue of 8"),
        (("--device", "tpu", "--port", "0"), "unknown device 'tpu'"),
        (("--model", "absent/", "--port", "0"), "there is no model directory 'absent/'"),
    ],
)
def test_a_wrong_option(delta_root: Path, options: tuple[str, ...], problem: str) -> None:
    said = tuneworth("serve", delta_root, *options)
    assert said.code == 2
    assert problem in said.err


def test_two_deltas_of_one_name(delta_root: Path) -> None:
    shutil.copytree(delta_root / "mood", delta_root / "below" / "mood")
    said = tuneworth("serve", delta_root, "--port", "0")
    assert said.code == 2
    assert "two deltas have the name 'mood'" in said.err


def test_nothing_that_can_be_served(delta_root: Path) -> None:
    for path in delta_root.rglob("delta.safetensors"):
        path.write_bytes(b"cut")
    said = tuneworth("serve", delta_root, "--port", "0", "--device", "cpu")
    assert said.code == 2
    assert "none of the 4 deltas can be served" in said.err
