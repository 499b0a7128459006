"""Where rows land, and what becomes of those that never can: the good ones beside them are kept, they themselves become
a dead letter."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import pyarrow as pa

from afterlaunch.ground import clock
from afterlaunch.telemetry.apart import apart, halves_of_rows
from afterlaunch.telemetry.conventions import HOUSE


class Lander(Protocol):
    """Where batches of one signal land: the store itself for spans."""

    @property
    def unwritable(self) -> tuple[type[Exception], ...]:
        """What `commit` raises for rows that can never be stored."""
        ...

    def commit(self, tables: list[Any]) -> tuple[int, int]:
        """Returns (stored, duplicates). When it returns, the rows are durable."""
        ...

    def bury(self, at_ns: int, client: str, why: str, body: bytes) -> None: ...


@dataclass(frozen=True)
class Kept:
    """Rows."""

    stored: int
    duplicates: int
    buried: int


def keep_the_good(store: Lander, table: Any) -> Kept:
    """Raises what a store raises that cannot be written."""
    found = apart(table, lambda rows: store.commit([rows]), halves_of_rows, store.unwritable)
    stored, duplicates = (sum(counts) for counts in zip(*found.done, strict=True)) if found.done else (0, 0)
    if not found.bad:
        return Kept(stored, duplicates, 0)
    rows, first = pa.concat_tables([part for part, _ in found.bad]), found.bad[0][1]
    client = rows["client"][0].as_py() if "client" in rows.column_names else HOUSE
    store.bury(clock.now_ns(), client, told(first), as_bytes(rows))
    return Kept(stored, duplicates, rows.num_rows)


def told(problem: Exception) -> str:
    """Why rows cannot be stored, as their dead letter says it."""
    return f"{type(problem).__name__}: {problem}"[:2000]


def as_bytes(table: Any) -> bytes:
    """The rows as an Arrow stream."""
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return bytes(sink.getvalue().to_pybytes())
