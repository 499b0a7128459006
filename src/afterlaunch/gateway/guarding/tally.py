"""How often each policy was asked, matched, failed, and what it did: by stretches of five minutes, told to the server.

Counts lie in a file from the second in which they were made, so that a process that dies loses at most a second of
them. Telling one twice changes nothing: the server keeps what a gateway counted in a stretch, not what it adds.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import uuid
from dataclasses import asdict
from pathlib import Path

import aiohttp
import orjson

from afterlaunch.contracts.guard_counts import SLOT, Counts
from afterlaunch.gateway.server_link import Link
from afterlaunch.gateway.telling import Telling
from afterlaunch.ground import clock

log = logging.getLogger(__name__)
PERIOD = 2.0
MOST = 1_000  # rows in one telling
KEPT = 20_000  # rows; the oldest are given up when the server has been silent for so long
KEEP_TOLD = 3_600  # seconds after a stretch has begun: nothing is added to it any more


Key = tuple[str, int]  # policy, beginning of the stretch in seconds since 1970


class Tally:
    """`file`: of this worker alone."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._rows: dict[Key, Counts] = {}
        self._untold: set[Key] = set()
        self._dirty = False
        self._id = uuid.uuid4().hex[:12]
        if file.exists():
            self._load()

    def _load(self) -> None:
        try:
            kept = orjson.loads(self._file.read_bytes())
            self._id = str(kept["id"])
            for policy, slot, row in kept["rows"]:
                self._rows[policy, slot] = Counts(**row)
        except (OSError, ValueError, KeyError, TypeError) as problem:
            log.error("the counts of guard policies in %s cannot be read: %s", self._file, problem)
        self._untold = set(self._rows)

    def row(self, policy: str) -> Counts:
        """To be added to."""
        key = policy, int(clock.now().timestamp()) // SLOT * SLOT
        self._dirty = True
        self._untold.add(key)
        found = self._rows.get(key)
        if found is None:
            found = self._rows[key] = Counts()
        return found

    def sweep(self) -> None:
        """Called about once a second."""
        if not self._dirty:
            return
        self._dirty = False
        before = int(clock.now().timestamp()) - KEEP_TOLD
        for key in [one for one in self._rows if one[1] < before and one not in self._untold]:
            del self._rows[key]
        while len(self._rows) > KEPT:
            oldest = min(self._rows, key=lambda one: one[1])
            del self._rows[oldest]
            self._untold.discard(oldest)
            log.error("the server has been silent for so long that counts of guard policies are given up")
        rows = [[policy, slot, asdict(row)] for (policy, slot), row in self._rows.items()]
        try:
            self._file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            temporary = self._file.with_suffix(".tmp")
            temporary.write_bytes(orjson.dumps({"id": self._id, "rows": rows}))
            temporary.replace(self._file)
        except OSError as problem:
            log.error("the counts of guard policies cannot be kept on disk: %s", problem)

    @property
    def told_as(self) -> str:
        return f"{socket.gethostname()}/{self._id}"[:100]

    def news(self) -> list[tuple[Key, Counts]]:
        return [(key, Counts(**asdict(self._rows[key]))) for key in sorted(self._untold)[:MOST]]

    def told(self, news: list[tuple[Key, Counts]]) -> None:
        """The server has them; what was added since is told next time."""
        for key, row in news:
            if self._rows.get(key) == row:
                self._untold.discard(key)


class Teller:
    """The loop that tells the server."""

    def __init__(self, link: Link, session: aiohttp.ClientSession, tally: Tally) -> None:
        self._telling = Telling(link, session, "guard/counts", "counts", "the counts of guard policies")
        self._tally = tally

    async def run(self) -> None:
        while True:
            await asyncio.sleep(PERIOD)
            while (news := self._tally.news()) and await self._telling.tell(self._tally.told_as, _rows(news)):
                self._tally.told(news)
                if len(news) < MOST:
                    break


def _rows(news: list[tuple[Key, Counts]]) -> list[dict[str, object]]:
    return [{"policy": policy, "slot": slot, **asdict(row)} for (policy, slot), row in news]
