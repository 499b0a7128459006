"""Providers that answer as they are told, write down what they got, and fail on anything unexpected."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email import message_from_bytes
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass
class Got:
    path: str
    headers: dict[str, str]
    body: bytes


@dataclass
class FakeProvider:
    """`answers` are used up in order, the last one for ever; "hang" holds the line until `release`,
    "close" hangs up without a word. `body` is what every answer says."""

    answers: list[int | str] = field(default_factory=lambda: [200])
    extra: dict[str, str] = field(default_factory=dict)
    got: list[Got] = field(default_factory=list)
    unexpected: list[str] = field(default_factory=list)
    release: threading.Event = field(default_factory=threading.Event)
    url: str = ""
    body: str = ""


@contextmanager
def provider(*answers: int | str, **extra: str) -> Iterator[FakeProvider]:
    fake = FakeProvider(list(answers) or [200], {name.replace("_", "-"): value for name, value in extra.items()})

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            fake.got.append(Got(self.path, {k.lower(): v for k, v in self.headers.items()}, body))
            answer = fake.answers.pop(0) if len(fake.answers) > 1 else fake.answers[0]
            if answer == "hang":
                fake.release.wait(20)
                return
            if answer == "close":
                self.close_connection = True
                return
            self.send_response(int(answer))
            for name, value in fake.extra.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(fake.body.encode())

        def do_GET(self) -> None:
            fake.unexpected.append(self.path)
            self.send_response(500)
            self.end_headers()

        def log_message(self, *args: Any) -> None:
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    fake.url = f"http://127.0.0.1:{server.server_address[1]}/hook"
    try:
        yield fake
        assert not fake.unexpected, fake.unexpected
    finally:
        fake.release.set()
        server.shutdown()
        server.server_close()


@dataclass
class FakeMail:
    """`refuse` is an SMTP answer given to RCPT instead of taking the mail."""

    refuse: str = ""
    mails: list[Message] = field(default_factory=list)
    url: str = ""

    async def handle_RCPT(self, server: Any, session: Any, envelope: Any, address: str, options: Any) -> str:
        if self.refuse:
            return self.refuse
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
        self.mails.append(message_from_bytes(envelope.content))
        return "250 taken"


@contextmanager
def mail_server(port: int) -> Iterator[FakeMail]:
    from aiosmtpd.controller import Controller

    fake = FakeMail(url=f"smtp://127.0.0.1:{port}")
    controller = Controller(fake, hostname="127.0.0.1", port=port)
    controller.start()
    try:
        yield fake
    finally:
        controller.stop()
