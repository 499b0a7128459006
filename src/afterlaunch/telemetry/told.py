"""What senders told lately and what they told before."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from weakref import WeakKeyDictionary

from afterlaunch.ground import clock
from afterlaunch.telemetry.store import Store, current
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


Counts = dict[Place, list[Count]]


@dataclass(frozen=True)
class Told:
    recent: Sequence[Count] = field(default_factory=list)
    past: Sequence[Count] = field(default_factory=list)


_GROUP = "client, system, environment, service, scope, scope_version, what, key"
_pasts: WeakKeyDictionary[Store, tuple[int, Counts]] = WeakKeyDictionary()


def told(now: datetime) -> Mapping[Place, Told]:
    """`recent` and `past` of every system in each of its environments. The past is read once an hour: it is long, and
    hardly changes."""
    store, hour = current(), clock.to_ns(now) // HOUR_NS
    first = hour - RECENT_HOURS + 1
    kept = _pasts.get(store)
    if kept is None or kept[0] != first:
        kept = _pasts[store] = first, _between(store, first - PAST_HOURS, first - 1)
    recent, past = _between(store, first, hour), kept[1]
    return {place: Told(recent.get(place, []), past.get(place, [])) for place in recent.keys() | past.keys()}


def _between(store: Store, first: int, last: int) -> Counts:
    rows: list[dict[str, Any]] = store.query(
        f"select {_GROUP}, sum(spans)::bigint as told from attribute_counts where hour between ? and ?"
        f" group by {_GROUP}",
        [first, last],
    )
    out: Counts = {}
    for row in rows:
        count = Count(row["service"], row["scope"], row["scope_version"], row["what"], row["key"], row["told"])
        out.setdefault((row["client"], row["system"], row["environment"]), []).append(count)
    return out
