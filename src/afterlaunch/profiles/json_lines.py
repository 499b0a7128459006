"""A table as JSON lines: one object a line. A first pass finds the columns; values come as text, as those of CSV do."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import orjson
import pyarrow as pa

from afterlaunch.ground.errors import Invalid, TooLarge
from afterlaunch.profiles.tables import ROWS, Batch, Trouble

LINE_BYTES = 1 << 20
COLUMNS = 2_000


class JsonLinesTable:
    """A key that a line lacks is missing there; what is nested stays JSON."""

    def __init__(self, path: Path) -> None:
        self.path, self.trouble, self.rows = path, Trouble(), 0
        names: dict[str, None] = {}
        for row in self._objects():
            if row.keys() - names.keys():
                names.update(dict.fromkeys(row))
                if len(names) > COLUMNS:
                    raise TooLarge(f"{path} has more than {COLUMNS:,} columns.")
            self.rows += 1
        self._names = list(names)

    def kinds(self) -> dict[str, str]:
        return dict.fromkeys(self._names, "untyped")

    def groups(self, names: Sequence[str]) -> list[list[str]]:
        return [list(names)]

    def batches(self, names: Sequence[str]) -> Iterator[Batch]:
        first, held = 0, list[dict[str, Any]]()
        most = max(1, min(ROWS, 4_000_000 // max(1, len(names))))
        for row in self._objects():
            held.append(row)
            if len(held) == most:
                yield _batch(first, names, held)
                first, held = first + len(held), []
        if held:
            yield _batch(first, names, held)

    def _objects(self) -> Iterator[dict[str, Any]]:
        try:
            with self.path.open("rb") as file:
                number = 0
                while line := file.readline(LINE_BYTES + 1):
                    number += 1
                    if len(line) > LINE_BYTES:
                        raise TooLarge(f"Line {number} of {self.path} is longer than {LINE_BYTES >> 20} MiB.")
                    if line.strip():
                        yield self._object(line.removeprefix(b"\xef\xbb\xbf"), number)
        except OSError as problem:
            raise Invalid(f"{self.path} can't be read: {problem.strerror}.") from problem

    def _object(self, line: bytes, number: int) -> dict[str, Any]:
        try:
            row = orjson.loads(line)
        except orjson.JSONDecodeError as problem:
            said = f"Line {number} of {self.path} is not JSON: {problem.msg}."
            raise Invalid(said, "One JSON object on each line.") from problem
        if not isinstance(row, dict):
            raise Invalid(f"Line {number} of {self.path} is no JSON object.", "One JSON object on each line.")
        return row


def _batch(first: int, names: Sequence[str], rows: Sequence[dict[str, Any]]) -> Batch:
    return Batch(first, {name: pa.array([_text(row.get(name)) for row in rows], pa.string()) for name in names})


def _text(value: Any) -> str | None:
    """'' means missing, as in CSV."""
    if value is None or isinstance(value, str):
        return value or None
    return orjson.dumps(value).decode()
