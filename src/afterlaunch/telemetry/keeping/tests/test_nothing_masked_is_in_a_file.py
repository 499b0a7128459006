"""Secrets sent to the real server under load: no file of the data folder holds one, nor does what it says, also where
it was killed before what it had acknowledged was committed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
import urllib.request
from pathlib import Path

import cramjam
import duckdb
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from afterlaunch.telemetry.keeping.tests.test_content_is_masked import SECRETS, logs, points, series, spans
from afterlaunch.telemetry.tests.test_survives_sigkill import Running

pytestmark = pytest.mark.process
ORDER = "ORD-427193"
PLANTED = [secret.encode() for secret in (*SECRETS.values(), ORDER)]
TRIES = 10


def traces() -> bytes:
    request = ExportTraceServiceRequest.FromString(spans(*SECRETS.values(), f"about {ORDER}"))
    for group in request.resource_spans:
        for span in (span for scope in group.scope_spans for span in scope.spans):
            span.trace_id, span.span_id = os.urandom(16), os.urandom(8)
    return request.SerializeToString()


def posted(server: Running, path: str, data: bytes, more: dict[str, str] | None = None) -> None:
    heads = {"Content-Type": "application/x-protobuf", **(more or {})}
    request = urllib.request.Request(server.address + path, data, heads)
    urllib.request.urlopen(request, timeout=30).read()


def decided(server: Running, data: Path) -> None:
    """A pattern of the house's own."""
    command = [sys.executable, "-m", "afterlaunch", "token", "create", "--name", "t", "--role", "admin"]
    paths = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    token = subprocess.run([*command, "--data", str(data)], env=paths, capture_output=True, text=True, check=True)
    heads = {"Content-Type": "application/json", "Authorization": f"Bearer {token.stdout.strip()}"}
    patterns = json.dumps({"patterns": [{"name": "order", "pattern": r"\bORD-\d{6}\b"}]}).encode()
    urllib.request.urlopen(urllib.request.Request(server.address + "/api/v1/keeping", patterns, heads), timeout=30)


def killed_with_a_journal(server: Running, data: Path) -> bool:
    """Whether something that was acknowledged was not committed yet."""

    def send() -> None:
        try:
            while True:
                posted(server, "/v1/traces", traces())
                posted(server, "/v1/logs", logs(*SECRETS.values(), ORDER))
        except OSError:
            return

    senders = [threading.Thread(target=send) for _ in range(8)]
    for sender in senders:
        sender.start()
    until = time.monotonic() + 60
    while not journal(data) and time.monotonic() < until:
        time.sleep(0.001)
    server.end(signal.SIGKILL)
    for sender in senders:
        sender.join()
    return b"some.note" in journal(data)


def journal(data: Path) -> bytes:
    found = b""
    for file in (data / "journal").glob("*"):
        try:
            found += file.read_bytes()
        except FileNotFoundError:  # committed meanwhile
            continue
    return found


def found_in(folder: Path) -> list[tuple[str, str]]:
    held = {file: file.read_bytes() for file in folder.rglob("*") if file.is_file()}
    return [(file.name, secret.decode()) for file, text in held.items() for secret in PLANTED if secret in text]


def test_what_masking_removes_is_in_no_file(tmp_path: Path) -> None:
    data, said = tmp_path / "data", tmp_path / "said.log"
    server = Running(data, said)
    decided(server, data)
    server.end(signal.SIGTERM)
    for _ in range(TRIES):
        if killed_with_a_journal(Running(data, said), data):
            break
    left = journal(data)
    assert b"some.note" in left and b"[masked: order]" in left, "the load was over before the kill"
    assert not found_in(tmp_path)

    server = Running(data, said)
    posted(server, "/v1/logs", logs(*SECRETS.values(), ORDER))
    posted(server, "/v1/metrics", points(*SECRETS.values(), ORDER))
    written = bytes(cramjam.snappy.compress_raw(series(*SECRETS.values(), ORDER)))
    posted(server, "/api/v1/write", written, {"Content-Encoding": "snappy"})
    server.end(signal.SIGTERM)
    assert not found_in(tmp_path)
    with duckdb.connect(str(data / "telemetry.duckdb"), read_only=True) as kept:
        names = [name for (name,) in kept.execute("select table_name from duckdb_tables()").fetchall()]
        rows = [text for name in names for (text,) in kept.execute(f'select t::varchar from "{name}" t').fetchall()]
    whole = "\n".join(text for text in rows if text)
    assert "[masked: order]" in whole and "[masked: card]" in whole and "got [masked: " in whole
    assert whole.count("for [masked: order]") == 2  # a label of each of the two kinds of metrics
    assert not [secret for secret in PLANTED if secret.decode() in whole]
