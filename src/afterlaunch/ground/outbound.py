"""Requests to addresses that users gave. Pure of frameworks.

1. Only http and https, no credentials in the address. 2. Every address that the name resolves to must be public, or
stand on the allow-list (`AFTERLAUNCH_OUTBOUND_ALLOW`); plain http only to the allow-list. 3. The connection goes to
the address that was checked, so a second answer of the name server changes nothing. 4. Redirects are not followed.
5. Five seconds to connect, and a deadline for the whole exchange that a slow drip of bytes can't stretch.
"""

from __future__ import annotations

import http.client
import ipaddress
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from typing import TypeVar
from urllib.parse import urljoin, urlsplit

from afterlaunch.ground.errors import Invalid
from afterlaunch.ground.settings import settings

CONNECT_SECONDS = 5.0
TOTAL_SECONDS = 10.0
BODY_LIMIT = 4096
Address = ipaddress.IPv4Address | ipaddress.IPv6Address
T = TypeVar("T")


class Refused(Invalid):
    """The guard does not let this address pass; trying again won't help."""

    code = "address_refused"


class Unreachable(Exception):
    """No answer: name, connection, TLS or time. It may pass by itself. `sent`: whether the request may have arrived."""

    def __init__(self, message: str, sent: bool = False) -> None:
        super().__init__(message)
        self.sent = sent


@dataclass(frozen=True)
class Answer:
    status: int
    headers: Mapping[str, str]
    body: str


@dataclass(frozen=True)
class Document:
    """An answer as it came. `body` is cut one byte behind the limit that was asked for."""

    status: int
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True)
class Place:
    """A checked destination. `address` is the one to connect to."""

    scheme: str
    host: str
    port: int
    path: str
    address: str


def allowed_networks() -> tuple[ipaddress.IPv4Network | ipaddress.IPv6Network, ...]:
    """The allow-list; a name on it is resolved, a bare address is a network of one. Raises Refused on nonsense."""
    found = []
    for entry in settings()["OUTBOUND_ALLOW"]:
        try:
            found.append(ipaddress.ip_network(entry, strict=False))
        except ValueError:
            raise Refused(
                f"AFTERLAUNCH_OUTBOUND_ALLOW: {entry!r} is no address or network.", "For example: 10.1.2.0/24"
            ) from None
    return tuple(found)


def _is_allowed(address: Address) -> bool:
    return any(address in network for network in allowed_networks() if network.version == address.version)


def embedded(address: Address) -> Address:
    """The IPv4 address that an IPv6 one stands for (mapped, 6to4, Teredo, NAT64), else the address itself."""
    if isinstance(address, ipaddress.IPv6Address):
        inner = address.ipv4_mapped or address.sixtofour or (address.teredo or (None, None))[1]
        if inner is not None:
            return inner
        if address in ipaddress.ip_network("64:ff9b::/96"):
            return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return address


def _is_public(address: Address) -> bool:
    inner = embedded(address)
    return inner.is_global and not inner.is_multicast


def check_address(url: str, private: bool = True) -> Place:
    """Resolve and judge. `private` False: the allow-list is not for whoever named this address. Raises Refused, or
    Unreachable when the name does not resolve."""
    parts = urlsplit(url)
    try:
        port = parts.port or (443 if parts.scheme == "https" else 80)
    except ValueError:
        raise Refused(f"{url!r} has no valid port.") from None
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.username or parts.password:
        raise Refused("This is no web address that can be called.", "Use https://host/path, without a user name.")
    candidates = _resolve(parts.hostname, port)
    allowed = [private and _is_allowed(one) for one in candidates]
    if not all(ok or _is_public(one) for one, ok in zip(candidates, allowed, strict=True)):
        raise Refused(
            f"{parts.hostname} leads to a private address.",
            "An administrator can allow it in AFTERLAUNCH_OUTBOUND_ALLOW.",
        )
    if parts.scheme == "http" and not all(allowed):
        raise Refused("Plain http is for allowed private addresses only.", "Use https.")
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return Place(parts.scheme, parts.hostname, port, path, str(candidates[0]))


