from __future__ import annotations

import asyncio
import logging
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from afterlaunch.gateway.server_link import Link
from afterlaunch.gateway.telling import Telling


def test_who_has_no_token_yet_or_no_server_tells_later(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """The server makes the token after a gateway has started; nothing of a silent one ends the loop that tells."""
    came: list[Any] = []

    async def take(request: web.Request) -> web.Response:
        came.append((request.headers["Authorization"], await request.json()))
        return web.json_response({}, status=200 if len(came) > 1 else 503)

    async def play() -> list[bool]:
        app = web.Application()
        app.router.add_post("/api/v1/gateway/days", take)
        runner = web.AppRunner(app)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        async with aiohttp.ClientSession() as session:
            link = Link(f"http://127.0.0.1:{runner.addresses[0][1]}", tmp_path)
            telling = Telling(link, session, "days", "days", "the days")
            taken = [await telling.tell("gw", [{"a": 1}])]
            (tmp_path / "token").write_text("secret")
            taken += [await telling.tell("gw", [{"a": 1}]), await telling.tell("gw", [{"a": 1}])]
        await runner.cleanup()
        return taken

    with caplog.at_level(logging.WARNING):
        assert asyncio.run(play()) == [False, False, True]
    assert came == [("Bearer secret", {"gateway": "gw", "days": [{"a": 1}]})] * 2
    assert [one.getMessage().partition(":")[0] for one in caplog.records] == ["the server does not take the days"]
