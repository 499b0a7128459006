"""Whom checks ask: services of the house's own, through the outbound guard, and people, through the server."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import aiohttp
import orjson

from afterlaunch.contracts.guard_checks import Check
from afterlaunch.gateway.guarding.calls import Unreadable
from afterlaunch.gateway.server_link import Link
from afterlaunch.ground import outbound
from afterlaunch.ground.errors import AfterlaunchError
from afterlaunch.ground.references import dereferenced

log = logging.getLogger(__name__)
THREADS = 16
MOST_CHECKS = 64  # questions to services at the same time
MOST_ASKED = 64  # questions to the server at the same time
MOST_WAITING = 64  # calls of a worker that wait for a person
SERVER_SECONDS = 5.0
POLL_SECONDS = 1.0


class Services:
    """Services that say whether something passes. Their time is the check's deadline, names and threads included."""

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="guard-check")
        self._asked = 0

    def close(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def ask(self, check: Check, question: dict[str, Any]) -> str | None:
        """Why it does not pass, or None. Raises Unreadable: no answer in time, or none that says yes or no."""
        if self._asked >= MOST_CHECKS:
            raise Unreadable("check-busy")
        self._asked += 1
        loop = asyncio.get_running_loop()
        # counted until the thread is done: one that its deadline has passed still holds it
        work = loop.run_in_executor(self._threads, _answer_of, check, orjson.dumps(question))
        work.add_done_callback(self._done)
        try:
            return await asyncio.wait_for(asyncio.shield(work), check.deadline)
        except TimeoutError:
            raise Unreadable("check-timeout") from None

    def _done(self, work: asyncio.Future[str | None]) -> None:
        self._asked -= 1
        if not work.cancelled():
            work.exception()  # it was told, or nobody waits for it any more


def _answer_of(check: Check, body: bytes) -> str | None:
    headers = [("content-type", "application/json"), ("user-agent", "afterlaunch-guard")]
    try:
        if check.credential:
            headers.append(("authorization", f"Bearer {dereferenced(check.credential, 'the gateway')}"))
        answer = outbound.post(check.url, body, headers, total=check.deadline)
    except outbound.Unreachable:
        raise Unreadable("check-unreachable") from None
    except AfterlaunchError as problem:
        log.error("the check at %s cannot be asked: %s", check.url, problem)
        raise Unreadable("check-refused") from None
    if answer.status != 200:
        raise Unreadable("check-status")
    try:
        said = orjson.loads(answer.body)
    except orjson.JSONDecodeError:
        raise Unreadable("check-answer") from None
    if not isinstance(said, dict) or not isinstance(said.get("allow"), bool):
        raise Unreadable("check-answer")
    return None if said["allow"] else "the check said no"


class Held(NamedTuple):
    """`state`: waiting, approved, denied or expired (then `fallback` says what follows)."""

    id: str
    state: str
    fallback: str = "deny"
    reason: str = ""


class People:
    """Holds, as the server keeps them. A question about the same request is about the same hold, in all workers."""

    def __init__(self, link: Link, session: aiohttp.ClientSession) -> None:
        self._link, self._session = link, session
        self._asked = 0
        self._waiting: dict[str, asyncio.Future[Held]] = {}
        self._some = asyncio.Event()

    @property
    def waiting(self) -> int:
        return len(self._waiting)

    async def ask(self, question: dict[str, Any]) -> Held:
        """Open a hold, or learn of the one that there is. Raises Unreadable."""
        return _held(await self._call("POST", "holds", question))

    async def take(self, holds: list[Held]) -> bool:
        """Use what was approved, once. Raises Unreadable."""
        return bool((await self._call("POST", "holds/take", {"ids": [one.id for one in holds]}))["taken"])

    async def decision(self, held: Held, seconds: float) -> Held:
        """Waits for it, at most so long."""
        if self.waiting >= MOST_WAITING:
            return held
        future = self._waiting.get(held.id)
        if future is None:
            future = self._waiting[held.id] = asyncio.get_running_loop().create_future()
            self._some.set()
        with contextlib.suppress(TimeoutError):
            return await asyncio.wait_for(asyncio.shield(future), seconds)
        self._waiting.pop(held.id, None)
        return held

    async def run(self) -> None:
        """One question about all that wait, every second."""
        while True:
            await self._some.wait()
            await asyncio.sleep(POLL_SECONDS)
            if not self._waiting:
                self._some.clear()
                continue
            with contextlib.suppress(Unreadable):
                told = await self._call("GET", f"holds?ids={','.join(list(self._waiting)[:MOST_WAITING])}", None)
                for held in map(_held, told["holds"]):
                    if held.state != "waiting" and (future := self._waiting.pop(held.id, None)) is not None:
                        future.set_result(held)

    async def _call(self, method: str, path: str, body: dict[str, Any] | None) -> Any:
        if self._asked >= MOST_ASKED:
            raise Unreadable("holds-busy")
        self._asked += 1
        url = f"{self._link.server}/api/v1/gateway/guard/{path}"
        timeout = aiohttp.ClientTimeout(total=SERVER_SECONDS)
        try:
            headers = {**self._link.headers(), "Content-Type": "application/json"}
            data = orjson.dumps(body) if body is not None else None
            async with self._session.request(method, url, data=data, headers=headers, timeout=timeout) as answer:
                read = await answer.read()
            if answer.status != 200:
                raise OSError(f"status {answer.status}: {read[:200]!r}")
            return orjson.loads(read)
        except (OSError, ValueError, aiohttp.ClientError, TimeoutError) as problem:
            log.warning("the server does not answer about what is held: %s", problem or type(problem).__name__)
            raise Unreadable("server-silent") from None
        finally:
            self._asked -= 1


def _held(told: dict[str, Any]) -> Held:
    return Held(str(told["id"]), str(told["state"]), str(told["fallback"]), str(told["reason"]))
