"""Forgetting what is older than it may be: in bounded steps, each a commit of its own, so that ingest goes on between.

DuckDB gives the room of whole row groups back and uses it again for the next rows; a column that is emptied costs a
rewrite of that column only. The sums of minutes go only where hours and days hold them already.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import Any

from afterlaunch.ground import clock
from afterlaunch.telemetry.keeping.retention import KINDS, Kind
from afterlaunch.telemetry.keeping.rules import Rules
from afterlaunch.telemetry.signals.tables import TABLES as SIGNAL_TABLES
from afterlaunch.telemetry.store import Store
from afterlaunch.telemetry.tables import MINUTE_NS, TABLES, Table

BY_NAME = {table.name: table for table in (*TABLES, *SIGNAL_TABLES)}
SLICE = timedelta(hours=6)
SECONDS = 20.0  # a run ends after so much work; the next one goes on
DAY_MINUTES = 1_440
Where = tuple[str, list[Any]]


def forget(store: Store, rules: Rules, now: datetime, seconds: float = SECONDS) -> dict[str, int]:
    """Rows forgotten, by kind, as far as the engine does not do it by itself."""
    if store.engine.shared:
        return _at_once(store, rules, now)
    until = time.monotonic() + seconds
    gone: dict[str, int] = {}
    for kind in KINDS:
        for name in kind.tables:
            table = BY_NAME[name]
            for horizon, where in _wheres(kind, rules, now):
                for step in _steps(store, table, kind, _in_units(table, horizon), where):
                    gone[kind.name] = gone.get(kind.name, 0) + step
                    if time.monotonic() > until:
                        return gone
    return gone


def _at_once(store: Store, rules: Rules, now: datetime) -> dict[str, int]:
    """An engine that rewrites whole parts of a table to take rows out is told once a day. What nobody keeps longer goes
    by itself as well, part by part."""
    today = now.replace(hour=0, minute=0, second=0, microsecond=0)
    store.engine.keep(longest(rules))
    gone: dict[str, int] = {}
    for kind in KINDS:
        for name in kind.tables:
            table = BY_NAME[name]
            for horizon, (condition, parameters) in _wheres(kind, rules, today):
                inside = f"{table.instant} < ? and {condition}"
                bounds = [_in_units(table, horizon), *parameters]
                if kind.columns:
                    number = store.blank(table, kind.columns, inside, bounds)
                else:
                    number = store.take_out(table, inside, bounds)
                if number:
                    gone[kind.name] = gone.get(kind.name, 0) + number
    return gone


def longest(rules: Rules) -> dict[str, int]:
    """Table -> days after which nobody keeps its rows."""
    return {
        name: max(rules.days_of(client)[kind.name] for client in (None, *rules.clients()))
        for kind in KINDS
        if not kind.columns
        for name in kind.tables
    }


def whole_since(rules: Rules, now: datetime) -> datetime:
    """The first midnight (UTC) from which on nobody's spans, calls or minutes are forgotten."""
    kept = [rules.days_of(client) for client in (None, *rules.clients())]
    shortest = min(days[kind] for days in kept for kind in ("spans", "calls", "minutes"))
    return (now - timedelta(days=shortest - 1)).replace(hour=0, minute=0, second=0, microsecond=0)


def _in_units(table: Table, horizon: datetime) -> int:
    """Sums go by whole days (UTC): a day is added up only once."""
    instant = clock.to_ns(horizon) // table.unit_ns
    return instant // DAY_MINUTES * DAY_MINUTES if table.unit_ns == MINUTE_NS else instant


def _wheres(kind: Kind, rules: Rules, now: datetime) -> Iterator[tuple[datetime, Where]]:
    """(horizon, whose rows): the house's days for all, but for clients with days of their own."""
    house = rules.days_of(None)[kind.name]
    if kind.shared:
        yield now - timedelta(days=house), ("true", [])
        return
    own = {client: rules.days_of(client)[kind.name] for client in sorted(rules.clients())}
    others = {client: days for client, days in own.items() if days != house}
    marks = ", ".join("?" for _ in others)
    yield now - timedelta(days=house), (f"client not in ({marks})" if others else "true", list(others))
    for client, days in others.items():
        yield now - timedelta(days=days), ("client = ?", [client])


def _steps(store: Store, table: Table, kind: Kind, horizon: int, where: Where) -> Iterator[int]:
    condition, parameters = where
    if kind.columns:
        condition += " and (" + " or ".join(f'"{name}" is not null' for name in kind.columns) + ")"
    size = max(1, int(SLICE.total_seconds() * 1e9) // table.unit_ns)
    while (first := _oldest(store, table, horizon, condition, parameters)) is not None:
        last = min(horizon, first + size)
        inside = f"{table.instant} >= ? and {table.instant} < ? and {condition}"
        bounds = [first, last, *parameters]
        if kind.name in ("minutes", "hours") and not _added_up(store, kind, first, last):
            return
        if kind.columns:
            yield store.blank(table, kind.columns, inside, bounds)
        else:
            yield store.take_out(table, inside, bounds)


def _oldest(store: Store, table: Table, horizon: int, condition: str, parameters: Sequence[Any]) -> int | None:
    (row,) = store.query(
        f"select min({table.instant}) as oldest from {table.name} where {table.instant} < ? and {condition}",
        [horizon, *parameters],
    )
    return None if row["oldest"] is None else int(row["oldest"])


def _added_up(store: Store, kind: Kind, first: int, last: int) -> bool:
    """Whether coarser sums answer for these minutes."""
    begin, end = first // DAY_MINUTES * DAY_MINUTES, -(-last // DAY_MINUTES) * DAY_MINUTES
    held = {"minutes": ("hour", "day"), "hours": ("day",)}[kind.name]
    return all(one.tier in held for one in store.engine.stretches(begin, end, DAY_MINUTES))
