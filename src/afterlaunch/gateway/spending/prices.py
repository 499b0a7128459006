"""Price cards of the models that are called: asked of the server when first needed, kept on disk, used on while the
server is silent."""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path
from urllib.parse import urlencode

import aiohttp
import orjson

from afterlaunch.contracts.budgets import PriceCard
from afterlaunch.contracts.plain import made
from afterlaunch.gateway.server_link import Link
from afterlaunch.gateway.usage import Tokens
from afterlaunch.ground import clock

log = logging.getLogger(__name__)
PATIENCE = 2.0  # seconds that a call waits for a price that nobody has asked for yet
MISSING_SECONDS = 60.0  # until the server is asked again for a price that it had not, or when it is silent
Who = tuple[str, str, str]  # client, provider, model


class Prices:
    def __init__(self, link: Link, session: aiohttp.ClientSession, file: Path) -> None:
        self._link, self._session, self._file = link, session, file
        self._cards: dict[Who, PriceCard | None] = {}
        self._ask_again: dict[Who, float] = {}  # seconds since 1970
        self._asking: dict[Who, asyncio.Task[None]] = {}
        self._load()

    def known(self, who: Who) -> tuple[bool, PriceCard | None]:
        """Whether it is known now; the card, None when nobody has priced the model."""
        now = clock.seconds()
        if who in self._cards and now < self._ask_again.get(who, 0.0):
            return True, self._cards[who]
        return False, None

    async def card(self, who: Who) -> PriceCard | None:
        """Waits for the server where it must; an old card is better than none."""
        fresh, card = self.known(who)
        if fresh:
            return card
        task = self._asking.get(who)
        if task is None:
            task = self._asking[who] = asyncio.create_task(self._ask(who))
            task.add_done_callback(lambda _: self._asking.pop(who, None))
        if who not in self._cards:
            await asyncio.wait([task], timeout=PATIENCE)
        return self._cards.get(who)

    async def _ask(self, who: Who) -> None:
        query = urlencode(dict(zip(("client", "provider", "model"), who, strict=True)))
        url, now = f"{self._link.server}/api/v1/gateway/prices?{query}", clock.seconds()
        try:
            timeout = aiohttp.ClientTimeout(total=PATIENCE)
            async with self._session.get(url, headers=self._link.headers(), timeout=timeout) as answer:
                body = await answer.read()
            if answer.status == 404:
                self._cards[who], self._ask_again[who] = None, now + MISSING_SECONDS
            elif answer.status == 200:
                card = made(PriceCard, orjson.loads(body))
                self._cards[who], self._ask_again[who] = card, max(card.until, now + 1.0)
                self._keep()
            else:
                raise OSError(f"status {answer.status}")
        except (OSError, ValueError, aiohttp.ClientError, TimeoutError) as problem:
            log.warning("no price of %s %s from the server: %s", who[1], who[2], problem or type(problem).__name__)
            self._ask_again[who] = now + 5.0

    def _keep(self) -> None:
        rows = [[list(who), card] for who, card in self._cards.items() if card is not None]
        temporary = self._file.with_suffix(".tmp")
        try:
            temporary.write_bytes(orjson.dumps(rows))
            temporary.replace(self._file)
        except OSError as problem:
            log.error("prices cannot be kept on disk: %s", problem)

    def _load(self) -> None:
        try:
            rows = orjson.loads(self._file.read_bytes())
            self._cards = {(who[0], who[1], who[2]): made(PriceCard, card) for who, card in rows}
        except FileNotFoundError:
            return
        except (OSError, ValueError, TypeError, IndexError) as problem:
            log.error("the prices on disk cannot be read: %s", problem)


def kinds_of(tokens: Tokens) -> dict[str, int]:
    """Exclusive counts by kind of price, from the inclusive ones of the conventions. Parts that exceed their total were
    not in it."""
    read, write = tokens.cache_read or 0, tokens.cache_write or 0
    five, hour = tokens.cache_write_5m or 0, tokens.cache_write_1h or 0
    reasoning, given, made = tokens.reasoning or 0, tokens.input or 0, tokens.output or 0
    return {
        "input": given - read - write if read + write <= given else given,
        "cache_read": read,
        "cache_write_5m": five,
        "cache_write_1h": hour,
        "cache_write_other": max(write - five - hour, 0),
        "output": made - reasoning if reasoning <= made else made,
        "reasoning": reasoning,
    }
