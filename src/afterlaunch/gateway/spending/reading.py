"""What the file of the budgets holds, read without changing it. Raises sqlite3.Error."""

from __future__ import annotations

import sqlite3
from typing import Any

import orjson

from afterlaunch.gateway.spending.records import Key


def changed(db: sqlite3.Connection, since: int, most: int) -> list[dict[str, Any]]:
    rows = db.execute(
        "select budget, counter, start, used, reserved, refused, unconfirmed, changed from counter"
        " where changed >= ? order by changed limit ?",
        (since, most),
    )
    names = ("budget", "counter", "window_start", "used", "reserved", "refused", "unconfirmed", "at")
    return [dict(zip(names, row, strict=True)) for row in rows]


def granted(db: sqlite3.Connection) -> dict[Key, int]:
    rows = db.execute("select budget, counter, start, sum(amount) from granted group by 1, 2, 3")
    return {(budget, counter, start): amount for budget, counter, start, amount in rows}


def differences(db: sqlite3.Connection) -> list[str]:
    """Between counters and what ledger and reservations add up to; within a transaction."""
    sums: dict[Key, list[int]] = {}
    for (holds,) in db.execute("select holds from ledger"):
        for budget, counter, start, _, charged in orjson.loads(holds):
            sums.setdefault((budget, counter, start), [0, 0])[0] += charged
    for (holds,) in db.execute("select holds from reservation"):
        for budget, counter, start, amount in orjson.loads(holds):
            sums.setdefault((budget, counter, start), [0, 0])[1] += amount
    wrong = []
    for budget, counter, start, used, reserved in db.execute(
        "select budget, counter, start, used, reserved from counter"
    ):
        ought = sums.pop((budget, counter, start), [0, 0])
        if ought != [used, reserved]:
            wrong.append(f"{budget} {counter} {start}: used {used}, reserved {reserved}, ought to be {ought}")
    return wrong + [f"{key}: no counter" for key, ought in sums.items() if any(ought)]
