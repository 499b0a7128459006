"""What happened to a promise, told to the rooms above in the same transaction. `app.sla_listeners` lists them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache
from typing import Any, Protocol, cast

from django.conf import settings
from django.utils.module_loading import import_string

from afterlaunch.evidence.log import record
from afterlaunch.ground.actors import Actor


@dataclass(frozen=True)
class Event:
    """`name`: clock.started, .replaced, .met, .breached, .warned, .predicted, .paused, .resumed, .cap_near,
    handover.waiting, .done, .off, .back. `clock` is the clock's kind; `urgent`: somebody should look now."""

    name: str
    topic: str
    client: str
    text: str
    clock: str = ""
    urgent: bool = False
    details: Mapping[str, Any] = field(default_factory=dict)


class Listener(Protocol):
    """`prefix` begins the topics that are its own. `lock` holds the row behind a topic: whoever changes a clock takes
    it before the clock's, so that a deed and a duty wait in the same order. `entry` is the index of the evidence."""

    prefix: str

    def lock(self, topic: str) -> None: ...

    def heard(self, actor: Actor, event: Event, entry: int, now: datetime) -> None: ...


@lru_cache(maxsize=1)
def listeners() -> tuple[Listener, ...]:
    return cast("tuple[Listener, ...]", import_string(settings.SLA_LISTENERS))


def lock(topic: str) -> None:
    """Hold what the topic names until the transaction ends."""
    for one in listeners():
        if topic.startswith(one.prefix):
            one.lock(topic)


def tell(actor: Actor, event: Event, now: datetime) -> None:
    """Evidence, and whoever listens."""
    entry = record(actor, event.name, event.topic, event.client, {**event.details, "clock": event.clock})
    for one in listeners():
        if event.topic.startswith(one.prefix):
            one.heard(actor, event, entry.index, now)