def _resolve(host: str, port: int) -> list[Address]:
    try:
        rows = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as problem:
        raise Unreachable(f"{host} does not resolve: {problem}") from problem
    texts = dict.fromkeys(str(row[4][0]).split("%", 1)[0] for row in rows)
    return [ipaddress.ip_address(text) for text in texts]


@cache
def _trusting() -> ssl.SSLContext:
    """One for all requests: reading the roots costs more than a request."""
    return ssl.create_default_context()


class _Pinned(http.client.HTTPSConnection):
    """Connects to the checked address while TLS and Host still name the host."""

    def __init__(self, place: Place, timeout: float) -> None:
        self._context_ours = _trusting()
        super().__init__(place.host, place.port, timeout=timeout, context=self._context_ours)
        self._place = place
        self.line: socket.socket | None = None  # kept: the connection gives its own up when an answer is the last one

    def connect(self) -> None:
        raw = socket.create_connection((self._place.address, self._place.port), timeout=CONNECT_SECONDS)
        raw.settimeout(self.timeout)
        secure = self._place.scheme == "https"
        self.line = raw
        self.sock = self._context_ours.wrap_socket(raw, server_hostname=self._place.host) if secure else raw
        self.line = self.sock


def post(
    url: str, body: bytes, headers: Sequence[tuple[str, str]], total: float = TOTAL_SECONDS, limit: int = BODY_LIMIT
) -> Answer:
    """Send one request. Raises Refused or Unreachable; any status is an answer, `limit` bytes of it are read."""
    found = _exchange("POST", check_address(url), body, headers, total, limit)
    return Answer(found.status, found.headers, found.body[:limit].decode("utf-8", "replace"))


def get(url: str, headers: Sequence[tuple[str, str]], total: float, limit: int, private: bool = True) -> Document:
    """Fetch one document of up to `limit` bytes. Raises Refused or Unreachable; any status is an answer."""
    return _exchange("GET", check_address(url, private), None, headers, total, limit)


def _exchange(
    method: str,
    place: Place,
    body: bytes | None,
    headers: Sequence[tuple[str, str]],
    total: float,
    limit: int,
    told: float = 0.0,
) -> Document:
    """`told`: the time limit that an error names, where `total` is what is left of it."""
    connection = _Pinned(place, total)
    late = threading.Event()

    def cut() -> None:
        late.set()
        if connection.line is not None:
            try:
                connection.line.shutdown(socket.SHUT_RDWR)
            except OSError:
                return  # it was closed already

    timer = threading.Timer(total, cut)
    timer.daemon = True
    timer.start()
    sent = False
    try:
        connection.connect()
        sent = True
        connection.request(method, place.path, body, dict(headers))
        answer = connection.getresponse()
        read = answer.read(limit + 1)
        if late.is_set():
            raise TimeoutError
        return Document(answer.status, {name.lower(): value for name, value in answer.getheaders()}, read)
    except (OSError, http.client.HTTPException) as problem:
        silent = late.is_set() or isinstance(problem, TimeoutError)
        why = f"no answer within {told or total:g} s" if silent else f"{type(problem).__name__}: {problem}"
        raise Unreachable(f"{place.host}: {why}", sent) from problem
    finally:
        timer.cancel()
        connection.close()


class TooManyRedirects(Exception):
    """It leads on further than was asked for."""


def fetch(
    method: str,
    url: str,
    body: bytes | None,
    headers: Sequence[tuple[str, str]],
    total: float,
    limit: int,
    *,
    private: bool = True,
    redirects: int = 0,
    vouched: bool = False,
) -> Document:
    """Send one request and follow up to `redirects` others, each through the guard, all within `total` seconds.

    What was sent to prove who we are is not sent on to another origin. `vouched`: the address is a setting of the
    house's own, so it is not judged. Raises Refused, Unreachable or TooManyRedirects; any other status is an answer.
    """
    until = time.monotonic() + total
    origin = _origin(url)
    for left in range(redirects, -1, -1):
        place = _trusted_place(url) if vouched else check_address(url, private)
        found = _exchange(method, place, body, headers, max(0.05, until - time.monotonic()), limit, total)
        target = found.headers.get("location", "")
        if found.status not in _REDIRECTS or not target or not redirects:
            return found
        if not left:
            raise TooManyRedirects(f"It leads on more than {redirects} times.")
        url = urljoin(url, target)
        if found.status in (301, 302, 303) and method != "HEAD":
            method, body = "GET", None
        if _origin(url) != origin:
            headers = [(name, value) for name, value in headers if name.lower() not in _CREDENTIALS]
    raise AssertionError("unreachable")


