"""The HTTP interface: predictions, the list of tasks, loading and unloading, health, metrics."""

from __future__ import annotations

import asyncio
import hmac
import math
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from fastapi import Depends, FastAPI, HTTPException, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, PlainTextResponse
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from tuneworth.errors import DataError, UserError, did_you_mean
from tuneworth.serve.batcher import Batcher, Overloaded
from tuneworth.serve.engine import Engine, Task
from tuneworth.serve.found import find_named
from tuneworth.serve.limits import Limits
from tuneworth.serve.metrics import Metrics
from tuneworth.serve.request import try_it
from tuneworth.words import brief


def _printable(text: str) -> str:
    """JSON can spell half a character (a lone surrogate), which no tokenizer takes."""
    try:
        text.encode()
    except UnicodeEncodeError:
        raise ValueError("not valid Unicode") from None
    return text


Text = Annotated[str, AfterValidator(_printable)]


class PredictRequest(BaseModel):
    """Single texts, or pairs of texts, for one task. A text longer than the task's `max_length` tokens is cut there."""

    model_config = ConfigDict(extra="forbid")
    task: Text
    texts: list[Text] | None = Field(None, min_length=1)
    pairs: list[Annotated[list[Text], Field(min_length=2, max_length=2)]] | None = Field(None, min_length=1)

    @model_validator(mode="after")
    def _one_of_them(self) -> PredictRequest:
        if (self.texts is None) == (self.pairs is None):
            raise ValueError("give either texts or pairs")
        return self


class Prediction(BaseModel):
    """Classification: the likeliest label, its probability, every label's. Numbers: the value, twice. Several labels a text:
    their list, how sure the least sure decision is, every label's probability. Tags: the entities, or the words where tags
    mark none, each with start and end in characters, its label and its probability.

    `cut`: the text has more tokens than the task's `max_length`, and what stands behind them was not read.
    """

    label: str | float | list[Any]
    score: float
    probabilities: dict[str, float] | None
    cut: bool


class Predictions(BaseModel):
    task: str
    predictions: list[Prediction]


class TaskView(BaseModel):
    """`mixed`: whether its examples share batches with other tasks', or pass through a model of their own.

    `reason`: why it is unavailable, or not mixed.
    """

    name: str
    status: Literal["ready", "unavailable"]
    reason: str | None = None
    method: str | None = None
    kind: str | None = None
    labels: list[str] | None = None
    pairs: bool | None = None
    max_length: int | None = None
    metric: str | None = None
    score: float | None = None
    mixed: bool | None = None


class Tasks(BaseModel):
    backbone: str
    fingerprint: str
    device: str
    precision: str
    tasks: list[TaskView]


class Health(BaseModel):
    status: Literal["ok"] = "ok"


class Problem(BaseModel):
    detail: str


@dataclass(frozen=True)
class Settings:
    """What a server allows. `admin_token` None: tasks cannot be loaded or unloaded over HTTP."""

    max_texts: int = 256
    max_body: int = 1_000_000
    admin_token: str | None = None


_PROBLEMS: dict[int | str, dict[str, Any]] = {
    code: {"model": Problem, "description": text}
    for code, text in {
        400: "The body is no JSON.", 401: "The admin token is missing or wrong.", 403: "There is no admin token.",
        404: "There is no such task.", 409: "The task cannot be served.", 413: "The body is too large.",
        422: "The request is not as described here.", 503: "The queue is full; Retry-After says how long to wait.",
    }.items()
}  # fmt: skip


def create_app(engine: Engine, batcher: Batcher, root: Path, settings: Settings, metrics: Metrics) -> FastAPI:
    """The application. Deltas are loaded from below `root` alone. When it stops, the batcher answers what it holds."""

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        yield
        await asyncio.to_thread(batcher.close)

    app = FastAPI(title="Tuneworth", lifespan=lifespan, docs_url=None, redoc_url=None)
    app.add_middleware(Limits, max_body=settings.max_body, metrics=metrics)
    _say_what_was_wrong(app)
    metrics.watch(lambda: len(batcher), lambda: len(engine.tasks))

    @app.post("/v1/predict", responses=_only(400, 404, 409, 413, 422, 503))
    async def predict(request: PredictRequest) -> Predictions:
        """Label texts, or text pairs, with one task."""
        started = time.perf_counter()
        task = _ready(engine, request.task)
        texts, pairs = request.texts, None
        if request.pairs is not None:
            texts, pairs = [a for a, _ in request.pairs], [b for _, b in request.pairs]
        assert texts is not None
        if len(texts) > settings.max_texts:
            raise HTTPException(422, f"{len(texts)} texts; at most {settings.max_texts} a request")
        examples = await asyncio.to_thread(engine.encode, task, texts, pairs)
        answers = await asyncio.gather(*map(asyncio.wrap_future, batcher.submit(examples)))
        metrics.predict_seconds.observe(time.perf_counter() - started)
        predictions = [Prediction(**answer, cut=one.cut) for answer, one in zip(answers, examples, strict=True)]
        return Predictions(task=task.name, predictions=predictions)

    @app.get("/v1/tasks")
    def tasks() -> Tasks:
        """Every task: those that are served, and those that were found and cannot be, with the reason."""
        views = [_view(task) for task in list(engine.tasks.values())]
        views += [TaskView(name=n, status="unavailable", reason=r) for n, r in list(engine.unavailable.items())]
        return Tasks(backbone=Path(engine.base.name).name, fingerprint=engine.base.fingerprint, device=str(engine.device),
                     precision=engine.precision, tasks=sorted(views, key=lambda view: view.name))  # fmt: skip

    admin = [Depends(_admin(settings.admin_token))]

    @app.put("/v1/tasks/{name}", dependencies=admin, responses=_only(401, 403, 404, 409, 413, 422))
    def load(name: str) -> TaskView:
        """Load the delta of that name from below the served directory, or load it again; the others go on meanwhile."""
        found = find_named(root, name)
        if found is None:
            raise HTTPException(404, f"there is no delta {brief(name)!r} below the served directory")
        return _view(engine.load(found))

    @app.delete("/v1/tasks/{name}", dependencies=admin, status_code=204, responses=_only(401, 403, 404, 413, 422))
    def unload(name: str) -> None:
        """Serve a task no longer. Its files stay."""
        try:
            engine.unload(name)
        except KeyError:
            raise HTTPException(404, f"there is no task {brief(name)!r}") from None

    @app.get("/", response_class=PlainTextResponse)
    @app.get("/docs", response_class=PlainTextResponse, include_in_schema=False)
    def overview(request: Request) -> str:
        """This page."""
        return _overview(app, engine, f"{request.scope['scheme']}://{request.headers.get('host', '127.0.0.1:8400')}")

    @app.get("/healthz")
    def health() -> Health:
        """Whether the server answers."""
        return Health()

    @app.get("/metrics", response_class=PlainTextResponse)
    def measured() -> PlainTextResponse:
        """Counts and times, for Prometheus."""
        return PlainTextResponse(metrics.text(), media_type="text/plain; version=0.0.4")

    return app


