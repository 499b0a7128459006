"""What a kind of notification is. Each kind is a folder of its own; `app.notification_kinds` lists them by name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache
from typing import Any, cast

from django.conf import settings as django_settings
from django.utils.module_loading import import_string

from afterlaunch.ground.errors import Invalid
from afterlaunch.notify.rules import Outcome


@dataclass(frozen=True)
class Item:
    """One thing that a message tells; `at` is when it was decided."""

    title: str
    lines: Sequence[str] = ()
    severity: str = ""
    url: str = ""
    acknowledge_url: str = ""
    at: datetime | None = None


@dataclass(frozen=True)
class Message:
    """One message, ready to be put into a kind's own form. `key` is the idempotency key and the same on a retry.
    `more` are the things told in it besides its own. `options` are the channel's fields, secrets and all; `place` says
    where its thread hangs at the provider."""

    key: str
    purpose: str
    to: str
    secret: str
    title: str
    lines: Sequence[str]
    severity: str = ""
    url: str = ""
    acknowledge_url: str = ""
    type: str = "test"
    topic: str = ""
    data: Mapping[str, Any] = field(default_factory=dict)
    more: Sequence[Item] = ()
    options: Mapping[str, str] = field(default_factory=dict)
    place: Mapping[str, Any] = field(default_factory=dict)
    callback: str = ""

    @property
    def headline(self) -> str:
        """One line: severity, title, and how much more it tells."""
        title = " ".join(self.title.split())
        head = f"[{self.severity}] {title}" if self.severity else title
        return f"{head} (and {len(self.more)} more)" if self.more else head


@dataclass(frozen=True)
class Entry:
    """A field of a channel's form besides its address."""

    name: str
    label: str
    secret: bool = False
    needed: bool = True
    default: str = ""
    help: str = ""


class Kind:
    """`check` returns the address as it will be kept, or raises Invalid; `send` never raises for a provider's fault.
    `bundles`: several things may be told in one message. `ordered`: what is told about one topic keeps its order."""

    name = ""
    label = ""
    address_label = "Address"
    example = ""
    for_people = False
    for_channels = False
    bundles = True
    ordered = False
    entries: tuple[Entry, ...] = ()

    def medium(self, address: str) -> str:
        """email, sms, voice, chat or machine: what its messages do to a reader."""
        return "chat"

    def takes(self, type: str) -> bool:
        """Whether a channel of this kind tells such news."""
        return True

    def check(self, address: str) -> str:
        raise NotImplementedError

    def check_entries(self, values: Mapping[str, str]) -> None:
        """Raise Invalid where a channel's fields can't be used."""

    def new_secret(self) -> str:
        return ""

    def send(self, message: Message) -> Outcome:
        raise NotImplementedError


@lru_cache(maxsize=1)
def kinds() -> dict[str, Kind]:
    listed = cast("tuple[Kind, ...]", import_string(django_settings.NOTIFICATION_KINDS))
    return {kind.name: kind for kind in listed}


def kind_named(name: str) -> Kind:
    known = kinds()
    if name not in known:
        raise Invalid(f"There is no kind of notification {name!r}.", "Kinds: " + ", ".join(known))
    return known[name]
