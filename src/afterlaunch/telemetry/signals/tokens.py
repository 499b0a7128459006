"""Tokens as metrics tell them: a second witness beside spans, never a second source (telemetry conventions §6.6)."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from afterlaunch.ground import clock
from afterlaunch.telemetry.queries import Clients, narrowed
from afterlaunch.telemetry.store import current

NAMES = ("gen_ai.client.token.usage", "gen_ai.client.inference.tokens", "claude_code.token.usage")
"""Of a service that tells several, the first counts: they tell the same tokens."""
LOOK_BACK = timedelta(minutes=10)  # so that a rising series' first step has a point before it
Place = tuple[str, str, str, str]
"""Client, system, environment, service."""


def told(start: datetime, end: datetime, clients: Clients = None, **equals: str | None) -> dict[Place, tuple[str, int]]:
    """(metric, tokens in and out) that points of [start, end) tell: what rising series rose by, what deltas add up to.
    A series that began in this time rose from 0, and so did one that fell."""
    where, parameters = narrowed(clients, equals)
    first = clock.to_ns(start)
    rows: list[dict[str, Any]] = current().query(
        f"""with told as (
              select client, system, environment, service, name, at_ns, start_ns, cumulative, kind,
                case when kind = 'histogram' then sum else value end as level,
                lag(case when kind = 'histogram' then sum else value end) over w as level_before
              from points where name in (select unnest(?)) and at_ns >= ? and at_ns < ? and {where}
              window w as (partition by series order by at_ns)),
            rises as (
              select *, case when kind = 'delta' or (kind = 'histogram' and not cumulative) then level
                when level_before is null then (case when start_ns >= {first} then level end)
                when level < level_before then level else level - level_before end as risen
              from told where at_ns >= {first} and kind in ('counter', 'delta', 'histogram'))
            select client, system, environment, service, name, sum(risen) as tokens
            from rises where risen is not null group by client, system, environment, service, name""",
        [list(NAMES), clock.to_ns(start - LOOK_BACK), clock.to_ns(end), *parameters],
    )
    rows.sort(key=lambda row: NAMES.index(row["name"]))
    out: dict[Place, tuple[str, int]] = {}
    for row in rows:
        place = row["client"], row["system"], row["environment"], row["service"] or ""
        if row["tokens"] > 0:
            out.setdefault(place, (row["name"], round(row["tokens"])))
    return out
