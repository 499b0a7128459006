"""Counters, reservations and the ledger, in one SQLite file that all workers of a gateway share, and what each of them
may spend without asking it.

Invariants: of a counter with a limit, `used + reserved` and what is granted never pass it by a reservation; `used` is
the sum of what the ledger charges; a reservation ends as exactly one row of the ledger. An attempt is known by
(call, attempt): settling it twice changes nothing, settling it late corrects what was charged for want of news.
Amounts are whole numbers: nano-USD, tokens or requests.

A worker draws a grant of every limit that it meets, a thirty-second of what is free, and reserves and settles against
it in memory. What it did stands in its journal at once and in the file within FLUSH_SECONDS, in one transaction for
all of it, which also draws the grants anew from what is free then. A reservation that has not lasted YOUNG_SECONDS yet
stays in the journal, within the grant: most calls are over before, and come to the file as a row of the ledger alone.
Grants shrink as the limit comes near; where one would no longer cover a few calls there is none, and every call
reserves in the file. A grant that nobody used for IDLE_SECONDS goes back. Of a worker that is killed, the next one
books the journal and takes the grants back: nothing that was reserved or settled is lost. WAL with synchronous=NORMAL:
only a power cut loses the last moments.
"""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import orjson

from afterlaunch.gateway.spending import reading
from afterlaunch.gateway.spending.changes import REFUSED, Changes, Ended, Live, ended_of
from afterlaunch.gateway.spending.database import opened
from afterlaunch.gateway.spending.journal import Journal, Left, left_behind
from afterlaunch.gateway.spending.lots import Lot, part_of
from afterlaunch.gateway.spending.records import (
    UNCONFIRMED,
    Asked,
    Attempted,
    Held,
    Key,
    Settled,
    Short,
    Wanted,
    asked_of,
    read_held,
)
from afterlaunch.ground import clock

log = logging.getLogger(__name__)
FLUSH_SECONDS = 0.05
IDLE_SECONDS = 0.2
YOUNG_SECONDS = 1.0
YOUNG_BYTES = 512 << 10  # of the journal that they may take with them into its next generation
KEEP_SECONDS = 400 * 86_400  # how long rows of the ledger and counters stay


