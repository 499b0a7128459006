"""The server killed in the middle of a load: whatever it acknowledged is there after the next start, once."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from pathlib import Path

import orjson
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

SPANS_A_BODY = 50
BODIES = 200
LATELY = time.time_ns() - 60 * 10**9  # what is older than the store keeps would be forgotten, soon or late
pytestmark = pytest.mark.process


def body(number: int) -> bytes:
    request = ExportTraceServiceRequest()
    spans = request.resource_spans.add().scope_spans.add().spans
    for place in range(SPANS_A_BODY):
        mark = (number * SPANS_A_BODY + place + 1).to_bytes(8, "big")
        spans.add(
            trace_id=mark + mark,
            span_id=mark,
            name="step",
            start_time_unix_nano=LATELY + number,
            end_time_unix_nano=LATELY + 10**9 + number,
        )
    return request.SerializeToString()


class Running:
    """`afterlaunch up` without a gateway, as a process of its own; `said`: a file for its messages."""

    def __init__(self, data: Path, said: Path | None = None) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.address = f"http://127.0.0.1:{free.getsockname()[1]}"
        command = [sys.executable, "-m", "afterlaunch", "up", "--no-gateway", "--data", str(data)]
        port = self.address.rpartition(":")[2]
        paths = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
        with (said or Path(os.devnull)).open("ab") as messages:
            self.process = subprocess.Popen([*command, "--port", port], env=paths, stderr=messages)
        for _ in range(600):
            try:
                urllib.request.urlopen(self.address + "/healthz", timeout=2).read()
                return
            except OSError:
                assert self.process.poll() is None, "the server ended early"
                time.sleep(0.1)
        raise AssertionError("the server did not start")

    def post(self, data: bytes) -> int:
        kind = {"Content-Type": "application/x-protobuf"}
        request = urllib.request.Request(self.address + "/v1/traces", data, kind)
        with urllib.request.urlopen(request, timeout=30) as response:
            return int(response.status)

    def total(self) -> int:
        with urllib.request.urlopen(self.address + "/api/v1/telemetry/counts", timeout=30) as response:
            return int(orjson.loads(response.read())["total"])

    def end(self, how: signal.Signals) -> None:
        self.process.send_signal(how)
        self.process.wait(30)


def test_nothing_acknowledged_is_lost_and_a_resend_completes_it(tmp_path: Path) -> None:
    acknowledged: list[int] = []
    todo = iter(range(BODIES))
    server = Running(tmp_path)

    def send() -> None:
        for number in todo:
            try:
                if server.post(body(number)) == 200:
                    acknowledged.append(number)
            except OSError:
                return

    senders = [threading.Thread(target=send) for _ in range(4)]
    for sender in senders:
        sender.start()
    while len(acknowledged) < BODIES // 4:
        time.sleep(0.002)
    server.end(signal.SIGKILL)
    for sender in senders:
        sender.join()
    kept = len(acknowledged)
    assert kept < BODIES, "the load was over before the kill"

    server = Running(tmp_path)
    try:
        stored = server.total()
        assert stored >= kept * SPANS_A_BODY
        assert stored % SPANS_A_BODY == 0, "a body was stored in part"
        for number in range(BODIES):
            assert server.post(body(number)) == 200
        assert server.total() == BODIES * SPANS_A_BODY
    finally:
        server.end(signal.SIGTERM)
