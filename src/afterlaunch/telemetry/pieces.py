"""What one commit holds: which of the waiting tables it takes, and how they are put into one piece. Pure."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from functools import partial
from typing import Any

import pyarrow as pa

from afterlaunch.telemetry.journal import Position
from afterlaunch.telemetry.tables import ROW_GROUP

MAX_ROWS = 2 * ROW_GROUP
"""Of a commit. A table that gets a whole group is written straight to its place, what is less goes to DuckDB's log
first, and a checkpoint writes it again: with one group of spans the calls among them took a sixth more CPU."""
BACKLOG_ROWS = MAX_ROWS
"""While so many wait for others to be committed, their senders wait, too: the next commit is full when one ends."""
COMMIT_BYTES = 2**26
"""Of the bodies of a commit: of spans with very long texts it takes few."""
MOST_BYTES = 2**29
"""Put into one piece: no column comes near what Arrow can hold."""


@dataclass(eq=False)
class Waiting:
    """`position`: where the journal has it; its sender is answered already then."""

    table: Any
    size: int
    done: Future[int]
    position: Position | None = None


def in_one_piece(group: Sequence[Waiting]) -> list[Any]:
    """The rows of all. Each keeps its part of the whole; what it came with goes column by column, so that hardly more
    than one column is in memory twice. Rows that an older version put down stay apart. Where it fails, each has all of
    its columns as before. Raises MemoryError, ArrowCapacityError."""
    schema = group[0].table.schema
    if len(group) == 1 or any(one.table.schema != schema for one in group):
        return [one.table for one in group]
    if sum(one.size or one.table.nbytes for one in group) > MOST_BYTES:
        return [one.table for one in group]
    sizes = [one.table.num_rows for one in group]
    own = [one.table.columns for one in group]
    for one in group:
        one.table = None
    columns: list[Any] = []
    nothing = partial(_nothing, sum(sizes), {})
    try:
        while len(columns) < len(schema):
            columns.append(_joined([parts[len(columns)] for parts in own], nothing))
            for parts in own:
                parts[len(columns) - 1] = None
    except BaseException:
        _give_back(group, sizes, columns, own, schema)
        raise
    whole, at = pa.table(columns, schema=schema), 0
    for one, size in zip(group, sizes, strict=True):
        one.table = whole.slice(at, size)
        at += size
    return [whole]


def _joined(parts: Sequence[Any], nothing: Callable[[Any], Any]) -> Any:
    kind = parts[0].type
    if all(column.null_count == len(column) for column in parts):
        return pa.chunked_array([nothing(kind)])
    return pa.chunked_array([part for column in parts for part in column.chunks], kind).combine_chunks()


def _nothing(count: int, made: dict[Any, Any], kind: Any) -> Any:
    """NULLs; columns without a value share them."""
    return made[kind] if kind in made else made.setdefault(kind, pa.nulls(count, kind))


def _give_back(
    group: Sequence[Waiting], sizes: Sequence[int], columns: Sequence[Any], own: Sequence[Sequence[Any]], schema: Any
) -> None:
    """Of what was put together its part to each, before what it still has of its own."""
    at = 0
    for one, size, parts in zip(group, sizes, own, strict=True):
        given = [column.slice(at, size) for column in columns]
        one.table = pa.table([*given, *parts[len(columns) :]], schema=schema)
        at += size


def rows_of(waiting: Iterable[Waiting]) -> int:
    return sum(one.table.num_rows for one in waiting)


def bytes_of(waiting: Iterable[Waiting]) -> int:
    return sum(one.size for one in waiting)


def full(backlog: deque[Waiting]) -> list[Waiting]:
    """Take from the left what one commit holds. A body that was answered for may be cut in two."""
    group = [backlog.popleft()]
    room, left = MAX_ROWS - group[0].table.num_rows, COMMIT_BYTES - group[0].size
    while backlog and backlog[0].table.num_rows <= room and backlog[0].size <= left:
        group.append(backlog.popleft())
        room, left = room - group[-1].table.num_rows, left - group[-1].size
    before = group[-1].position
    if backlog and room > 0 and backlog[0].size <= left and before is not None and backlog[0].position is not None:
        cut = backlog.popleft()
        # Its place in the journal is told with the second part; the first stands where the body before it ends.
        group.append(Waiting(cut.table.slice(0, room), 0, cut.done, before))
        backlog.appendleft(Waiting(cut.table.slice(room), cut.size, cut.done, cut.position))
    return group
