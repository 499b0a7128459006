"""What a telemetry engine must do. Two do it: DuckDB, embedded, and ClickHouse, scaled out.

Questions are written once, in DuckDB's SQL, over the tables of `telemetry.tables`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from afterlaunch.telemetry.tables import Table
from afterlaunch.telemetry.tiers import Stretch


@dataclass(frozen=True)
class Gone:
    """A row of `calls` that a better one replaces."""

    client: str
    start_ns: int
    span_id: bytes
    members: Sequence[str] = ()


class Contested(Exception):
    """Another process replaces one of the calls that were to be replaced, or has done so: look again."""


@dataclass(frozen=True)
class Changes:
    """One commit: rows to add by table name, and calls to take out. `token` is the same whenever the same commit is
    tried again."""

    token: str
    added: Mapping[str, Any] = field(default_factory=dict)
    gone: Sequence[Gone] = ()


class Engine(Protocol):
    """Several threads may ask at once; one at a time writes."""

    shared: bool
    """Other processes write to it as well."""
    unwritable: tuple[type[Exception], ...]
    """What a write raises for rows that can never be stored; anything else may pass."""

    broken: tuple[type[Exception], ...]
    """What a write raises when it is not known whether it landed (a full disk, say); `reopen` finds out."""

    def reopen(self) -> None:
        """Go on after a write that broke, with what is durable."""
        ...

    def prepare(self, tables: Sequence[Table]) -> None:
        """Make the tables where they are missing, and bring old ones up to date."""
        ...

    def query(self, sql: str, parameters: Sequence[Any] = ()) -> list[dict[str, Any]]:
        """Rows as dicts. Parameters stand for `?` in order: text, numbers, instants in ns, lists of them; ids as hex
        text inside unhex()."""
        ...

    def arrow(self, sql: str, parameters: Sequence[Any] = ()) -> Any:
        """The same as an Arrow table."""
        ...

    def finish(self, spans: Any) -> None:
        """Before anything is asked for a commit of these spans (a column of ids): bring to an end what a crash left
        half done and may hold one of them."""
        ...

    def write(self, changes: Changes) -> None:
        """All or nothing, durable when it returns; the same token twice changes nothing more. Raises Contested, where
        several processes write; then nothing was written."""
        ...

    def land(self, table: Table, rows: Any, token: str) -> int:
        """Add the rows whose keys are not stored yet, each once; how many these were."""
        ...

    def delete(self, table: Table, condition: str, parameters: Sequence[Any] = ()) -> int:
        """Take rows out for good; how many these were."""
        ...

    def blank(self, table: Table, columns: Sequence[str], condition: str, parameters: Sequence[Any] = ()) -> int:
        """Empty these columns for good; of how many rows."""
        ...

    def restate(self, ids: Mapping[int, int], series: Any) -> None:
        """What was summed under one series (the key) counts under another (the value) from now on, in all tiers;
        `series` (schema SERIES) holds the new ones. All or nothing."""
        ...

    def stretches(self, first: int, last: int, grain: int) -> list[Stretch]:
        """Which tier of the rollups answers for which of the minutes [first, last), in order; none coarser than
        `grain` minutes. With a grain of 0 some may be too long, and others take that away again (`sign`)."""
        ...

    def whole_since(self, minute: int) -> bool:
        """Whether minutes alone tell all from that one on: none was forgotten, or hours and days always know."""
        ...

    def holding(self, trace_id: bytes) -> tuple[str, list[Any]]:
        """SQL, with parameters, that narrows `spans` to where this trace may be."""
        ...

    def upkeep(self, now_ns: int) -> None:
        """Whatever makes later questions cheaper; safe to repeat."""
        ...

    def lately(self) -> str:
        """SQL: rows of `calls` that other processes may have stored within the last minutes."""
        ...

    def keep(self, days: Mapping[str, int]) -> None:
        """Let rows of these tables go by themselves after so many days, where the engine can; others are taken out by
        `delete`."""
        ...

    def bytes_used(self) -> int:
        """On disk."""
        ...

    def bytes_free(self) -> int:
        """Of these, what the next rows will use again."""
        ...

    def disk_left(self) -> int:
        """Bytes that the disk it writes to still takes."""
        ...

    def bytes_by_table(self) -> dict[str, int]:
        """On disk, roughly: what several tables share is counted for each."""
        ...

    def close(self) -> None: ...
