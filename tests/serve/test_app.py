"""The HTTP interface over a real engine, in this process."""

from __future__ import annotations

import itertools
import shlex
import shutil
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import schemathesis
import torch
from fastapi.testclient import TestClient
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import response_schema_conformance, status_code_conformance

from families import make_model_dir
from made_deltas import edit_info, make_delta
from tuneworth import models
from tuneworth.deltas import Predictor
from tuneworth.serve.app import Settings, create_app
from tuneworth.serve.batcher import Batcher
from tuneworth.serve.engine import Engine
from tuneworth.serve.found import find
from tuneworth.serve.metrics import Metrics
from tuneworth.serve.request import try_it

TOKEN = {"Authorization": "Bearer open-sesame"}
Client = Callable[..., TestClient]


@pytest.fixture
def client(delta_root: Path, tiny_model: Path) -> Iterator[Client]:
    """A client of an app over `delta_root`; keywords are those of Settings, and `max_queue`."""
    opened: list[TestClient] = []

    def make(max_queue: int = 1024, **changes: Any) -> TestClient:
        engine = Engine(models.resolve(str(tiny_model)), torch.device("cpu"), "fp32")
        for found in find(delta_root):
            engine.load(found)
        metrics = Metrics()
        batcher = Batcher(engine.run, 0.001, max_queue, metrics.observe)
        app = create_app(engine, batcher, delta_root, Settings(**changes), metrics)
        client = TestClient(app, raise_server_exceptions=False)
        client.__enter__()
        client.batcher, client.engine = batcher, engine  # type: ignore[attr-defined]
        opened.append(client)
        return client

    yield make
    for client in opened:
        client.__exit__()


def test_predictions_are_the_predictor_s(client: Client, delta_root: Path) -> None:
    here = client()
    answer = here.post("/v1/predict", json={"task": "mood", "texts": ["a cat", "no"]}).json()
    assert answer["task"] == "mood"
    for got, wanted in zip(answer["predictions"], Predictor(delta_root / "mood").predict(["a cat", "no"]), strict=True):
        assert got["label"] == wanted["label"]
        assert got["probabilities"] == pytest.approx(wanted["probabilities"], abs=1e-4)
    (star,) = here.post("/v1/predict", json={"task": "stars", "texts": ["a cat"]}).json()["predictions"]
    assert star["label"] == star["score"]
    assert star["probabilities"] is None
    pair = here.post("/v1/predict", json={"task": "pairs", "pairs": [["a cat", "a dog"]]})
    assert set(pair.json()["predictions"][0]["probabilities"]) == {"label-0", "label-1"}


def test_tasks_are_listed_with_what_cannot_be_served(client: Client, delta_root: Path, tmp_path: Path) -> None:
    here = client(admin_token="open-sesame")
    make_delta(delta_root / "stranger", make_model_dir("bert", tmp_path / "other", seed=7), "head")
    assert here.put("/v1/tasks/stranger", headers=TOKEN).status_code == 409
    listed = here.get("/v1/tasks").json()
    assert listed["backbone"] == "tiny-bert"
    rows = {row["name"]: row for row in listed["tasks"]}
    assert list(rows) == ["mood", "pairs", "stars", "stranger", "whole"]
    assert rows["mood"]["labels"] == ["label-0", "label-1", "label-2"]
    assert (rows["mood"]["mixed"], rows["whole"]["mixed"]) == (True, False)
    assert rows["mood"]["reason"] is None
    assert "embeddings" in rows["whole"]["reason"], "why it is served alone"
    assert rows["stranger"]["status"] == "unavailable"
    assert "made for 'other'" in rows["stranger"]["reason"]
    refused = here.post("/v1/predict", json={"task": "stranger", "texts": ["a"]})
    assert refused.status_code == 409
    assert "made for 'other'" in refused.json()["detail"]


@pytest.mark.parametrize(
    ("content", "status", "said"),
    [
        (b"{", 400, "no JSON"),
        (b"\xff\xfe", 400, ""),
        (b"[" * 100_000, 400, ""),
        (b'{"task": "mood", "texts": "one"}', 422, "body.texts: Input should be a valid list"),
        (b'{"task": "mood", "texts": [1]}', 422, "body.texts.0: Input should be a valid string"),
        (b'{"task": "mood", "texts": [NaN]}', 422, "body.texts.0"),
        (b'{"task": "mood", "texts": []}', 422, "at least 1 item"),
        (b'{"task": "mood"}', 422, "either texts or pairs"),
        (b'{"task": "mood", "texts": ["a"], "pairs": [["a", "b"]]}', 422, "either texts or pairs"),
        (b'{"task": "pairs", "pairs": [["a"]]}', 422, "body.pairs.0"),
        (b'{"task": "pairs", "texts": ["a"]}', 422, "'pairs' was tuned on text pairs"),
        (b'{"task": "mood", "texts": ["a"], "model": "x"}', 422, "body.model: Extra inputs are not permitted"),
        (b'{"task": "moood", "texts": ["a"]}', 404, "did you mean 'mood'?"),
        (b'{"task": "../mood", "texts": ["a"]}', 404, "there is no task"),
        (b'{"task": "\\ud800", "texts": ["a"]}', 422, "body.task"),
        (b'{"task": "mood", "texts": ["\\ud800"]}', 422, "body.texts.0"),
        (b'{"task": "mood", "texts": ["a"], "\\ud800": 1}', 422, "body"),
        (b'{"task": "' + b"x" * 100_000 + b'", "texts": ["a"]}', 404, "there is no task 'xxx"),
        (b'{"task": "mood", "texts": ["a"], "' + b"x" * 100_000 + b'": 1}', 422, "body.xxx"),
        (b'{"task": "mood", "texts": ["a", "a", "a", "a", "a"]}', 422, "5 texts; at most 4 a request"),
        (b'{"task": "mood", "texts": ["' + b"a" * 200_000 + b'"]}', 413, "larger than 150000 bytes"),
    ],
)
def test_a_wrong_request_gets_a_reason(client: Client, content: bytes, status: int, said: str) -> None:
    answer = client(max_texts=4, max_body=150_000).post(
        "/v1/predict", content=content, headers={"Content-Type": "application/json"}
    )
    assert answer.status_code == status, answer.text
    assert said in answer.json()["detail"]
    assert len(answer.text) < 1000, "what was sent is not sent back"


