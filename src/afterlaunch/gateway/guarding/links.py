"""Links in a text and the hosts that they lead to, as readers would follow them. Pure, in time linear in the text.

Whoever shows an answer may be a browser, a renderer of Markdown or a client that looks for addresses itself, and they
do not read alike. A host is taken as it stands: what is doubtful is a host that nobody allowed.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from html import unescape
from typing import NamedTuple

LONGEST = 300  # characters of what names a host
_LINK = re.compile(
    r"(?:(?P<web>(?:https?|wss?|ftp):[/\\]*)|[a-z][a-z0-9+.\-]{0,30}:[/\\]{2,}"
    r"|(?P<bare>(?<![\w/\\:.\-])(?:[/\\]{2}|www\.)))",
    re.I,
)
_AUTHORITY = re.compile(rf"[^\s\"'<>`/?#]{{0,{LONGEST}}}")
_ALL = re.compile(r"[^\s\"'<>`]*")
_CLOSED = re.compile(r"[)\]}|,;*!]+(?![\w.\-@%]|[^\x00-\x7f])")  # behind it goes on no host
_TRAILING = ")]}|,;:!?.*_~。，、）"
_PORT = re.compile(r":\d{0,5}$")


class Link(NamedTuple):
    start: int
    at: int  # where the host begins
    host: str


def links(text: str) -> Iterator[Link]:
    """Addresses with a scheme, `//host` and `www.` without one; also those within another one."""
    for found in _LINK.finditer(text):
        bare, web = found["bare"] or "", found["web"] or ""
        authority = _AUTHORITY.match(text, found.end())
        host = _host((bare if bare[-1:] == "." else "") + (authority.group() if authority else ""))
        doubtful = bool(bare) or bool(web and web[-1] == ":")
        if host and ("." in host or not doubtful):
            yield Link(found.start(), found.end(), host)


def end_of(text: str, link: Link) -> int:
    """Where the whole address ends."""
    found = _ALL.match(text, link.at)
    return link.at + len(found.group().rstrip(_TRAILING)) if found else link.at


def _host(authority: str) -> str:
    """In small letters, without user and port. A backslash is a slash for browsers, and for others it is none: behind
    one the host is doubtful, and stays in it, as in what is longer than any host."""
    if "\\" in authority or len(authority) >= LONGEST:
        return authority.lower()
    authority = _CLOSED.split(authority, maxsplit=1)[0].rpartition("@")[2]
    return _PORT.sub("", authority.rstrip(_TRAILING)).rstrip(".").lower()


class Hosts:
    """Those that are allowed: by name, or `*.example.com` for every name below it."""

    def __init__(self, names: Sequence[str]) -> None:
        self._exact = frozenset(one.lower() for one in names if not one.startswith("*."))
        self._below = tuple(one[1:].lower() for one in names if one.startswith("*."))

    def allow(self, host: str) -> bool:
        return host in self._exact or (host.endswith(self._below) and _plain(host))

    def others(self, text: str) -> list[Link]:
        return [one for one in links(text) if not self.allow(one.host)]

    def hidden(self, text: str) -> bool:
        """Whether a link to another host shows once what HTML and Markdown write by a character's number is read."""
        return "&" in text and bool(self.others(unescape(text)))


def _plain(host: str) -> bool:
    """A name of letters, digits and hyphens: what else a host may be written with says something else elsewhere."""
    return all(one.isascii() and (one.isalnum() or one in ".-") for one in host)