class Store:
    """One connection, for one thread. It is opened when first used, and again after it could not be: a gateway starts
    without its disk, and what needs a budget says so. Methods raise sqlite3.Error."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._open: sqlite3.Connection | None = None
        self._journal: Journal | None = None
        self._lots: dict[Key, Lot] = {}
        self._looks: dict[Key, Lot] = {}
        self._live: dict[Attempted, Live] = {}  # of this worker
        self._fresh: dict[Attempted, Live] = {}  # of those, what the file does not know yet
        self._ended: list[tuple[Ended, bool]] = []  # and whether it stands in the file as a reservation
        self._strange: list[tuple[Attempted, Settled, float]] = []  # settled here, reserved elsewhere or long ago
        self._refused: dict[Key, int] = {}

    @property
    def _db(self) -> sqlite3.Connection:
        if self._open is None:
            self._open = opened(self._file)
        return self._open

    @property
    def _journals(self) -> Path:
        return self._file.with_suffix(".journals")

    def _own(self) -> Journal:
        if self._journal is None:
            try:
                self._journal = Journal(self._journals)
            except OSError as problem:
                raise sqlite3.OperationalError(str(problem)) from problem
        return self._journal

    def close(self) -> None:
        """What this worker was granted goes back."""
        journal, booked = self._journal, False
        try:
            if journal is not None:
                with self._writing(clock.real(), list(self._lots)):
                    pass
                self._db.execute("delete from holder where holder = ?", (journal.holder,))
                booked = True
        except sqlite3.Error as problem:
            log.error("budgets could not be closed; the next start books what was left: %s", problem)
        finally:
            if journal is not None:
                journal.close(remove=booked)
            self._journal = None
            if self._open is not None:
                self._open.close()
                self._open = None

    # ---- from memory

    @property
    def holding(self) -> bool:
        """Whether grants are out, which `flush` gives back in time."""
        return bool(self._lots)

    def take(self, asked: Asked, now: float) -> Held | None:
        """Against what this worker was granted; None when that does not cover it, or when the journal is full."""
        journal = self._journal
        if journal is None:
            return None
        drawn: list[tuple[Lot, int]] = []
        over: list[Key] = []
        left: dict[str, int] = {}
        call, attempt, scopes, amounts, expires, facts, _ = asked
        for at, key, limit, observed in scopes.bounded:
            lot, amount = (self._looks if limit is None else self._lots).get(key), amounts[at]
            if lot is None or lot.limit != (observed if limit is None else limit):
                return None
            if limit is None:
                if amount > lot.left:
                    over.append(key)
            elif lot.room < amount:
                return None
            else:
                left[key[0]] = lot.left - amount
            drawn.append((lot, amount))
        attempted = (call, attempt)
        said = b"R%b,%b]\n%b" % (orjson.dumps((attempted, expires))[:-1], scopes.held(amounts), facts)
        if not journal.add(said):
            self.flush(now)
            return None
        for lot, amount in drawn:
            lot.room -= amount
            lot.left -= amount
            lot.at = now
        for key in over:
            self._refused[key] = self._refused.get(key, 0) + 1
        self._live[attempted] = self._fresh[attempted] = Live(scopes, amounts, expires, facts, now, said)
        return Held(left, [key[0] for key in over] if over else [])

    def settle_soon(self, call: str, attempt: int, settled: Settled, now: float) -> None:
        """In memory and in the journal; in the file by `flush`. While the file cannot be written the journal fills up:
        then a settlement waits in memory alone, and its reservation is what a killed process leaves."""
        attempted = (call, attempt)
        live = self._live.pop(attempted, None)
        if self._journal is not None:
            said = orjson.dumps((attempted, now, settled.state, settled.amounts))
            self._journal.add(b"S%b\n%b" % (said, settled.facts))
        if live is None:
            self._strange.append((attempted, settled, now))
            return
        scopes, amounts = live.scopes, live.amounts
        ended = ended_of(attempted, scopes, amounts, settled, now)
        for at, key, limit, _ in scopes.bounded:
            lot = (self._looks if limit is None else self._lots).get(key)
            if lot is not None:
                back = amounts[at] - ended.charged[at]
                lot.room += back
                lot.left += back
        self._ended.append((ended, self._fresh.pop(attempted, None) is None))

    # ---- with the file

    @contextmanager
    def _writing(self, now: float, idle: Sequence[Key] = (), keep: bool = False) -> Iterator[Changes]:
        """A transaction. What waits is booked in it, with `keep` all but young reservations; the grants of the limits
        that it touches are drawn anew, those of `idle` go back."""
        journal, db = self._own(), self._db
        young = self._young(now) if keep else {}
        db.execute("begin immediate")
        try:
            changes = Changes(db, journal.holder)
            if not self._book(changes, young, together=True):
                db.execute("rollback")
                db.execute("begin immediate")
                changes = Changes(db, journal.holder)
                self._book(changes, young, together=False)
            yield changes
            drawn = self._grants(changes, journal.holder, idle)
            changes.write(now)
            changes.booked(journal.holder, journal.generation)
            journal.prepare([live.said for live in young.values()])
            db.execute("commit")
        except BaseException:
            if db.in_transaction:  # a full disk has rolled it back already
                db.execute("rollback")
            raise
        self._fresh = young
        self._ended.clear()
        self._strange.clear()
        self._refused.clear()
        journal.restart()
        self._draw(drawn)

    def _young(self, now: float) -> dict[Attempted, Live]:
        """Reservations that need not come to the file yet."""
        found, size = {}, 0
        for attempted, live in self._fresh.items():
            size += len(live.said) + 8
            if 0 <= now - live.at < YOUNG_SECONDS and size < YOUNG_BYTES:
                found[attempted] = live
        return found

    def _book(self, changes: Changes, young: dict[Attempted, Live], together: bool) -> bool:
        """What waits. False when a reservation that ended here has ended elsewhere before: then nothing of this
        transaction may stay, and they are to be booked one by one."""
        for attempted, live in self._fresh.items():
            if attempted not in young:
                changes.begin(attempted, live)
                continue
            for key, amount in zip(live.scopes.keys, live.amounts, strict=True):
                changes.young[key] = changes.young.get(key, 0) + amount
        written = [one for one, reserved in self._ended if reserved]
        if together and changes.forgotten([one.row[:2] for one in written]) != len(written):
            return False
        changes.end([one for one, reserved in self._ended if not reserved], reserved=False)
        if together:
            changes.end(written, reserved=True)
        else:
            for ended in written:
                row = ended.row
                amounts = {key[0]: charge for key, charge in zip(ended.scopes.keys, ended.charged, strict=True)}
                changes.settle((row.call, row.attempt), Settled(amounts, row.state, row.facts), row.at)
        for attempted, settled, at in self._strange:
            changes.settle(attempted, settled, at)
        for key, count in self._refused.items():
            changes.of(key)[REFUSED] += count
        return True

    def _grants(self, changes: Changes, holder: str, idle: Sequence[Key]) -> list[tuple[Lot, int, int, int, int]]:
        """For every limit that this worker knows and the transaction touches: the limit, what is left, what of the
        grant is free, the grant. It covers what is young. One that still fits is kept, since writing it is a page
        more."""
        drawn = []
        for key in changes.counters.keys() | changes.young.keys() | set(idle):
            young = changes.young.get(key, 0)
            if (look := self._looks.get(key)) is not None:
                drawn.append((look, look.asked, look.asked - changes.filled(key), 0, 0))
            if (lot := self._lots.get(key)) is not None:
                left = lot.asked - changes.filled(key)
                room = 0 if key in idle else part_of(left - changes.lent(key), lot, lot.granted - young)
                if room + young != lot.granted:
                    changes.granted(holder, key, room + young)
                drawn.append((lot, lot.asked, left, room, room + young))
        return drawn

    def _draw(self, drawn: list[tuple[Lot, int, int, int, int]]) -> None:
        for lot, limit, left, room, grant in drawn:
            lot.limit, lot.left, lot.room, lot.granted = limit, left, room, grant
            if not grant and self._lots.get(lot.key) is lot:
                del self._lots[lot.key]

    def reserve(
        self, call: str, attempt: int, wanted: Sequence[Wanted], expires: float, facts: bytes, now: float
    ) -> Held | Short:
        """All or none. Twice for one attempt: the first one stands."""
        return self.reserve_all([asked_of(call, attempt, wanted, expires, facts)], now)[0]

    def reserve_all(self, asked: Sequence[Asked], now: float) -> list[Held | Short]:
        """Each by itself, one after the other, in one transaction."""
        if self._journal is None:
            self.recover(now)
        begun: dict[Attempted, Live] = {}
        with self._writing(now, keep=True) as changes:
            self._look_at(asked, now)
            found = [self._reserve(one, changes, begun) for one in asked]
        for attempted, live in begun.items():
            self._live.setdefault(attempted, live)
        return found

    def _look_at(self, asked: Sequence[Asked], now: float) -> None:
        """Their limits become known here: the transaction draws grants for them."""
        for one in asked:
            for at, key, limit, observed in one.scopes.bounded:
                lots, most = (self._lots, limit) if limit is not None else (self._looks, observed or 0)
                lot = lots.get(key)
                if lot is None:
                    lot = lots[key] = Lot(key, most)
                lot.asked, lot.at, lot.amount = most, now, one.amounts[at]

    def _reserve(self, asked: Asked, changes: Changes, begun: dict[Attempted, Live]) -> Held | Short:
        left: dict[str, int] = {}
        over: list[Key] = []
        for at, key, limit, observed in asked.scopes.bounded:
            amount, filled = asked.amounts[at], changes.filled(key)
            if limit is None:
                if filled + amount > (observed or 0):
                    over.append(key)
                continue
            rest, lent = limit - filled, changes.lent(key)
            if amount > rest - lent:
                short = Short(asked.scopes.wanted(at, amount), max(rest, 0), lent)
                changes.of(key)[REFUSED] += not (asked.patient and short.may_come)
                return short
            left[key[0]] = rest - amount
        live = Live(asked.scopes, asked.amounts, asked.expires, asked.facts)
        if not changes.begin((asked.call, asked.attempt), live):
            return Held({}, [])
        begun[asked.call, asked.attempt] = live
        for key in over:
            changes.of(key)[REFUSED] += 1
        return Held(left, [key[0] for key in over])

    def flush(self, now: float) -> None:
        """What waits is booked, and what nobody uses goes back."""
        idle = [key for key, lot in self._lots.items() if not 0 <= now - lot.at <= IDLE_SECONDS]
        for key in [key for key, lot in self._looks.items() if not 0 <= now - lot.at <= IDLE_SECONDS]:
            del self._looks[key]
        back = any(self._lots[key].room for key in idle)
        if back or self._ended or self._strange or self._refused or len(self._young(now)) < len(self._fresh):
            with self._writing(now, idle, keep=True):
                pass

    def settle(self, call: str, attempt: int, settled: Settled, now: float) -> bool:
        """Whether anything changed by it."""
        with self._writing(now) as changes:
            done = changes.settle((call, attempt), settled, now)
        self._live.pop((call, attempt), None)
        return done

    def due(self, before: float) -> list[Attempted]:
        """Reservations of this worker that expire before then."""
        return [attempted for attempted, live in self._live.items() if live.expires < before]

    def renew(self, calls: Sequence[Attempted], expires: float, now: float) -> None:
        """Of calls that live."""
        if calls:
            with self._writing(now):
                statement = "update reservation set expires = ? where call = ? and attempt = ?"
                self._db.executemany(statement, [(expires, call, attempt) for call, attempt in calls])
            for attempted in calls:
                if (live := self._live.get(attempted)) is not None:
                    self._live[attempted] = live._replace(expires=expires)

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
                    done += changes.settle((call, attempt), Settled({}, UNCONFIRMED, facts), now)
            self._live.pop((call, attempt), None)
        return done

    def recover(self, now: float) -> int:
        """Books what workers that are dead have left, and takes back what was granted to them; how many they were."""
        done = 0
        for dead in left_behind(self._journals, self._journal.holder if self._journal is not None else ""):
            booked = False
            try:
                self._recover(dead, now)
                booked = True
            finally:
                dead.close(remove=booked)
            self._db.execute("delete from holder where holder = ?", (dead.holder,))
            done += 1
        return done

    def _recover(self, dead: Left, now: float) -> None:
        with self._writing(now) as changes:
            row = self._db.execute("select booked from holder where holder = ?", (dead.holder,)).fetchone()
            for record in dead.unbooked(row[0] if row else None):
                head, _, facts = record[1:].partition(b"\n")
                if record.startswith(b"R"):
                    attempted, expires, holds = orjson.loads(head)
                    changes.begin(tuple(attempted), Live(*read_held(orjson.dumps(holds)), expires, facts))
                else:
                    attempted, at, state, amounts = orjson.loads(head)
                    changes.settle(tuple(attempted), Settled(amounts, state, facts), at)
            self._db.execute("delete from granted where holder = ?", (dead.holder,))
            changes.booked(dead.holder, dead.generation + 1)

    def forget(self, before: float, now: float) -> None:
        """Rows of the ledger and counters that are older."""
        with self._writing(now):
            self._db.execute("delete from ledger where at < ?", (before,))
            self._db.execute("delete from counter where changed < ? and reserved = 0", (int(before * 1000),))

    # ---- reading

    def changed(self, since: int, most: int = 1_000) -> list[dict[str, Any]]:
        """Counters that changed at or after `since` (milliseconds), oldest first."""
        return reading.changed(self._db, since, most)

    def granted(self) -> dict[Key, int]:
        """What all workers together hold of each counter, unspent."""
        return reading.granted(self._db)

    def check(self) -> list[str]:
        """What does not add up: counters against ledger and reservations, as they stood at one instant. Empty when all
        is well."""
        self._db.execute("begin")
        try:
            return reading.differences(self._db)
        finally:
            self._db.execute("rollback")
