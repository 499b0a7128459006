"""The raw body of a request from outside: read first, and only so much of it."""

from __future__ import annotations

from django.http import HttpRequest

from afterlaunch.ground.errors import TooLarge

LIMIT = 1024 * 1024


def raw_body(request: HttpRequest) -> bytes:
    """Raises TooLarge above 1 MiB, by what the sender says and by what it sends."""
    said = request.headers.get("Content-Length", "")
    if said.isdigit() and int(said) > LIMIT:
        raise TooLarge(f"The body has {said} bytes; {LIMIT} are taken.")
    body: bytes = request.read(LIMIT + 1)
    if len(body) > LIMIT:
        raise TooLarge(f"The body has more than {LIMIT} bytes.")
    return body
