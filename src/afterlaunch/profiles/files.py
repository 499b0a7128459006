"""Tables in files, read in batches of bounded size: Parquet column by column, CSV and JSON lines row by row."""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

from afterlaunch.ground.errors import Invalid
from afterlaunch.profiles.json_lines import JsonLinesTable
from afterlaunch.profiles.tables import ROWS, Batch, Table, Trouble
from afterlaunch.profiles.vectors import ROWS as VECTOR_ROWS
from afterlaunch.profiles.vectors import is_vector

__all__ = ["Batch", "CsvTable", "ParquetTable", "Table", "Trouble", "open_table"]
BLOCK_BYTES = 1 << 20
HEADER_BYTES = 1 << 20
GROUP_BYTES = 4 << 20
MANY_BYTES = 1 << 19  # of a dictionary; writers give one up at a megabyte
DELIMITERS = ",;\t|"
MISSING = ("", "NA", "N/A", "#N/A", "n/a", "NaN", "nan", "-nan", "NULL", "null", "None", "none", "<NA>", "NaT")


def open_table(path: Path, encoding: str = "utf-8", delimiter: str = "", missing: Sequence[str] = MISSING) -> Table:
    """Raises `Invalid` for what is neither. `missing`: what a CSV file writes for no value."""
    try:
        with path.open("rb") as file:
            start = file.read(4)
    except OSError as problem:
        raise Invalid(f"{path} can't be read: {problem.strerror}.") from problem
    if start == b"PAR1":
        return ParquetTable(path)
    if start.removeprefix(b"\xef\xbb\xbf")[:1] == b"{":
        return JsonLinesTable(path)
    if not start:
        raise Invalid(f"{path} is empty.", "It needs a line with the names of the columns, and rows.")
    if start.lstrip().startswith(b"[") and start.lstrip()[1:].lstrip()[:1] in (b"{", b""):
        raise Invalid(f"{path} is a JSON array.", "Write one JSON object on each line, without brackets and commas.")
    if len(delimiter) > 1 or delimiter in ('"', "\r", "\n"):
        raise Invalid(
            f"The delimiter {delimiter!r} is not one character between values.", "For example , ; | or a tab."
        )
    if start[:2] in (b"\xff\xfe", b"\xfe\xff") and encoding == "utf-8":
        encoding = "utf-16"
    return CsvTable(path, encoding, delimiter, missing)


def _unique(names: Sequence[str], trouble: Trouble) -> list[str]:
    """The second column called `a` is `a#2` here."""
    often, seen, found = Counter(names), Counter[str](), []
    taken = set(names)
    for name in names:
        seen[name] += 1
        called = name
        if seen[name] > 1:
            called = f"{name}#{seen[name]}"
            while called in taken:
                called += "'"
            taken.add(called)
        if often[name] > 1:
            trouble.duplicates.setdefault(name, []).append(called)
        found.append(called)
    return found


def _kind(kind: pa.DataType) -> str:
    if pa.types.is_dictionary(kind):
        return _kind(kind.value_type)
    if pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind):
        return "number"
    if pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind):
        return "text"
    if pa.types.is_boolean(kind):
        return "truth"
    if pa.types.is_temporal(kind):
        return "time"
    if is_vector(kind):
        return "vector"
    return "null" if pa.types.is_null(kind) else str(kind)


