"""When duties have something to do: the first instant at which a row of each falls due, asked in one statement.

A duty that names its rows is not run, nor its lock taken, before one of them is due. So a cycle in which nothing is due
costs one question, however many duties and rows there are; each part of it is the first entry of an index.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from django.db import connection
from django.db.models import QuerySet


@dataclass(frozen=True, eq=False)
class Rows:
    """`field` of the `rows` is when they fall due, or so much `later`. Rows where it is null never do."""

    rows: QuerySet[Any]
    field: str
    later: timedelta = timedelta()


class Question:
    """Of these (name, rows): compiled once, since no instant is part of it."""

    def __init__(self, parts: Sequence[tuple[str, Rows]]) -> None:
        self._parts = tuple(parts)
        self._asked: tuple[str, tuple[Any, ...]] | None = None

    def ask(self) -> dict[str, datetime]:
        """By name, the first instant at which there is something to do; none: nothing waits."""
        due: dict[str, datetime] = {}
        if not self._parts:
            return due
        with connection.cursor() as cursor:
            cursor.execute(*self._statement())
            found = cursor.fetchone()
        for (name, rows), value in zip(self._parts, found, strict=True):
            if value is not None:
                at = _instant(value) + rows.later
                due[name] = min(at, due.get(name, at))
        return due

    def _statement(self) -> tuple[str, tuple[Any, ...]]:
        if self._asked is None:
            parts: list[str] = []
            values: list[Any] = []
            for _, one in self._parts:
                first = one.rows.filter(**{f"{one.field}__isnull": False}).order_by(one.field)
                sql, params = first.values_list(one.field)[:1].query.sql_with_params()
                parts.append(f"({sql})")
                values += params
            self._asked = "select " + ", ".join(parts), tuple(values)
        return self._asked


def _instant(value: Any) -> datetime:
    at = datetime.fromisoformat(value) if isinstance(value, str) else value
    return at if at.tzinfo else at.replace(tzinfo=UTC)
