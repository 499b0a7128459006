"""Telling the server what this gateway counted; nothing depends on whether it listens."""

from __future__ import annotations

import logging
import socket
import uuid
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import aiohttp
import orjson

from afterlaunch.contracts.gateway_names import named
from afterlaunch.gateway.server_link import Link

log = logging.getLogger(__name__)
SECONDS = 10.0


def identity(folder: Path) -> str:
    """Of this gateway, the same after a restart: two on one machine are told apart."""
    file = folder / "identity"
    try:
        return named(socket.gethostname(), file.read_text().strip())
    except FileNotFoundError:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    fresh = folder / f"identity.{uuid.uuid4().hex[:12]}"
    fresh.write_text(uuid.uuid4().hex[:12])
    with suppress(FileExistsError):
        file.hardlink_to(fresh)  # the first of several workers wins
    fresh.unlink()
    return named(socket.gethostname(), file.read_text().strip())


class Telling:
    """`path`: below /api/v1/gateway; `name`: of the list in the document; `what`: the words for it in the log, where a
    silent server is told of once."""

    def __init__(self, link: Link, session: aiohttp.ClientSession, path: str, name: str, what: str) -> None:
        self._link, self._session, self._path, self._name, self._what = link, session, path, name, what
        self._silent = False

    async def tell(self, gateway: str, rows: Sequence[dict[str, Any]]) -> bool:
        """Whether the server has taken them."""
        body = orjson.dumps({"gateway": gateway, self._name: rows})
        url, timeout = f"{self._link.server}/api/v1/gateway/{self._path}", aiohttp.ClientTimeout(total=SECONDS)
        try:
            headers = {**self._link.headers(), "Content-Type": "application/json"}
            async with self._session.post(url, data=body, headers=headers, timeout=timeout) as answer:
                await answer.read()
            if answer.status >= 300:
                raise OSError(f"status {answer.status}")
        except (OSError, aiohttp.ClientError, TimeoutError) as problem:
            if not self._silent:
                log.warning("the server does not take %s: %s", self._what, problem or type(problem).__name__)
            self._silent = True
            return False
        self._silent = False
        return True
