"""Stores of earlier layouts, brought up to date in place."""

from __future__ import annotations

from typing import Any


def upgrade(cursor: Any) -> bool:
    """Layout 1 kept one rollup and no order of arrival. Its spans are numbered by their start. True: calls and rollups
    are to be made anew from the spans."""
    tables = {row[0] for row in cursor.execute("select table_name from duckdb_tables()").fetchall()}
    if "rollup" not in tables:
        return "to_rebuild" in tables
    cursor.execute("create table to_rebuild (why varchar)")
    cursor.execute("drop table rollup")
    cursor.execute("drop table if exists calls")
    cursor.execute("create table numbered as select *, row_number() over (order by start_ns) - 1 as seq from spans")
    cursor.execute("drop table spans")
    cursor.execute("alter table numbered rename to spans")
    return True
