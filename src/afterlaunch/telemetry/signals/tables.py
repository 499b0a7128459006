"""The tables of metrics and logs in the embedded store, and how batches land there once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from afterlaunch.telemetry.signals.points import POINTS
from afterlaunch.telemetry.signals.records import RECORDS
from afterlaunch.telemetry.store import Store, column_type


@dataclass(frozen=True)
class Table:
    """`keys` tell two sendings of one item; the first is the item's, the last its instant."""

    name: str
    schema: Any
    keys: tuple[str, ...]

    @property
    def create(self) -> str:
        columns = ", ".join(f'"{field.name}" {column_type(field)}' for field in self.schema)
        return f"create table if not exists {self.name} ({columns})"

    @property
    def fresh(self) -> str:
        """What a batch holds that is not stored yet, each item once."""
        same = " and ".join(f"s.{key} = b.{key}" for key in self.keys)
        return f"""select * from batch b where not exists (
            select 1 from {self.name} s where {same}
              and s.at_ns between (select min(at_ns) from batch) and (select max(at_ns) from batch))
            qualify row_number() over (partition by {", ".join(self.keys)}) = 1"""


METRICS = Table("points", POINTS, ("series", "at_ns"))
LOGS = Table("records", RECORDS, ("digest", "at_ns"))
TABLES = (METRICS, LOGS)


def prepare(store: Store) -> None:
    """Make the tables where they are missing."""
    with store.transaction() as cursor:
        for table in TABLES:
            cursor.execute(table.create)


class Lander:
    """Commits batches of one signal; has the one method that a Buffer needs."""

    def __init__(self, store: Store, table: Table) -> None:
        self._store, self._table = store, table

    def commit(self, tables: list[Any]) -> tuple[int, int]:
        """Returns (stored, duplicates). When it returns, the rows are durable."""
        batch = pa.concat_tables(tables)
        if not batch.num_rows:
            return 0, 0

        with self._store.transaction() as cursor:
            cursor.register("batch", batch)
            stored = int(cursor.execute(f"insert into {self._table.name} {self._table.fresh}").fetchone()[0])
        return stored, batch.num_rows - stored

    def bury(self, at_ns: int, client: str, why: str, body: bytes) -> None:
        self._store.bury(at_ns, client, why, body)
