"""Clients that dawdle, over real sockets; no model is needed."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from tuneworth.serve.connections import Connection
from tuneworth.serve.limits import Limits
from tuneworth.serve.metrics import Metrics

HEAD = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n"


class Quick(Connection):
    seconds = 0.5


class Served:
    """A server in a thread: a POST to / is answered with its body, after `delay`; /large with 50 MB."""

    def __init__(self) -> None:
        self.delay, self.taken = 0.0, 0
        self.clients: list[socket.socket] = []
        app = Starlette(routes=[Route("/", self._echo, methods=["POST"]), Route("/large", self._large)])
        app.add_middleware(Limits, max_body=100, metrics=Metrics())
        self.socket = socket.create_server(("127.0.0.1", 0))
        config = uvicorn.Config(app, http=Quick, ws="none", log_level="warning", access_log=False)
        self.server = uvicorn.Server(config)
        self.thread = threading.Thread(target=lambda: self.server.run(sockets=[self.socket]), daemon=True)
        self.thread.start()

    async def _echo(self, request: Request) -> Response:
        self.taken += 1
        await asyncio.sleep(self.delay)
        return Response(await request.body())

    async def _large(self, _: Request) -> Response:
        return Response(b"x" * 50_000_000)

    def connect(self, sent: bytes = b"") -> socket.socket:
        client = socket.create_connection(self.socket.getsockname(), timeout=20)
        self.clients.append(client)
        client.sendall(sent)
        return client


@pytest.fixture
def served() -> Iterator[Served]:
    served = Served()
    yield served
    served.server.should_exit = True
    served.thread.join(20)
    for client in [*served.clients, served.socket]:
        client.close()
    assert not served.thread.is_alive()


def rest(client: socket.socket) -> bytes:
    """What comes until the server closes."""
    got = b""
    try:
        while part := client.recv(65536):
            got += part
    except ConnectionResetError:
        pass
    return got


@pytest.mark.parametrize("sent", [b"", b"POST / HT", HEAD[:-4], HEAD + b"half", HEAD.replace(b"10", b"101") + b"x"])
def test_who_does_not_send_a_whole_request_is_let_go(served: Served, sent: bytes) -> None:
    client, began = served.connect(sent), time.monotonic()
    got = rest(client)
    assert 0.4 < time.monotonic() - began < 15
    assert got.startswith(b"HTTP/1.1 408" if b"half" in sent else b"HTTP/1.1 413" if b"101" in sent else b"")
    assert served.taken == 0


@pytest.mark.parametrize("head", [HEAD, HEAD.replace(b"10", b"1000")], ids=["taken", "refused early"])
def test_a_byte_now_and_then_does_not_hold_a_connection(served: Served, head: bytes) -> None:
    client, began = served.connect(head), time.monotonic()
    with pytest.raises(OSError):  # noqa: PT012 - whichever of them meets the closed connection
        while time.monotonic() - began < 15:
            time.sleep(0.1)
            client.sendall(b"x")
            if time.monotonic() - began > 0.9:  # ten bytes would be whole
                assert not rest(client).startswith(b"HTTP/1.1 200")
                raise OSError
    assert served.taken == 0


def test_a_long_computation_and_a_second_request_have_their_time(served: Served) -> None:
    served.delay = 0.8
    client = served.connect(HEAD + b"0123456789")
    for _ in range(2):
        got = b""
        while not got.endswith(b"0123456789"):
            part = client.recv(1000)
            assert part, got
            got += part
        client.sendall(HEAD)
        time.sleep(0.2)
        client.sendall(b"0123456789")
    assert served.taken >= 2


def test_who_does_not_read_the_answer_is_let_go(served: Served) -> None:
    client = served.connect(b"GET /large HTTP/1.1\r\nHost: x\r\n\r\n")
    until = time.monotonic() + 15
    while served.server.server_state.connections or time.monotonic() < until - 14.5:
        assert time.monotonic() < until
        time.sleep(0.05)
    assert len(rest(client)) < 50_000_000


def test_a_stop_answers_what_is_whole_and_waits_for_nothing_else(served: Served, monkeypatch: Any) -> None:
    monkeypatch.setattr(Quick, "seconds", 1000.0)
    served.delay = 1.0
    half, whole, silent = served.connect(HEAD + b"half"), served.connect(HEAD + b"0123456789"), served.connect()
    while not served.taken:
        time.sleep(0.02)
    served.server.should_exit = True
    assert rest(half).startswith(b"HTTP/1.1 503")
    assert rest(whole).endswith(b"0123456789")
    assert rest(silent) == b""
    served.thread.join(10)
    assert not served.thread.is_alive()
    assert served.taken == 1