class ParquetTable:
    def __init__(self, path: Path) -> None:
        import pyarrow.parquet as parquet

        self.path, self.trouble = path, Trouble()
        try:
            self._schema = parquet.read_schema(path)
            texts = _coded(parquet.read_metadata(path), {one.name for one in self._schema if _kind(one.type) == "text"})
            # Buffered, not mapped: a mapped file counts as memory, and a column chunk of a large row group is large.
            options = {"read_dictionary": texts, "pre_buffer": False, "buffer_size": 1 << 20, "memory_map": False}
            self._file = parquet.ParquetFile(path, **options)
        except (pa.ArrowException, OSError) as problem:
            raise Invalid(f"{path} can't be read as Parquet: {_said(problem)}") from problem
        self._names = _unique([one.name for one in self._schema], self.trouble)
        self.rows = self._file.metadata.num_rows

    def kinds(self) -> dict[str, str]:
        return {name: _kind(one.type) for name, one in zip(self._names, self._schema, strict=True)}

    def groups(self, names: Sequence[str]) -> list[list[str]]:
        """One column at a time; of short ones as many as fit in 4 MB, since a reader of a wide table takes long to
        start."""
        if self.trouble.duplicates:
            return [list(names)]
        together = max(1, GROUP_BYTES // (8 * max(self.rows, 1)))
        return [list(names[at : at + together]) for at in range(0, len(names), together)]

    def batches(self, names: Sequence[str]) -> Iterator[Batch]:
        wanted = set(names)
        places = [(at, name) for at, name in enumerate(self._names) if name in wanted]
        # Columns of one name can't be asked for apart: all are read then.
        columns = None if self.trouble.duplicates else [name for _, name in places]
        kinds = self.kinds()
        most = min(ROWS, VECTOR_ROWS) if any(kinds[name] == "vector" for _, name in places) else ROWS
        first = 0
        try:
            for batch in self._file.iter_batches(most, columns=columns, use_threads=False):
                found = {
                    name: batch.column(at if columns is None else place) for place, (at, name) in enumerate(places)
                }
                yield Batch(first, found)
                first += batch.num_rows
        except (pa.ArrowException, OSError) as problem:
            raise Invalid(f"{self.path} can't be read to its end: {_said(problem)}") from problem


def _coded(told: Any, texts: set[str]) -> list[str]:
    """Those of few values, as the file's own dictionaries say: of many, a reader keeps all that it has met."""
    groups = [told.row_group(at) for at in sorted({0, told.num_row_groups - 1})] if told.num_row_groups else []
    found = dict.fromkeys(texts, bool(groups))
    for group in groups:
        for at in range(group.num_columns):
            column = group.column(at)
            size = column.data_page_offset - column.dictionary_page_offset if column.has_dictionary_page else MANY_BYTES
            if column.path_in_schema in found and size >= MANY_BYTES:
                found[column.path_in_schema] = False
    return sorted(name for name, few in found.items() if few)


class CsvTable:
    """All values come as text; what they mean is decided by the column's kind (`reading`)."""

    rows = 0

    def __init__(self, path: Path, encoding: str, delimiter: str, missing: Sequence[str] = MISSING) -> None:
        self.path, self.trouble, self._encoding, self._missing = path, Trouble(), encoding, missing
        line = self._header()
        self._delimiter = delimiter or max(DELIMITERS, key=line.count)
        names = next(csv.reader(io.StringIO(line), delimiter=self._delimiter), [])
        if not any(name.strip() for name in names):
            raise Invalid(f"{path} has no names of columns in its first line.")
        self._names = _unique([name.strip() or f"column {at}" for at, name in enumerate(names, 1)], self.trouble)

    def _stream(self) -> Any:
        return pa.input_stream(str(self.path), compression="detect")

    def _header(self) -> str:
        try:
            with self._stream() as stream:
                start = stream.read(HEADER_BYTES)
            text = start.decode(self._encoding, "strict" if len(start) < HEADER_BYTES else "ignore")
        except UnicodeDecodeError as problem:
            raise self._undecodable(f"byte {problem.start} is 0x{start[problem.start]:02x}") from problem
        except LookupError as problem:
            raise Invalid(
                f"There is no encoding {self._encoding!r}.", "For example utf-8, latin-1, utf-16."
            ) from problem
        except (pa.ArrowException, OSError) as problem:
            raise Invalid(f"{self.path} can't be read: {_said(problem)}") from problem
        if "\x00" in text:
            hint = "Text in UTF-16 or UTF-32 is read with --encoding."
            raise Invalid(f"{self.path} is neither Parquet nor text.", hint)
        text = text.removeprefix("\ufeff")
        return _first_record(text)

    def _undecodable(self, where: str) -> Invalid:
        return Invalid(
            f"{self.path} is not {self._encoding}: {where}.",
            "Name its encoding with --encoding, for example latin-1 or utf-16.",
        )

    def kinds(self) -> dict[str, str]:
        return dict.fromkeys(self._names, "untyped")

    def groups(self, names: Sequence[str]) -> list[list[str]]:
        return [list(names)]

    def batches(self, names: Sequence[str]) -> Iterator[Batch]:
        from pyarrow import csv as arrow_csv

        inside = [f"f{at}" for at in range(len(self._names))]
        places = [(at, name) for at, name in enumerate(self._names) if name in set(names)]
        read = inside if len(places) == len(inside) else [inside[at] for at, _ in places] + inside[-1:]
        self.trouble.ragged_rows = self.trouble.longest_ragged = 0
        try:
            with (
                self._stream() as stream,
                arrow_csv.open_csv(
                    stream,
                    arrow_csv.ReadOptions(
                        use_threads=False,
                        block_size=BLOCK_BYTES,
                        column_names=inside,
                        skip_rows_after_names=1,
                        encoding=self._encoding,
                    ),
                    arrow_csv.ParseOptions(
                        delimiter=self._delimiter, newlines_in_values=True, invalid_row_handler=self._ragged
                    ),
                    arrow_csv.ConvertOptions(
                        column_types=dict.fromkeys(inside, pa.string()),
                        include_columns=list(dict.fromkeys(read)),
                        null_values=list(self._missing),
                        strings_can_be_null=True,
                        quoted_strings_can_be_null=True,
                    ),
                ) as reader,
            ):
                first, held = 0, None
                for batch in reader:
                    if held is not None:
                        yield Batch(first, {name: held.column(place) for place, (_, name) in enumerate(places)})
                        first += held.num_rows
                    held = batch
                if held is not None:
                    held = held.slice(0, held.num_rows - self._open(held))
                    yield Batch(first, {name: held.column(place) for place, (_, name) in enumerate(places)})
        except UnicodeError as problem:
            raise self._undecodable(str(problem)) from problem
        except (pa.ArrowException, OSError) as problem:
            if "UTF8" in str(problem) or "UTF-8" in str(problem):
                raise self._undecodable(_said(problem)) from problem
            if "straddling" in str(problem):
                said = f"{self.path} can't be read as CSV: a row is longer than {BLOCK_BYTES >> 20} MB."
                raise Invalid(
                    said, "A quote that is opened and never closed makes one row of all that follow."
                ) from problem
            raise Invalid(f"{self.path} can't be read as CSV: {_said(problem)}") from problem

    def _open(self, batch: pa.RecordBatch) -> int:
        """1 where the last row ends in a quote that is never closed, so that what follows it is one value."""
        value = batch.column(batch.num_columns - 1)[-1].as_py() if batch.num_rows else None
        lines = len(value.splitlines()) if value else 0
        if lines < 2:
            return 0
        with self._stream() as stream:
            end = b""
            while block := stream.read(BLOCK_BYTES):
                end = (end + block)[-16:]
        if end.decode(self._encoding, "ignore").rstrip().endswith('"'):
            return 0
        self.trouble.ragged_rows += 1
        self.trouble.ragged_example = f"{lines:,} lines, which a quote holds together that is not closed"
        return 1

    def _ragged(self, row: Any) -> str:
        self.trouble.ragged_rows += 1
        lines = len((row.text or "").splitlines())
        if lines > max(self.trouble.longest_ragged, 1):
            self.trouble.longest_ragged = lines
            values = f"{row.actual_columns} values instead of {row.expected_columns}"
            self.trouble.ragged_example = (
                f"{values} in {lines:,} lines, which a quote holds together that is not closed"
            )
        elif self.trouble.ragged_rows == 1:
            self.trouble.ragged_example = f"{row.actual_columns} values instead of {row.expected_columns}"
        return "skip"


def _first_record(text: str) -> str:
    """The first line, and further ones as long as a quote is open."""
    lines = text.splitlines(keepends=True)
    record = ""
    for line in lines:
        record += line
        if record.count('"') % 2 == 0:
            break
    return record.rstrip("\r\n")


def _said(problem: BaseException) -> str:
    return str(problem).splitlines()[0].rstrip(".") + "." if str(problem) else f"{type(problem).__name__}."
