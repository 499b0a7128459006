"""A mail server that catches: nothing leaves the machine."""

from __future__ import annotations

import email
import email.policy
import socket
import threading
from dataclasses import dataclass
from typing import Any

from aiosmtpd.controller import Controller


@dataclass(frozen=True)
class Caught:
    message_id: str
    to: str
    subject: str
    text: str


class MailCatcher:
    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._caught: list[Caught] = []
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = int(probe.getsockname()[1])
        self._controller = Controller(self, hostname="127.0.0.1", port=self.port)
        self._controller.start()

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
        parsed = email.message_from_bytes(envelope.content, policy=email.policy.default)
        body = parsed.get_body(("plain",))
        text = body.get_content() if body else ""
        with self._lock:
            self._caught.append(Caught(str(parsed["Message-ID"]), str(parsed["To"]), str(parsed["Subject"]), text))
        return "250 caught"

    def all(self) -> list[Caught]:
        with self._lock:
            return list(self._caught)

    def stop(self) -> None:
        self._controller.stop()
