"""Tells the server what the counters of budgets hold, for its pages and alerts. Enforcement needs no server."""

from __future__ import annotations

import asyncio
import logging
import sqlite3

import aiohttp

from afterlaunch.gateway.server_link import Link
from afterlaunch.gateway.spending.store import KEEP_SECONDS, Store
from afterlaunch.gateway.telling import Telling
from afterlaunch.ground import clock

log = logging.getLogger(__name__)
PERIOD = 2.0
FORGET_PERIOD = 3600.0
MOST = 1_000


class Counters:
    """Counters that changed are told again from the last moment that the server has taken: taking one twice changes
    nothing."""

    def __init__(self, link: Link, session: aiohttp.ClientSession, store: Store, gateway: str) -> None:
        self._telling = Telling(link, session, "budgets", "counters", "the counters of budgets")
        self._store, self._gateway = store, gateway
        self._since = 0  # milliseconds
        self._told: dict[tuple[str, str, int], int] = {}

    async def run(self) -> None:
        forgotten = clock.real()
        while True:
            await asyncio.sleep(PERIOD)
            try:
                while await self._tell():
                    pass
            except sqlite3.Error as problem:
                log.error("counters of budgets cannot be read: %s", problem)
                continue
            if clock.real() - forgotten > FORGET_PERIOD:
                now = clock.real()
                self._store.forget(now - KEEP_SECONDS, now)
                forgotten = clock.real()

    async def _tell(self) -> bool:
        """Whether there is more to tell."""
        rows = self._store.changed(self._since, MOST)
        fresh = [row for row in rows if self._told.get(_key(row)) != row["at"]]
        if fresh and not await self._telling.tell(self._gateway, fresh):
            return False
        if rows:
            self._since = rows[-1]["at"]
            self._told = {_key(row): row["at"] for row in rows if row["at"] == self._since}
        return len(rows) == MOST and bool(fresh)


def _key(row: dict[str, object]) -> tuple[str, str, int]:
    return str(row["budget"]), str(row["counter"]), int(str(row["window_start"]))