def _ready(engine: Engine, name: str) -> Task:
    task = engine.tasks.get(name)
    if task is None and name in engine.unavailable:
        raise HTTPException(409, f"task {name!r} is unavailable: {engine.unavailable[name]}")
    if task is None:
        near = did_you_mean(name[:1000], list(engine.tasks)[:20])
        raise HTTPException(404, f"there is no task {brief(name)!r}; {near}")
    return task


def _view(task: Task) -> TaskView:
    info = task.info
    return TaskView(
        name=task.name, status="ready", reason=task.alone, method=info.method, kind=info.task_kind, pairs=info.pairs,
        labels=list(info.codec.names) if info.codec.names else None, max_length=info.max_length, metric=info.shown(info.metric),
        score=info.score if math.isfinite(info.score) else None, mixed=task.parts is not None,
    )  # fmt: skip


def _overview(app: FastAPI, engine: Engine, url: str) -> str:
    """What this is, every route, and a request to begin with, for people; nothing of it comes from elsewhere."""
    lines = [f"Tuneworth: {len(engine.tasks)} tuned tasks on {Path(engine.base.name).name}", ""]
    for path, operations in app.openapi()["paths"].items():
        lines += [f"{verb.upper():6} {path:17} {said['description']}" for verb, said in operations.items()]
    lines += [f"GET    {app.openapi_url:17} All of this as a schema (OpenAPI), for tools that make clients.", ""]
    lines += [f"  {try_it(url, task.name, task.info.pairs)}" for task in list(engine.tasks.values())[:1]]
    return "\n".join(lines) + "\n"


def _admin(token: str | None) -> Callable[..., None]:
    """Lets a request through that bears the token; compared in constant time."""

    def check(given: Annotated[HTTPAuthorizationCredentials | None, Depends(HTTPBearer(auto_error=False))]) -> None:
        if token is None:
            raise HTTPException(403, "loading and unloading are off; start the server with --admin-token")
        if given is None or not hmac.compare_digest(given.credentials.encode(), token.encode()):
            raise HTTPException(401, "the admin token is missing or wrong", {"WWW-Authenticate": "Bearer"})

    return check


def _only(*codes: int) -> dict[int | str, dict[str, Any]]:
    return {code: _PROBLEMS[code] for code in codes}


def _say_what_was_wrong(app: FastAPI) -> None:
    """Every mistake becomes one line of text; what the client sent is not echoed, since it may not be printable."""

    @app.exception_handler(RequestValidationError)
    async def invalid(_: Request, error: RequestValidationError) -> JSONResponse:
        first = error.errors()[0]
        if first["type"] == "json_invalid":
            return JSONResponse({"detail": "the body is no JSON"}, 400)
        where = ".".join(str(part) for part in first["loc"]).encode("ascii", "replace").decode()
        return JSONResponse({"detail": f"{brief(where)}: {first['msg']}"}, 422)

    @app.exception_handler(DataError)
    async def unfit(_: Request, error: DataError) -> JSONResponse:
        return JSONResponse({"detail": f"{error.problem}: {error.remedy}"}, 422)

    @app.exception_handler(UserError)
    async def refused(_: Request, error: UserError) -> JSONResponse:
        return JSONResponse({"detail": error.problem}, 409)

    @app.exception_handler(Overloaded)
    async def overloaded(_: Request, error: Overloaded) -> JSONResponse:
        headers = {"Retry-After": str(error.retry_after)}
        return JSONResponse({"detail": f"too many texts wait already; {error}"}, 503, headers)

    @app.exception_handler(Exception)
    async def broken(_: Request, error: Exception) -> JSONResponse:  # noqa: ARG001 - the server's log has it
        return JSONResponse({"detail": "the server made a mistake; its log says which"}, 500)
