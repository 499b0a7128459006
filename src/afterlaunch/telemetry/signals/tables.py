"""The tables of metrics and logs, and how batches land there once."""

from __future__ import annotations

from typing import Any

import pyarrow as pa

from afterlaunch.telemetry.signals.points import POINTS
from afterlaunch.telemetry.signals.records import RECORDS
from afterlaunch.telemetry.store import Store
from afterlaunch.telemetry.tables import Table

METRICS = Table("points", POINTS, ("series", "at_ns"), "at_ns", 1)
LOGS = Table("records", RECORDS, ("digest", "at_ns"), "at_ns", 1)
TABLES = (METRICS, LOGS)


def prepare(store: Store) -> None:
    """Make the tables where they are missing."""
    store.engine.prepare(TABLES)


class Lander:
    """Commits batches of one signal; what a Buffer needs."""

    def __init__(self, store: Store, table: Table) -> None:
        self._store, self._table = store, table
        self.unwritable = store.unwritable

    def commit(self, tables: list[Any]) -> tuple[int, int]:
        """Returns (stored, duplicates). When it returns, the rows are durable."""
        batch = pa.concat_tables(tables)
        stored = self._store.land(self._table, batch) if batch.num_rows else 0
        return stored, batch.num_rows - stored

    def bury(self, at_ns: int, client: str, why: str, body: bytes) -> None:
        self._store.bury(at_ns, client, why, body)
