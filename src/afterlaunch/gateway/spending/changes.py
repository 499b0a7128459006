"""One transaction on the counters: each is read once and written once, whatever happens to it in between."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence
from itertools import repeat
from typing import NamedTuple

import orjson

from afterlaunch.gateway.spending.records import UNCONFIRMED, Attempted, Key, Row, Scopes, Settled, read_held

_READ = (
    "select coalesce((select used + reserved from counter where budget = ?1 and counter = ?2 and start = ?3), 0),"
    " coalesce((select sum(amount) from granted where budget = ?1 and counter = ?2 and start = ?3 and holder <> ?4), 0)"
)
_CHANGE = (
    "insert into counter values(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8) on conflict do update set used = used + ?4,"
    " reserved = reserved + ?5, refused = refused + ?6, unconfirmed = unconfirmed + ?7, changed = ?8"
)
_KEEP = "insert or ignore into reservation values(?, ?, ?, ?, ?)"
_END = "delete from reservation where call = ? and attempt = ?"
_LEDGER = "insert into ledger values(null, ?, ?, ?, ?, ?, ?)"
_BOOKED = "insert into holder values(?1, ?2) on conflict do update set booked = ?2"
USED, RESERVED, REFUSED, DOUBTED = range(4)
_DOUBTFUL = (UNCONFIRMED, "unknown")


class Live(NamedTuple):
    """A reservation. `at`: since when; `said`: the record of the journal, where only that knows of it."""

    scopes: Scopes
    amounts: Sequence[int]
    expires: float
    facts: bytes
    at: float = 0.0
    said: bytes = b""


class Ended(NamedTuple):
    """A reservation that was settled. `amounts`, as reserved, and `charged`: in the order of `scopes`."""

    scopes: Scopes
    amounts: Sequence[int]
    charged: Sequence[int]
    row: Row


def ended_of(attempted: Attempted, scopes: Scopes, amounts: Sequence[int], settled: Settled, now: float) -> Ended:
    """What nobody knows is charged as reserved."""
    charged = amounts
    if settled.state not in _DOUBTFUL:
        charged = [*map(settled.amounts.get, scopes.budgets, repeat(0))]
    told = scopes.charged(amounts, charged)
    return Ended(scopes, amounts, charged, Row(*attempted, now, settled.state, told, settled.facts))


class Changes:
    """`holder`: whose own grant counts as free. Methods raise sqlite3.Error."""

    def __init__(self, db: sqlite3.Connection, holder: str) -> None:
        self._db, self._holder = db, holder
        self._before: dict[Key, tuple[int, int]] = {}
        self.young: dict[Key, int] = {}  # reserved by this worker, and covered by its grant instead of the file
        self.counters: dict[Key, list[int]] = {}  # added to used, reserved, refused, unconfirmed
        self._ledger: list[Row] = []

    def filled(self, key: Key) -> int:
        """Used and reserved, with what is changed here and what is young."""
        change = self.of(key)
        return self._read(key)[0] + change[USED] + change[RESERVED] + self.young.get(key, 0)

    def lent(self, key: Key) -> int:
        """Granted to others."""
        return self._read(key)[1]

    def _read(self, key: Key) -> tuple[int, int]:
        before = self._before.get(key)
        if before is None:
            before = self._before[key] = self._db.execute(_READ, (*key, self._holder)).fetchone()
        return before

    def of(self, key: Key) -> list[int]:
        """To be added to."""
        change = self.counters.get(key)
        if change is None:
            change = self.counters[key] = [0, 0, 0, 0]
        return change

    def write(self, now: float) -> None:
        at = int(now * 1000)
        rows = [(*key, *change, at) for key, change in self.counters.items() if any(change)]
        self._db.executemany(_CHANGE, rows)
        self._db.executemany(_LEDGER, self._ledger)

    def booked(self, holder: str, generation: int) -> None:
        """What the holder's journal says, up to this generation, is part of the transaction."""
        self._db.execute(_BOOKED, (holder, generation))

    def granted(self, holder: str, key: Key, amount: int) -> None:
        if amount:
            self._db.execute("insert or replace into granted values(?, ?, ?, ?, ?)", (*key, holder, amount))
        else:
            statement = "delete from granted where budget = ? and counter = ? and start = ? and holder = ?"
            self._db.execute(statement, (*key, holder))

    # ---- reservations

    def begin(self, attempted: Attempted, live: Live) -> bool:
        """False when the attempt holds one already: the first one stands."""
        row = (*attempted, live.scopes.held(live.amounts), live.expires, live.facts)
        if not self._db.execute(_KEEP, row).rowcount:
            return False
        for key, amount in zip(live.scopes.keys, live.amounts, strict=True):
            self.of(key)[RESERVED] += amount
        return True

    def end(self, ended: Iterable[Ended], reserved: bool) -> None:
        """`reserved`: they stand in the counters. Those of the same scopes are added up first."""
        alike: dict[tuple[Scopes, bool], list[Ended]] = {}
        for one in ended:
            alike.setdefault((one.scopes, one.row.state in _DOUBTFUL), []).append(one)
            self._ledger.append(one.row)
        for (scopes, doubtful), some in alike.items():
            charges = map(sum, zip(*[one.charged for one in some], strict=True))
            amounts = map(sum, zip(*[one.amounts for one in some], strict=True))
            for key, charged, amount in zip(scopes.keys, charges, amounts, strict=True):
                change = self.of(key)
                change[USED] += charged
                if reserved:
                    change[RESERVED] -= amount
                if doubtful:
                    change[DOUBTED] += charged

    def forgotten(self, attempted: Iterable[Attempted]) -> int:
        """How many of these reservations were there; they are no more."""
        return self._db.executemany(_END, attempted).rowcount

    def settle(self, attempted: Attempted, settled: Settled, now: float) -> bool:
        """By what the file says of it. Whether anything changed."""
        gone = self._db.execute(_END + " returning holds", attempted).fetchone()
        if gone is None:
            return self._correct(attempted, settled)
        self.end([ended_of(attempted, *read_held(gone[0]), settled, now)], reserved=True)
        return True

    def _correct(self, attempted: Attempted, settled: Settled) -> bool:
        """News of what was charged for want of it."""
        where = "select id, holds from ledger where call = ? and attempt = ? and state = 'unconfirmed' limit 1"
        row = self._db.execute(where, attempted).fetchone()
        if row is None or settled.state in _DOUBTFUL:
            return False
        charges = []
        for budget, counter, start, reserved, charged in orjson.loads(row[1]):
            real = settled.amounts.get(budget, 0)
            change = self.of((budget, counter, start))
            change[USED] += real - charged
            change[DOUBTED] -= charged
            charges.append([budget, counter, start, reserved, real])
        values = (settled.state, orjson.dumps(charges), settled.facts, row[0])
        self._db.execute("update ledger set state = ?, holds = ?, facts = ? where id = ?", values)
        return True
