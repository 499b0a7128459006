"""The server killed after it noticed and before its page was out: after the next start the page arrives, once."""

from __future__ import annotations

import os
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from afterlaunch.ground import clock
from afterlaunch.notify.tests.fakes import mail_server
from afterlaunch.telemetry.tests.test_queries import pairs
from afterlaunch.telemetry.tests.test_survives_sigkill import Running

pytestmark = pytest.mark.process
FACTOR = 30  # two minutes of a breach in four seconds
SOMEBODY = """
import django; django.setup()
from afterlaunch.accounts.models import Grant, User
from afterlaunch.notify.models import ContactMethod
from afterlaunch.ground import clock
user = User.objects.create_user("ada@example.test", "Ada")
Grant.objects.create(user=user, role="admin", client=None)
now = clock.now()
ContactMethod.objects.create(user=user, kind="email", address=user.email, created_at=now, verified_at=now)
"""


class DeafMailServer:
    """Takes connections and never says a word: whoever sends is held in the middle of it."""

    def __init__(self) -> None:
        self.reached = threading.Event()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._held: list[socket.socket] = []
        self.port = int(self._listener.getsockname()[1])
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                self._held.append(self._listener.accept()[0])
            except OSError:
                return
            self.reached.set()

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)  # or the thread that accepts would keep it open
        self._listener.close()
        for held in self._held:
            held.close()


def failures(at: datetime) -> bytes:
    request = ExportTraceServiceRequest()
    group = request.resource_spans.add()
    group.resource.attributes.extend(pairs({"service.name": "desk", "deployment.environment.name": "prod"}))
    spans = group.scope_spans.add(scope={"name": "app"}).spans
    for number in range(60):
        span = spans.add(trace_id=os.urandom(16), span_id=os.urandom(8), name="chat")
        span.start_time_unix_nano = clock.to_ns(at) + number
        span.end_time_unix_nano = span.start_time_unix_nano + 1_000_000
        told = {"gen_ai.operation.name": "chat", "gen_ai.request.model": "gpt-4o", "error.type": "InternalServerError"}
        span.attributes.extend(pairs(told))
    return request.SerializeToString()


def until(true: Callable[[], bool], seconds: float, what: str) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, what
        time.sleep(0.1)


def test_the_page_arrives_once_though_the_server_was_killed_while_sending_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    deaf = DeafMailServer()
    now = time.time()
    monkeypatch.setenv("AFTERLAUNCH_CLOCK", f"scaled:{now!r},{now!r},{FACTOR}.0")
    monkeypatch.setenv("AFTERLAUNCH_SMTP_URL", f"smtp://127.0.0.1:{deaf.port}")
    monkeypatch.setenv("AFTERLAUNCH_DATA", str(tmp_path))
    monkeypatch.setenv("DJANGO_SETTINGS_MODULE", "afterlaunch.app.django_settings")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(path for path in sys.path if path))

    def count(sql: str) -> int:
        database = sqlite3.connect(f"file:{tmp_path / 'control.sqlite3'}?mode=ro", uri=True, timeout=10)
        try:
            return int(database.execute(sql).fetchone()[0])
        finally:
            database.close()

    server = Running(tmp_path)
    subprocess.run([sys.executable, "-c", SOMEBODY], check=True, timeout=60)
    assert server.post(failures(datetime.fromtimestamp(now + (time.time() - now) * FACTOR, UTC))) == 200
    assert deaf.reached.wait(60), "no page was sent"
    server.end(signal.SIGKILL)
    assert count("select count(*) from notify_page where state = 'accepted'") == 0
    assert count("select count(*) from incidents_incident") == 1
    deaf.close()

    with mail_server(deaf.port) as mail:
        server = Running(tmp_path)
        try:
            until(lambda: bool(mail.mails), 200, "the page never arrived")
            settled = (
                "select count(*) from notify_page where state = 'accepted' and id = (select min(id) from notify_page)"
            )
            until(lambda: count(settled) == 1, 30, "not settled")
            time.sleep(3)  # a minute and a half of the engine's time: a page sent twice would come in it
        finally:
            server.end(signal.SIGTERM)
    # Nobody acknowledged, so the escalation pages again later: those are pages of their own.
    times = Counter(str(letter["Message-ID"]) for letter in mail.mails)
    assert set(times.values()) == {1} and len(times) <= count("select count(*) from notify_page")
    assert "Error rate" in str(mail.mails[0]["Subject"])
    assert count("select count(*) from incidents_incident") == 1
