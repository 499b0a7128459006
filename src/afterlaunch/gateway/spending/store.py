"""Counters, reservations and the ledger, in one SQLite file that all workers of a gateway share.

Invariants: of a counter with a limit, `used + reserved` never passes it by a reservation; `used` is the sum of what the
ledger charges; a reservation ends as exactly one row of the ledger. An attempt is known by (call, attempt): settling it
twice changes nothing, settling it late corrects what was charged for want of news. Amounts are whole numbers: nano-USD,
tokens or requests. WAL with synchronous=NORMAL: a killed process loses nothing, a power cut the last moments.

What a transaction costs is the pages that it writes: rows are small, pages too, what grows is only appended to, and
settlements wait for the next reservation or FLUSH_SECONDS, so that several share a transaction, in which each counter
is read once and written once. A process that is killed in between leaves reservations, which expire.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import orjson

UNCONFIRMED = "unconfirmed"
FLUSH_SECONDS = 0.05
KEEP_SECONDS = 400 * 86_400  # how long rows of the ledger and counters stay
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
"""
_READ = "select used + reserved from counter where budget = ? and counter = ? and start = ?"
_CHANGE = (
    "insert into counter values(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8) on conflict do update set used = used + ?4,"
    " reserved = reserved + ?5, refused = refused + ?6, unconfirmed = unconfirmed + ?7, changed = ?8"
)
_KEEP = "insert or ignore into reservation values(?, ?, ?, ?, ?)"
_END = "delete from reservation where call = ? and attempt = ?"
_LEDGER = "insert into ledger values(null, ?, ?, ?, ?, ?, ?)"
Key = tuple[str, str, int]


class _Changes:
    """Of one transaction: what counters are to become, read once and written once, and rows of the ledger."""

    __slots__ = ("_before", "_db", "counters", "ledger")

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db
        self._before: dict[Key, int] = {}  # used and reserved, as they stand in the file
        self.counters: dict[Key, list[int]] = {}  # added to used, reserved, refused, unconfirmed
        self.ledger: list[tuple[str, int, float, str, bytes, bytes]] = []

    def filled(self, key: Key) -> int:
        """Used and reserved, with what is changed here."""
        before = self._before.get(key)
        if before is None:
            row = self._db.execute(_READ, key).fetchone()
            before = self._before[key] = row[0] if row else 0
        change = self.of(key)
        return before + change[0] + change[1]

    def of(self, key: Key) -> list[int]:
        """To be added to."""
        change = self.counters.get(key)
        if change is None:
            change = self.counters[key] = [0, 0, 0, 0]
        return change

    def write(self, now: float) -> None:
        at = int(now * 1000)
        self._db.executemany(_CHANGE, [(*key, *change, at) for key, change in self.counters.items()])
        self._db.executemany(_LEDGER, self.ledger)


class Wanted(NamedTuple):
    """What an attempt needs of a counter. `limit` None: it is counted and never refused. `observed`: the limit that
    would refuse it if it were hard."""

    budget: str
    counter: str
    start: int  # seconds since 1970
    amount: int
    limit: int | None
    observed: int | None = None


class Asked(NamedTuple):
    """A reservation that somebody wants."""

    call: str
    attempt: int
    wanted: Sequence[Wanted]
    expires: float
    facts: dict[str, Any]


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


_Pending = tuple[str, int, Settled, list[tuple[str, str, int, int]]]
MOST = (1 << 63) - 1


