"""A body of rows as Arrow columns: JSON lines, an Arrow IPC stream or Parquet. What is wrong with it is said by row and
column; nothing of it is larger than the limits, whatever it claims."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.compute as pc

from afterlaunch.ground.errors import AfterlaunchError, Invalid, TooLarge, Unsupported
from afterlaunch.predictions import arrow_messages
from afterlaunch.profiles.hashing import Array, mixed, second_half
from afterlaunch.profiles.layouts import digest
from afterlaunch.profiles.values import categories, numbers
from afterlaunch.profiles.vectors import is_vector

ROWS, COLUMNS, CELLS = 500_000, 500, 20_000_000
UNPACKED = 256 << 20  # bytes
NAME = 200  # characters
ID, TIME, VERSION = "prediction_id", "time", "model_version"
OWN = (ID, TIME, VERSION)
EARLIEST = int(datetime(2000, 1, 1, tzinfo=UTC).timestamp()) * 10**6


@dataclass(frozen=True)
class Rows:
    columns: dict[str, pa.Array]
    count: int

    @property
    def features(self) -> dict[str, pa.Array]:
        return {name: column for name, column in self.columns.items() if name not in OWN}


def read(body: bytes, content_type: str) -> Rows:
    """Raises Invalid, TooLarge, Unsupported."""
    kind = content_type.partition(";")[0].strip().lower()
    reader = READERS.get(kind)
    if reader is None:
        raise Unsupported(f"Content-Type {kind or 'none'!r} is not read.", "Use one of: " + ", ".join(READERS))
    if not body:
        raise Invalid("The body is empty.", "Send at least one row.")
    try:
        rows = reader(body)
    except AfterlaunchError:
        raise
    except (pa.ArrowException, OSError, ValueError, OverflowError, MemoryError) as problem:
        told = " ".join(str(problem).split())[:300]
        raise Invalid(f"The body can't be read as {kind}: {told}") from problem
    if not rows.count:
        raise Invalid("The body has no rows.", "Send at least one row.")
    return rows


def _require_room(rows: int, columns: int) -> None:
    if columns > COLUMNS:
        raise TooLarge(f"A body may have {COLUMNS} columns; this one has {columns}.", "Leave some out.")
    if rows > ROWS or rows * columns > CELLS:
        raise TooLarge(f"A body may have {ROWS:,} rows and {CELLS:,} values.", "Split it by rows.")


def _names(names: list[str]) -> None:
    for name in names:
        if not name.strip() or len(name) > NAME or "\x00" in name:
            raise Invalid(f"A column's name must have 1 to {NAME} characters; this one is {name[:60]!r}.")
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise Invalid(f"Two columns are called {twice!r}.", "Give each a name of its own.")


def _lines(body: bytes) -> Rows:
    """One JSON object a line; a key that a line lacks is null there."""
    if body[:2] in (b"\xff\xfe", b"\xfe\xff"):
        raise Invalid("The body is text in UTF-16.", "JSON lines are written in UTF-8.")
    found: dict[str, list[Any]] = {}
    count = 0
    for number, line in enumerate(body.removeprefix(b"\xef\xbb\xbf").split(b"\n"), 1):
        if not line.strip():
            continue
        try:
            row = orjson.loads(line)
        except orjson.JSONDecodeError as problem:
            hint = "JSON lines are written in UTF-8." if "UTF-8" in problem.msg else "One JSON object on each line."
            raise Invalid(f"Line {number} is not JSON: {problem.msg}.", hint) from problem
        if not isinstance(row, dict):
            raise Invalid(f"Line {number} is no JSON object.", "One JSON object on each line.")
        for name, value in row.items():
            column = found.get(name)
            if column is None:
                column = found[name] = []
                _require_room(count + 1, len(found))
            column.extend([None] * (count - len(column)))
            column.append(value)
        count += 1
        if count % 4096 == 0:
            _require_room(count, len(found))
    _require_room(count, len(found))
    _names(list(found))
    return Rows({name: _column(values + [None] * (count - len(values))) for name, values in found.items()}, count)


def _column(values: list[Any]) -> pa.Array:
    """Of one kind where the values are; else as text, in which numbers are found again."""
    if not any(isinstance(one, dict | list) for one in values):
        try:
            return pa.array(values)
        except (pa.ArrowException, OverflowError, TypeError, ValueError):
            pass  # mixed kinds
    return pa.array([_text(one) for one in values], pa.string())


def _text(value: Any) -> str | None:
    if value is None or isinstance(value, str):
        return value
    return orjson.dumps(value).decode()


def _stream(body: bytes) -> Rows:
    _refuse_compressed(body)
    with pa.ipc.open_stream(pa.py_buffer(body)) as reader:
        _schema(reader.schema)
        return _joined(reader.schema, iter(reader.read_next_batch, None))


def _refuse_compressed(body: bytes) -> None:
    for message in pa.ipc.MessageReader.open_stream(pa.py_buffer(body)):
        if arrow_messages.compressed(message.metadata.to_pybytes()):
            raise Unsupported("Compressed Arrow bodies are not taken.", "Write without compression, or Parquet.")


def _parquet(body: bytes) -> Rows:
    import pyarrow.parquet as parquet

    file = parquet.ParquetFile(pa.BufferReader(body), memory_map=False, pre_buffer=False)
    told = file.metadata
    _require_room(told.num_rows, told.num_columns)
    size = sum(told.row_group(at).total_byte_size for at in range(told.num_row_groups))
    if size > UNPACKED:
        raise TooLarge(f"Unpacked, a body may have {UNPACKED >> 20} MiB.", "Split it by rows.")
    _schema(file.schema_arrow)
    texts = [one.name for one in file.schema_arrow if is_text(one.type)]
    file = parquet.ParquetFile(pa.BufferReader(body), memory_map=False, pre_buffer=False, read_dictionary=texts)
    return _joined(file.schema_arrow, file.iter_batches(65_536, use_threads=False))


def is_text(kind: pa.DataType) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind))


def _schema(schema: pa.Schema) -> None:
    _require_room(0, len(schema))
    _names(schema.names)
    for field in schema:
        kind = field.type.value_type if pa.types.is_dictionary(field.type) else field.type
        types = pa.types
        plain = (types.is_integer, types.is_floating, types.is_decimal, types.is_boolean, types.is_temporal)
        if not (is_text(kind) or types.is_null(kind) or is_vector(kind) or any(one(kind) for one in plain)):
            raise Invalid(
                f"Column {field.name!r} has the type {field.type}, which is not taken.",
                "Plain columns of numbers, texts, truth values and times, and lists of numbers (vectors).",
            )


def _joined(schema: pa.Schema, batches: Iterator[pa.RecordBatch]) -> Rows:
    taken, count, size = [], 0, 0
    for batch in _until_end(batches):
        count += batch.num_rows
        _require_room(count, batch.num_columns)
        batch.validate(full=True)  # offsets of a stranger may point anywhere
        size += batch.nbytes
        if size > UNPACKED:
            raise TooLarge(f"Unpacked, a body may have {UNPACKED >> 20} MiB.", "Split it by rows.")
        taken.append(batch)
    if not taken:
        return Rows({}, 0)
    table = pa.Table.from_batches(taken, taken[0].schema).unify_dictionaries().combine_chunks()
    columns = {}
    for name in schema.names:
        chunks = table.column(name).chunks
        columns[name] = chunks[0] if len(chunks) == 1 else pa.concat_arrays(chunks)
    return Rows(columns, count)


def _until_end(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    while True:
        try:
            batch = next(batches)
        except StopIteration:
            return
        if batch.num_rows:
            yield batch


READERS: dict[str, Callable[[bytes], Rows]] = {
    "application/x-ndjson": _lines,
    "application/jsonl": _lines,
    "application/vnd.apache.arrow.stream": _stream,
    "application/vnd.apache.parquet": _parquet,
}


def ids(rows: Rows) -> Array:
    """64 bits of each row's prediction id. Raises Invalid where ids are missing or not distinct."""
    column = rows.columns.get(ID)
    if column is None:
        raise Invalid(f"There is no column {ID!r}.", "It says which rows are the same prediction.")
    no_nulls(column, ID)
    found = categories(column)
    if len(found.values) < rows.count:
        twice = int(np.bincount(found.codes, minlength=len(found.values)).argmax())
        raise Invalid(f"{ID} {found.values[twice]!r} stands in more than one row.", "Send each prediction once.")
    return np.fromiter((digest(value) for value in found.values), np.uint64, len(found.values))[found.codes]


