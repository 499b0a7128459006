"""Questions to metrics and logs. `clients` None means all; otherwise only theirs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from afterlaunch.ground import clock
from afterlaunch.ground.errors import Invalid
from afterlaunch.telemetry.signals.readings import Minute
from afterlaunch.telemetry.signals.vocabulary import MODE_LABELS, MODES, NAMES, PARTS
from afterlaunch.telemetry.store import current

Clients = frozenset[str] | None
COLUMNS = ("client", "system", "environment", "service", "host")
OVER = {"avg": "avg", "sum": "sum", "max": "max", "min": "min"}
LOOK_BACK = timedelta(minutes=10)  # so that a counter's first step has a point before it
MAX_STEPS = 11_000
MINUTE_NS = 60_000_000_000
LABELLED = 5_000


@dataclass(frozen=True)
class Sample:
    """A step's value of one group, in the metric's unit; counters as their rise per second."""

    at: datetime
    key: Mapping[str, str | None]
    value: float
    series: int


def _narrow(clients: Clients, equals: Mapping[str, str | None]) -> tuple[str, list[Any]]:
    parts: list[str] = ["true"]
    parameters: list[Any] = []
    if clients is not None:
        parts.append("list_contains(?, client)")
        parameters.append(sorted(clients))
    for name, value in equals.items():
        column, wanted = _column(name)
        parts.append(f"{column} is not distinct from ?")
        parameters += [*wanted, value]
    return " and ".join(parts), parameters


def _column(name: str) -> tuple[str, list[str]]:
    """SQL of a place or, for any other name, of a label."""
    return (f'"{name}"', []) if name in COLUMNS else ("labels[?]", [name])


def labels(
    name: str, start: datetime, end: datetime, clients: Clients = None, **equals: str | None
) -> dict[str, list[str]]:
    """The labels of a metric's series in this time, each with its values, sorted; of the first LABELLED series."""
    where, parameters = _narrow(clients, equals)
    rows = current().query(
        f"""select series, any_value(labels) as labels from points
            where name = ? and at_ns >= ? and at_ns < ? and {where} group by series order by series limit {LABELLED}""",
        [name, clock.to_ns(start), clock.to_ns(end), *parameters],
    )
    found: dict[str, set[str]] = {}
    for row in rows:
        for label, value in dict(row["labels"] or {}).items():
            found.setdefault(label, set()).add(value)
    return {label: sorted(found[label]) for label in sorted(found)}


def systems(start: datetime, end: datetime, clients: Clients = None, table: str = "points") -> list[str]:
    """Who told metrics ("points") or logs ("records") in this time."""
    if table not in ("points", "records"):
        raise ValueError(table)
    where, parameters = _narrow(clients, {})
    rows = current().query(
        f"select distinct system from {table} where at_ns >= ? and at_ns < ? and {where} order by system limit 500",
        [clock.to_ns(start), clock.to_ns(end), *parameters],
    )
    return [row["system"] for row in rows]


def names(start: datetime, end: datetime, clients: Clients = None, **equals: str | None) -> list[dict[str, Any]]:
    """Every metric that has points in [start, end): name, unit, kind, how many series, systems and when last."""
    where, parameters = _narrow(clients, equals)
    return current().query(
        f"""select name, any_value(unit) as unit, any_value(kind) as kind, count(distinct series) as series,
              list_sort(list(distinct system)) as systems, max(at_ns) as last_ns
            from points where at_ns >= ? and at_ns < ? and {where} group by name order by name""",
        [clock.to_ns(start), clock.to_ns(end), *parameters],
    )


