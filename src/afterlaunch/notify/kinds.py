"""What a kind of notification is. Each kind is a folder of its own; `app.notification_kinds` lists them by name."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Protocol, cast

from django.conf import settings as django_settings
from django.utils.module_loading import import_string

from afterlaunch.ground.errors import Invalid
from afterlaunch.notify.rules import Outcome


@dataclass(frozen=True)
class Message:
    """One message, ready to be put into a kind's own form. `key` is the idempotency key and the same on a retry."""

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
    data: dict[str, Any] = field(default_factory=dict)


class Kind(Protocol):
    """`check` returns the address as it will be kept, or raises Invalid; `send` never raises for a provider's fault."""

    name: str
    label: str
    address_label: str
    example: str

    def check(self, address: str) -> str: ...

    def new_secret(self) -> str: ...

    def send(self, message: Message) -> Outcome: ...


@lru_cache(maxsize=1)
def kinds() -> dict[str, Kind]:
    listed = cast("tuple[Kind, ...]", import_string(django_settings.NOTIFICATION_KINDS))
    return {kind.name: kind for kind in listed}


def kind_named(name: str) -> Kind:
    known = kinds()
    if name not in known:
        raise Invalid(f"There is no kind of notification {name!r}.", "Kinds: " + ", ".join(known))
    return known[name]