def test_a_text_that_was_cut_says_so(client: Client) -> None:
    """`mood` reads 32 tokens, [CLS] and [SEP] included; each letter is one."""
    here = client()
    sent = ["a " * 30, "a " * 31, "a " * 20_000, "a"]
    answer = here.post("/v1/predict", json={"task": "mood", "texts": sent}).json()
    assert [one["cut"] for one in answer["predictions"]] == [False, True, True, False]
    pairs = here.post("/v1/predict", json={"task": "pairs", "pairs": [["a " * 14, "b " * 15], ["a " * 14, "b " * 16]]})
    assert [one["cut"] for one in pairs.json()["predictions"]] == [False, True]


def test_a_person_is_told_where_things_are(client: Client) -> None:
    here = client()
    for path, host in itertools.product(["/", "/docs"], ["[::", "\xe4", "here:1"]):
        page = here.get(path, headers={"Host": host.encode()})
        assert page.status_code == 200
        assert page.headers["content-type"].startswith("text/plain")
    for route in here.get("/openapi.json").json()["paths"]:
        assert f" {route} " in page.text
    assert "Label texts" in page.text
    command = page.text.splitlines()[-1].strip()
    assert command == try_it("http://here:1", "mood", False)
    _, url, _, header, _, body = shlex.split(command)
    answer = here.post(url, content=body, headers=[tuple(header.split(": "))])  # type: ignore[list-item]
    assert answer.json()["task"] == "mood"


def test_a_score_that_is_no_number_is_left_out(client: Client, delta_root: Path) -> None:
    edit_info(delta_root / "mood", score=float("nan"))
    rows = {row["name"]: row for row in client().get("/v1/tasks").json()["tasks"]}
    assert rows["mood"]["score"] is None


def test_one_bad_delta_hurts_nobody_else(client: Client) -> None:
    """Whatever makes a task fail in the middle of a mixed batch: the others of the batch get their answers."""
    here = client()
    here.batcher.max_wait = 0.2  # type: ignore[attr-defined]
    honest = here.engine.backbone.logits  # type: ignore[attr-defined]
    bad = here.engine.tasks["pairs"].parts  # type: ignore[attr-defined]
    mixed = []

    def logits(parts: Any, inputs: Any) -> Any:
        mixed.append(len({id(part) for part in parts}))
        if bad in parts:
            raise IndexError("index out of range in self")
        return honest(parts, inputs)

    here.engine.backbone.logits = logits  # type: ignore[attr-defined]
    bodies = [
        {"task": "pairs", "pairs": [["a", "b"]]},
        {"task": "mood", "texts": ["a", "b"]},
        {"task": "stars", "texts": ["a"]},
    ]
    with ThreadPoolExecutor(3) as pool:
        answers = list(pool.map(lambda body: here.post("/v1/predict", json=body), bodies))
    assert [answer.status_code for answer in answers] == [500, 200, 200]
    assert max(mixed) > 1, "they shared a batch"


def test_a_body_without_a_length_is_cut_off_too(client: Client) -> None:
    sent = 0

    def endless() -> Iterator[bytes]:
        nonlocal sent
        while True:
            sent += 1
            assert sent < 1000, "the server reads on and on"
            yield b"a" * 1000
            if sent == 500:
                return

    assert client(max_body=10_000).post("/v1/predict", content=endless()).status_code == 413


def test_over_the_bound_503_says_when_to_come_back(client: Client) -> None:
    here = client(max_queue=2)
    answer = here.post("/v1/predict", json={"task": "mood", "texts": ["a", "b", "c"]})
    assert answer.status_code == 503
    assert int(answer.headers["Retry-After"]) >= 1
    assert here.post("/v1/predict", json={"task": "mood", "texts": ["a", "b"]}).status_code == 200


