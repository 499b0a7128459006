"""Rows of one key of a summed table put together, as ClickHouse does by itself: many small commits leave many."""

from __future__ import annotations

from afterlaunch.telemetry.engines.duck import Duck
from afterlaunch.telemetry.tables import Table

LOOK_NS = 48 * 3_600_000_000_000  # what comes later than that stays as it is: it is little
TIMES = 2


def put_together(engine: Duck, table: Table, now_ns: int, needed: dict[int, int]) -> int:
    """Of instants that hold over twice the rows they need; how many rows went. `needed`: how many rows each instant
    needed when it was last counted, kept by the caller. They only grow, so who holds less than twice that is left."""
    keys = ", ".join(f'"{name}"' for name in table.keys)
    sums = ", ".join(f'sum("{name}")::bigint as "{name}"' for name in table.schema.names if name not in table.keys)
    instant = f'"{table.instant}"'
    held = engine.query(
        f"select {instant} as instant, count(*) as held from {table.name} where {instant} >= ? group by {instant}",
        [(now_ns - LOOK_NS) // table.unit_ns],
    )
    suspects = [row["instant"] for row in held if row["held"] > TIMES * needed.get(row["instant"], 0)]
    if not suspects:
        return 0
    inside = f"from {table.name} where {instant} in (select unnest(?))"
    counted = engine.query(
        f"select {instant} as instant, count(distinct ({keys})) as needed {inside} group by {instant}", [suspects]
    )
    fresh = {row["instant"]: row["needed"] for row in counted}
    there = {row["instant"]: row["held"] for row in held}
    for old in needed.keys() - there.keys():
        del needed[old]
    needed.update(fresh)
    crowded = [one for one, enough in fresh.items() if there[one] > TIMES * enough]
    if not crowded:
        return 0
    with engine.transaction() as cursor:
        found = cursor.sql(f"select {keys}, {sums} {inside} group by {keys}", params=[crowded]).to_arrow_table()
        cursor.register("together", found)
        cursor.execute(f"delete {inside}", [crowded])
        cursor.execute(f"insert into {table.name} by name select * from together")
    engine.lighten(sum(there[one] for one in crowded))
    return sum(there[one] - fresh[one] for one in crowded)
