"""A table of somebody's, whatever it is made of, as bodies that the server reads: Arrow where pyarrow is there, else
JSON lines. pandas and polars are never imported: a table of theirs brings them."""

from __future__ import annotations

import io
import json
import math
from collections.abc import Callable, Iterable, Mapping
from datetime import date, datetime, time
from decimal import Decimal
from enum import Enum
from typing import Any, Protocol
from uuid import UUID

SAMPLE = 1_000  # rows by which the size of all is guessed


class Table(Protocol):
    """`encoded` gives the same bytes for the same rows."""

    content_type: str
    names: list[str]
    count: int

    def encoded(self, start: int, stop: int) -> bytes: ...

    def values(self, name: str) -> list[Any]: ...

    def taken(self, order: list[int]) -> Table: ...

    def extended(self, name: str, values: list[list[float]]) -> Table: ...


class Lines:
    content_type = "application/x-ndjson"

    def __init__(self, columns: dict[str, list[Any]]) -> None:
        self._columns, self.names = columns, list(columns)
        self.count = len(next(iter(columns.values()), ()))

    def encoded(self, start: int, stop: int) -> bytes:
        columns = [[_plain(one, name) for one in values[start:stop]] for name, values in self._columns.items()]
        dump: Callable[[Any], str] = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode
        rows = (dump(dict(zip(self.names, row, strict=True))) for row in zip(*columns, strict=True))
        return "\n".join(rows).encode()

    def values(self, name: str) -> list[Any]:
        return self._columns[name]

    def extended(self, name: str, values: list[list[float]]) -> Table:
        return Lines({**self._columns, name: values})

    def taken(self, order: list[int]) -> Table:
        return Lines({name: [values[at] for at in order] for name, values in self._columns.items()})


class Arrow:
    content_type = "application/vnd.apache.arrow.stream"

    def __init__(self, table: Any) -> None:
        self._table, self.names, self.count = table, list(table.column_names), int(table.num_rows)

    def encoded(self, start: int, stop: int) -> bytes:
        import pyarrow.ipc as ipc

        sink = io.BytesIO()
        with ipc.new_stream(sink, self._table.schema) as writer:
            writer.write_table(self._table.slice(start, stop - start).combine_chunks())
        return sink.getvalue()

    def values(self, name: str) -> list[Any]:
        """Of instants their count since 1970: Python has no nanoseconds."""
        column = self._table.column(name)
        if getattr(column.type, "tz", None):
            column = column.cast("int64")
        found: list[Any] = column.to_pylist()
        return found

    def extended(self, name: str, values: list[list[float]]) -> Table:
        import pyarrow

        column = pyarrow.array(values, pyarrow.list_(pyarrow.float32()))
        return Arrow(self._table.drop_columns([name] if name in self.names else []).append_column(name, column))

    def taken(self, order: list[int]) -> Table:
        return Arrow(self._table.take(order))


def read(data: Any) -> Table:
    """Of a DataFrame of pandas or polars, a pyarrow Table, a mapping of columns or an iterable of mappings. Raises
    TypeError, ValueError."""
    arrow, kind = _pyarrow(), type(data)
    of = (kind.__module__.partition(".")[0], kind.__name__)
    if of == ("pyarrow", "RecordBatch"):
        data, of = arrow.Table.from_batches([data]), ("pyarrow", "Table")
    if of == ("pyarrow", "Table"):
        return _of_arrow(arrow, data) or Lines(_columns(dict(zip(data.column_names, data.columns, strict=True))))
    if of == ("pandas", "DataFrame"):
        return _of_pandas(arrow, data)
    if of == ("polars", "LazyFrame"):
        raise TypeError("A LazyFrame holds no rows yet: give its collect().")
    if of == ("polars", "DataFrame"):
        found = _of_arrow(arrow, data.to_arrow()) if arrow else None
        return found or Lines(data.to_dict(as_series=False))
    if isinstance(data, Mapping):
        return _of_columns(arrow, dict(data))
    if isinstance(data, Iterable) and not isinstance(data, (str, bytes)):
        return _of_columns(arrow, _turned(data))
    raise TypeError(f"Rows come as a DataFrame, an Arrow table, a dict of columns or dicts, not as {kind.__name__}.")


def with_vectors(table: Table, given: Mapping[str, Any]) -> Table:
    """The table with a column of vectors for each name. Raises ValueError where there are more or fewer than rows."""
    for name, vectors in given.items():
        rows = [list(map(float, one)) for one in (vectors.tolist() if hasattr(vectors, "tolist") else vectors)]
        if len(rows) != table.count:
            raise ValueError(f"There are {len(rows):,} vectors {name!r} for {table.count:,} rows.")
        table = table.extended(str(name), rows)
    return table


def by_time(table: Table, name: str) -> Table:
    """Ordered by a column of times, so that parts of it touch few hours; as it is where one cannot be read, which the
    server then says."""
    try:
        instants = [_instant(one) for one in table.values(name)]
    except (ValueError, TypeError):
        return table
    return table.taken(sorted(range(table.count), key=instants.__getitem__))


def rows_within(table: Table, limit: int) -> int:
    """About how many rows make a body of so many bytes."""
    sample = min(table.count, SAMPLE)
    return max(1, int(sample * limit * 0.9 / max(1, len(table.encoded(0, sample)))))


