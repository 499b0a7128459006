"""Pipelines on loopback that answer as the wire formats say, and fail on what these do not know."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

Reply = tuple[int, Any]


@dataclass
class Asked:
    method: str
    path: str
    query: dict[str, list[str]]
    headers: dict[str, str]
    body: Any
    raw: bytes = b""


@dataclass
class Fake:
    """`answer` gives (status, JSON or None); status 0 closes the connection without a word."""

    answer: Callable[[Asked], Reply]
    url: str = ""
    asked: list[Asked] = field(default_factory=list)

    def of(self, method: str) -> list[Asked]:
        return [one for one in self.asked if one.method == method]


@contextmanager
def serving(answer: Callable[[Asked], Reply]) -> Iterator[Fake]:
    fake = Fake(answer)

    class Handler(BaseHTTPRequestHandler):
        def _take(self) -> None:
            raw = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            parts = urlsplit(self.path)
            body = json.loads(raw) if raw else None
            headers = {name.lower(): value for name, value in self.headers.items()}
            asked = Asked(self.command, parts.path, parse_qs(parts.query), headers, body, raw)
            fake.asked.append(asked)
            status, told = fake.answer(asked)
            if not status:
                self.close_connection = True
                return
            body_out = b"" if told is None else json.dumps(told).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body_out)))
            self.end_headers()
            self.wfile.write(body_out)

        do_GET = do_POST = _take

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    fake.url = f"http://127.0.0.1:{server.server_address[1]}"
    try:
        yield fake
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class GitHub:
    """Dispatches answer 204 and no more; runs are listed with the title that the workflow's run-name gives."""

    def __init__(self) -> None:
        self.runs: list[dict[str, Any]] = []

    def __call__(self, asked: Asked) -> Reply:
        if asked.headers.get("authorization") != "Bearer gh-secret":
            return 401, {"message": "Bad credentials"}
        if asked.path == "/repos/acme/models/actions/workflows/train.yml/dispatches" and asked.method == "POST":
            assert set(asked.body) == {"ref", "inputs"} and len(asked.body["inputs"]) <= 25
            assert all(isinstance(value, str) for value in asked.body["inputs"].values())
            key = asked.body["inputs"]["afterlaunch_key"]
            run = {"id": 7 + len(self.runs), "display_title": f"Train {key}", "status": "queued", "conclusion": None}
            self.runs.append(run | {"html_url": f"https://github.example/acme/models/runs/{run['id']}"})
            return 204, None
        if asked.path == "/repos/acme/models/actions/workflows/train.yml/runs":
            assert asked.query["event"] == ["workflow_dispatch"] and asked.query["created"][0].startswith(">=")
            return 200, {"total_count": len(self.runs), "workflow_runs": self.runs}
        if found := re.fullmatch(r"/repos/acme/models/actions/runs/(\d+)", asked.path):
            return 200, next(one for one in self.runs if one["id"] == int(found[1]))
        return 404, {"message": "Not Found"}


class Airflow:
    """`version`: v1 takes a password, v2 a token and demands `logical_date`."""

    def __init__(self, version: str) -> None:
        self.version, self.runs = version, dict[str, str]()

    def __call__(self, asked: Asked) -> Reply:
        wanted = "Basic YWRhOmFmLXNlY3JldA==" if self.version == "v1" else "Bearer af-secret"
        if asked.headers.get("authorization") != wanted:
            return 401, {"detail": "Unauthorized"}
        base = f"/api/{self.version}/dags/train/dagRuns"
        if asked.method == "POST" and asked.path == base:
            if self.version == "v2" and "logical_date" not in asked.body:
                return 422, {"detail": [{"loc": ["body", "logical_date"], "msg": "Field required"}]}
            name = asked.body["dag_run_id"]
            if name in self.runs:
                return 409, {"detail": "exists already"}
            self.runs[name] = "queued"
            return 200, {"dag_run_id": name, "dag_id": "train", "state": "queued", "conf": asked.body["conf"]}
        if asked.method == "GET" and asked.path.startswith(base + "/"):
            return 200, {"dag_run_id": asked.path.rpartition("/")[2], "state": self.runs[asked.path.rpartition("/")[2]]}
        return 404, {"detail": "Not Found"}


class GitLab:
    def __init__(self) -> None:
        self.status = "created"

    def __call__(self, asked: Asked) -> Reply:
        if asked.headers.get("private-token") != "gl-secret":
            return 401, {"message": "401 Unauthorized"}
        if asked.method == "POST" and asked.path == "/api/v4/projects/acme%2Fmodels/pipeline":
            assert asked.body["ref"] == "main" and {"key", "value"} == set(asked.body["variables"][0])
            return 201, {"id": 31, "status": "created", "web_url": "https://gitlab.example/p/31"}
        if asked.path == "/api/v4/projects/acme%2Fmodels/pipelines/31":
            return 200, {"id": 31, "status": self.status, "web_url": "https://gitlab.example/p/31"}
        return 404, {"message": "404 Not Found"}


class MLflow:
    def __init__(self, created_ms: int) -> None:
        self.created_ms = created_ms
        self.versions: list[dict[str, Any]] = []

    def __call__(self, asked: Asked) -> Reply:
        if asked.path == "/api/2.0/mlflow/model-versions/search":
            assert asked.query["filter"] == ["name='scorer'"]
            return 200, {"model_versions": self.versions} if self.versions else {}
        if asked.path == "/api/2.0/mlflow/runs/get" and asked.query["run_id"] == ["r1"]:
            tags = [{"key": "mlflow.source.git.commit", "value": "c0ffee"}]
            data = {"metrics": [{"key": "auc", "value": 0.9}], "params": [{"key": "lr", "value": "0.1"}], "tags": tags}
            inputs = {"dataset_inputs": [{"dataset": {"name": "orders", "digest": "d1", "source": "s3://x"}}]}
            return 200, {"run": {"info": {"run_id": "r1"}, "data": data, "inputs": inputs}}
        return 404, {"error_code": "ENDPOINT_NOT_FOUND"}

    def register(self, version: str = "4") -> None:
        self.versions.insert(
            0, {"name": "scorer", "version": version, "creation_timestamp": self.created_ms, "run_id": "r1", "tags": []}
        )