def over_time(
    name: str,
    start: datetime,
    end: datetime,
    step_seconds: int,
    clients: Clients = None,
    group_by: Sequence[str] = (),
    combine: str = "avg",
    **equals: str | None,
) -> list[Sample]:
    """One value per step and group. Within a step a gauge is averaged over its series' points; counters and deltas
    become rises per second of the time between their points (a fall is a restart from zero; a gap gives nothing). Then
    series are combined by `combine`: avg, sum, max or min. Histograms give their mean. Raises Invalid."""
    if combine not in OVER:
        raise Invalid(f"{combine!r} is no way to combine series.", "One of: " + ", ".join(OVER))
    steps = (end - start).total_seconds() / max(step_seconds, 1)
    if step_seconds < 1 or steps > MAX_STEPS:
        raise Invalid("That is too fine a step for so long a time.", f"At most {MAX_STEPS} steps.")
    where, parameters = _narrow(clients, equals)
    groups = [_column(one) for one in group_by]
    keys = "".join(f", {sql} as g{number}" for number, (sql, _) in enumerate(groups))
    labels = [one for _, wanted in groups for one in wanted]
    first, last, step = clock.to_ns(start), clock.to_ns(end), step_seconds * 1_000_000_000
    grouped = "".join(f", g{number}" for number in range(len(groups)))
    rows = current().query(
        f"""with told as (
              select series, at_ns, start_ns, kind, cumulative, value, count, sum{keys},
                lag(at_ns) over w as at_before, lag(value) over w as value_before,
                lag(count) over w as count_before, lag(sum) over w as sum_before
              from points where name = ? and at_ns >= ? and at_ns < ? and {where}
              window w as (partition by series order by at_ns)),
            rises as (
              select *, (at_ns - {first}) // {step} as step,
                case when kind = 'histogram' and cumulative and (count_before is null or count < count_before) then null
                     when kind = 'histogram' and cumulative then count - count_before else count end as calls,
                case when kind = 'histogram' and cumulative then sum - sum_before else sum end as summed,
                case when kind = 'counter' and value_before is null then null
                     when kind = 'counter' and value < value_before then value
                     when kind = 'counter' then value - value_before else value end as risen,
                case when kind = 'counter' and (value_before is null or value is null) then null
                     when kind = 'counter' then (at_ns - at_before) / 1e9
                     when kind = 'delta' then (at_ns - coalesce(start_ns, at_before)) / 1e9 end as seconds
              from told),
            per_series as (
              select series, step{grouped},
                case when any_value(kind) in ('counter', 'delta') then sum(risen) / nullif(sum(seconds), 0)
                     when any_value(kind) in ('histogram', 'summary') then sum(summed) / nullif(sum(calls), 0)
                     else avg(value) end as value
              from rises where at_ns >= {first} group by series, step{grouped})
            select step{grouped}, {OVER[combine]}(value) as value, count(*) as series
            from per_series where value is not null group by step{grouped} order by step{grouped}""",
        [*labels, name, clock.to_ns(start - LOOK_BACK), last, *parameters],
    )
    return [
        Sample(
            clock.from_ns(first + row["step"] * step),
            {group: row[f"g{number}"] for number, group in enumerate(group_by)},
            row["value"],
            row["series"],
        )
        for row in rows
    ]


def by_minute(
    start: datetime,
    end: datetime,
    clients: Clients = None,
    alive: timedelta | None = None,
    step: int = 1,
    narrow: Mapping[str, str | None] | None = None,
) -> list[Minute]:
    """Every metric of infrastructure (`vocabulary.NAMES`), by `step` minutes, place and part, for the whole estate in
    one question. 1. The series, so that labels are read once for each; 2. their points, gauges averaged, counters as
    rises per second, histograms as rises of count and sum; 3. over the series of a part. `alive`: only series that
    told something so shortly before the end. `narrow`: only of these places."""
    where, parameters = _narrow(clients, narrow or {})
    modes = "true"
    wanted: list[Any] = []
    for mode, names in MODES.items():
        modes += f" and (not list_contains(?, name) or {_label(MODE_LABELS)} = ?)"
        wanted += [list(names), mode]
    part = "case " + "".join(f"when list_contains(?, name) then {_label(labels)} " for _, labels in PARTS) + "end"
    first, last = clock.to_ns(start - LOOK_BACK), clock.to_ns(end)
    place = "client, system, environment, host, name, part, minute"
    told = "client, system, environment, host, name, unit, kind, cumulative"
    rows = current().query(
        f"""with heads as (
              select series, {", ".join(f"any_value({name}) as {name}" for name in told.split(", "))},
                any_value(labels) as labels
              from points where at_ns >= ? and at_ns < ? and list_contains(?, name) and {where} group by series),
            known as (select series, {told}, {part} as part from heads where {modes}),
            told as (
              select p.series as series, {", ".join(f"k.{name} as {name}" for name in told.split(", "))},
                k.part as part, p.at_ns as at_ns, p.start_ns as start_ns, p.value as value, p.count as count,
                p.sum as sum, lag(p.at_ns) over w as at_before, lag(p.value) over w as value_before,
                lag(p.count) over w as count_before, lag(p.sum) over w as sum_before
              from points p join known k on p.series = k.series where p.at_ns >= ? and p.at_ns < ?
              window w as (partition by p.series order by p.at_ns)),
            steps as (
              select *, at_ns // {step * MINUTE_NS} * {int(step)} as minute,
                case when kind = 'counter' and value_before is null then null
                     when kind = 'counter' and value < value_before then value
                     when kind = 'counter' then value - value_before
                     when kind = 'delta' then value else null end as risen,
                case when kind = 'counter' and (value_before is null or value is null) then null
                     when kind = 'counter' then (at_ns - at_before) / 1e9
                     when kind = 'delta' then (at_ns - coalesce(start_ns, at_before)) / 1e9 end as seconds,
                case when kind = 'histogram' and cumulative and (count_before is null or count < count_before) then null
                     when kind = 'histogram' and cumulative then count - count_before else count end as calls,
                case when kind = 'histogram' and cumulative and (count_before is null or count < count_before) then null
                     when kind = 'histogram' and cumulative then sum - sum_before else sum end as summed
              from told),
            per_series as (
              select series, {place}, any_value(unit) as unit,
                case when any_value(kind) in ('counter', 'delta') then sum(risen) / nullif(sum(seconds), 0)
                     else avg(value) end as value,
                sum(calls) as calls, sum(summed) as summed
              from steps where at_ns >= ? group by series, {place})
            select {place}, any_value(unit) as unit, avg(value) as average, sum(value) as total, min(value) as lowest,
              max(value) as highest, sum(calls) as calls, sum(summed) as summed
            from per_series where value is not null or calls > 0 group by {place} order by minute""",
        [
            *(max(first, clock.to_ns(end - alive)) if alive else first, last, list(NAMES), *parameters),
            *(list(names) for names, _ in PARTS),
            *wanted,
            *(first, last, clock.to_ns(start)),
        ],
    )
    return [Minute(**row) for row in rows]