def _pyarrow() -> Any:
    try:
        import pyarrow
    except ImportError:
        return None
    return pyarrow


def _of_pandas(arrow: Any, frame: Any) -> Table:
    names = [str(name) for name in frame.columns]
    if len(set(names)) < len(names):
        raise ValueError(f"Two columns are called {next(one for one in names if names.count(one) > 1)!r}.")
    if arrow is not None:
        try:
            found = _of_arrow(arrow, arrow.Table.from_pandas(frame, preserve_index=False))
        except (arrow.ArrowException, TypeError, ValueError):  # kinds mixed in a column: the server sorts that out
            found = None
        if found is not None:
            return found
    known = frame.astype(object).where(frame.notna(), None)
    return Lines({name: known.iloc[:, at].tolist() for at, name in enumerate(names)})


def _of_columns(arrow: Any, given: dict[Any, Any]) -> Table:
    columns = {str(name): values for name, values in given.items()}
    if arrow is not None:
        try:
            plain = {name: arrow.array(values, from_pandas=True) for name, values in columns.items()}
            found = _of_arrow(arrow, arrow.table(plain)) if _even(columns) else None
        except (arrow.ArrowException, TypeError, ValueError, OverflowError):
            found = None
        if found is not None:
            return found
    lists = _columns(columns)
    if not _even(lists):
        told = ", ".join(f"{name} {len(values):,}" for name, values in lists.items())
        raise ValueError(f"The columns differ in length: {told}.")
    return Lines(lists)


def _even(columns: Mapping[str, Any]) -> bool:
    try:
        return len({len(values) for values in columns.values()}) <= 1
    except TypeError:  # an iterator
        return False


def _of_arrow(arrow: Any, table: Any) -> Table | None:
    """Of plain columns and vectors in their plain forms; None where one is nested otherwise or of an extension type."""
    types, fields, columns = arrow.types, [], []
    for field, given in zip(table.schema, table.columns, strict=True):
        column, kind = given, field.type
        if types.is_dictionary(kind):
            kind = kind.value_type
        if types.is_string_view(kind):
            kind = arrow.large_string()
        if types.is_fixed_size_list(kind) or types.is_large_list(kind):
            kind = arrow.list_(kind.value_type)
        vector = types.is_list(kind) and (types.is_floating(kind.value_type) or types.is_integer(kind.value_type))
        if (types.is_nested(kind) and not vector) or isinstance(kind, arrow.BaseExtensionType):
            return None
        if kind != field.type:
            column = column.cast(kind)
        fields.append(arrow.field(field.name, kind))
        columns.append(column)
    return Arrow(arrow.Table.from_arrays(columns, schema=arrow.schema(fields)))


def _turned(rows: Iterable[Any]) -> dict[str, list[Any]]:
    """Columns of rows; a key that a row lacks is None there."""
    found: dict[str, list[Any]] = {}
    count = 0
    for row in rows:
        if not isinstance(row, Mapping):
            raise TypeError(f"Row {count + 1} is no dict but {type(row).__name__}.")
        for name, value in row.items():
            column = found.setdefault(str(name), [])
            column.extend([None] * (count - len(column)))
            column.append(value)
        count += 1
    return {name: values + [None] * (count - len(values)) for name, values in found.items()}


def _columns(given: Mapping[str, Any]) -> dict[str, list[Any]]:
    return {name: _list(values, name) for name, values in given.items()}


def _list(values: Any, name: str) -> list[Any]:
    if isinstance(values, (str, bytes)) or not hasattr(values, "__iter__"):
        raise TypeError(f"The column {name!r} is no list of values but {type(values).__name__}.")
    of = type(values).__module__.partition(".")[0]
    if of == "numpy" and values.dtype.kind in "mM":  # its own tolist would give numbers
        return list(values.astype(str).tolist())
    for way in ("tolist", "to_list", "to_pylist"):
        if hasattr(values, way):
            return list(getattr(values, way)())
    return list(values)


def _plain(value: Any, name: str) -> Any:
    """As JSON has it. Raises TypeError."""
    if value is None or isinstance(value, (str, bool, int)):
        return value.value if isinstance(value, Enum) else value
    if isinstance(value, (float, Decimal)):
        number = float(value)
        return number if math.isfinite(number) else None if math.isnan(number) else str(number)
    if isinstance(value, (datetime, date, time)):
        return None if value != value else value.isoformat()  # NaT is not itself
    if isinstance(value, UUID):
        return str(value)
    if isinstance(value, Enum):
        return _plain(value.value, name)
    if isinstance(value, Mapping):
        return {str(key): _plain(one, name) for key, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(one, name) for one in value]
    if type(value).__name__ == "NAType":
        return None
    if hasattr(value, "tolist"):  # of numpy
        return _plain(value.tolist(), name)
    raise TypeError(f"The column {name!r} holds a {type(value).__name__}, which cannot be sent.")


def _instant(value: Any) -> float:
    if isinstance(value, int):
        return value
    at = datetime.fromisoformat(value.replace("Z", "+00:00")) if isinstance(value, str) else value
    if at.tzinfo is None:
        raise ValueError("no zone")
    return float(at.timestamp())
