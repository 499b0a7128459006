"""Kills a server under load again and again: what it acknowledged must be there, and nothing may count twice.

    python benchmarks/kills.py [--kills 50] [--data FOLDER] [--seed N]

Four senders post bodies of calls with known usage; after a random time the server gets SIGKILL, is started again on the
same folder, and goes on. Whoever got no answer sends again, as an exporter would. After each start the acknowledged
spans must be stored; at the end spans, calls and tokens must be exactly those sent. Exit 1 otherwise.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "src")]

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue

SPANS, SENDERS = 200, 4
AT = time.time_ns() - 24 * 3600 * 10**9  # what is older than the store keeps would be forgotten, soon or late
TOKENS = 100
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(ROOT / "src")}
DAYS = "&".join(
    f"{name}={datetime.fromtimestamp(AT / 1e9, UTC) + timedelta(days=days):%Y-%m-%dT00:00:00Z}"
    for name, days in (("from", -1), ("to", 3))
)


def body(number: int) -> bytes:
    request = ExportTraceServiceRequest()
    spans = request.resource_spans.add().scope_spans.add(scope={"name": "app"}).spans
    texts = {"gen_ai.operation.name": "chat", "gen_ai.provider.name": "openai", "gen_ai.response.model": "gpt-4o"}
    for place in range(SPANS):
        mark = (number * SPANS + place + 1).to_bytes(8, "big")
        span = spans.add(trace_id=mark + mark, span_id=mark, name="chat", start_time_unix_nano=AT + number * 10**9)
        span.end_time_unix_nano = span.start_time_unix_nano + 10**8
        told = {**texts, "gen_ai.response.id": f"resp_{number:012d}_{place:06d}"}
        span.attributes.extend(KeyValue(key=key, value=AnyValue(string_value=value)) for key, value in told.items())
        for key in ("gen_ai.usage.input_tokens", "gen_ai.usage.output_tokens"):
            span.attributes.append(KeyValue(key=key, value=AnyValue(int_value=TOKENS)))
    return request.SerializeToString()


class Server:
    def __init__(self, data: Path, port: int) -> None:
        self.address = f"http://127.0.0.1:{port}"
        command = [sys.executable, "-m", "afterlaunch", "up", "--no-gateway", f"--data={data}", f"--port={port}"]
        began = time.perf_counter()
        self.process = subprocess.Popen(command, env=ENVIRONMENT, stderr=(data / "log").open("ab"))
        while time.perf_counter() - began < 60:
            try:
                self.ask("/healthz")
                self.started_in = time.perf_counter() - began
                return
            except OSError:
                if self.process.poll() is not None:
                    break
                time.sleep(0.05)
        self.process.kill()
        raise SystemExit("the server did not start:\n" + (data / "log").read_text()[-2000:])

    def ask(self, path: str, data: bytes | None = None, token: str = "") -> bytes:
        headers = {"Content-Type": "application/x-protobuf"} | ({"Authorization": f"Bearer {token}"} if token else {})
        request = urllib.request.Request(self.address + path, data, headers)
        with urllib.request.urlopen(request, timeout=60) as answer:
            return answer.read()

    def total(self) -> int:
        return int(json.loads(self.ask("/api/v1/telemetry/counts"))["total"])

    def stop(self) -> None:
        self.process.terminate()
        try:
            self.process.wait(60)
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise


def token(data: Path) -> str:
    """Of somebody who may read, made before the first start."""
    command = [sys.executable, "-m", "afterlaunch", "token", "create", "--name", "kills", "--role", "viewer"]
    made = subprocess.run(command, env={**ENVIRONMENT, "AFTERLAUNCH_DATA": str(data)}, capture_output=True, text=True)
    if made.returncode:
        raise SystemExit(made.stderr)
    return made.stdout.strip()


class Load:
    """Bodies by number; one that was not answered is sent again by whoever is free."""

    def __init__(self) -> None:
        self._next, self._again = 0, list[int]()
        self._lock = threading.Lock()
        self.acknowledged = set[int]()

    def numbers(self, over: threading.Event) -> Iterator[int]:
        while not over.is_set():
            with self._lock:
                if self._again:
                    number = self._again.pop()
                else:
                    number, self._next = self._next, self._next + 1
            yield number

    def left(self) -> list[int]:
        return sorted(set(range(self._next)) - self.acknowledged)

    def send(self, server: Server, over: threading.Event) -> None:
        for number in self.numbers(over):
            try:
                server.ask("/v1/traces", body(number))
                self.acknowledged.add(number)
            except urllib.error.HTTPError as problem:
                self._again.append(number)
                time.sleep(min(float(problem.headers.get("Retry-After") or 1), 1))
            except OSError:
                self._again.append(number)
                return


def killed(server: Server, load: Load, after: float) -> None:
    over = threading.Event()
    senders = [threading.Thread(target=load.send, args=(server, over)) for _ in range(SENDERS)]
    for sender in senders:
        sender.start()
    time.sleep(after)
    server.process.send_signal(signal.SIGKILL)
    server.process.wait(30)
    over.set()
    for sender in senders:
        sender.join()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--data", type=Path)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    draw = random.Random(given.seed)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with tempfile.TemporaryDirectory(prefix="al-kills-", dir=given.data) as name:
        data, load, lost, journaled, starts = Path(name), Load(), 0, 0, []
        reader = token(data)
        server = Server(data, port)
        try:
            for number in range(given.kills):
                killed(server, load, draw.uniform(0.05, 2.5))
                journaled += any(one.stat().st_size for one in (data / "journal").glob("spans.*"))
                kept = len(load.acknowledged) * SPANS
                server = Server(data, port)
                starts.append(server.started_in)
                stored = server.total()
                lost += max(0, kept - stored)
                said = f"acknowledged {kept:,}, stored {stored:,}, up in {server.started_in:.1f} s"
                print(f"kill {number + 1}: {said}", flush=True)
            for number in load.left():
                server.ask("/v1/traces", body(number))
            sent = (len(load.acknowledged) + len(load.left())) * SPANS
            rows = json.loads(server.ask(f"/api/v1/spend?group_by=model&{DAYS}", token=reader))["rows"]
            row = rows[0] if sent else {"calls": 0, "input_tokens": 0}
            right = (server.total(), row["calls"], row["input_tokens"]) == (sent, sent, sent * TOKENS)
        finally:
            server.stop()
    print(
        f"{given.kills} kills, {journaled} with acknowledged bodies in the journal: {lost} acknowledged spans lost;"
        f" {sent:,} spans sent, {row['calls']:,} counted; slowest start {max(starts):.1f} s"
    )
    return 0 if right and not lost else 1


if __name__ == "__main__":
    sys.exit(main())
