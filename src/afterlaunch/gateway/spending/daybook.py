"""What was reserved and what came of it, by UTC day, client, provider and model: the ledger added up for the server.

1. Rows of the ledger that are new since the last reading are added to their day, that of the reservation. 2. What was
charged for want of news is remembered and looked at again: news of it moves its amounts. 3. Reading has a file and a
thread of its own, so that no call waits for it; place and sums are written in one transaction.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import orjson

AT_ONCE = 2_000  # rows of the ledger in one transaction
AMOUNTS = (
    "attempts",
    "reserved_tokens",
    "reserved_nano",
    "settled_tokens",
    "settled_nano",
    "expired",
    "expired_tokens",
    "expired_nano",
    "unknown",
    "unknown_tokens",
    "unknown_nano",
    "estimated",
    "unpriced",
)
"""`expired`: attempts that nobody settled in time, `unknown`: answered without usage; both stand at what was reserved,
which is in no settled sum. `unpriced`: attempts whose money nobody can tell; it is in no sum of money."""
KEYS = ("day", "client", "provider", "model")
_TABLES = f"""
create table if not exists place(only integer primary key check (only = 1), id integer not null);
create table if not exists days(day text, client text, provider text, model text,
    {", ".join(f"{name} integer not null" for name in AMOUNTS)}, changed integer not null,
    primary key(day, client, provider, model)) without rowid;
create index if not exists days_changed on days(changed);
create table if not exists expecting(id integer primary key);
insert or ignore into place values(1, 0);
"""
_ADD = (
    f"insert into days values({', '.join('?' * (len(KEYS) + len(AMOUNTS) + 1))}) on conflict do update set "
    + ", ".join(f"{name} = {name} + excluded.{name}" for name in AMOUNTS)
    + ", changed = excluded.changed"
)
Key = tuple[str, str, str, str]


class Row(NamedTuple):
    """Of the ledger."""

    id: int
    state: str
    facts: dict[str, Any]


def told(state: str, facts: dict[str, Any]) -> tuple[Key, dict[str, int]] | None:
    """Where an attempt is counted and what it adds; None for rows of versions that kept no reservation."""
    if "reserved" not in facts:
        return None
    at, tokens, nano = facts["reserved"]
    day = datetime.fromtimestamp(at, UTC).date().isoformat()
    adds = {"attempts": 1, "reserved_tokens": tokens, "reserved_nano": nano or 0}
    if state in ("unconfirmed", "unknown"):
        kind = "expired" if state == "unconfirmed" else "unknown"
        adds |= {kind: 1, f"{kind}_tokens": tokens, f"{kind}_nano": nano or 0, "unpriced": int(nano is None)}
    else:
        counts, cost = facts.get("tokens") or {}, facts.get("nano")
        settled = (counts.get("input") or 0) + (counts.get("output") or 0)
        adds |= {"settled_tokens": settled, "estimated": int(state == "estimated")}
        if cost is None or nano is None:  # of an attempt either both sides of the comparison have money, or none
            adds |= {"reserved_nano": 0, "unpriced": 1}
        else:
            adds["settled_nano"] = cost
    return (day, facts["client"], facts["provider"], facts["model"]), adds


class Daybook:
    """For one thread at a time. Methods raise sqlite3.Error."""

    def __init__(self, ledger: Path, file: Path) -> None:
        self._ledger, self._file = ledger, file

    def read(self, now: float) -> int:
        """Adds what is new, at most AT_ONCE rows; how many rows were looked at."""
        if not self._ledger.exists():
            return 0
        address = f"{self._ledger.absolute().as_uri()}?mode=ro"
        with closing(self._connect()) as book, closing(sqlite3.connect(address, uri=True)) as of:
            if of.execute("select 1 from sqlite_master where name = 'ledger'").fetchone() is None:
                return 0
            (last,) = book.execute("select id from place").fetchone()
            (newest,) = of.execute("select coalesce(max(id), 0) from ledger").fetchone()
            last = 0 if newest < last else last  # the ledger began anew
            where = "select id, state, facts from ledger where id > ? order by id limit ?"
            fresh = [Row(one, state, orjson.loads(facts)) for one, state, facts in of.execute(where, (last, AT_ONCE))]
            late = self._late(book, of)
            if fresh or late:
                self._write(book, fresh, late, int(now * 1000))
        return len(fresh)

    def _connect(self) -> sqlite3.Connection:
        book = sqlite3.connect(self._file, isolation_level=None, timeout=10)
        try:
            book.execute("pragma journal_mode=wal")
            book.executescript(_TABLES)
            self._file.chmod(0o600)
        except BaseException:
            book.close()
            raise
        return book

    @staticmethod
    def _late(book: sqlite3.Connection, of: sqlite3.Connection) -> list[tuple[Row | None, int]]:
        """Expired ones that were settled after all, or are forgotten (None)."""
        out: list[tuple[Row | None, int]] = []
        for (one,) in book.execute("select id from expecting").fetchall():
            found = of.execute("select state, facts from ledger where id = ?", (one,)).fetchone()
            if found is None:
                out.append((None, one))
            elif found[0] != "unconfirmed":
                out.append((Row(one, found[0], orjson.loads(found[1])), one))
        return out

    @staticmethod
    def _write(book: sqlite3.Connection, fresh: list[Row], late: list[tuple[Row | None, int]], at: int) -> None:
        sums: dict[Key, dict[str, int]] = {}

        def add(state: str, facts: dict[str, Any], sign: int = 1) -> None:
            found = told(state, facts)
            if found is not None:
                into = sums.setdefault(found[0], dict.fromkeys(AMOUNTS, 0))
                for name, count in found[1].items():
                    into[name] += sign * count

        for row in fresh:
            add(row.state, row.facts)
        for settled, _ in late:
            if settled is not None:
                add("unconfirmed", settled.facts, -1)
                add(settled.state, settled.facts)
        book.execute("begin immediate")
        try:
            book.executemany(_ADD, [(*key, *(adds[name] for name in AMOUNTS), at) for key, adds in sums.items()])
            book.executemany("delete from expecting where id = ?", [(one,) for _, one in late])
            waiting = [(row.id,) for row in fresh if row.state == "unconfirmed"]
            book.executemany("insert or ignore into expecting values(?)", waiting)
            if fresh:
                book.execute("update place set id = ?", (fresh[-1].id,))
            book.execute("commit")
        except BaseException:
            if book.in_transaction:
                book.execute("rollback")
            raise

    def changed(self, since: int, most: int = 1_000) -> list[dict[str, Any]]:
        """Days that changed at or after `since` (milliseconds), oldest first."""
        names = (*KEYS, *AMOUNTS, "changed")
        with closing(self._connect()) as book:
            question = f"select {', '.join(names)} from days where changed >= ? order by changed limit ?"
            rows = book.execute(question, (since, most)).fetchall()
        return [dict(zip((*KEYS, *AMOUNTS, "at"), row, strict=True)) for row in rows]

    def forget(self, before: str) -> None:
        """Days before this one (2026-11-22)."""
        with closing(self._connect()) as book:
            book.execute("delete from days where day < ?", (before,))
