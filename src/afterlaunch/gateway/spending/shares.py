"""What this machine may spend of limits that all gateways share: drawn from the server, part by part.

1. A limit that is `shared` is, here, what the server has given this gateway of it: a share, which only ever grows, so
that the sum of all shares never passes the limit, whatever dies or falls silent. 2. Where it does not cover a call, the
server is asked for more before the call is refused; when half of the last part is spent, it is asked beforehand.
3. What a gateway holds and does not spend is lost to the others until the window renews: parts are small, a
thirty-second of what is free, and shrink as the limit comes near.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING

import aiohttp
import orjson

from afterlaunch.gateway.protocols import Refusal

if TYPE_CHECKING:
    from afterlaunch.gateway.server_link import Link  # whose poller knows configurations, which know shares

log = logging.getLogger(__name__)
PATIENCE = 2.0  # seconds that a call waits for the server
TRIES = 7  # each asks for twice the part of the one before
PAUSE = 1.0  # seconds after which the server is asked again of a limit that was spent: a storm must not reach it
KEPT = 10_000  # shares of counters; those of windows that are over go first
Key = tuple[str, str, int]  # budget, counter, window_start


class Shares:
    """`version` changes whenever a share does."""

    def __init__(self, link: Link, session: aiohttp.ClientSession, gateway: str) -> None:
        self._link, self._session, self._gateway = link, session, gateway
        self._held: dict[Key, int] = {}
        self._part: dict[Key, int] = {}  # how much came with the last answer
        self._asking: dict[Key, asyncio.Task[bool]] = {}
        self._spent: dict[Key, float] = {}  # until when there is nothing to ask for, loop time
        self.version = 0

    def of(self, key: Key) -> int:
        return self._held.get(key, 0)

    def runs_low(self, key: Key, left: int) -> bool:
        """Whether half of the last part is spent. `left`: of what is held."""
        return left * 2 < self._part.get(key, 0)

    async def more(self, keys: Sequence[Key], tries: int) -> bool:
        """Whether any share grew. Raises Refusal 503 where the server does not answer."""
        grown = [await self._more(key, tries) for key in keys]
        return any(grown)

    async def _more(self, key: Key, tries: int) -> bool:
        """Calls that need the same share wait for one answer."""
        if self._spent.get(key, 0.0) > asyncio.get_running_loop().time():
            return False
        task = self._asking.get(key)
        if task is None:
            task = self._asking[key] = asyncio.create_task(self._ask(key, tries))
            task.add_done_callback(lambda _: self._asking.pop(key, None))
        return await asyncio.shield(task)

    def beforehand(self, key: Key) -> None:
        """More, without waiting for it; a server that is silent is met by the call that needs it."""
        if key not in self._asking:
            task = self._asking[key] = asyncio.create_task(self._ask(key, 0))

            def done(ended: asyncio.Task[bool]) -> None:
                self._asking.pop(key, None)
                if not ended.cancelled():
                    ended.exception()  # it is logged where it came up

            task.add_done_callback(done)

    async def _ask(self, key: Key, tries: int) -> bool:
        budget, counter, start = key
        want = {"budget": budget, "counter": counter, "window_start": start, "held": self.of(key), "tries": tries}
        body = orjson.dumps({"gateway": self._gateway, "wants": [want]})
        headers = {**self._link.headers(), "Content-Type": "application/json"}
        url, timeout = f"{self._link.server}/api/v1/gateway/shares", aiohttp.ClientTimeout(total=PATIENCE)
        try:
            async with self._session.post(url, data=body, headers=headers, timeout=timeout) as answer:
                said = await answer.read()
            if answer.status >= 300:
                raise OSError(f"status {answer.status}")
            share = int(orjson.loads(said)["shares"][0]["share"])
        except (OSError, aiohttp.ClientError, TimeoutError, ValueError, LookupError, TypeError) as problem:
            log.warning("the server gives no share of budget %s: %s", budget, problem or type(problem).__name__)
            text = "All gateways share this budget, and the server does not say how much of it is left."
            raise Refusal(503, "budget-share", text, retry_after=5) from problem
        before = self.of(key)
        if share <= before:
            if len(self._spent) >= KEPT:
                self._spent.clear()
            self._spent[key] = asyncio.get_running_loop().time() + PAUSE
            return False
        if len(self._held) >= KEPT and key not in self._held:
            self._forget()
        self._held[key], self._part[key] = share, share - before
        self.version += 1
        return True

    def _forget(self) -> None:
        """The older half: the server knows what was given and tells it again."""
        for key in sorted(self._held, key=lambda one: one[2])[: KEPT // 2]:
            del self._held[key]
            self._part.pop(key, None)
