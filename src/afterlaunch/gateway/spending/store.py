"""Counters, reservations and the ledger, in one SQLite file that all workers of a gateway share.

Invariants: of a counter with a limit, `used + reserved` never passes it by a reservation; `used` is the sum of what the
ledger charges; a reservation ends as exactly one row of the ledger. An attempt is known by (call, attempt): settling it
twice changes nothing, settling it late corrects what was charged for want of news. Amounts are whole numbers: nano-USD,
tokens or requests. WAL with synchronous=NORMAL: a killed process loses nothing, a power cut the last moments.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import orjson

UNCONFIRMED = "unconfirmed"
KEEP_SECONDS = 400 * 86_400  # how long rows of the ledger and counters stay
_TABLES = """
create table if not exists counter(
    budget text, counter text, start integer, used integer not null, reserved integer not null,
    refused integer not null, unconfirmed integer not null, changed integer not null,
    primary key(budget, counter, start)) without rowid, strict;
create index if not exists counter_changed on counter(changed);
create table if not exists reservation(
    call text, attempt integer, holds blob not null, expires real not null, facts blob not null,
    primary key(call, attempt)) without rowid, strict;
create index if not exists reservation_expires on reservation(expires);
create table if not exists ledger(
    call text, attempt integer, at real not null, state text not null, holds blob not null, facts blob not null,
    primary key(call, attempt)) without rowid, strict;
