"""A server from its directory to its end: find, bind, load, answer, stop."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING

from tuneworth.errors import ServeError, UserError
from tuneworth.serve.found import Found, choose_base, find
from tuneworth.spec import Precision

if TYPE_CHECKING:
    from tuneworth.serve.app import Settings
    from tuneworth.serve.engine import Engine


STOP_SECONDS = 60
"""A full queue of 1024 texts takes some ten seconds on two cores (docs/serving.md)."""


@dataclass(frozen=True)
class Queue:
    """`max_wait`: milliseconds that a text waits for others to share its batch. `max_queue`: texts that may wait."""

    max_wait: float = 5.0
    max_queue: int = 1024


class Server:
    """Looks at what it will serve, and binds its port, when it is made; `load` and `run` come next, within `with`.

    Raises ServeError for a port that is taken, a directory without deltas, an extra that is missing; ModelError for a
    backbone that cannot be found.
    """

    def __init__(
        self,
        root: Path,
        host: str = "127.0.0.1",
        port: int = 8400,
        model: str | None = None,
        allow_pickle: bool = False,
    ) -> None:
        for package in ("fastapi", "uvicorn", "prometheus_client"):
            if find_spec(package) is None:
                raise ServeError(f"{package} is not installed", "pip install 'tuneworth[serve]'")
        self.root, self.allow_pickle = root, allow_pickle
        self.found = find(root)
        self.base = choose_base(self.found, model, allow_pickle)
        self.socket = _bind(host, port)
        shown = f"[{host}]" if ":" in host else host
        self.url = f"http://{shown}:{self.socket.getsockname()[1]}"
        self.open = not ip_address(self.socket.getsockname()[0].partition("%")[0]).is_loopback
        """Whether other machines may reach it."""

    def __enter__(self) -> Server:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    def load(self, device: str = "auto", precision: Precision = "auto") -> Iterator[tuple[Found, str]]:
        """Load the backbone, then each delta: yields it with the reason why it is not served, or ''.

        Raises ServeError where none can be served.
        """
        from tuneworth.serve.engine import Engine
        from tuneworth.train import device as devices

        where = devices.pick(device)
        self.engine: Engine = Engine(self.base, where, devices.resolve_precision(precision, where), self.allow_pickle)
        for found in self.found:
            try:
                self.engine.load(found)
            except UserError as error:
                yield found, error.problem
            else:
                yield found, ""
        if not self.engine.tasks:
            reason = next(iter(self.engine.unavailable.values()))
            raise ServeError(f"none of the {len(self.found)} deltas can be served; the first: {reason}",
                             "give a directory of deltas for one base model")  # fmt: skip

    def run(self, settings: Settings, queue: Queue) -> None:
        """Answer until SIGINT or SIGTERM; then take no more, answer what was taken, and return.

        What was taken has STOP_SECONDS for it.
        """
        import uvicorn

        from tuneworth.serve.app import create_app
        from tuneworth.serve.batcher import Batcher
        from tuneworth.serve.connections import Connection
        from tuneworth.serve.metrics import Metrics

        metrics = Metrics()
        batcher = Batcher(self.engine.run, queue.max_wait / 1000, queue.max_queue, metrics.observe)
        app = create_app(self.engine, batcher, self.root, settings, metrics)
        config = uvicorn.Config(
            app, http=Connection, ws="none", log_level="warning", access_log=False, server_header=False,
            timeout_graceful_shutdown=STOP_SECONDS,
        )  # fmt: skip
        try:
            uvicorn.Server(config).run(sockets=[self.socket])
        except KeyboardInterrupt:
            pass  # uvicorn has stopped in good order, and hands the signal on
        finally:
            batcher.close()


def _bind(host: str, port: int) -> socket.socket:
    """A listening socket: who connects while tasks are loading waits."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    except (socket.gaierror, OverflowError, UnicodeError):
        raise ServeError(f"{host!r} is no address of this machine", "leave out --host for 127.0.0.1") from None
    bound = socket.socket(family, kind, protocol)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        bound.bind(address)
        bound.listen(2048)
    except OSError as error:
        bound.close()
        raise ServeError(f"cannot listen on {host}:{port}: {error.strerror}", "choose another --port") from None
    return bound