def second_halves(rows: Rows) -> Array:
    """Of each row, by its prediction id, whether it goes to the second half."""
    return second_half(mixed(ids(rows)))


def halves_or_rows(rows: Rows) -> Array:
    """For a table that may have no ids, such as training data."""
    return second_halves(rows) if ID in rows.columns else second_half(mixed(np.arange(rows.count)))


def versions(rows: Rows) -> tuple[list[str], Array]:
    """Versions of the model, and which each row has. A row without one has ''."""
    column = rows.columns.get(VERSION)
    if column is None:
        return [""], np.zeros(rows.count, np.int64)
    found = categories(column)
    values, codes = list(found.values), found.codes.astype(np.int64)
    if found.valid is not None:
        every = np.full(rows.count, len(values), np.int64)
        every[found.valid] = codes
        values, codes = [*values, ""], every
    return values, codes


def no_nulls(column: pa.Array, name: str) -> None:
    """Nor an empty text."""
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    absent = column.is_null()
    if is_text(column.type):
        absent = pc.or_kleene(absent, pc.equal(column, ""))
    if pc.any(absent).as_py():
        raise Invalid(f"Row {pc.index(absent, True).as_py() + 1} has no {name}.", "Nothing of the body was taken.")


def times(rows: Rows, latest: datetime) -> Array:
    """Microseconds since 1970 of each row. Raises Invalid for times without a zone, or beyond `latest`."""
    column = rows.columns.get(TIME)
    if column is None:
        raise Invalid(
            f"There is no column {TIME!r}.", "When each prediction was made, for example 2026-03-01T12:00:00Z"
        )
    no_nulls(column, TIME)
    kind = column.type
    if pa.types.is_timestamp(kind):
        if kind.tz is None:
            raise Invalid(f"The column {TIME!r} has no time zone.", "Write timestamps with a zone, such as UTC.")
        found = numbers(column.cast(pa.timestamp("us", kind.tz), safe=False).cast(pa.int64())).values.astype(np.int64)
    elif is_text(kind) or pa.types.is_dictionary(kind):
        found = np.fromiter(map(_instant, column.to_pylist(), range(1, rows.count + 1)), np.int64, rows.count)
    else:
        raise Invalid(f"The column {TIME!r} has the type {kind}.", "Use RFC 3339 text or Arrow timestamps.")
    for wrong, told in (
        (found < EARLIEST, "lies before the year 2000"),
        (found > int(latest.timestamp() * 10**6), "lies in the future"),
    ):
        if wrong.any():
            raise Invalid(f"The time of row {int(wrong.argmax()) + 1} {told}.", "Nothing of the body was taken.")
    return found


def _instant(text: Any, row: int) -> int:
    try:
        at = datetime.fromisoformat(text)
    except (ValueError, TypeError) as problem:
        raise Invalid(f"The time of row {row} is not RFC 3339: {str(text)[:60]!r}.") from problem
    if at.tzinfo is None:
        raise Invalid(f"The time of row {row} has no zone: {text[:60]!r}.", "For example 2026-03-01T12:00:00Z")
    return int(at.timestamp() * 1_000_000)
