"""The server's ASGI application: hot paths first, Django for the rest."""

from __future__ import annotations

import asyncio
import os
import warnings
from collections.abc import Awaitable, Callable, MutableMapping, Sequence
from typing import Any

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "afterlaunch.app.django_settings")

import orjson
from django.core.asgi import get_asgi_application

# Whitenoise serves small files of our own as an iterator; Django warns once that it reads them whole.
warnings.filterwarnings("ignore", message="StreamingHttpResponse must consume synchronous iterators")

ALIVE = "/healthz"
HEALTH = (ALIVE, "/readyz")
Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Application = Callable[[Scope, Receive, Send], Awaitable[None]]


def assemble(
    hot: dict[str, Application],
    pages: bool = True,
    receivers: Sequence[tuple[Callable[[str], bool], Application]] = (),
    read: asyncio.Event | None = None,
) -> Application:
    """`hot` maps exact paths to raw ASGI applications, each of `receivers` says which paths are its own; everything
    else goes to Django: to all of its addresses, or, without `pages`, to those alone that tell how the process is.
    Until the pages are `read`, the process is alive, and whoever asks for one waits."""
    django = get_asgi_application()
    known, elsewhere = {*hot, *HEALTH}, Elsewhere("This process has no pages and no API. Ask `serve web`.")
    alive = Said(200, b"application/json", {"status": "alive"})

    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        path = scope.get("path", "")
        for serves, receiver in receivers:
            if serves(path):
                return await receiver(scope, receive, send)
        if not pages and path not in known:
            return await elsewhere(scope, receive, send)
        if path not in hot and read is not None and not read.is_set():
            if path == ALIVE:
                return await alive(scope, receive, send)
            await read.wait()
        target: Application = hot.get(path, django)  # type: ignore[arg-type]
        return await target(scope, receive, send)

    return application


class Said:
    """The same JSON to everybody."""

    def __init__(self, status: int, kind: bytes, body: dict[str, Any]) -> None:
        self._status, self._kind, self._body = status, kind, orjson.dumps(body)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        headers = [(b"content-type", self._kind), (b"content-length", str(len(self._body)).encode())]
        await send({"type": "http.response.start", "status": self._status, "headers": headers})
        await send({"type": "http.response.body", "body": self._body})


class Elsewhere(Said):
    """404: another kind of process answers for this address; `detail` says which."""

    def __init__(self, detail: str) -> None:
        body = {"type": "about:blank", "title": "Not here", "status": 404, "detail": detail}
        super().__init__(404, b"application/problem+json", body)