create index if not exists ledger_at on ledger(at);
"""
_TAKE = (
    "insert into counter values(?1, ?2, ?3, 0, ?4, 0, 0, ?5) on conflict do update"
    " set reserved = reserved + ?4, changed = ?5"
)
_WITHIN = " where used + reserved + ?4 <= ?6"
_LEFT = " returning used + reserved"
_SETTLE = (
    "update counter set reserved = reserved - ?1, used = used + ?2, unconfirmed = unconfirmed + ?3, changed = ?4"
    " where budget = ?5 and counter = ?6 and start = ?7"
)


class Wanted(NamedTuple):
    """What an attempt needs of a counter. `limit` None: it is counted and never refused. `observed`: the limit that
    would refuse it if it were hard."""

    budget: str
    counter: str
    start: int  # seconds since 1970
    amount: int
    limit: int | None
    observed: int | None = None


class Held(NamedTuple):
    """`left`: per hold with a limit, what is left of it after this one; `over`: budgets in observe mode that would
    have refused."""

    left: dict[str, int]
    over: list[str]


class Short(NamedTuple):
    """The counter that has too little left, and how much that is."""

    wanted: Wanted
    left: int


class Settled(NamedTuple):
    """What an attempt cost: per budget id the amount; `state`: exact, estimated, unknown, or UNCONFIRMED."""

    amounts: dict[str, int]
    state: str
    facts: dict[str, Any]


class Store:
    """One connection, for one thread."""

    def __init__(self, file: Path) -> None:
        file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._db = sqlite3.connect(file, isolation_level=None, timeout=10, cached_statements=64)
        for pragma in ("journal_mode=wal", "synchronous=normal", "busy_timeout=10000", "wal_autocheckpoint=4000"):
            self._db.execute(f"pragma {pragma}")
        self._db.executescript(_TABLES)
        file.chmod(0o600)

    def close(self) -> None:
        self._db.close()

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        self._db.execute("begin immediate")
        try:
            yield self._db
        except BaseException:
            self._db.execute("rollback")
            raise
        self._db.execute("commit")

    def reserve(
        self, call: str, attempt: int, wanted: Sequence[Wanted], expires: float, facts: dict[str, Any], now: float
    ) -> Held | Short:
        """All or none, in the order of the counters' names. Twice for one attempt: the first one stands."""
        at = int(now * 1000)
        short: Short | None = None
        left: dict[str, int] = {}
        over: list[str] = []
        with self._writing() as db:
            if db.execute("select 1 from reservation where call = ? and attempt = ?", (call, attempt)).fetchone():
                return Held({}, [])
            for one in sorted(wanted):
                taken = self._take(db, one, at)
                if taken is None:
                    short = Short(one, max(self._left(db, one), 0))
                    break
                if one.limit is not None:
                    left[one.budget] = one.limit - taken
                if one.observed is not None and taken > one.observed:
                    over.append(one.budget)
            if short is None:
                holds = [[one.budget, one.counter, one.start, one.amount] for one in wanted]
                values = (call, attempt, orjson.dumps(holds), expires, orjson.dumps(facts))
                db.execute("insert into reservation values(?, ?, ?, ?, ?)", values)
            else:
                self._db.execute("rollback")
                self._db.execute("begin immediate")
            refused = [short.wanted] if short else [one for one in wanted if one.budget in over]
            for one in refused:
                self._refuse(db, one, at)
        return short or Held(left, over)

    @staticmethod
    def _take(db: sqlite3.Connection, one: Wanted, at: int) -> int | None:
        """Used and reserved after it; None when the limit does not allow it."""
        values: tuple[Any, ...] = (one.budget, one.counter, one.start, one.amount, at)
        if one.limit is None:
            return int(db.execute(_TAKE + _LEFT, values).fetchone()[0])
        if one.amount > one.limit:
            return None
        row = db.execute(_TAKE + _WITHIN + _LEFT, (*values, one.limit)).fetchone()
        return None if row is None else int(row[0])

    @staticmethod
    def _left(db: sqlite3.Connection, one: Wanted) -> int:
        where = "select used + reserved from counter where budget = ? and counter = ? and start = ?"
        row = db.execute(where, (one.budget, one.counter, one.start)).fetchone()
        return (one.limit or 0) - (row[0] if row else 0)

    @staticmethod
    def _refuse(db: sqlite3.Connection, one: Wanted, at: int) -> None:
        statement = "insert into counter values(?1, ?2, ?3, 0, 0, 1, 0, ?4) on conflict do update"
        db.execute(statement + " set refused = refused + 1, changed = ?4", (one.budget, one.counter, one.start, at))

    def settle(self, call: str, attempt: int, settled: Settled, now: float) -> bool:
        """Whether anything changed by it."""
        with self._writing() as db:
            return self._settle(db, call, attempt, settled, now)

    def _settle(self, db: sqlite3.Connection, call: str, attempt: int, settled: Settled, now: float) -> bool:
        gone = db.execute(
            "delete from reservation where call = ? and attempt = ? returning holds", (call, attempt)
        ).fetchone()
        if gone is None:
            return self._correct(db, call, attempt, settled, now)
        at, holds = int(now * 1000), []
        unknown = settled.state in (UNCONFIRMED, "unknown")
        for budget, counter, start, reserved in orjson.loads(gone[0]):
            charged = reserved if unknown else settled.amounts.get(budget, 0)
            values = (reserved, charged, charged if unknown else 0, at, budget, counter, start)
            db.execute(_SETTLE, values)
            holds.append([budget, counter, start, reserved, charged])
        row = (call, attempt, now, settled.state, orjson.dumps(holds), orjson.dumps(settled.facts))
        db.execute("insert into ledger values(?, ?, ?, ?, ?, ?)", row)
        return True

    @staticmethod
    def _correct(db: sqlite3.Connection, call: str, attempt: int, settled: Settled, now: float) -> bool:
        """News of what was charged for want of it."""
        where = "select state, holds from ledger where call = ? and attempt = ?"
        row = db.execute(where, (call, attempt)).fetchone()
        if row is None or row[0] != UNCONFIRMED or settled.state in (UNCONFIRMED, "unknown"):
            return False
        holds, at = [], int(now * 1000)
        for budget, counter, start, reserved, charged in orjson.loads(row[1]):
            real = settled.amounts.get(budget, 0)
            db.execute(_SETTLE, (0, real - charged, -charged, at, budget, counter, start))
            holds.append([budget, counter, start, reserved, real])
        values = (settled.state, orjson.dumps(holds), orjson.dumps(settled.facts), call, attempt)
        db.execute("update ledger set state = ?, holds = ?, facts = ? where call = ? and attempt = ?", values)
        return True

    def renew(self, calls: Sequence[tuple[str, int]], expires: float) -> None:
        """Of calls that live."""
        if calls:
            with self._writing() as db:
                statement = "update reservation set expires = ? where call = ? and attempt = ?"
                db.executemany(statement, [(expires, call, attempt) for call, attempt in calls])

    def expire(self, now: float) -> int:
        """Charges what nobody has settled in time at what was reserved; how many."""
        late = self._db.execute("select call, attempt, facts from reservation where expires < ?", (now,)).fetchall()
        done = 0
        for call, attempt, facts in late:
            with self._writing() as db:
                still = db.execute(
                    "select 1 from reservation where call = ? and attempt = ? and expires < ?", (call, attempt, now)
                ).fetchone()
                if still:
                    settled = Settled({}, UNCONFIRMED, orjson.loads(facts))
                    done += self._settle(db, call, attempt, settled, now)
        return done

    def forget(self, before: float) -> None:
        """Rows of the ledger and counters that are older."""
        with self._writing() as db:
            db.execute("delete from ledger where at < ?", (before,))
            db.execute("delete from counter where changed < ? and reserved = 0", (int(before * 1000),))

    def changed(self, since: int, most: int = 1_000) -> list[dict[str, Any]]:
        """Counters that changed at or after `since` (milliseconds), oldest first."""
        rows = self._db.execute(
            "select budget, counter, start, used, reserved, refused, unconfirmed, changed from counter"
            " where changed >= ? order by changed limit ?",
            (since, most),
        )
        names = ("budget", "counter", "window_start", "used", "reserved", "refused", "unconfirmed", "at")
        return [dict(zip(names, row, strict=True)) for row in rows]

    def check(self) -> list[str]:
        """What does not add up: counters against ledger and reservations. Empty when all is well."""
        sums: dict[tuple[str, str, int], list[int]] = {}
        for (holds,) in self._db.execute("select holds from ledger"):
            for budget, counter, start, _, charged in orjson.loads(holds):
                sums.setdefault((budget, counter, start), [0, 0])[0] += charged
        for (holds,) in self._db.execute("select holds from reservation"):
            for budget, counter, start, amount in orjson.loads(holds):
                sums.setdefault((budget, counter, start), [0, 0])[1] += amount
        wrong = []
        for budget, counter, start, used, reserved in self._db.execute(
            "select budget, counter, start, used, reserved from counter"
        ):
            ought = sums.pop((budget, counter, start), [0, 0])
            if ought != [used, reserved]:
                wrong.append(f"{budget} {counter} {start}: used {used}, reserved {reserved}, ought to be {ought}")
        return wrong + [f"{key}: no counter" for key in sums]
