"""A series in a CSV file: columns `timestamp` and `value`, row by row, with what is wrong with its rows."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from math import isfinite
from typing import TextIO

from afterlaunch.ground.errors import Invalid

GAP = 3.0  # usual steps
SHOWN = 20
MILLISECONDS = 1e11  # epoch times from here are in milliseconds
UTF_8 = "Save it as UTF-8, or: iconv -f latin1 -t utf-8 FILE | afterlaunch anomalies score -"
WORDS = {
    "missing_value": "the value is missing or no finite number: not scored",
    "bad_timestamp": "the timestamp is not understood: not scored",
    "duplicate_timestamp": "the same time as the row before: scored",
    "clock_back": "earlier than the row before: scored as if at that time",
    "gap": "more than three usual steps after the row before",
    "short_row": "the row has too few fields: not scored",
    "irregular_steps": "a fifth or more of the steps are not the usual one",
    "constant": "there is one value only: nothing can be judged",
}


@dataclass
class Row:
    """`at` in seconds, None where it can't be judged. `cells` as they stand in the file."""

    number: int
    cells: list[str]
    at: float | None
    value: float | None


@dataclass
class Findings:
    """Kind → how many, and the first rows."""

    counts: dict[str, int] = field(default_factory=dict)
    rows: dict[str, list[int]] = field(default_factory=dict)

    def add(self, kind: str, row: int | None = None) -> None:
        self.counts[kind] = self.counts.get(kind, 0) + 1
        first = self.rows.setdefault(kind, [])
        if row is not None and len(first) < SHOWN:
            first.append(row)

    def told(self) -> list[dict[str, object]]:
        return [
            {"kind": kind, "count": count, "rows": self.rows[kind], "message": WORDS[kind]}
            for kind, count in self.counts.items()
        ]


class Table:
    """Iterate once. `head` is there at once; `findings` grow while rows are read. Rows count from 1, below the head."""

    def __init__(self, file: TextIO) -> None:
        self.reader = csv.reader(file)
        self.findings = Findings()
        try:
            self.head = next(self.reader, [])
        except (csv.Error, UnicodeDecodeError) as problem:
            raise Invalid(f"The file is no CSV in UTF-8: {problem}.", UTF_8) from problem
        names = [name.strip().lstrip("\ufeff").lower() for name in self.head]
        for name in ("timestamp", "value"):
            if names.count(name) != 1:
                many = "no" if name not in names else "more than one"
                raise Invalid(f"The file has {many} column {name!r}.", f"Its columns: {', '.join(names) or 'none'}")
        if {"anomaly_score", "alert", "state"} & set(names):
            raise Invalid("The file has scores already.", "Drop its columns anomaly_score, alert and state.")
        self.time, self.value = names.index("timestamp"), names.index("value")

    def __iter__(self) -> Iterator[Row]:
        number = 0
        while True:
            try:
                cells = next(self.reader, None)
            except (csv.Error, UnicodeDecodeError) as problem:
                raise Invalid(f"Row {number + 1} is no CSV in UTF-8: {problem}.", UTF_8) from problem
            if cells is None:
                return
            if cells:
                number += 1
                yield self._row(number, cells)

    def _row(self, number: int, cells: list[str]) -> Row:
        if len(cells) <= max(self.time, self.value):
            self.findings.add("short_row", number)
            return Row(number, cells + [""] * (len(self.head) - len(cells)), None, None)
        at, value = instant(cells[self.time]), amount(cells[self.value])
        if at is None:
            self.findings.add("bad_timestamp", number)
        if value is None:
            self.findings.add("missing_value", number)
        return Row(number, cells, at, value)


class Steps:
    """What times tell: repeated, backwards, gaps, irregular."""

    def __init__(self, findings: Findings, last: float | None = None, usual: float = 0.0) -> None:
        self.findings, self.last, self.usual = findings, last, usual
        self.n = self.odd = 0

    def see(self, row: Row, usual: float) -> None:
        at = row.at
        if at is None:
            return
        if self.last is not None:
            step = at - self.last
            self.n += 1
            if step == 0:
                self.findings.add("duplicate_timestamp", row.number)
            elif step < 0:
                self.findings.add("clock_back", row.number)
            elif usual > 0 and self.n > 3 and step > GAP * usual:
                self.findings.add("gap", row.number)
            if usual > 0 and abs(step - usual) > usual / 2:
                self.odd += 1
        self.last = at if self.last is None else max(at, self.last)

    def end(self) -> None:
        if self.n >= 20 and self.odd >= self.n / 5:
            self.findings.add("irregular_steps")


def instant(told: str) -> float | None:
    """ISO 8601 (without a zone: UTC), or seconds or milliseconds since 1970."""
    told = told.strip()
    try:
        number = float(told)
    except ValueError:
        pass
    else:
        if not isfinite(number) or abs(number) > 1e14:
            return None
        return number / 1000 if abs(number) >= MILLISECONDS else number
    try:
        found = datetime.fromisoformat(told)
    except ValueError:
        return None
    return (found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp()


def amount(told: str) -> float | None:
    try:
        value = float(told)
    except ValueError:
        return None
    return value if isfinite(value) and abs(value) < 1e150 else None