def _label(names: Sequence[str]) -> str:
    """SQL of the first of these labels that a series has; the names are ours."""
    return "coalesce(" + ", ".join(f"nullif(labels['{name}'], '')" for name in names) + ")"


def places(since: datetime) -> list[dict[str, Any]]:
    """Every client, system and environment that has told metrics or logs since then."""
    at = clock.to_ns(since)
    return current().query(
        "select distinct client, system, environment from points where at_ns >= ?"
        " union select distinct client, system, environment from records where at_ns >= ?",
        [at, at],
    )


def records(
    start: datetime,
    end: datetime,
    clients: Clients = None,
    limit: int = 100,
    text: str = "",
    least_severity: int = 0,
    trace_id: str | None = None,
    cursor: str | None = None,
    **equals: str | None,
) -> list[dict[str, Any]]:
    """Log records, newest first; page on with the `cursor` of the last row. `text` is looked for in bodies and events,
    whatever its case. Raises Invalid."""
    for name in equals:
        if name not in COLUMNS:
            raise Invalid(f"{name!r} is no column of logs.", "One of: " + ", ".join(COLUMNS))
    where, parameters = _narrow(clients, equals)
    if text:
        where += (
            " and (contains(lower(coalesce(body, '')), lower(?)) or contains(lower(coalesce(event, '')), lower(?)))"
        )
        parameters += [text, text]
    if least_severity:
        where += " and severity >= ?"
        parameters.append(least_severity)
    if trace_id:
        try:
            parameters.append(bytes.fromhex(trace_id).hex())
        except ValueError:
            raise Invalid("A trace id is 32 hex digits.") from None
        where += " and trace_id = unhex(?)"
    if cursor is not None:
        where += " and (at_ns, digest) < (?, ?)"
        parameters += _place(cursor)
    rows = current().query(
        f"select * from records where at_ns >= ? and at_ns < ? and {where}"
        f" order by at_ns desc, digest desc limit {int(limit)}",
        [clock.to_ns(start), clock.to_ns(end), *parameters],
    )
    for row in rows:
        row["cursor"] = f"{row['at_ns']}-{row.pop('digest')}"
        for name in ("trace_id", "span_id"):
            row[name] = row[name].hex() if row[name] else None
        row["attributes"] = dict(row["attributes"] or {})
    return rows


def _place(cursor: str) -> list[int]:
    at, _, digest = cursor.partition("-")
    if not (at.isdigit() and digest.isdigit()):
        raise Invalid("That is no cursor of a list of logs.", "Use the `cursor` of the answer before.")
    return [int(at), int(digest)]
