"""The whole product as processes: from the breach of a candidate to the gateway that serves the baseline again."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import orjson
import pytest

pytestmark = pytest.mark.process
SITE = """
apiVersion: afterlaunch/v1
kind: Client
metadata: {name: acme}
spec: {displayName: Acme}
---
apiVersion: afterlaunch/v1
kind: System
metadata: {name: support, client: acme}
spec: {displayName: Support, automaticRollback: true}
---
apiVersion: afterlaunch/v1
kind: Upstream
metadata: {name: openai}
spec: {baseUrl: "http://127.0.0.1:9", provider: openai}
---
apiVersion: afterlaunch/v1
kind: Route
metadata: {name: answers}
spec: {client: acme, system: support, environment: prod, unit: [user], baseline: {upstream: openai, promptVersion: v1}}
"""
PROMISED = 2.0  # seconds from the verdict to the gateway


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def attribute(name: str, value: object) -> dict[str, Any]:
    kind = "stringValue" if isinstance(value, str) else "intValue"
    return {"key": name, "value": {kind: str(value)}}


def spans(arm: str, refused: bool, count: int, first: int) -> bytes:
    """Calls of the last minutes, as the gateway tells them."""
    began = time.time_ns() - 120 * 10**9
    told = {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "openai",
        "gen_ai.request.model": "gpt-4o-mini",
        "afterlaunch.route": "answers",
        "afterlaunch.arm": arm,
        "gen_ai.usage.input_tokens": 10,
        "gen_ai.usage.output_tokens": 10,
    }
    attributes = [attribute(name, value) for name, value in told.items()]
    reason = {"arrayValue": {"values": [{"stringValue": "content_filter" if refused else "stop"}]}}
    attributes.append({"key": "gen_ai.response.finish_reasons", "value": reason})
    rows = [
        {
            "traceId": f"{first + n:032x}",
            "spanId": f"{first + n:016x}",
            "name": "chat gpt-4o-mini",
            "kind": 3,
            "startTimeUnixNano": str(began + n * 10**9),
            "endTimeUnixNano": str(began + n * 10**9 + 200 * 10**6),
            "attributes": attributes,
        }
        for n in range(1, count + 1)
    ]
    place = {"service.name": "support", "afterlaunch.client": "acme", "afterlaunch.system": "support"}
    resource = [attribute(name, value) for name, value in {**place, "deployment.environment.name": "prod"}.items()]
    scope = [{"scope": {"name": "test"}, "spans": rows}]
    return orjson.dumps({"resourceSpans": [{"resource": {"attributes": resource}, "scopeSpans": scope}]})


class Product:
    """`afterlaunch up` on a folder and ports of its own."""

    def __init__(self, data: Path) -> None:
        port, gateway = free_port(), free_port()
        self.server, self.gateway = f"http://127.0.0.1:{port}", f"http://127.0.0.1:{gateway}"
        self.paths = {
            **os.environ,
            "PYTHONPATH": os.pathsep.join(path for path in sys.path if path),
            "AFTERLAUNCH_DATA": str(data),
            "AFTERLAUNCH_DATABASE_URL": "",
        }
        ports = ["--port", str(port), "--gateway-port", str(gateway)]
        self.process = subprocess.Popen(
            [sys.executable, "-m", "afterlaunch", "up", *ports],
            env=self.paths,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        self.tokens: dict[str, str] = {}
        self.key = ""

    def command(self, *words: str) -> str:
        done = subprocess.run(
            [sys.executable, "-m", "afterlaunch", *words], env=self.paths, capture_output=True, text=True, check=True
        )
        return done.stdout.strip()

    def ask(self, url: str, body: bytes | None = None, token: str = "") -> Any:
        headers = {"Content-Type": "application/json"} | ({"Authorization": f"Bearer {token}"} if token else {})
        with urllib.request.urlopen(urllib.request.Request(url, body, headers), timeout=20) as response:
            return orjson.loads(response.read() or b"{}")

    def until_ready(self) -> None:
        for address in (self.server, self.gateway):
            until(lambda address=address: answers(f"{address}/readyz"), 90)

    def end(self) -> None:
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(30)


def answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=2) as response:
            return bool(response.status == 200)
    except OSError:
        return False


def until(true: Any, seconds: float) -> float:
    began = time.monotonic()
    while not true():
        assert time.monotonic() - began < seconds, "it did not happen in time"
        time.sleep(0.02)
    return time.monotonic() - began


KEY = """
from afterlaunch.app.server import prepare
prepare(lambda _: None)
from afterlaunch.ground.actors import automation
from afterlaunch.routes.actions import create_key, route_by_name
local = automation("local administrator")
print("key", create_key(local, "support", route_by_name(local, "answers"))[1])
"""


@pytest.fixture
def product(tmp_path: Path) -> Any:
    made = Product(tmp_path / "data")
    try:
        until(lambda: answers(f"{made.server}/healthz"), 90)
        site = tmp_path / "site.yaml"
        site.write_text(SITE)
        made.command("apply", "-f", str(site))
        made.tokens["operator"] = made.command("token", "create", "--name", "t", "--role", "operator")
        made.tokens["sender"] = made.command("token", "create", "--name", "s", "--role", "ingest", "--client", "acme")
        done = subprocess.run([sys.executable, "-c", KEY], env=made.paths, capture_output=True, text=True, check=True)
        found = re.search(r"^key (\S+)$", done.stdout, re.M)
        assert found
        made.key = found.group(1)
        made.until_ready()
        yield made
    finally:
        made.end()


def test_the_gateway_serves_the_baseline_within_two_seconds_of_the_verdict(product: Product) -> None:
    operator, api = product.tokens["operator"], f"{product.server}/api/v1"
    proposal = orjson.dumps({"route": "answers", "title": "Worse", "prompt_version": "v2"})
    change = product.ask(f"{api}/changes", proposal, operator)["id"]
    product.ask(f"{api}/changes/{change}/approve", b"{}", operator)
    for _ in range(3):
        product.ask(f"{api}/changes/{change}/advance", b"{}", operator)

    def arm() -> str:
        question = f"{product.gateway}/afterlaunch/v1/assignment?route=answers&unit=user-1"
        return str(product.ask(question, None, product.key)["arm"])

    until(lambda: arm() == "candidate", 20)
    product.ask(f"{product.server}/v1/traces", spans("baseline", False, 40, 1_000), product.tokens["sender"])
    product.ask(f"{product.server}/v1/traces", spans("candidate", True, 40, 2_000), product.tokens["sender"])
    until(lambda: arm() == "baseline", 90)
    served = datetime.now(UTC)
    verdicts = product.ask(f"{api}/verdicts", None, operator)["verdicts"]
    since = [
        datetime.fromisoformat(row["since"])
        for row in verdicts
        if row["arm"] == "candidate" and row["status"] == "breach"
    ]
    assert since, verdicts
    took = served - min(since)
    print(f"verdict to baseline: {took.total_seconds():.2f} s")
    assert took < timedelta(seconds=PROMISED)
