"""A stand-in of the model hub: the endpoints that huggingface_hub calls to publish and to download a repository.

Paths and payloads are those of its HfApi, _commit_api.py and lfs.py. What is sent is kept in memory.
"""

from __future__ import annotations

import base64
import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

TOKEN = "hf_right"
COMMIT = "c" * 40


@dataclass
class Hub:
    url: str = ""
    private: dict[str, bool] = field(default_factory=dict)
    """By repository."""
    files: dict[str, dict[str, bytes]] = field(default_factory=dict)
    """By repository and path."""
    stored: dict[str, bytes] = field(default_factory=dict)
    """Large files by SHA-256."""
    asked: list[str] = field(default_factory=list)


@contextmanager
def running() -> Iterator[Hub]:
    hub = Hub()

    class Handler(_Handler):
        state = hub

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    hub.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _sha1(content: bytes) -> str:
    return hashlib.sha1(content).hexdigest()


class _Handler(BaseHTTPRequestHandler):
    state: Hub
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        path = self._path()
        if self.headers.get("Authorization") != f"Bearer {TOKEN}":
            return self._answer(401, {"error": "Invalid username or password."})
        if path == "/api/repos/create":
            return self._create(json.loads(body))
        if path == "/api/validate-yaml":
            text = json.loads(body)["content"]
            errors = [] if text.startswith("---\n") else [{"message": "no metadata"}]
            return self._answer(400 if errors else 200, {"errors": errors, "warnings": []})
        if path.endswith(".git/info/lfs/objects/batch"):
            return self._batch(json.loads(body))
        if path == "/verify":
            asked = json.loads(body)
            return self._answer(200 if len(self.state.stored[asked["oid"]]) == asked["size"] else 409, {})
        repo, _, action = path.removeprefix("/api/models/").rpartition("/main")[0].rpartition("/")
        if repo not in self.state.files:
            return self._answer(404, {"error": "Repository not found"})
        if action == "preupload":
            return self._preupload(json.loads(body))
        if action == "commit":
            return self._commit(repo, body)
        return self._answer(404, {"error": f"no such endpoint: {path}"})

    def do_PUT(self) -> None:
        content = self.rfile.read(int(self.headers["Content-Length"]))
        digest = self._path().rpartition("/")[2]
        right = hashlib.sha256(content).hexdigest() == digest
        if right:
            self.state.stored[digest] = content
        self._answer(200 if right else 400, {})

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        path = self._path()
        if path.startswith("/api/models/"):
            owner, name, *rest = path.removeprefix("/api/models/").split("/")
            files = self.state.files.get(f"{owner}/{name}")
            if files is None:
                return self._answer(404, {"error": "Repository not found"})
            listed = [{"type": "file", "path": p, "size": len(c), "oid": _sha1(c)} for p, c in files.items()]
            about = {"id": f"{owner}/{name}", "sha": COMMIT, "siblings": [{"rfilename": path} for path in files]}
            return self._answer(200, listed if "tree" in rest else about)
        repo, _, rest_of_path = path.removeprefix("/").partition("/resolve/")
        content = self.state.files.get(repo, {}).get(rest_of_path.partition("/")[2])
        if content is None:
            return self._answer(404, {"error": "Entry not found"})
        return self._send(200, content, {"X-Repo-Commit": COMMIT, "ETag": f'"{_sha1(content)}"'})

    def _create(self, asked: dict[str, Any]) -> None:
        repo = f"{asked['organization']}/{asked['name']}"
        there = repo in self.state.files
        self.state.files.setdefault(repo, {})
        self.state.private.setdefault(repo, asked.get("visibility") == "private")
        url = f"{self.state.url}/{repo}"
        self._answer(409 if there else 200, {"url": url, "name": repo, "id": repo, "type": "model"})

    def _preupload(self, asked: dict[str, Any]) -> None:
        modes = [
            {
                "path": file["path"],
                "uploadMode": "lfs" if file["path"].endswith(".safetensors") else "regular",
                "shouldIgnore": False,
            }
            for file in asked["files"]
        ]
        self._answer(200, {"files": modes})

    def _batch(self, asked: dict[str, Any]) -> None:
        objects = [
            {
                **wanted,
                "actions": {
                    "upload": {"href": f"{self.state.url}/store/{wanted['oid']}"},
                    "verify": {"href": f"{self.state.url}/verify"},
                },
            }
            for wanted in asked["objects"]
        ]
        self._answer(200, {"transfer": "basic", "objects": objects})

    def _commit(self, repo: str, body: bytes) -> None:
        for line in map(json.loads, body.splitlines()):
            value = line["value"]
            if line["key"] == "file":
                assert value["encoding"] == "base64"
                self.state.files[repo][value["path"]] = base64.b64decode(value["content"])
            elif line["key"] == "lfsFile":
                self.state.files[repo][value["path"]] = self.state.stored[value["oid"]]
        url = f"{self.state.url}/{repo}/commit/{COMMIT}"
        self._answer(200, {"success": True, "commitOid": COMMIT, "commitUrl": url, "hookOutput": ""})

    def _path(self) -> str:
        path = self.path.partition("?")[0]
        self.state.asked.append(f"{self.command} {path}")
        return path

    def _answer(self, status: int, content: Any) -> None:
        self._send(status, json.dumps(content).encode(), {"Content-Type": "application/json"})

    def _send(self, status: int, body: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, format: str, *arguments: Any) -> None:
        """Silent."""
