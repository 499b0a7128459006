"""The mail catcher's own page: what was caught, newest first, on a loopback port of its own.

A mail is foreign text. Its text part is escaped; its HTML part is shown in a sandboxed frame that runs no script, loads
nothing from anywhere and opens links in a new tab.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Sequence
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from django.template import Context, Engine

from afterlaunch.demo.mail import Caught

HERE = Path(__file__).parent
LOOK = HERE.parent / "look" / "static" / "look"
FILES = {
    "/look.css": (LOOK / "look.css", "text/css"),
    "/look.js": (LOOK / "look.js", "text/javascript"),
    "/icon.svg": (LOOK / "icon.svg", "image/svg+xml"),
    "/mail.css": (HERE / "static" / "mail.css", "text/css"),
    "/mail.js": (HERE / "static" / "mail.js", "text/javascript"),
}
PAGE_POLICY = (
    "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self'; frame-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
MAIL_POLICY = (
    "sandbox allow-popups allow-popups-to-escape-sandbox; default-src 'none'; style-src 'unsafe-inline'; "
    "img-src data:; form-action 'none'; frame-ancestors 'self'"
)
_HEAD = re.compile(r"<head[^>]*>", re.IGNORECASE)
Mails = Callable[[], Sequence[Caught]]
Answer = tuple[HTTPStatus, str, bytes, str]


class MailPage:
    """Serves `mails()` from a thread until stopped. `port` 0: one of the system's choice. Raises OSError when the
    port is taken."""

    def __init__(self, mails: Mails, port: int = 0) -> None:
        pages = _Pages(mails)

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                _answer(self, pages)

            def log_message(self, format: str, *args: Any) -> None:
                """The demo's terminal tells a story; requests are no part of it."""

        self._server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, args=(0.1,), name="mail page", daemon=True).start()

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()


def _answer(request: BaseHTTPRequestHandler, pages: _Pages) -> None:
    """Only under its own name: a foreign page must not read mails by pointing its own name at loopback."""
    host = request.headers.get("Host", "").rpartition(":")[0]
    if host in ("127.0.0.1", "localhost"):
        status, kind, body, policy = pages.at(request.path)
    else:
        status, kind, body, policy = HTTPStatus.MISDIRECTED_REQUEST, "text/plain", b"Open http://127.0.0.1", PAGE_POLICY
    request.send_response(status)
    told = {
        "Content-Type": f"{kind}; charset=utf-8",
        "Content-Length": str(len(body)),
        "Content-Security-Policy": policy,
        "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": "no-referrer",
        "Cache-Control": "no-store",
    }
    for name, value in told.items():
        request.send_header(name, value)
    request.end_headers()
    request.wfile.write(body)


class _Pages:
    def __init__(self, mails: Mails) -> None:
        self._mails = mails
        self._engine = Engine(dirs=[str(HERE / "templates")])

    def at(self, path: str) -> Answer:
        """Status, content type, body and content policy of an address."""
        parts = urlsplit(path)
        if parts.path in FILES:
            file, kind = FILES[parts.path]
            return HTTPStatus.OK, kind, file.read_bytes(), PAGE_POLICY
        query = {name: values[-1] for name, values in parse_qs(parts.query).items()}
        if parts.path == "/":
            return self._page("page.html", None, "")
        if parts.path == "/list":
            return self._page("list.html", self._mail(query.get("chosen", "")), "")
        found = re.fullmatch(r"/mails/(\d+)(/html)?", parts.path)
        mail = self._mail(found.group(1)) if found else None
        if mail is None or found is None:
            return HTTPStatus.NOT_FOUND, "text/plain", b"There is no such mail.", PAGE_POLICY
        if found.group(2):
            return HTTPStatus.OK, "text/html", opening_links_in_tabs(mail.html).encode(), MAIL_POLICY
        return self._page("page.html", mail, query.get("part", ""))

    def _mail(self, number: str) -> Caught | None:
        return next((mail for mail in self._mails() if str(mail.number) == number), None)

    def _page(self, template: str, chosen: Caught | None, part: str) -> Answer:
        as_html = bool(chosen and chosen.html and part != "text")
        values = {"mails": list(reversed(self._mails())), "chosen": chosen, "as_html": as_html}
        body = self._engine.get_template(f"mail/{template}").render(Context(values))
        return HTTPStatus.OK, "text/html", body.encode(), PAGE_POLICY


def opening_links_in_tabs(html: str) -> str:
    """The mail's HTML with a base that opens its links beside it, not in the frame."""
    base = '<base target="_blank">'
    if _HEAD.search(html):
        return _HEAD.sub(lambda head: head.group() + base, html, count=1)
    return f"<!doctype html>{base}{html}"
