from __future__ import annotations

import logging
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from afterlaunch.ground.errors import Invalid
from afterlaunch.ground.redaction import masked
from afterlaunch.ground.settings import settings
from afterlaunch.notify.apprise import schemes
from afterlaunch.notify.kinds import Kind, Message
from afterlaunch.notify.rules import TEMPORARY_STATUS, Outcome

SHORT = 460  # characters of a text message: three segments


class Apprise(Kind):
    name, label = "apprise", "SMS, voice and more (Apprise)"
    address_label, example = "Address of Apprise", "twilio://AccountSid:AuthToken@+15551230000/+15557654321"
    for_people = for_channels = True

    def medium(self, address: str) -> str:
        return schemes.medium_of(address)

    def check(self, address: str) -> str:
        schemes.check(address, settings()["APPRISE_ALLOW"])
        if service(address) is None:
            raise Invalid("Apprise does not understand this address.", "See the service's page on appriseit.com.")
        return address

    def send(self, message: Message) -> Outcome:
        try:
            schemes.check(message.to, settings()["APPRISE_ALLOW"])
        except Invalid as problem:
            return Outcome("permanent", problem.message)
        found = service(message.to)
        if found is None:
            return Outcome("permanent", "Apprise does not understand the address")
        title, text = words(message)
        with overheard() as told:
            done = found.notify(body=text, title=title, notify_type=_type(message))
        return Outcome("accepted", "accepted by the service") if done else judge(told)


def _type(message: Message) -> str:
    """Some services drop what is called mere information."""
    return "success" if message.type == "incident.resolved" else "failure" if message.severity else "warning"


def service(address: str) -> Any:
    """The service behind an address; None when Apprise knows none. Redirects are not followed."""
    import apprise

    asset = apprise.AppriseAsset(http_redirects=False, plugin_paths=[])
    return apprise.Apprise.instantiate(address, asset=asset, suppress_exceptions=True)


def words(message: Message) -> tuple[str, str]:
    """Title and text; a text message or a call holds what matters first."""
    link = message.acknowledge_url or message.url
    if schemes.medium_of(message.to) == "voice":
        return "Afterlaunch", f"{message.headline}. {' '.join(message.lines)}"[:SHORT]
    if schemes.medium_of(message.to) == "sms":
        room = SHORT - len(link) - 1
        return "", f"{message.headline}. {' '.join(message.lines)}"[: max(room, 60)] + f" {link}"
    others = [f"{item.severity} {item.title}".strip() for item in message.more]
    return message.headline, "\n".join([*message.lines, *others, link])


class _Ear(logging.Handler):
    """Keeps what one thread's services say went wrong."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.lines: list[str] = []
        self._thread = threading.get_ident()

    def emit(self, record: logging.LogRecord) -> None:
        if record.thread == self._thread:
            self.lines.append(record.getMessage())


@contextmanager
def overheard() -> Iterator[list[str]]:
    """Apprise tells only yes or no; why stands in its log."""
    ear, log = _Ear(), logging.getLogger("apprise")
    log.addHandler(ear)
    try:
        yield ear.lines
    finally:
        log.removeHandler(ear)


def judge(told: list[str]) -> Outcome:
    """A client error that the service named is permanent; everything else may pass by itself."""
    why = masked(told[-1])[:200] if told else "the service did not take it"
    found = re.search(r"error=(\d{3})\b", why)
    status = int(found.group(1)) if found else 0
    permanent = 400 <= status < 500 and status not in TEMPORARY_STATUS
    return Outcome("permanent" if permanent else "temporary", why)
