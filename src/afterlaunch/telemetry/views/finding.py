"""Finding calls and spans by any of what they tell.

What rows of `calls` tell themselves is one question. What only their spans tell (attributes, text, some columns) is
looked for backwards in time, stretch by stretch, within a bounded time: the answer then says how far it came.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from afterlaunch.ground import clock
from afterlaunch.ground.errors import Invalid
from afterlaunch.telemetry.noted import with_notes
from afterlaunch.telemetry.queries import Clients, narrowed
from afterlaunch.telemetry.records import AFTER_CURSOR, place, readable
from afterlaunch.telemetry.store import current
from afterlaunch.telemetry.tables import MINUTE_NS
from afterlaunch.telemetry.views.fields import TEXTS
from afterlaunch.telemetry.views.search import Search, Sql, conditions

SECONDS = 1.5
"""So long a search through spans may take before it says how far it came."""
FIRST_NS, LEAST_NS, AIM_SECONDS = 10 * MINUTE_NS, MINUTE_NS // 60, 0.2
APART_NS = 5 * MINUTE_NS
"""Spans of one call start at most so far apart."""


@dataclass(frozen=True)
class Found:
    """`rows`: newest first. `cursor`: where to go on, None at the end. `searched_to`: with a cursor and before the end
    of the time that is asked for, how far the search came."""

    rows: list[dict[str, Any]]
    cursor: str | None
    searched_to: datetime | None = None


def find(
    search: Search,
    start: datetime,
    end: datetime,
    clients: Clients,
    limit: int,
    before: str | None = None,
    table: str = "calls",
    seconds: float | None = None,
) -> Found:
    """`table`: calls (each once) or spans (all of them). `seconds`: instead of SECONDS."""
    asks = Asks.of(search, table, clients)
    first, last = clock.to_ns(start), clock.to_ns(end)
    if before is not None:
        last = min(last, place(before)[0] + 1)
    rows: list[dict[str, Any]] = []
    reached = last
    for reached, until in asks.stretches(first, last, SECONDS if seconds is None else seconds):
        sql, parameters = asks.rows(reached, until, limit + 1 - len(rows), before)
        rows += [readable(row) for row in current().query(sql, parameters)]
        if len(rows) > limit:
            return Found(with_notes(rows[:limit]), rows[limit - 1]["cursor"])
    if reached > first and last > first:
        return Found(with_notes(rows), f"{reached}-{'0' * 16}", clock.from_ns(reached))  # no row so far starts earlier
    return Found(with_notes(rows), None)


def backwards(first: int, last: int, seconds: float) -> Iterator[tuple[int, int]]:
    """Stretches from the last instant back, as long as a fifth of a second allows, until the time is over."""
    began, step, until = time.monotonic(), FIRST_NS, last
    while until > first and ((now := time.monotonic()) - began <= seconds or until == last):
        since = max(first, until - step)
        yield since, until
        took = max(0.001, time.monotonic() - now)
        step = max(LEAST_NS, int(step * min(8.0, max(0.1, AIM_SECONDS / took))))
        until = since


@dataclass(frozen=True)
class Asks:
    """A search as SQL. `own`: what the rows tell themselves; `of_spans`: what spans of a call tell."""

    table: str
    own: Sql
    of_spans: Sql
    seen: Sql

    @staticmethod
    def of(search: Search, table: str, clients: Clients) -> Asks:
        if table not in ("calls", "spans"):
            raise Invalid(f"{table!r} can't be searched.", "calls or spans")
        return Asks(table, *conditions(search, table), narrowed(clients, {}))

    def stretches(self, first: int, last: int, seconds: float) -> Iterator[tuple[int, int]]:
        """All at once, unless spans must be read for it."""
        if self.of_spans[0] or (self.table == "spans" and self.own[0]):
            return backwards(first, last, seconds)
        return iter([(first, last)] if last > first else [])

    def rows(self, first: int, last: int, limit: int, before: str | None, columns: str = "*") -> Sql:
        """SQL with parameters: the newest of those that start in [first, last)."""
        where, parameters = f"start_ns >= ? and start_ns < ? and {self.seen[0]}", [first, last, *self.seen[1]]
        if self.own[0]:
            where += f" and {self.own[0]}"
            parameters += self.own[1]
        if before is not None:
            where += AFTER_CURSOR
            parameters += place(before)
        chosen, more = where, list(parameters)
        if self.of_spans[0]:
            chosen += (
                " and (client, span_id) in (select told.client, told.span_id from"
                f" (select client, span_id, unnest(members) as member from calls where {where}) as told join"
                " (select distinct client, lower(hex(span_id)) as member from spans"
                f" where start_ns >= ? and start_ns < ? and {self.seen[0]} and {self.of_spans[0]}) as hits"
                " on hits.client = told.client and hits.member = told.member)"
            )
            more += [*parameters, first - APART_NS, last + APART_NS, *self.seen[1], *self.of_spans[1]]
        order = f"order by start_ns desc, span_id desc limit {int(limit)}"
        return f"select {columns} from {self.table} where {chosen} {order}", more


def snippets(rows: list[dict[str, Any]], texts: list[str], clients: Clients) -> dict[str, str]:
    """Span id -> the text around the first of the words that were searched for, of the rows of one page."""
    if not rows or not texts:
        return {}
    seen, mine = narrowed(clients, {})
    members = {member: row["span_id"] for row in rows for member in row.get("members") or [row["span_id"]]}
    bounds = [row["start_ns"] for row in rows]
    content = " || ' ' || ".join(f"coalesce({text}, '')" for text in TEXTS)
    found = current().query(
        "select lower(hex(span_id)) as member,"
        f" substr({content}, greatest(1, position(? in lower({content})) - 60), 180) as text"
        f" from spans where start_ns >= ? and start_ns <= ? and {seen}"
        f" and span_id in (select unhex(unnest(?))) and position(? in lower({content})) > 0",
        [texts[0], min(bounds) - APART_NS, max(bounds) + APART_NS, *mine, sorted(members), texts[0]],
    )
    return {members[row["member"]]: row["text"] for row in found}
