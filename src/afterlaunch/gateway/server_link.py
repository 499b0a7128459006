"""The gateway's way to the server: its address, token and key, and the loop that asks for newer configuration."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass
from pathlib import Path

import aiohttp

from afterlaunch.gateway.configuration import Holder
from afterlaunch.ground.settings import Settings

log = logging.getLogger(__name__)
PAUSE = 0.25  # seconds between two questions: a change is in force within one second


@dataclass(frozen=True)
class Link:
    """`telemetry`: where spans go, if not to the server. Token and key come from their settings, else from the data
    folder that `up` shares with us; read when needed, since the server may make them after we have started."""

    server: str
    folder: Path
    given_token: str = ""
    given_key: str = ""
    telemetry: str = ""

    def token(self) -> str:
        return self.given_token or _read(self.folder / "token")

    def key(self) -> bytes:
        return (self.given_key or _read(self.folder / "key")).encode()

    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.token()}"}


def _read(file: Path) -> str:
    """Raises OSError, also when it is empty: an empty key would verify anything made with an empty key."""
    text = file.read_text().strip()
    if not text:
        raise OSError(f"{file} is empty")
    return text


def link_from(settings: Settings) -> Link:
    server = settings.text("GATEWAY_SERVER").rstrip("/") or f"http://127.0.0.1:{settings['PORT']}"
    folder, telemetry = settings.data / "gateway", settings.text("GATEWAY_TELEMETRY").rstrip("/")
    return Link(server, folder, settings.text("GATEWAY_TOKEN"), settings.text("GATEWAY_KEY"), telemetry)


class Poller:
    """Asks the server for what is newer than the epoch in force."""

    def __init__(self, link: Link, holder: Holder, session: aiohttp.ClientSession) -> None:
        self._link, self._holder, self._session = link, holder, session
        self.silent_since: float | None = None  # loop time; None while the server answers
        self.problem = ""

    async def run(self) -> None:
        while True:
            try:
                await self._ask()
                self.silent_since, self.problem = None, ""
            except (OSError, aiohttp.ClientError, TimeoutError) as problem:
                self._note(str(problem) or type(problem).__name__)
            await asyncio.sleep(PAUSE)

    async def _ask(self) -> None:
        url = f"{self._link.server}/api/v1/gateway/snapshot?after={self._holder.epoch}"
        timeout = aiohttp.ClientTimeout(total=10)
        async with self._session.get(url, headers=self._link.headers(), timeout=timeout) as answer:
            if answer.status == 200:
                self._holder.take(await answer.read())
            elif answer.status != 204:
                raise OSError(f"the server answers {answer.status} to the question for configuration")

    def _note(self, problem: str) -> None:
        if problem != self.problem:
            log.warning("no configuration from the server: %s; the last good one stays in force", problem)
        self.problem = problem
        if self.silent_since is None:
            self.silent_since = asyncio.get_running_loop().time()