class Store:
    """One connection, for one thread. It is opened when first used, and again after it could not be: a gateway starts
    without its disk, and what needs a budget says so. Methods raise sqlite3.Error."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._open: sqlite3.Connection | None = None
        self._pending: list[_Pending] = []

    @property
    def _db(self) -> sqlite3.Connection:
        if self._open is None:
            self._open = self._connect()
        return self._open

    def _connect(self) -> sqlite3.Connection:
        try:
            self._file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        except OSError as problem:
            raise sqlite3.OperationalError(str(problem)) from problem
        db = sqlite3.connect(self._file, isolation_level=None, timeout=10, cached_statements=64)
        try:
            pragmas = "page_size=1024 journal_mode=wal synchronous=normal busy_timeout=10000 wal_autocheckpoint=4000"
            for pragma in pragmas.split():
                db.execute(f"pragma {pragma}")
            db.executescript(_TABLES)
            self._file.chmod(0o600)
        except OSError as problem:
            db.close()
            raise sqlite3.OperationalError(str(problem)) from problem
        except BaseException:
            db.close()
            raise
        return db

    def close(self) -> None:
        if self._open is not None:
            self._open.close()
            self._open = None

    @contextmanager
    def _writing(self, now: float) -> Iterator[_Changes]:
        """A transaction. What waits to be settled is settled in it; what changes in a counter is written once."""
        db, pending = self._db, self._pending
        changes = _Changes(db)
        db.execute("begin immediate")
        try:
            if pending and not self._settle_together(pending, changes, now):
                db.execute("rollback")
                db.execute("begin immediate")
                for call, attempt, settled, _ in pending:
                    self._settle(call, attempt, settled, changes, now)
            yield changes
            changes.write(now)
            db.execute("commit")
        except BaseException:
            if db.in_transaction:  # a full disk has rolled it back already
                db.execute("rollback")
            raise
        self._pending = self._pending[len(pending) :]

    def reserve(
        self, call: str, attempt: int, wanted: Sequence[Wanted], expires: float, facts: dict[str, Any], now: float
    ) -> Held | Short:
        """All or none. Twice for one attempt: the first one stands."""
        return self.reserve_all([Asked(call, attempt, wanted, expires, facts)], now)[0]

    def reserve_all(self, asked: Sequence[Asked], now: float) -> list[Held | Short]:
        """Each by itself, one after the other, in one transaction."""
        with self._writing(now) as changes:
            return [self._reserve(one, changes) for one in asked]

    def _reserve(self, asked: Asked, changes: _Changes) -> Held | Short:
        left: dict[str, int] = {}
        for one in asked.wanted:
            budget, counter, start, amount, limit, _ = one
            if limit is not None:
                rest = limit - changes.filled((budget, counter, start))
                if amount > rest:
                    changes.of((budget, counter, start))[2] += 1
                    return Short(one, max(rest, 0))
                left[budget] = rest - amount
        holds = orjson.dumps([one[:4] for one in asked.wanted])
        row = (asked.call, asked.attempt, holds, asked.expires, orjson.dumps(asked.facts))
        if not self._db.execute(_KEEP, row).rowcount:
            return Held({}, [])
        over = []
        for budget, counter, start, amount, _, observed in asked.wanted:
            key = (budget, counter, start)
            if observed is not None and changes.filled(key) + amount > observed:
                over.append(budget)
                changes.of(key)[2] += 1
            changes.of(key)[1] += amount
        return Held(left, over)

    def settle_soon(self, call: str, attempt: int, settled: Settled, wanted: Sequence[Wanted]) -> None:
        """With the next reservation, or by `flush`. `wanted`: what was reserved for it."""
        self._pending.append((call, attempt, settled, [one[:4] for one in wanted]))

    def flush(self, now: float) -> None:
        """What waits to be settled."""
        if self._pending:
            with self._writing(now):
                pass

    def settle(self, call: str, attempt: int, settled: Settled, now: float) -> bool:
        """Whether anything changed by it."""
        with self._writing(now) as changes:
            return self._settle(call, attempt, settled, changes, now)

    def _settle_together(self, pending: list[_Pending], changes: _Changes, now: float) -> bool:
        """False when one of them has no reservation any more: then nothing of this transaction may stay."""
        ended = self._db.executemany(_END, [(call, attempt) for call, attempt, _, _ in pending]).rowcount
        if ended != len(pending):
            return False
        for call, attempt, settled, holds in pending:
            self._charge(call, attempt, settled, holds, changes, now)
        return True

    def _settle(self, call: str, attempt: int, settled: Settled, changes: _Changes, now: float) -> bool:
        gone = self._db.execute(_END + " returning holds", (call, attempt)).fetchone()
        if gone is None:
            return self._correct(call, attempt, settled, changes)
        self._charge(call, attempt, settled, orjson.loads(gone[0]), changes, now)
        return True

    @staticmethod
    def _charge(
        call: str, attempt: int, settled: Settled, holds: Sequence[Sequence[Any]], changes: _Changes, now: float
    ) -> None:
        unknown, charges = settled.state in (UNCONFIRMED, "unknown"), []
        amounts = settled.amounts
        for budget, counter, start, reserved in holds:
            charged = reserved if unknown else amounts.get(budget, 0)
            change = changes.of((budget, counter, start))
            change[0] += charged
            change[1] -= reserved
            if unknown:
                change[3] += charged
            charges.append((budget, counter, start, reserved, charged))
        row = (call, attempt, now, settled.state, orjson.dumps(charges), orjson.dumps(settled.facts))
        changes.ledger.append(row)

    def _correct(self, call: str, attempt: int, settled: Settled, changes: _Changes) -> bool:
        """News of what was charged for want of it."""
        where = "select id, holds from ledger where call = ? and attempt = ? and state = 'unconfirmed' limit 1"
        row = self._db.execute(where, (call, attempt)).fetchone()
        if row is None or settled.state in (UNCONFIRMED, "unknown"):
            return False
        charges = []
        for budget, counter, start, reserved, charged in orjson.loads(row[1]):
            real = settled.amounts.get(budget, 0)
            change = changes.of((budget, counter, start))
            change[0] += real - charged
            change[3] -= charged
            charges.append([budget, counter, start, reserved, real])
        values = (settled.state, orjson.dumps(charges), orjson.dumps(settled.facts), row[0])
        self._db.execute("update ledger set state = ?, holds = ?, facts = ? where id = ?", values)
        return True

    def renew(self, calls: Sequence[tuple[str, int]], expires: float, now: float) -> None:
        """Of calls that live."""
        if calls:
            with self._writing(now):
                statement = "update reservation set expires = ? where call = ? and attempt = ?"
                self._db.executemany(statement, [(expires, call, attempt) for call, attempt in calls])

    def expire(self, now: float) -> int:
        """Charges what nobody has settled in time at what was reserved; how many."""
        late = self._db.execute("select call, attempt, facts from reservation where expires < ?", (now,)).fetchall()
        done = 0
        for call, attempt, facts in late:
            with self._writing(now) as changes:
                still = self._db.execute(
                    "select 1 from reservation where call = ? and attempt = ? and expires < ?", (call, attempt, now)
                ).fetchone()
                if still:
                    settled = Settled({}, UNCONFIRMED, orjson.loads(facts))
                    done += self._settle(call, attempt, settled, changes, now)
        return done

    def forget(self, before: float, now: float) -> None:
        """Rows of the ledger and counters that are older."""
        with self._writing(now):
            self._db.execute("delete from ledger where at < ?", (before,))
            self._db.execute("delete from counter where changed < ? and reserved = 0", (int(before * 1000),))

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
        """What does not add up: counters against ledger and reservations, as they stood at one instant. Empty when all
        is well."""
        self._db.execute("begin")
        try:
            return self._differences()
        finally:
            self._db.execute("rollback")

    def _differences(self) -> list[str]:
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
