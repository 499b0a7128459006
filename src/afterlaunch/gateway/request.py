"""What a caller's request says: its key, route, unit, trace; and what of it goes on to the provider."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import NamedTuple
from urllib.parse import unquote

import httptools

from afterlaunch.contracts.cohort import in_candidate
from afterlaunch.contracts.snapshot import Arm, Key, Route
from afterlaunch.gateway.protocols import OPAQUE, Protocol, Refusal, protocol_of

LARGEST_HEAD = 64 << 10
_HOP = frozenset(
    b"connection keep-alive te trailer transfer-encoding upgrade proxy-connection proxy-authenticate "
    b"proxy-authorization proxy-authentication-info http2-settings".split()
)
_OURS = frozenset(b"host content-length accept-encoding expect traceparent tracestate baggage".split())
_CREDENTIALS = frozenset((b"authorization", b"x-api-key", b"api-key"))
_KNOWN = _HOP | _OURS | _CREDENTIALS  # read here or dropped; the others pass
_TRACE = re.compile(r"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?")
_ZERO_TRACE, _ZERO_SPAN = "0" * 32, "0" * 16


class RequestHead:
    """As it came; names of headers in lower case."""

    __slots__ = ("headers", "method", "target", "version")

    def __init__(self) -> None:
        self.method, self.version, self.target = "", "", b""
        self.headers: list[tuple[bytes, bytes]] = []


class Framing(NamedTuple):
    """`length` is 0 when it was not told; `expects`: the caller waits for a 100 before it sends."""

    length: int
    expects: bool


_NO_BODY = Framing(0, False)


def framing_of(head: RequestHead) -> Framing:
    """Where the request ends, after what llhttp has refused already (both lengths, two lengths, folded lines).

    Raises Refusal for what two readers could read differently: a transfer coding that is not exactly `chunked`, one
    in HTTP/1.0, a `Host` that is missing or told twice.
    """
    if head.version not in ("1.1", "1.0"):
        raise Refusal(505, "version-unknown", "The gateway speaks HTTP/1.1 and HTTP/1.0.")
    if head.method == "CONNECT":
        raise Refusal(405, "method-not-allowed", "The gateway opens no tunnels.")
    length, hosts, expects = 0, 0, False
    for name, value in head.headers:
        if name == b"content-length":
            length = int(value)
        elif name == b"host":
            hosts += 1
        elif name == b"transfer-encoding" and (value.lower() != b"chunked" or head.version == "1.0"):
            raise Refusal(400, "malformed-request", "A request is sent with a length or in chunks, by no other coding.")
        elif name == b"expect":
            expects = value.lower() == b"100-continue" and head.version == "1.1"
    if hosts != 1 and (hosts or head.version == "1.1"):
        raise Refusal(400, "malformed-request", "A request names exactly one Host.")
    return Framing(length, expects) if length or expects else _NO_BODY


@dataclass
class Asked:
    """One request, read once. `forward` are the headers that pass; `credentials` the caller's own that are no key of
    ours; `said` our own `afterlaunch-*` headers without the prefix."""

    method: str
    path: str  # below the route's base URL, as it was spelled
    query: str
    protocol: Protocol
    route: str | None
    token: str = ""
    forward: list[tuple[bytes, bytes]] = field(default_factory=list)
    credentials: list[tuple[bytes, bytes]] = field(default_factory=list)
    said: dict[str, str] = field(default_factory=dict)
    traceparent: str = ""
    tracestate: str = ""


def split_target(target: bytes) -> tuple[str, str]:
    """Path and query as they were spelled; of a target with scheme and host the host says nothing here."""
    if not target.startswith(b"/"):
        try:
            parts = httptools.parse_url(target)
        except httptools.HttpParserInvalidURLError:
            return "", ""
        return (parts.path or b"/").decode("latin-1"), (parts.query or b"").decode("latin-1")
    path, _, query = target.partition(b"#")[0].decode("latin-1").partition("?")
    return path, query


def read_request(head: RequestHead) -> Asked:
    """Raises Refusal 404 or 431."""
    path, query = split_target(head.target)
    route = None
    if path.startswith("/r/"):
        route, _, rest = path[3:].partition("/")
        path = "/" + rest
    protocol = protocol_of(path)
    if protocol is None or (protocol.operation is None and ".." in unquote(path)):
        raise Refusal(404, "path-unknown", "The gateway serves /v1/… and /r/ROUTE/v1/….")
    asked = Asked(head.method, path, query, protocol, route)
    read_headers(asked, head.headers)
    if asked.route is None:
        asked.route = asked.said.get("route")
    return asked


def read_headers(asked: Asked, headers: list[tuple[bytes, bytes]]) -> None:
    named: set[bytes] = set()
    size = 0
    for pair in headers:
        name, value = pair
        size += len(name) + len(value)
        if name in _KNOWN:
            if name in _CREDENTIALS:
                _read_credential(asked, name, value)
            elif name == b"connection":
                named |= {part.strip().lower() for part in value.split(b",")}
            elif name == b"traceparent":
                asked.traceparent = value.decode("latin-1").strip()
            elif name == b"tracestate":
                asked.tracestate = value.decode("latin-1").strip()[:512]
        elif name.startswith(b"afterlaunch-"):
            text = value.decode("utf-8", "replace").strip()
            asked.said[name[12:].decode("latin-1")] = (unquote(text) if "%" in text else text)[:256]
        else:
            asked.forward.append(pair)
    if size > LARGEST_HEAD:
        raise Refusal(431, "headers-too-large", "The headers of the request are longer than 64 KiB.")
    asked.token = asked.said.get("key") or asked.token
    if named:
        asked.forward = [pair for pair in asked.forward if pair[0] not in named]


def _read_credential(asked: Asked, name: bytes, value: bytes) -> None:
    text = value.decode("latin-1").strip()
    bare = text[7:].lstrip() if text[:7].lower() == "bearer " else text
    if bare.startswith("al_"):
        asked.token = bare
    else:
        asked.credentials.append((name, value))


def trace_of(asked: Asked) -> tuple[bytes, bytes, str] | None:
    """Trace id, parent span id, tracestate of a valid W3C traceparent; None starts a new trace."""
    if not asked.traceparent:
        return None
    match = _TRACE.fullmatch(asked.traceparent)
    if match is None or match[1] == "ff" or match[2] == _ZERO_TRACE or match[3] == _ZERO_SPAN:
        return None
    if match[1] == "00" and match[5]:
        return None
    return bytes.fromhex(match[2]), bytes.fromhex(match[3]), asked.tracestate


def tenant_of(key: Key, asked: Asked) -> str | None:
    """The key's tenant comes first; a key of one tenant never books on another. Raises Refusal 403."""
    said = asked.said.get("tenant")
    if key.tenant and said and said != key.tenant:
        raise Refusal(403, "tenant-not-allowed", "This key belongs to another tenant than the one that was named.")
    return key.tenant or said


