"""The client towards providers, behind four operations. Only this file knows aiohttp's client on the data path."""

from __future__ import annotations

import asyncio
from functools import lru_cache
from typing import NoReturn

import aiohttp
from yarl import URL

CONNECT_SECONDS = 10.0
CONNECTIONS = 1_000  # per upstream
_AUTOMATIC = ("User-Agent", "Content-Type", "Accept", "Accept-Encoding")


class Broken(Exception):
    """`kind`: unreachable (nothing was sent), timeout, cut (the connection was lost)."""

    def __init__(self, kind: str, said: str) -> None:
        super().__init__(said)
        self.kind = kind


class Head:
    """Status and headers of an answer; its body is read through the client."""

    __slots__ = ("headers", "response", "status")

    def __init__(self, response: aiohttp.ClientResponse) -> None:
        self.response = response
        self.status = response.status
        self.headers = [(name.lower(), value) for name, value in response.raw_headers]


class Client:
    """One per worker: no cookies, no redirects, no decompression, connections limited for each upstream host."""

    def __init__(self) -> None:
        connector = aiohttp.TCPConnector(limit=0, limit_per_host=CONNECTIONS, ttl_dns_cache=60, keepalive_timeout=30)
        self._session = aiohttp.ClientSession(
            connector=connector,
            auto_decompress=False,
            cookie_jar=aiohttp.DummyCookieJar(),
            skip_auto_headers=_AUTOMATIC,
            timeout=aiohttp.ClientTimeout(total=None),
            trust_env=False,
        )
        self._timeouts: dict[float, aiohttp.ClientTimeout] = {}

    async def open(self, method: str, url: str, headers: list[tuple[str, str]], body: bytes, seconds: float) -> Head:
        """Send the request and wait for the head. Raises Broken."""
        timeout = self._timeouts.get(seconds)
        if timeout is None:
            timeout = aiohttp.ClientTimeout(total=None, sock_connect=min(CONNECT_SECONDS, seconds), sock_read=seconds)
            self._timeouts[seconds] = timeout
        try:
            response = await self._session.request(
                method,
                _url(url),
                headers=headers,
                data=body or None,
                timeout=timeout,
                allow_redirects=False,
            )
        except (aiohttp.ClientError, OSError, TimeoutError) as problem:
            _translate(problem)
        return Head(response)

    async def read(self, head: Head) -> bytes:
        """The next bytes as they came, b"" at the end. Raises Broken."""
        try:
            return await head.response.content.readany()
        except (aiohttp.ClientError, OSError, TimeoutError) as problem:
            _translate(problem)

    @staticmethod
    def ended(head: Head) -> bool:
        """Whether everything has been read, so that the last read can be sent as the last one."""
        return head.response.content.at_eof()

    @staticmethod
    def abort(head: Head) -> None:
        """Close the connection at once: the provider stops working for nobody."""
        head.response.close()

    async def close(self) -> None:
        await self._session.close()
        await asyncio.sleep(0)


@lru_cache(maxsize=4096)
def _url(url: str) -> URL:
    """Upstreams have few addresses; taking one apart costs as much as sending to it."""
    return URL(url, encoded=True)


def _translate(problem: Exception) -> NoReturn:
    if isinstance(problem, aiohttp.ConnectionTimeoutError | aiohttp.ClientConnectorError):
        kind = "unreachable"
    elif isinstance(problem, TimeoutError):
        kind = "timeout"
    else:
        kind = "cut"
    raise Broken(kind, type(problem).__name__) from problem
