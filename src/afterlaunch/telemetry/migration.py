"""Telemetry moved from one engine to another, and proof that all of it arrived.

Table by table and day by day: 1. both sides are summed up; 2. a day that agrees is left alone; 3. one that does not is
emptied on the new side and copied in pieces; 4. both sides are summed up again. So an interrupted run goes on where it
stopped, and a second run takes only what came since. Hours and days of the rollups are made from the minutes by either
engine; they are copied for the days whose minutes are forgotten.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from uuid import uuid4

import pyarrow as pa

from afterlaunch.telemetry.engines import Changes, Engine
from afterlaunch.telemetry.tables import CALL_TABLE, MINUTE_NS, PROFILE_TABLES, SUM_TABLES, TIERS, Table

PIECE = 50_000
DAY_NS = TIERS["day"] * MINUTE_NS
_MODULUS = 1_000_000_007
"""Every integer counts by its rest, so that the sum of a column of nanoseconds stays an Int64."""
Day = int | None  # since 1970; None: the table has no instants
Progress = Callable[[str, int], None]
"""Told the table and how many rows of it were dealt with since."""


@dataclass(frozen=True)
class Difference:
    """One table on one day: what the two sides tell, by count and column."""

    table: str
    day: Day
    source: Mapping[str, int]
    target: Mapping[str, int]


@dataclass(frozen=True)
class Moved:
    """`rows`: how many each table holds; `copied`: how many of them this run wrote."""

    rows: Mapping[str, int]
    copied: Mapping[str, int]
    differences: Sequence[Difference]


def migrate(
    source: Engine,
    target: Engine,
    tables: Sequence[Table],
    progress: Progress,
    first_day: Day = None,
    every_tier: bool = False,
) -> Moved:
    """Both sides have their tables. Nothing may write to either meanwhile. Days before `first_day` are left alone.
    `every_tier`: hours and days are compared where their minutes are there, too."""
    run = uuid4().hex
    rows: dict[str, int] = {}
    copied: dict[str, int] = {}
    differences = []
    for table in tables:
        made = frozenset[Day]() if every_tier else made_from_minutes(source, table)
        here, there = (facts(side, table, made, first_day) for side in (source, target))
        rows[table.name], copied[table.name] = sum(one["rows"] for one in here.values()), 0
        for day in sorted({*here, *there}, key=lambda one: one or 0):
            if not _agree(table, here.get(day), there.get(day)):
                _emptied(target, table, day)
                copied[table.name] += _copied(source, target, table, day, run)
            progress(table.name, here[day]["rows"] if day in here else 0)
        there = facts(target, table, made, first_day) if copied[table.name] else there
        differences += [
            Difference(table.name, day, here.get(day, {}), there.get(day, {}))
            for day in sorted({*here, *there}, key=lambda one: one or 0)
            if not _agree(table, here.get(day), there.get(day))
        ]
    return Moved(rows, copied, differences)


def size_of(engine: Engine, table: Table) -> int:
    """How many rows there are to copy."""
    if made := made_from_minutes(engine, table):
        return sum(one["rows"] for one in facts(engine, table, made).values())
    return int(engine.query(f"select count(*) as rows from {table.name}")[0]["rows"])


def made_from_minutes(engine: Engine, table: Table) -> frozenset[Day]:
    """Days whose rows in this table follow from minutes that are there: none, but in the coarser tables of sums."""
    for tiers in (SUM_TABLES, PROFILE_TABLES):
        if table in tiers.values() and table != tiers["minute"]:
            found = engine.query(f"select distinct minute // {TIERS['day']} as day from {tiers['minute'].name}")
            return frozenset(row["day"] for row in found)
    return frozenset()


def facts(
    engine: Engine, table: Table, without: frozenset[Day] = frozenset(), first_day: Day = None
) -> dict[Day, dict[str, int]]:
    """Day -> how many rows, the sum of every column of integers, and how long the texts of calls are; `without` and
    before `first_day`: days that are of no interest."""
    sums = [f'sum(coalesce("{name}", 0) % {_MODULUS})::bigint as "{name}"' for name in _integers(table)]
    sums += [f'sum(coalesce(strlen("{name}"), 0))::bigint as "{name}"' for name in _texts(table)]
    if table.summed and "calls" in table.schema.names and "series" in table.keys:
        sums.append("sum(series % 10007 * calls)::bigint as series")
    day = f'"{table.instant}" // {_a_day(table)}' if table.instant else "null"
    chosen = ", ".join([f"{day} as day", "count(*) as rows", *sums])
    where = "true" if first_day is None or not table.instant else f'"{table.instant}" >= {first_day * _a_day(table)}'
    found = engine.query(f"select {chosen} from {table.name} where {where}{' group by day' if table.instant else ''}")
    return {one: row for row in found if row["rows"] and (one := row.pop("day")) not in without}


def _integers(table: Table) -> list[str]:
    wanted = [field.name for field in table.schema if pa.types.is_integer(field.type)]
    return wanted if not table.summed else [name for name in wanted if name not in table.keys]


def _texts(table: Table) -> list[str]:
    return [field.name for field in table.schema if field.type == pa.string()] if table == CALL_TABLE else []


def _agree(table: Table, here: Mapping[str, int] | None, there: Mapping[str, int] | None) -> bool:
    without = {"rows"} if table.summed else set()
    one, other = ({k: v for k, v in (side or {}).items() if k not in without and v} for side in (here, there))
    return one == other


def _a_day(table: Table) -> int:
    return DAY_NS // table.unit_ns


def _of_day(table: Table, day: Day) -> str:
    if day is None:
        return "true"
    return f'"{table.instant}" >= {day * _a_day(table)} and "{table.instant}" < {(day + 1) * _a_day(table)}'


def _emptied(target: Engine, table: Table, day: Day) -> None:
    target.delete(table, _of_day(table, day))
    for tiers in (SUM_TABLES, PROFILE_TABLES):
        if table == tiers["minute"]:
            for tier in ("hour", "day"):
                target.delete(tiers[tier], _of_day(tiers[tier], day))


def _copied(source: Engine, target: Engine, table: Table, day: Day, run: str) -> int:
    names = ", ".join(f'"{name}"' for name in table.schema.names)
    count = 0
    for where in pieces(source, table, day):
        rows = source.arrow(f"select {names} from {table.name} where {where}").cast(table.schema).combine_chunks()
        if rows.num_rows:
            target.write(Changes(f"migrate-{run}-{table.name}-{where}", {table.name: rows}))
            count += rows.num_rows
    return count


def days(engine: Engine, table: Table) -> list[Day]:
    """Those on which there is something, in order."""
    found = engine.query(f'select distinct "{table.instant}" // {_a_day(table)} as day from {table.name} order by day')
    return [row["day"] for row in found]


def pieces(source: Engine, table: Table, day: Day) -> Iterator[str]:
    """Conditions that part the day, each for about PIECE rows at most."""
    if day is None:
        yield "true"
        return
    todo = [(day * _a_day(table), (day + 1) * _a_day(table))]
    while todo:
        first, last = todo.pop()
        where = f'"{table.instant}" >= {first} and "{table.instant}" < {last}'
        (found,) = source.query(f"select count(*) as rows from {table.name} where {where}")
        if found["rows"] <= PIECE or last - first < 2:
            if found["rows"]:
                yield where
            continue
        middle = (first + last) // 2
        todo += [(middle, last), (first, middle)]
