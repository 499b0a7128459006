"""Tells the server what was reserved and settled of each day, for its reconciliation. Enforcement needs no server."""

from __future__ import annotations

import asyncio
import logging
import sqlite3
from datetime import UTC, datetime, timedelta
from typing import Any

import aiohttp

from afterlaunch.gateway.server_link import Link
from afterlaunch.gateway.spending.daybook import AT_ONCE, Daybook
from afterlaunch.gateway.telling import Telling
from afterlaunch.ground import clock

log = logging.getLogger(__name__)
PERIOD = 30.0
PAUSE = 0.2  # seconds between two stretches of the ledger: reading it must not keep a core busy
MOST = 1_000
KEPT = timedelta(days=400)


class Days:
    """Days that changed are told again from the last moment that the server has taken: taking one twice changes
    nothing, since sums are told and not what was added."""

    def __init__(self, link: Link, session: aiohttp.ClientSession, book: Daybook, gateway: str) -> None:
        self._telling = Telling(link, session, "days", "days", "the days of budgets")
        self._book, self._gateway = book, gateway
        self._since = 0  # milliseconds
        self._told: set[tuple[Any, ...]] = set()

    async def run(self) -> None:
        while True:
            try:
                await self.tell()
            except sqlite3.Error as problem:
                log.error("the ledger of budgets cannot be added up: %s", problem)
            await asyncio.sleep(PERIOD)

    async def tell(self) -> None:
        """Everything that is new. Raises sqlite3.Error."""
        while await asyncio.to_thread(self._book.read, clock.real()) == AT_ONCE:
            await asyncio.sleep(PAUSE)
        while True:
            rows = await asyncio.to_thread(self._book.changed, self._since, MOST)
            fresh = [row for row in rows if tuple(row.values()) not in self._told]
            if not fresh or not await self._telling.tell(self._gateway, fresh):
                break
            self._since = int(rows[-1]["at"])
            self._told = {tuple(row.values()) for row in rows if row["at"] == self._since}
        before = datetime.fromtimestamp(clock.real(), UTC).date() - KEPT
        await asyncio.to_thread(self._book.forget, before.isoformat())
