"""The server on a disk that fills while senders send: what it acknowledges it keeps, and it goes on by itself."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
import time
import urllib.error
from collections.abc import Callable
from pathlib import Path

import duckdb
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from afterlaunch.telemetry.tests.test_queries import pairs
from afterlaunch.telemetry.tests.test_survives_sigkill import LATELY, Running

pytestmark = pytest.mark.process
DISK = "128m"
SPANS_A_BODY, MOST_BODIES, REFUSED, PATIENCE = 20, 2_000, 12, 120.0


def body(number: int) -> bytes:
    """Calls with 8 kB each that nothing makes smaller."""
    request = ExportTraceServiceRequest()
    spans = request.resource_spans.add().scope_spans.add().spans
    for place in range(SPANS_A_BODY):
        mark = (number * SPANS_A_BODY + place + 1).to_bytes(8, "big")
        span = spans.add(trace_id=mark + mark, span_id=mark, name="chat")
        span.start_time_unix_nano = LATELY + number
        span.end_time_unix_nano = span.start_time_unix_nano + 10**9
        told = {"gen_ai.operation.name": "chat", "gen_ai.request.model": "gpt-4o", "note": os.urandom(4_000).hex()}
        span.attributes.extend(pairs(told))
    return request.SerializeToString()


class Senders:
    """Four of them, each with one body at a time, which it sends until it is acknowledged."""

    def __init__(self, server: Running) -> None:
        self._server, self._numbers, self._lock = server, iter(range(MOST_BODIES)), threading.Lock()
        self.acknowledged: set[int] = set()
        self.refused: list[str | None] = []
        self.others: list[object] = []
        self.enough = threading.Event()
        self._threads = [threading.Thread(target=self._send) for _ in range(4)]
        for thread in self._threads:
            thread.start()

    def _send(self) -> None:
        while not self.enough.is_set():
            with self._lock:
                number = next(self._numbers, None)
            if number is None:
                return
            data, until = body(number), time.monotonic() + 2 * PATIENCE
            while not self._taken(number, data) and time.monotonic() < until:
                time.sleep(0.1)

    def _taken(self, number: int, data: bytes) -> bool:
        try:
            status = self._server.post(data)
        except urllib.error.HTTPError as answer:
            if answer.code == 503:
                self.refused.append(answer.headers.get("Retry-After"))
            else:
                self.others.append((answer.code, answer.read()))
            return False
        except OSError as problem:
            self.others.append(problem)
            return False
        if status == 200:
            self.acknowledged.add(number)
        return status == 200

    def join(self) -> None:
        self.enough.set()
        for thread in self._threads:
            thread.join()


def told(server: Running) -> int | None:
    """How many spans; None while the store is opened again."""
    try:
        return server.total()
    except urllib.error.HTTPError as problem:
        assert problem.code == 503, problem
        return None


def wait_until(what: str, holds: Callable[[], object]) -> None:
    until = time.monotonic() + PATIENCE
    while not holds():
        assert time.monotonic() < until, what
        time.sleep(0.05)


def test_a_full_disk_refuses_loses_nothing_and_goes_on_without_a_restart(
    small_disk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AFTERLAUNCH_DISK_RESERVE_MB", "0")  # the disk itself says no, not the watchman before it
    # What is in the journal needs room in the log and in the file as well, before the journal gives up its own.
    subprocess.run(["mount", "-o", f"remount,size={DISK}", str(small_disk)], check=True, capture_output=True)
    ballast = small_disk / "ballast"
    server = Running(small_disk / "data")
    try:
        free = os.statvfs(small_disk).f_bavail * os.statvfs(small_disk).f_frsize
        ballast.write_bytes(os.urandom(max(0, free - 12 * 2**20)))
        senders = Senders(server)
        wait_until("the disk never was full", lambda: len(senders.refused) >= REFUSED or senders.others)
        assert not senders.others and senders.acknowledged
        assert all(told and 1 <= int(told) <= 30 for told in senders.refused)
        held = len(senders.acknowledged) * SPANS_A_BODY
        ballast.unlink()
        before = len(senders.acknowledged)
        wait_until("it did not go on", lambda: len(senders.acknowledged) >= before + 20 or senders.others)
        senders.join()
        assert not senders.others and server.process.poll() is None
        everything = len(senders.acknowledged) * SPANS_A_BODY
        assert everything > held
        wait_until("what was acknowledged is not there", lambda: told(server) == everything)
    finally:
        server.end(signal.SIGTERM)
    with duckdb.connect(str(small_disk / "data" / "telemetry.duckdb"), read_only=True) as kept:
        (spans,) = kept.execute("select count(distinct span_id) from spans").fetchall()
        (sums,) = kept.execute("select sum(calls)::bigint from sums_minute").fetchall()
    assert spans == sums == (everything,)