_REDIRECTS = (301, 302, 303, 307, 308)
_CREDENTIALS = ("authorization", "cookie", "x-api-key", "api-key")


def _origin(url: str) -> tuple[str, str | None, int | None]:
    parts = urlsplit(url)
    try:
        return parts.scheme, parts.hostname, parts.port or {"http": 80, "https": 443}.get(parts.scheme)
    except ValueError:
        return parts.scheme, parts.hostname, None


def _trusted_place(url: str) -> Place:
    parts = urlsplit(url)
    port = parts.port or (443 if parts.scheme == "https" else 80)
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return Place(parts.scheme, parts.hostname or "", port, path, parts.hostname or "")


def address_of(host: str, port: int, private: bool = True) -> str:
    """The checked address of a host that is reached by another protocol than HTTP. Raises Refused or Unreachable."""
    candidates = _resolve(host, port)
    if not all(_is_public(one) or (private and _is_allowed(one)) for one in candidates):
        raise Refused(
            f"{host} leads to a private address.", "An administrator can allow it in AFTERLAUNCH_OUTBOUND_ALLOW."
        )
    return str(candidates[0])


class Line:
    """A TCP connection to a checked address. All of it together may take so many seconds."""

    def __init__(self, host: str, made: socket.socket, until: float, total: float) -> None:
        self._host, self._socket, self._until, self._total = host, made, until, total

    def send(self, data: bytes) -> None:
        self._in_time()
        self._told(lambda: self._socket.sendall(data))

    def receive(self, limit: int, wanted: bytes = b"") -> bytes:
        """Until `wanted` has come, the other side ends, or `limit` bytes are read."""
        got = b""
        while len(got) < limit and not (wanted and wanted in got):
            self._in_time()
            part = self._told(lambda: self._socket.recv(limit))
            if not part:
                break
            got += part
        return got

    def secured(self, context: ssl.SSLContext, server_name: str) -> bytes | None:
        """Shake hands over TLS; the other side's certificate as DER. Raises ssl.SSLError as it is."""
        self._in_time()
        try:
            with context.wrap_socket(self._socket, server_hostname=server_name) as secured:
                return secured.getpeercert(binary_form=True)
        except ssl.SSLError:
            raise
        except OSError as problem:
            raise self._lost(problem) from problem

    def _in_time(self) -> None:
        left = self._until - time.monotonic()
        if left <= 0:
            raise self._lost(TimeoutError())
        self._socket.settimeout(left)

    def _told(self, deed: Callable[[], T]) -> T:
        try:
            return deed()
        except OSError as problem:
            raise self._lost(problem) from problem

    def _lost(self, problem: OSError) -> Unreachable:
        if isinstance(problem, TimeoutError):
            return Unreachable(f"{self._host}: no answer within {self._total:g} s")
        return Unreachable(f"{self._host}: {problem.strerror or type(problem).__name__}")


@contextmanager
def connected(host: str, port: int, total: float, private: bool = True) -> Iterator[Line]:
    """A connection over TCP. Raises Refused or Unreachable."""
    until = time.monotonic() + total
    address = address_of(host, port, private)
    try:
        made = socket.create_connection((address, port), timeout=min(CONNECT_SECONDS, total))
    except TimeoutError as problem:
        raise Unreachable(f"{host}: no answer within {min(CONNECT_SECONDS, total):g} s") from problem
    except OSError as problem:
        raise Unreachable(f"{host}: {problem.strerror or type(problem).__name__}") from problem
    with made:
        yield Line(host, made, until, total)
