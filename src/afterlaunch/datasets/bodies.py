"""A delivery as it was sent, checked by its contract: CSV, Parquet or JSON lines, read in stretches from a file."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pyarrow as pa

from afterlaunch.data_contracts import shown
from afterlaunch.data_contracts.checking import Check
from afterlaunch.data_contracts.contract import Contract
from afterlaunch.data_contracts.tables import Stretch, Text
from afterlaunch.datasets.outcomes import of_report
from afterlaunch.ground.errors import AfterlaunchError, Invalid, TooLarge, Unsupported

ROWS, CELLS = 5_000_000, 100_000_000
UNPACKED = 1 << 30  # bytes of a Parquet file
CSV, PARQUET, LINES = "text/csv", "application/vnd.apache.parquet", "application/x-ndjson"
KINDS = {CSV: CSV, PARQUET: PARQUET, LINES: LINES, "application/jsonl": LINES, "application/parquet": PARQUET}
STARTS = {PARQUET: b"PAR1", LINES: b"{"}


class Limited(Text):
    """Stops where a body has more rows than may be: an empty line costs one byte."""

    def only(self, names: list[str]) -> Iterator[Stretch]:
        for stretch in super().only(names):
            rows = stretch.first + stretch.rows
            if rows > ROWS or rows * len(self.names) > CELLS:
                said = f"A body may have {ROWS:,} records and {CELLS:,} values."
                raise TooLarge(said, "Split it, or check it in the pipeline and send the result.")
            yield stretch


def checked(body: bytes, content_type: str, delimiter: str, contract: Contract, now: datetime) -> dict[str, Any]:
    """Raises Invalid, TooLarge, Unsupported."""
    kind, encoding = _kind(content_type)
    if not body:
        raise Invalid(
            "The body is empty.", "Send the table as it is, or the result of `afterlaunch data check --json`."
        )
    start = STARTS.get(kind)
    if (start and not body.removeprefix(b"\xef\xbb\xbf").startswith(start)) or (not start and body[:4] == b"PAR1"):
        raise Invalid(f"The body is not {kind}.", f"Name what it is: {', '.join(KINDS)}.")
    with tempfile.TemporaryDirectory(prefix="afterlaunch-check-") as folder:
        path = Path(folder) / "body"
        path.write_bytes(body)
        try:
            if kind == PARQUET:
                _require_room(path)
            check = Check(Limited(path, encoding, delimiter), contract, now)
            report, _ = shown.run(check)
        except AfterlaunchError as problem:
            problem.message = problem.message.replace(str(path), "The body")
            problem.args = (problem.message,)
            raise
        except (pa.ArrowException, UnicodeError, OverflowError) as problem:
            raise Invalid(f"The body can't be read as {kind}: {' '.join(str(problem).split())[:200]}") from problem
    return of_report(report)


def _kind(content_type: str) -> tuple[str, str]:
    name, *parameters = (part.strip() for part in content_type.split(";"))
    kind = KINDS.get(name.lower())
    if kind is None:
        raise Unsupported(f"Content-Type {name or 'none'!r} is not read.", "Use one of: " + ", ".join(KINDS))
    named = (one.partition("=")[2].strip(' "') for one in parameters if one.lower().startswith("charset="))
    return kind, next(named, "") or "utf-8"


def _require_room(path: Path) -> None:
    """By what the file says of itself; pages that say less than they hold are refused by the reader."""
    import pyarrow.parquet as parquet

    try:
        told = parquet.read_metadata(path)
    except (pa.ArrowException, OSError) as problem:
        raise Invalid(f"{path} can't be read as Parquet: {' '.join(str(problem).split())[:200]}") from problem
    size = sum(told.row_group(at).total_byte_size for at in range(told.num_row_groups))
    if told.num_rows > ROWS or size > UNPACKED:
        raise TooLarge(f"A Parquet file may have {ROWS:,} rows and {UNPACKED >> 20:,} MiB unpacked.", "Split it.")
