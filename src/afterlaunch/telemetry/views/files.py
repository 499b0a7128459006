"""Answers as files: CSV and Parquet, written piece by piece to a spool and streamed from there."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable
from typing import IO, Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as csv
import pyarrow.parquet as parquet
from django.http import FileResponse

from afterlaunch.ground.errors import Invalid

TYPES = {"csv": "text/csv; charset=utf-8", "parquet": "application/vnd.apache.parquet"}
SPOOL_BYTES = 8 << 20
_FORMULA = r"^([=+\-@\t\r])"


def check(kind: str) -> None:
    if kind not in TYPES:
        raise Invalid(f"{kind!r} is no format of ours.", "json, csv or parquet")


def answer(
    kind: str, name: str, pieces: Iterable[Any], cut: str | None = None, rows: int | None = None
) -> FileResponse:
    """`pieces`: Arrow tables of one schema, at least one. `cut`: how to go on, where the file does not hold all."""
    check(kind)
    spool = tempfile.SpooledTemporaryFile(SPOOL_BYTES)  # noqa: SIM115 - the response closes it
    write(kind, spool, pieces)
    spool.seek(0)
    said = f"{name}-cut.{kind}" if cut else f"{name}.{kind}"
    response = FileResponse(spool, as_attachment=True, filename=said, content_type=TYPES[kind])
    if cut:
        response["Afterlaunch-Cut"] = cut
    if rows is not None:
        response["Afterlaunch-Rows"] = str(rows)
    return response


def write(kind: str, out: Any, pieces: Iterable[Any]) -> None:
    writer: Any = None
    for piece in pieces:
        table = _for_csv(piece) if kind == "csv" else piece
        if writer is None:
            writer = _writer(kind, out, table.schema)
        writer.write_table(table)
    if writer is not None:
        writer.close()


def _writer(kind: str, out: IO[bytes], schema: Any) -> Any:
    return csv.CSVWriter(out, schema) if kind == "csv" else parquet.ParquetWriter(out, schema, compression="zstd")


def _for_csv(table: Any) -> Any:
    """Lists as words; text that a spreadsheet would run as a formula gets an apostrophe in front."""
    for place, column in enumerate(table.schema):
        values = table[column.name]
        if pa.types.is_list(column.type):
            values = pc.binary_join(pc.cast(values, pa.list_(pa.string())), " ")
        if pa.types.is_string(values.type):
            values = pc.replace_substring_regex(values, pattern=_FORMULA, replacement=r"'\1")
        if pa.types.is_timestamp(column.type):
            values = pc.strftime(values, format="%Y-%m-%dT%H:%M:%SZ")
        table = table.set_column(place, column.name, values)
    return table