class Assignment(NamedTuple):
    """`reason`: share (by the hash), no-candidate, share-zero, unassigned (no unit: baseline, counted)."""

    arm: Arm
    reason: str
    unit: str | None


def assign(route: Route, key: Key, asked: Asked, unit: str | None = None) -> Assignment:
    """The arm of one call. The first present unit of the route's order decides; never a random draw."""
    baseline, candidate = route.arm("baseline"), route.arm("candidate")
    assert baseline is not None  # Snapshot.check
    unit = unit or _unit(route, key, asked)
    if candidate is None:
        return Assignment(baseline, "no-candidate", unit)
    if route.share == 0:
        return Assignment(baseline, "share-zero", unit)
    if unit is None:
        return Assignment(baseline, "unassigned", None)
    chosen = candidate if in_candidate(route.name, route.salt, unit, route.share) else baseline
    return Assignment(chosen, "share", unit)


def _unit(route: Route, key: Key, asked: Asked) -> str | None:
    for name in route.unit:
        if name == "key":
            return key.id
        found = tenant_of(key, asked) if name == "tenant" else asked.said.get(name)
        if found:
            return found
    return None


def credential_headers(asked: Asked, provider: str, passthrough: bool, secret: bytes) -> list[tuple[bytes, bytes]]:
    """The caller's own on passthrough, else the upstream's, in the header that its protocol expects."""
    if passthrough:
        return asked.credentials
    if provider.startswith("azure"):
        return [(b"api-key", secret)]
    if asked.protocol.family == "anthropic" or (asked.protocol is OPAQUE and provider == "anthropic"):
        return [(b"x-api-key", secret)]
    return [(b"authorization", b"Bearer " + secret)]


def response_headers(headers: list[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    """Of the provider, without hop-by-hop ones; names are in lower case already."""
    if _HOP.isdisjoint(dict(headers)):
        return headers.copy()
    told = [value for name, value in headers if name == b"connection"]
    named = _HOP | {part.strip().lower() for value in told for part in value.split(b",")}
    return [pair for pair in headers if pair[0] not in named]
