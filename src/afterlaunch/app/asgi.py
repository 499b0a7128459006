"""The server's ASGI application: hot paths first, Django for the rest."""

from __future__ import annotations

import os
import warnings
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "afterlaunch.app.django_settings")

from django.core.asgi import get_asgi_application

# Whitenoise serves small files of our own as an iterator; Django warns once that it reads them whole.
warnings.filterwarnings("ignore", message="StreamingHttpResponse must consume synchronous iterators")

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Application = Callable[[Scope, Receive, Send], Awaitable[None]]


def assemble(hot: dict[str, Application]) -> Application:
    """`hot` maps exact paths to raw ASGI applications; everything else goes to Django."""
    pages = get_asgi_application()

    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        target: Application = hot.get(scope.get("path", ""), pages)  # type: ignore[arg-type]
        await target(scope, receive, send)

    return application
