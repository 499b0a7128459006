"""What senders told lately and what they told before, of every system in one question."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from afterlaunch.ground import clock
from afterlaunch.telemetry.store import current
from afterlaunch.telemetry.tables import HOUR_NS

RECENT_HOURS, PAST_HOURS = 2, 7 * 24
"""This hour and the one before it; the week before these."""
Place = tuple[str, str, str]
"""Client, system, environment."""


@dataclass(frozen=True)
class Count:
    """A row of `tables.ATTRIBUTE_COUNTS`, summed over a time."""

    service: str
    scope: str
    version: str
    what: str
    key: str
    spans: int


@dataclass(frozen=True)
class Told:
    recent: Sequence[Count] = field(default_factory=list)
    past: Sequence[Count] = field(default_factory=list)


def told(now: datetime) -> Mapping[Place, Told]:
    """`recent` and `past` of every system in each of its environments."""
    hour = clock.to_ns(now) // HOUR_NS
    first = hour - RECENT_HOURS + 1
    group = "client, system, environment, service, scope, scope_version, what, key"
    rows: list[dict[str, Any]] = current().query(
        f"select {group}, hour >= ? as recent, sum(spans)::bigint as told from attribute_counts"
        f" where hour >= ? and hour <= ? group by {group}, recent",
        [first, first - PAST_HOURS, hour],
    )
    out: dict[Place, tuple[list[Count], list[Count]]] = {}
    for row in rows:
        recent, past = out.setdefault((row["client"], row["system"], row["environment"]), ([], []))
        count = Count(row["service"], row["scope"], row["scope_version"], row["what"], row["key"], row["told"])
        (recent if row["recent"] else past).append(count)
    return {place: Told(*both) for place, both in out.items()}
