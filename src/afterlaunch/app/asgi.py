"""The server's ASGI application: hot paths first, Django for the rest."""

from __future__ import annotations

import os
import warnings
from collections.abc import Awaitable, Callable, MutableMapping, Sequence
from typing import Any

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "afterlaunch.app.django_settings")

import orjson
from django.core.asgi import get_asgi_application

# Whitenoise serves small files of our own as an iterator; Django warns once that it reads them whole.
warnings.filterwarnings("ignore", message="StreamingHttpResponse must consume synchronous iterators")

HEALTH = ("/healthz", "/readyz")
Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Application = Callable[[Scope, Receive, Send], Awaitable[None]]


def assemble(
    hot: dict[str, Application],
    pages: bool = True,
    receivers: Sequence[tuple[Callable[[str], bool], Application]] = (),
) -> Application:
    """`hot` maps exact paths to raw ASGI applications, each of `receivers` says which paths are its own; everything
    else goes to Django: to all of its addresses, or, without `pages`, to those alone that tell how the process is."""
    django = get_asgi_application()
    known, elsewhere = {*hot, *HEALTH}, Elsewhere("This process has no pages and no API. Ask `serve web`.")

    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        path = scope.get("path", "")
        for serves, receiver in receivers:
            if serves(path):
                return await receiver(scope, receive, send)
        target: Application = hot.get(path, django)  # type: ignore[arg-type]
        return await (target if pages or path in known else elsewhere)(scope, receive, send)

    return application


class Elsewhere:
    """404: another kind of process answers for this address; `detail` says which."""

    def __init__(self, detail: str) -> None:
        self._body = orjson.dumps({"type": "about:blank", "title": "Not here", "status": 404, "detail": detail})

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        length = str(len(self._body)).encode()
        headers = [(b"content-type", b"application/problem+json"), (b"content-length", length)]
        await send({"type": "http.response.start", "status": 404, "headers": headers})
        await send({"type": "http.response.body", "body": self._body})