@pytest.mark.parametrize("method", ["put", "delete"])
def test_loading_and_unloading_need_the_token(client: Client, method: str) -> None:
    off = client()
    assert getattr(off, method)("/v1/tasks/mood", headers=TOKEN).status_code == 403
    on = client(admin_token="open-sesame")
    for headers in ({}, {"Authorization": "Bearer wrong"}, {"Authorization": "Basic open-sesame"}):
        assert getattr(on, method)("/v1/tasks/mood", headers=headers).status_code == 401
    assert getattr(on, method)("/v1/tasks/mood", headers={"Authorization": "Bearer \xe4".encode()}).status_code == 401
    assert getattr(on, method)("/v1/tasks/mood", headers=TOKEN).is_success


def test_a_task_comes_and_goes_while_others_answer(client: Client, delta_root: Path, tiny_model: Path) -> None:
    here = client(admin_token="open-sesame")
    stop, statuses = threading.Event(), []

    def ask() -> None:
        while not stop.is_set():
            statuses.append(here.post("/v1/predict", json={"task": "pairs", "pairs": [["a", "b"]]}).status_code)

    asking = threading.Thread(target=ask)
    asking.start()
    for seed, method in enumerate(("pfeiffer", "parallel", "bitfit")):
        make_delta(delta_root / "late", tiny_model, method, 2, seed)
        assert here.put("/v1/tasks/late", headers=TOKEN).json()["method"] == method
        answer = here.post("/v1/predict", json={"task": "late", "texts": ["a cat"]}).json()["predictions"][0]
        expected = Predictor(delta_root / "late", device="cpu").predict(["a cat"])[0]
        assert answer["probabilities"] == pytest.approx(expected["probabilities"], abs=1e-4)
    shutil.rmtree(delta_root / "late")
    assert here.post("/v1/predict", json={"task": "late", "texts": ["a"]}).status_code == 200, "files may go"
    assert here.put("/v1/tasks/late", headers=TOKEN).status_code == 404
    assert here.delete("/v1/tasks/late", headers=TOKEN).status_code == 204
    assert here.post("/v1/predict", json={"task": "late", "texts": ["a"]}).status_code == 404
    stop.set()
    asking.join()
    assert set(statuses) == {200}


@pytest.mark.parametrize("name", ["..%2Fmood", "below%2Fstars", "%2Fetc", ".", "mood%00"])
def test_names_are_never_paths(client: Client, name: str) -> None:
    assert client(admin_token="open-sesame").put(f"/v1/tasks/{name}", headers=TOKEN).status_code in (404, 405)


def test_what_breaks_inside_is_not_shown(client: Client, caplog: pytest.LogCaptureFixture) -> None:
    here = client()

    def broken(_: Any) -> Any:
        raise RuntimeError("secret detail")

    here.batcher.run = broken  # type: ignore[attr-defined]
    answer = here.post("/v1/predict", json={"task": "mood", "texts": ["a"]})
    assert answer.status_code == 500
    assert "secret" not in answer.text
    assert "secret detail" in caplog.text, "the server's own log has it"


def test_health_and_metrics(client: Client) -> None:
    here = client()
    assert here.get("/healthz").json() == {"status": "ok"}
    here.post("/v1/predict", json={"task": "mood", "texts": ["a", "b"]})
    here.post("/v1/predict", content=b"{", headers={"Content-Type": "application/json"})
    text = here.get("/metrics").text
    assert 'tuneworth_examples_total{task="mood"} 2.0' in text
    assert 'tuneworth_responses_total{status="400"} 1.0' in text
    assert "tuneworth_tasks 4.0" in text


def test_a_property_based_run_finds_no_server_error(client: Client) -> None:
    """Requests made from the app's own schema, right and wrong; each as it is, and for a task that is there."""
    app = client(admin_token="open-sesame", max_texts=8).app
    schema = schemathesis.openapi.from_asgi("/openapi.json", app)
    schema.config.generation.update(modes=list(schemathesis.GenerationMode))
    checks = [not_a_server_error, status_code_conformance, response_schema_conformance]
    seen: dict[str, set[int]] = {}

    def send(case: schemathesis.Case, headers: dict[str, str]) -> None:
        response = case.call(headers=headers)
        seen.setdefault(case.operation.label, set()).add(response.status_code)
        case.validate_response(response, checks=checks)

    for result in schema.get_all_operations():
        operation = result.ok()

        @settings(max_examples=60, deadline=None, database=None, suppress_health_check=list(HealthCheck))
        @given(case=operation.as_strategy(), name=st.sampled_from(["mood", "pairs", "stars", "whole"]))
        def run(case: schemathesis.Case, name: str) -> None:
            send(case, {})
            if isinstance(case.body, dict):
                case.body["task"] = name
            if isinstance(case.path_parameters, dict) and "name" in case.path_parameters:
                case.path_parameters["name"] = name
            send(case, TOKEN)

        run()
    assert seen["POST /v1/predict"] >= {200, 404, 422}
    assert seen["PUT /v1/tasks/{name}"] >= {200, 401}
    assert seen["DELETE /v1/tasks/{name}"] >= {204, 401}
    assert 200 in seen["GET /v1/tasks"]
