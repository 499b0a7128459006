"""Calls or spans that a search finds, as a file: bounded in rows and in time, and it says when it was cut."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from django.http import FileResponse

from afterlaunch.ground import clock
from afterlaunch.telemetry.callrows import hex_of
from afterlaunch.telemetry.columns import SPANS
from afterlaunch.telemetry.queries import Clients
from afterlaunch.telemetry.store import current
from afterlaunch.telemetry.tables import CALLS
from afterlaunch.telemetry.views import files
from afterlaunch.telemetry.views.fields import CONTENT, COURSES
from afterlaunch.telemetry.views.finding import Asks
from afterlaunch.telemetry.views.search import Search

MOST_ROWS, SECONDS, PIECE = 100_000, 20.0, 10_000
_LEFT_OUT = {"stream_key", "rank", "minute", "attributes", "events"}
_COURSES = [f"(case when failed then {sql} end) as {name}" for name, sql in COURSES.items()]
_IDS = ("trace_id", "span_id", "parent_span_id")


def of_search(
    kind: str, search: Search, start: datetime, end: datetime, clients: Clients, table: str, content: bool
) -> FileResponse:
    """`content`: with what people and models said, where spans are asked for."""
    files.check(kind)
    asks = Asks.of(search, table, clients)
    columns = [name for name in (CALLS if table == "calls" else SPANS).names if name not in _LEFT_OUT]
    names = [name for name in columns if content or name not in CONTENT]
    found = _Pieces(asks, names, clock.to_ns(start), clock.to_ns(end))
    response = files.answer(kind, f"{table}-{start:%Y%m%dT%H%M}-{end:%Y%m%dT%H%M}", found)
    if found.reached > clock.to_ns(start):
        said = f"ends before {clock.from_ns(found.reached).isoformat()} going back; ask again with `to` set to it"
        response["Afterlaunch-Cut"] = said
        response["Content-Disposition"] = response["Content-Disposition"].replace(f".{kind}", f"-cut.{kind}")
    response["Afterlaunch-Rows"] = str(found.rows)
    return response


class _Pieces:
    """Arrow tables of up to PIECE rows, newest first; an empty one where nothing is found. `reached`: nothing later
    than this is missing."""

    def __init__(self, asks: Asks, names: list[str], first: int, last: int) -> None:
        self._asks, self._names, self._first, self._last = asks, names, first, last
        self.reached, self.rows = last, 0

    def __iter__(self) -> Iterator[Any]:
        columns = ", ".join([*(f'"{name}"' for name in self._names), *_COURSES])
        schema = (CALLS if self._asks.table == "calls" else SPANS).empty_table().select(self._names).schema
        for name in COURSES:
            schema = schema.append(pa.field(name, pa.bool_()))
        yield _readable(schema.empty_table())
        for since, until in self._asks.stretches(self._first, self._last, SECONDS):
            before = None
            while True:
                wanted = min(PIECE, MOST_ROWS - self.rows)
                if wanted <= 0:
                    return
                sql, parameters = self._asks.rows(since, until, wanted, before, columns)
                found = current().engine.arrow(sql, parameters).cast(schema)
                if found.num_rows:
                    self.rows += found.num_rows
                    starts, last = found["start_ns"], found.num_rows - 1
                    self.reached = starts[last].as_py()
                    before = f"{self.reached}-{found['span_id'][last].as_py().hex()}"
                    yield _readable(found)
                if found.num_rows < wanted:
                    break
            self.reached = since


def _readable(found: Any) -> Any:
    """Ids as hex, the start as an instant, costs as decimals."""
    for name in _IDS:
        if name in found.column_names:
            place = found.column_names.index(name)
            found = found.set_column(place, name, _hex(found[name]))
    start = pc.cast(found["start_ns"], pa.timestamp("ns", tz="UTC"))
    return found.set_column(found.column_names.index("start_ns"), "start", start)


def _hex(column: Any) -> Any:
    whole = column.combine_chunks()
    if not whole.null_count:
        return hex_of(whole) if len(whole) else pa.array([], pa.string())
    return pa.array([None if one is None else one.hex() for one in whole.to_pylist()], pa.string())
