"""Rows of one key of a summed table put together, as ClickHouse does by itself: many small commits leave many."""

from __future__ import annotations

from afterlaunch.telemetry.engines.duck import Duck
from afterlaunch.telemetry.tables import Table

LOOK_NS = 48 * 3_600_000_000_000  # what comes later than that stays as it is: it is little
TIMES = 2


def put_together(engine: Duck, table: Table, now_ns: int) -> int:
    """Of instants that hold over twice the rows they need; how many rows went."""
    keys = ", ".join(f'"{name}"' for name in table.keys)
    sums = ", ".join(f'sum("{name}")::bigint as "{name}"' for name in table.schema.names if name not in table.keys)
    instant = f'"{table.instant}"'
    crowded = engine.query(
        f"select {instant} as instant, count(*) - count(distinct ({keys})) as spare from {table.name}"
        f" where {instant} >= ? group by {instant} having count(*) > {TIMES} * count(distinct ({keys}))",
        [(now_ns - LOOK_NS) // table.unit_ns],
    )
    if not crowded:
        return 0
    with engine.transaction() as cursor:
        told = [row["instant"] for row in crowded]
        inside = f"from {table.name} where {instant} in (select unnest(?))"
        found = cursor.sql(f"select {keys}, {sums} {inside} group by {keys}", params=[told]).to_arrow_table()
        cursor.register("together", found)
        cursor.execute(f"delete {inside}", [told])
        cursor.execute(f"insert into {table.name} by name select * from together")
    return sum(row["spare"] for row in crowded)
