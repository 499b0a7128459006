"""The SQLite file that the workers of a gateway share: its tables, and how it is opened."""

from __future__ import annotations

import sqlite3
from pathlib import Path

_TABLES = """
create table if not exists counter(
    budget text, counter text, start integer, used integer not null, reserved integer not null,
    refused integer not null, unconfirmed integer not null, changed integer not null,
    primary key(budget, counter, start)) without rowid, strict;
create table if not exists reservation(
    call text, attempt integer, holds blob not null, expires real not null, facts blob not null,
    primary key(call, attempt)) without rowid, strict;
create table if not exists ledger(
    id integer primary key, call text not null, attempt integer not null, at real not null, state text not null,
    holds blob not null, facts blob not null) strict;
create index if not exists ledger_open on ledger(call, attempt) where state = 'unconfirmed';
create table if not exists granted(
    budget text, counter text, start integer, holder text, amount integer not null,
    primary key(budget, counter, start, holder)) without rowid, strict;
create table if not exists holder(holder text primary key, booked integer not null) without rowid, strict;
"""


def opened(file: Path) -> sqlite3.Connection:
    """Made where it is missing. Raises sqlite3.Error."""
    try:
        file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as problem:
        raise sqlite3.OperationalError(str(problem)) from problem
    db = sqlite3.connect(file, isolation_level=None, timeout=10, cached_statements=64)
    try:
        pragmas = "page_size=4096 journal_mode=wal synchronous=normal busy_timeout=10000 wal_autocheckpoint=4000"
        for pragma in pragmas.split():
            db.execute(f"pragma {pragma}")
        db.executescript(_TABLES)
        file.chmod(0o600)
    except OSError as problem:
        db.close()
        raise sqlite3.OperationalError(str(problem)) from problem
    except BaseException:
        db.close()
        raise
    return db
