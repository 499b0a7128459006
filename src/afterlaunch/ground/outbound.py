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
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

from afterlaunch.ground.errors import Invalid
from afterlaunch.ground.settings import settings

CONNECT_SECONDS = 5.0
TOTAL_SECONDS = 10.0
BODY_LIMIT = 4096
Address = ipaddress.IPv4Address | ipaddress.IPv6Address


class Refused(Invalid):
    """The guard does not let this address pass; trying again won't help."""

    code = "address_refused"


class Unreachable(Exception):
    """No answer: name, connection, TLS or time. It may pass by itself."""


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


class _Pinned(http.client.HTTPSConnection):
    """Connects to the checked address while TLS and Host still name the host."""

    def __init__(self, place: Place, timeout: float) -> None:
        self._context_ours = ssl.create_default_context()
        super().__init__(place.host, place.port, timeout=timeout, context=self._context_ours)
        self._place = place

    def connect(self) -> None:
        raw = socket.create_connection((self._place.address, self._place.port), timeout=CONNECT_SECONDS)
        raw.settimeout(self.timeout)
        secure = self._place.scheme == "https"
        self.sock = self._context_ours.wrap_socket(raw, server_hostname=self._place.host) if secure else raw


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
    method: str, place: Place, body: bytes | None, headers: Sequence[tuple[str, str]], total: float, limit: int
) -> Document:
    connection = _Pinned(place, total)
    late = threading.Event()

    def cut() -> None:
        late.set()
        if connection.sock is not None:
            try:
                connection.sock.shutdown(socket.SHUT_RDWR)
            except OSError:
                return  # it was closed already

    timer = threading.Timer(total, cut)
    timer.daemon = True
    timer.start()
    try:
        connection.request(method, place.path, body, dict(headers))
        answer = connection.getresponse()
        read = answer.read(limit + 1)
        if late.is_set():
            raise TimeoutError
        return Document(answer.status, {name.lower(): value for name, value in answer.getheaders()}, read)
    except (OSError, http.client.HTTPException) as problem:
        why = f"no answer within {total:g} s" if late.is_set() else f"{type(problem).__name__}: {problem}"
        raise Unreachable(f"{place.host}: {why}") from problem
    finally:
        timer.cancel()
        connection.close()
