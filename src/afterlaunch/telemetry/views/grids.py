"""A table of an answer: rows with named, typed columns, which a page shows, the API says and a file holds."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from functools import cached_property
from typing import Any, overload

import pyarrow as pa

from afterlaunch.look import formats

TEXT, COUNT, MS, USD, SHARE, INSTANT, NUMBER = "text", "count", "ms", "usd", "share", "instant", "number"
MANY = "many"  # a count that a page shortens
NANO = Decimal(1_000_000_000)
_ARROW = {
    TEXT: pa.string(),
    COUNT: pa.int64(),
    MANY: pa.int64(),
    MS: pa.float64(),
    USD: pa.decimal128(38, 9),
    SHARE: pa.float64(),
    INSTANT: pa.timestamp("us", tz="UTC"),
    NUMBER: pa.float64(),
}


@dataclass(frozen=True)
class Column:
    """`kind`: text; count; many (as a page shortens it); ms; usd (values in nano-USD); share (0 to 1); instant;
    number. A None is unknown."""

    name: str
    kind: str
    label: str
    hint: str = ""
    shown: bool = True  # on the page; files and the API hold every column

    @property
    def number(self) -> bool:
        return self.kind not in (TEXT, INSTANT)


@dataclass(frozen=True)
class Cell:
    text: str
    number: bool = False
    told: bool = True
    href: str = ""
    at: datetime | None = None
    title: str = ""


class Later(Sequence[Mapping[str, Any]]):
    """Rows that are found when somebody looks."""

    def __init__(self, find: Callable[[], Sequence[Mapping[str, Any]]]) -> None:
        self._find = find

    @cached_property
    def _rows(self) -> Sequence[Mapping[str, Any]]:
        return self._find()

    @overload
    def __getitem__(self, place: int) -> Mapping[str, Any]: ...
    @overload
    def __getitem__(self, place: slice) -> Sequence[Mapping[str, Any]]: ...
    def __getitem__(self, place: int | slice) -> Any:
        return self._rows[place]

    def __len__(self) -> int:
        return len(self._rows)


@dataclass(frozen=True)
class Grid:
    """`links`: column -> row -> address."""

    columns: Sequence[Column]
    rows: Sequence[Mapping[str, Any]]
    links: Mapping[str, Any] = field(default_factory=dict)

    def plain(self) -> list[dict[str, Any]]:
        """For the API: money as decimal strings, the rest as it is."""
        return [{column.name: _said(column, row[column.name]) for column in self.columns} for row in self.rows]

    def arrow(self) -> Any:
        values = {
            column.name: pa.array([_kept(column, row[column.name]) for row in self.rows], _ARROW[column.kind])
            for column in self.columns
        }
        return pa.table(values)

    def cells(self, most: int) -> list[list[Cell]]:
        """Of the first so many rows."""
        return [[self._cell(column, row) for column in self.shown] for row in self.rows[:most]]

    @property
    def shown(self) -> list[Column]:
        return [column for column in self.columns if column.shown]

    def _cell(self, column: Column, row: Mapping[str, Any]) -> Cell:
        value = row[column.name]
        link = self.links.get(column.name)
        href = link(row) if link else ""
        if value is None:
            word = "not told" if column.kind == TEXT else "unknown" if column.kind == USD else formats.UNKNOWN
            return Cell(word, column.number, False, href, title="not told")
        if column.kind == INSTANT:
            return Cell("", at=value, href=href)
        if column.kind == MANY:
            return Cell(formats.compact(value), column.number, True, href, title=formats.count(value))
        said = _for_people(column.kind, value)
        return Cell(said[:8] if column.name == "trace_id" else said, column.number, True, href)


def usd(nano: int) -> str:
    """nano-USD as a plain decimal string."""
    return format((Decimal(nano) / NANO).normalize(), "f")


def _said(column: Column, value: Any) -> Any:
    if value is not None and column.kind == USD:
        return usd(value)
    return value


def _kept(column: Column, value: Any) -> Any:
    return Decimal(int(value)).scaleb(-9) if value is not None and column.kind == USD else value


def _for_people(kind: str, value: Any) -> str:
    if kind == USD:
        return formats.money(value)
    if kind == MS:
        return formats.duration_ms(value)
    if kind == SHARE:
        return formats.percent(value)
    if kind == NUMBER:
        return f"{value:,.3g}" if abs(value) < 1000 else f"{value:,.0f}"
    return formats.count(value) if kind == COUNT else str(value)
