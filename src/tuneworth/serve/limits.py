"""Before any request is understood: how large it may be, and a count of how it ended. Plain ASGI."""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.requests import ClientDisconnect
from starlette.responses import JSONResponse

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from tuneworth.serve.metrics import Metrics


class Limits:
    """Answers 413 to a body of more than `max_body` bytes, declared or sent, without reading more of it.

    A body that breaks off reaches nobody.
    """

    def __init__(self, app: ASGIApp, max_body: int, metrics: Metrics) -> None:
        self.app, self.max_body, self.metrics = app, max_body, metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self.app(scope, receive, send)

        async def counted(message: Message) -> None:
            if message["type"] == "http.response.start":
                self.metrics.responses.labels(message["status"]).inc()
            await send(message)

        try:
            body = await self._read(scope, receive)
        except ClientDisconnect:
            return None
        if body is None:
            refusal = JSONResponse({"detail": f"the body is larger than {self.max_body} bytes"}, 413)
            return await refusal(scope, receive, counted)
        sent = False

        async def replay() -> Message:
            nonlocal sent
            if sent:
                return await receive()
            sent = True
            return {"type": "http.request", "body": body, "more_body": False}

        return await self.app(scope, replay, counted)

    async def _read(self, scope: Scope, receive: Receive) -> bytes | None:
        """None where it is too large. Raises ClientDisconnect where it breaks off."""
        declared = dict(scope["headers"]).get(b"content-length", b"0")
        if declared.isdigit() and int(declared) > self.max_body:
            return None
        body = bytearray()
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                raise ClientDisconnect
            body += message.get("body", b"")
            if len(body) > self.max_body:
                return None
            if not message.get("more_body"):
                return bytes(body)
