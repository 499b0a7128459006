"""Reservations and settlements a second, by processes that share one budget, beside the bare update that they rest on.

    python benchmarks/budgets.py [--processes 4] [--seconds 3]

Each pair is what a call does: reserve in two budgets (one hard, one soft), settle both, with a row of the ledger. The
floor is one conditional UPDATE and one UPDATE of a single counter, with nothing kept that a killed process could be
settled by. CPU is of all processes together. In the end counters are compared with the ledger; exit 1 if they differ,
if the hard budget was passed, or if the bar is missed with --check.
"""

from __future__ import annotations

import argparse
import multiprocessing
import resource
import sqlite3
import sys
import tempfile
import time
from multiprocessing.queues import SimpleQueue
from pathlib import Path
from typing import Any

from afterlaunch.gateway.spending.records import Asked, Scopes, Settled, Short
from afterlaunch.gateway.spending.store import FLUSH_SECONDS, Store

BAR = 20_000  # pairs a second with 4 processes
LIMIT = 1 << 50
EXPECTED, REAL = 150, 100
CALLERS = 16  # calls of a worker that come at the same time


def product(file: Path, index: int, until: float) -> int:
    """As a gateway's worker does with CALLERS calls under way."""
    store, pairs = Store(file), 0
    scopes = Scopes([("hard", "tenant=t1", 0), ("soft", "", 0)], [LIMIT, None], [None, None])
    amounts = [EXPECTED, EXPECTED]
    settled, flushed = Settled({"hard": REAL, "soft": REAL}, "exact", b'{"route":"r"}'), time.perf_counter()
    while (at := time.perf_counter()) < until:
        now = time.time()
        if at - flushed > FLUSH_SECONDS:
            store.flush(now)
            flushed = at
        calls = [
            Asked(f"{index}-{pairs + number}", 1, scopes, amounts, now + 120, b'{"route":"r"}')
            for number in range(CALLERS)
        ]
        found = [store.take(call, now) for call in calls]
        short = [call for call, one in zip(calls, found, strict=True) if one is None]
        if short and any(isinstance(one, Short) for one in store.reserve_all(short, now)):
            break
        for call in calls:
            store.settle_soon(call.call, 1, settled, now)
        pairs += CALLERS
    store.flush(time.time())
    store.close()
    return pairs


def floor(file: Path, index: int, until: float) -> int:
    del index
    db = sqlite3.connect(file, isolation_level=None, timeout=30)
    db.execute("pragma synchronous=normal")
    db.execute("pragma busy_timeout=30000")
    pairs = 0
    while time.perf_counter() < until:
        db.execute(
            "update b set used = used + ? where id = 1 and used + ? <= ? returning used", (EXPECTED, EXPECTED, LIMIT)
        )
        db.execute("update b set used = used - ? where id = 1", (EXPECTED - REAL,))
        pairs += 1
    db.close()
    return pairs


def _run(work: Any, file: Path, index: int, begin: float, seconds: float, told: SimpleQueue[Any]) -> None:
    while time.perf_counter() < begin:
        time.sleep(0.001)
    pairs = work(file, index, begin + seconds)
    used = resource.getrusage(resource.RUSAGE_SELF)
    told.put((pairs, used.ru_utime + used.ru_stime))


def measure(work: Any, file: Path, processes: int, seconds: float) -> tuple[float, float]:
    """Pairs a second, CPU microseconds a pair."""
    many = multiprocessing.get_context("fork")
    told, begin = many.SimpleQueue(), time.perf_counter() + 0.3
    workers = [many.Process(target=_run, args=(work, file, n, begin, seconds, told)) for n in range(processes)]
    for worker in workers:
        worker.start()
    found = [told.get() for _ in workers]
    took = time.perf_counter() - begin
    for worker in workers:
        worker.join()
    pairs = sum(one[0] for one in found)
    return pairs / took, sum(one[1] for one in found) / max(pairs, 1) * 1e6


def main() -> int:
    global CALLERS
    given = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    given.add_argument("--processes", type=int, default=4)
    given.add_argument("--seconds", type=float, default=3.0)
    given.add_argument("--callers", type=int, default=CALLERS, help="calls that come to a process at the same time")
    given.add_argument("--check", action="store_true")
    asked = given.parse_args()
    CALLERS = asked.callers
    with tempfile.TemporaryDirectory() as folder:
        bare, ours = Path(folder) / "bare.sqlite3", Path(folder) / "budgets.sqlite3"
        with sqlite3.connect(bare) as db:
            db.execute("pragma journal_mode=wal")
            db.execute("create table b(id integer primary key, used integer)")
            db.execute("insert into b values(1, 0)")
        Store(ours).close()
        least, base = measure(floor, bare, asked.processes, asked.seconds)
        rate, cost = measure(product, ours, asked.processes, asked.seconds)
        store = Store(ours)
        wrong = store.check()
        store.close()
    print(f"{asked.processes} processes, {asked.seconds:g} s each, one hot counter, {CALLERS} callers at once")
    print(f"  bare update         {least:>9,.0f} pairs/s  {base:6.1f} us CPU a pair")
    print(
        f"  reserve and settle  {rate:>9,.0f} pairs/s  {cost:6.1f} us CPU a pair  {cost / base:.1f} times the bare one"
    )
    print(f"  bar {BAR:,} pairs/s: {rate / BAR:.2f} of it; counters equal the ledger: {not wrong}")
    return 1 if wrong or (asked.check and rate < BAR) else 0


if __name__ == "__main__":
    sys.exit(main())
