from __future__ import annotations

import asyncio
import threading
import urllib.error
import urllib.request
from collections.abc import Iterable
from typing import Any

import pytest

from afterlaunch.gateway.tests.house import running
from afterlaunch.receivers.asgi import Receivers
from afterlaunch.receivers.wire import Answer, Request

LIMIT = 1024


async def ask(app: Receivers, parts: Iterable[bytes] = (b"",), method: str = "POST", **headers: str) -> tuple[int, Any]:
    waiting = list(parts)
    sent: list[Any] = []

    async def receive() -> Any:
        if not waiting:
            return {"type": "http.disconnect"}
        part = waiting.pop(0)
        return {"type": "http.request", "body": part, "more_body": bool(waiting)}

    async def send(message: Any) -> None:
        sent.append(message)

    named = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    await app({"type": "http", "method": method, "path": "/hooks/x", "headers": named}, receive, send)
    return sent[0]["status"], {name.decode(): value.decode() for name, value in sent[0]["headers"]}


def ok(_: Request) -> Answer:
    return Answer(200, b"fine")


def test_ten_megabytes_are_refused_before_they_are_held() -> None:
    app = Receivers(LIMIT, ok)
    assert asyncio.run(ask(app, [b"x" * LIMIT]))[0] == 200
    assert asyncio.run(ask(app, [], content_length=str(10 * 2**20)))[0] == 413, "by what it says"
    assert asyncio.run(ask(app, (b"x" * 512 for _ in range(20_480))))[0] == 413, "by what comes"
    assert asyncio.run(ask(app, [b""], content_encoding="gzip"))[0] == 415
    app.close()


def test_above_its_room_it_says_503_and_when_to_come_again_and_then_takes_again() -> None:
    release = threading.Event()

    def slow(_: Request) -> Answer:
        release.wait(10)
        return Answer(200)

    async def burst(app: Receivers) -> list[tuple[int, Any]]:
        asked = [asyncio.ensure_future(ask(app)) for _ in range(30)]
        done, _ = await asyncio.wait(asked, timeout=0.5)
        release.set()
        await asyncio.gather(*asked)
        return [one.result() for one in done]

    app = Receivers(LIMIT, slow, waiting=10)
    refused = asyncio.run(burst(app))
    assert len(refused) == 20 and all(status == 503 and told["retry-after"] == "5" for status, told in refused)
    assert asyncio.run(ask(app))[0] == 200
    app.close()


def test_a_fault_of_ours_is_503_so_that_the_sender_keeps_it() -> None:
    def broken(_: Request) -> Answer:
        raise RuntimeError("a mistake")

    app = Receivers(LIMIT, broken)
    status, headers = asyncio.run(ask(app))
    assert status == 503 and "retry-after" in headers
    app.close()


def test_a_sender_that_leaves_is_no_fault() -> None:
    app = Receivers(LIMIT, ok)
    assert asyncio.run(ask(app, []))[0] == 400
    assert asyncio.run(ask(app, [b""], "HEAD"))[0] == 200
    app.close()


def test_a_sender_of_a_body_that_is_too_large_is_told_so_and_not_cut_off() -> None:
    for most, told, status in ((LIMIT, {}, 413), (2**25, {"content-encoding": "gzip"}, 415)):
        app = Receivers(most, ok)
        with running(app) as url, pytest.raises(urllib.error.HTTPError, match=str(status)):
            urllib.request.urlopen(urllib.request.Request(url, b"x" * 2**24, told))
        app.close()
    app = Receivers(LIMIT, ok)
    chunks = (b"x" * 2**16 for _ in range(256))
    with running(app) as url, pytest.raises(urllib.error.HTTPError, match="413"):
        urllib.request.urlopen(urllib.request.Request(url, chunks, {"transfer-encoding": "chunked"}))
    app.close()
