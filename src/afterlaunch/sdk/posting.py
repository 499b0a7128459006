"""One body to the server: again while it is away or busy, for so long; else what it says is an error."""

from __future__ import annotations

import http.client
import json
import logging
import ssl
import time
import urllib.error
import urllib.request
from dataclasses import dataclass, field
from typing import Any, cast

log = logging.getLogger("afterlaunch")
BUSY = (429, 502, 503, 504)
TIMEOUT, LONGEST = 120.0, 30.0  # seconds of one attempt, of one pause
pause = time.sleep


@dataclass(frozen=True)
class Taken:
    """What the server has of a table: `rows` that are new, `duplicates` that it had before (an attempt of the same call
    whose answer was lost included), in so many `bodies`. Of the new ones: columns that the reference does not know, and
    columns of the reference that the table lacks."""

    rows: int = 0
    duplicates: int = 0
    bodies: int = 0
    columns_ignored: list[str] = field(default_factory=list)
    columns_missing: list[str] = field(default_factory=list)


class NotTaken(Exception):
    """The server refused rows, or could not be reached. `status` is None where it gave no answer; `taken` is what it
    took before: the same call again changes nothing of that."""

    def __init__(self, message: str, status: int | None = None) -> None:
        super().__init__(message)
        self.status, self.taken = status, Taken()


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    """The token is for this address alone."""

    def redirect_request(self, *_: Any) -> None:
        return None


def post(url: str, headers: dict[str, str], body: bytes, patience: float) -> dict[str, Any]:
    """The server's answer. Waits `patience` seconds in all. Raises NotTaken."""
    opener = urllib.request.build_opener(_NoRedirects)
    waited, next_pause = 0.0, 1.0
    while True:
        wait = next_pause
        try:
            request = urllib.request.Request(url, body, headers, method="POST")  # noqa: S310 - http(s) only, see start
            with opener.open(request, timeout=TIMEOUT) as answer:
                return _told(answer.read())
        except urllib.error.HTTPError as problem:
            with problem:
                why, status = _words(problem), problem.code
            if status not in BUSY:
                raise NotTaken(why, status) from None
            asked = problem.headers.get("retry-after", "")
            wait = max(1.0, float(asked)) if asked.isdigit() else next_pause
        except (OSError, http.client.HTTPException) as problem:
            cause = problem.reason if isinstance(problem, urllib.error.URLError) else problem
            why, status = f"The server gave no answer ({cause or type(cause).__name__}).", None
            if isinstance(cause, ssl.SSLCertVerificationError):
                raise NotTaken(why) from problem
            if isinstance(cause, (BrokenPipeError, ConnectionResetError)):
                why = f"{why[:-2]}, after a part of {len(body) / 2**20:.2g} MiB; smaller bodies: max_body_mb)."
        if waited >= patience:
            raise NotTaken(f"{why} Tried for {waited:g} s.", status)
        wait = min(wait, LONGEST, patience - waited)
        log.warning("%s Again in %g s.", why, wait)
        pause(wait)
        waited, next_pause = waited + wait, next_pause * 2


def _told(answer: bytes) -> dict[str, Any]:
    try:
        found = json.loads(answer)
    except ValueError:
        found = None
    if not isinstance(found, dict) or "rows" not in found:
        raise NotTaken("What answered there is not Afterlaunch's address for rows.", 200)
    return cast("dict[str, Any]", found)


def _words(problem: urllib.error.HTTPError) -> str:
    try:
        told = json.loads(problem.read(65_536))
        said = " ".join(str(told[name]) for name in ("message", "hint") if told.get(name))
    except (ValueError, AttributeError, OSError, http.client.HTTPException):
        said = ""
    return f"The server answered {problem.code}: {said or problem.reason}"
