"""A process is alive and takes telemetry before its pages are read; whoever asks for a page waits."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from afterlaunch.app.asgi import Said, assemble

pytestmark = pytest.mark.django_db


async def status(application: Any, path: str) -> int:
    told: list[Any] = []
    coming: list[dict[str, Any]] = [{"type": "http.request", "body": b"", "more_body": False}]

    async def receive() -> dict[str, Any]:
        return coming.pop() if coming else await asyncio.Future()  # nobody goes away

    async def send(message: Any) -> None:
        told.append(message)

    scope = {"type": "http", "method": "GET", "path": path, "query_string": b"", "headers": [(b"host", b"127.0.0.1")]}
    await application({**scope, "http_version": "1.1", "scheme": "http", "root_path": ""}, receive, send)
    return int(told[0]["status"])


def test_pages_wait_until_they_are_read() -> None:
    async def look() -> None:
        read = asyncio.Event()
        application = assemble({"/v1/traces": Said(202, b"text/plain", {})}, read=read)
        assert await status(application, "/healthz") == 200 and await status(application, "/v1/traces") == 202
        page = asyncio.ensure_future(status(application, "/static/nothing.css"))
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(asyncio.shield(page), 0.2)
        read.set()
        assert await asyncio.wait_for(page, 30) == 404

    asyncio.run(look())


def test_what_another_process_serves_is_told_at_once() -> None:
    async def look() -> None:
        application = assemble({}, pages=False, read=asyncio.Event())
        assert await status(application, "/systems") == 404 and await status(application, "/healthz") == 200

    asyncio.run(look())
