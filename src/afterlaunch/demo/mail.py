"""A mail server that catches: nothing leaves the machine. What it caught is read on its page (`mail_page`)."""

from __future__ import annotations

import asyncio
import email
import email.policy
import threading
from dataclasses import dataclass
from datetime import datetime
from email.message import EmailMessage
from typing import Any

from aiosmtpd.controller import Controller

from afterlaunch.ground import clock


@dataclass(frozen=True)
class Caught:
    """One mail. `number` counts from 1; `text` and `html` are empty where the mail has no such part."""

    number: int
    at: datetime
    message_id: str
    sender: str
    to: str
    subject: str
    text: str
    html: str = ""


class _OnAnyPort(Controller):
    """aiosmtpd tries its own port before it says that it runs; with port 0 that is the one it was given."""

    def _trigger_server(self) -> None:
        assert isinstance(self.server, asyncio.Server)
        self.port = self.server.sockets[0].getsockname()[1]
        super()._trigger_server()  # type: ignore[no-untyped-call]


class MailCatcher:
    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._caught: list[Caught] = []
        self._controller = _OnAnyPort(self, hostname="127.0.0.1", port=0)
        self._controller.start()
        self.port = int(self._controller.port)

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
        parsed = email.message_from_bytes(envelope.content, policy=email.policy.default)
        assert isinstance(parsed, EmailMessage)
        with self._lock:
            self._caught.append(_caught(len(self._caught) + 1, parsed))
        return "250 caught"

    def all(self) -> list[Caught]:
        """In the order in which they came."""
        with self._lock:
            return list(self._caught)

    def stop(self) -> None:
        self._controller.stop()


def _caught(number: int, parsed: EmailMessage) -> Caught:
    return Caught(
        number=number,
        at=clock.now(),
        message_id=str(parsed["Message-ID"]),
        sender=str(parsed["From"]),
        to=str(parsed["To"]),
        subject=str(parsed["Subject"]),
        text=_part(parsed, "plain"),
        html=_part(parsed, "html"),
    )


def _part(parsed: EmailMessage, kind: str) -> str:
    body = parsed.get_body((kind,))
    return str(body.get_content()) if body is not None else ""
