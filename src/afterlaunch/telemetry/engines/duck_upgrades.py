"""Stores of earlier layouts, brought up to date in place."""

from __future__ import annotations

from typing import Any


def upgrade(cursor: Any) -> None:
    """Layout 1 kept one rollup and no order of arrival. Its spans are numbered by their start; `rebuild` makes the
    rest from them, which `store.open_store` does when it finds spans without calls."""
    tables = {row[0] for row in cursor.execute("select table_name from duckdb_tables()").fetchall()}
    if "rollup" not in tables:
        return
    cursor.execute("drop table rollup")
    cursor.execute("drop table if exists calls")
    cursor.execute("create table numbered as select *, row_number() over (order by start_ns) - 1 as seq from spans")
    cursor.execute("drop table spans")
    cursor.execute("alter table numbered rename to spans")
