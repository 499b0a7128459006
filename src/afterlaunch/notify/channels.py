"""A client's channels: where its news goes that is nobody's own. Both doors run in the transaction of the deed."""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import datetime

from django.db.models import QuerySet

from afterlaunch.notify.kinds import kinds
from afterlaunch.notify.models import Channel, Page, Thread
from afterlaunch.notify.outbox import Notice, enqueue_on

_learned_from: ContextVar[frozenset[int]] = ContextVar("learned_from", default=frozenset())


def live_channels(client: str) -> QuerySet[Channel]:
    return Channel.objects.filter(client__slug=client, removed_at=None, disabled_at=None)


def tell(channel: Channel, notice: Notice, now: datetime) -> Page | None:
    """One channel, through the outbox; None when it takes no such news. Repeating it makes no second row."""
    kind = kinds().get(channel.kind)
    if kind is None or not kind.takes(str(notice.facts.get("type", "test"))):
        return None
    if channel.removed_at is not None or channel.disabled_at is not None:
        return None
    if kind.ordered:
        Thread.objects.get_or_create(
            channel=channel, topic=notice.topic, defaults={"callback": secrets.token_urlsafe(18)}
        )
    return enqueue_on(channel, notice, now)


@contextmanager
def coming_from(channels: Iterable[int]) -> Iterator[None]:
    """What is announced meanwhile was learned from these channels, and is not sent back to them."""
    token = _learned_from.set(frozenset(channels))
    try:
        yield
    finally:
        _learned_from.reset(token)


def announce(client: str, notice: Notice, now: datetime) -> list[Page]:
    """Every channel of the client that wants such news, but those that it came from."""
    silent = _learned_from.get()
    told = [tell(one, notice, now) for one in live_channels(client) if one.pk not in silent and wants(one, notice)]
    return [page for page in told if page is not None]


def wants(channel: Channel, notice: Notice) -> bool:
    """Whether its filters let the notice through; an entry like `incident.` lets all of them through."""
    facts = notice.facts
    kind, severity, system = (str(facts.get(name, "")) for name in ("type", "severity", "system_key"))
    if channel.types and not names(channel, kind):
        return False
    if channel.severities and severity and severity not in channel.severities:
        return False
    return not channel.system or not system or channel.system == system


def names(channel: Channel, type: str) -> bool:
    """Whether the channel asks for this type by its name or by a beginning of it."""
    return any(type == one or (one.endswith(".") and type.startswith(one)) for one in channel.types)
