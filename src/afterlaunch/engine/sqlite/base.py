"""A process asks the same few hundred statements all its life. Django turns the text of each into the driver's anew
each time, and the driver keeps the plans of 128, half of which would be savepoints, each under a name of its own."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from typing import Any

from django.db.backends.sqlite3 import base

KEPT = 4_000  # texts of a process
PLANS = 1_000  # of a connection


@lru_cache(maxsize=KEPT)
def converted(query: str) -> str:
    """With the driver's marks of values."""
    return base.FORMAT_QMARK_REGEX.sub("?", query).replace("%%", "%")


class Cursor(base.SQLiteCursorWrapper):
    def convert_query(self, query: str, *, param_names: Iterable[str] | None = None) -> str:
        if param_names is None:
            return converted(query)
        return str(super().convert_query(query, param_names=param_names))


class DatabaseWrapper(base.DatabaseWrapper):
    def get_connection_params(self) -> dict[str, Any]:
        return {"cached_statements": PLANS, **super().get_connection_params()}

    def create_cursor(self, name: str | None = None) -> Any:
        return self.connection.cursor(factory=Cursor)

    def _start_transaction_under_autocommit(self) -> None:
        """Savepoints are numbered in each transaction from the first on, so that their names come again."""
        self.savepoint_state = 0
        django: Any = super()
        django._start_transaction_under_autocommit()
