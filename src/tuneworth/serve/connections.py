"""One client's connection: a request that does not come in time, or an answer that is not fetched, ends it."""

from __future__ import annotations

import asyncio
import json
from typing import ClassVar

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol


class Connection(H11Protocol):
    """uvicorn's, with a clock. It runs until a request is whole, head and body, and while the client does not read.

    uvicorn itself would wait for ever for the rest of a request, and not stop before it had come.
    """

    seconds: ClassVar[float] = 30.0
    """As the server of Apache (RequestReadTimeout: 20 to 40 s); a body of 1 MB in 30 s is a line of 0.3 Mbit/s."""
    _clock: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._start()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self._answering:
            self._stop()

    def on_response_complete(self) -> None:
        if not self._incomplete:  # what is refused early has the rest of its time, not more
            self._start()
        super().on_response_complete()  # which may take up the next request
        if self._answering:
            self._stop()

    def pause_writing(self) -> None:
        super().pause_writing()
        self._start()

    def resume_writing(self) -> None:
        super().resume_writing()
        if self._answering:
            self._stop()

    def shutdown(self) -> None:
        """The server stops: what is whole is answered, what is not was never taken."""
        if self._incomplete and not self.cycle.response_started:
            self._refuse(503, "the server is stopping")
        else:
            super().shutdown()

    @property
    def _incomplete(self) -> bool:
        """Whether the rest of a body is awaited."""
        return self.cycle is not None and self.cycle.more_body

    @property
    def _answering(self) -> bool:
        return self.cycle is not None and not self.cycle.more_body and not self.cycle.response_complete

    def _start(self) -> None:
        self._stop()
        self._clock = self.loop.call_later(self.seconds, self._expire)

    def _stop(self) -> None:
        if self._clock is not None:
            self._clock.cancel()
            self._clock = None

    def _expire(self) -> None:
        if self._incomplete and not self.cycle.response_started:
            self._refuse(408, f"the request was not whole after {self.seconds:g} s")
        else:
            self.transport.abort()

    def _refuse(self, status: int, detail: str) -> None:
        body = json.dumps({"detail": detail}).encode()
        head = [("content-type", "application/json"), ("content-length", str(len(body))), ("connection", "close")]
        for event in (h11.Response(status_code=status, headers=head), h11.Data(data=body), h11.EndOfMessage()):
            self.transport.write(self.conn.send(event) or b"")
        self.transport.close()
