"""What a caller's request says: its key, route, unit, trace; and what of it goes on to the provider."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass, field
from typing import Any

from afterlaunch.contracts.cohort import in_candidate
from afterlaunch.contracts.snapshot import Arm, Key, Route
from afterlaunch.gateway.protocols import OPAQUE, Protocol, Refusal, protocol_of

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

LARGEST_HEAD = 64 << 10
_HOP = frozenset(
    b"connection keep-alive te trailer transfer-encoding upgrade proxy-connection proxy-authenticate "
    b"proxy-authorization proxy-authentication-info".split()
)
_OURS = frozenset(b"host content-length accept-encoding expect traceparent tracestate baggage".split())
_CREDENTIALS = (b"authorization", b"x-api-key", b"api-key")
_TRACE = re.compile(r"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?")
_ZERO_TRACE, _ZERO_SPAN = "0" * 32, "0" * 16


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
    forward: list[tuple[str, str]] = field(default_factory=list)
    credentials: list[tuple[str, str]] = field(default_factory=list)
    said: dict[str, str] = field(default_factory=dict)
    traceparent: str = ""
    tracestate: str = ""


def read_request(scope: Scope) -> Asked:
    """Raises Refusal 404 or 431."""
    path = (scope.get("raw_path") or scope["path"].encode()).decode("latin-1")
    route = None
    if path.startswith("/r/"):
        route, _, rest = path[3:].partition("/")
        path = "/" + rest
    protocol = protocol_of(path)
    if protocol is None:
        raise Refusal(404, "path-unknown", "The gateway serves /v1/… and /r/ROUTE/v1/….")
    asked = Asked(scope["method"], path, scope["query_string"].decode("latin-1"), protocol, route)
    read_headers(asked, scope["headers"])
    if asked.route is None:
        asked.route = asked.said.get("route")
    return asked


def read_headers(asked: Asked, headers: list[tuple[bytes, bytes]]) -> None:
    dropped, size = _HOP, 0
    for name, value in headers:
        size += len(name) + len(value)
        if name == b"connection":
            dropped = dropped | {part.strip().lower() for part in value.split(b",")}
        elif name in _CREDENTIALS:
            _read_credential(asked, name, value)
        elif name.startswith(b"afterlaunch-"):
            asked.said[name[12:].decode("latin-1")] = value.decode("utf-8", "replace").strip()[:256]
        elif name in _OURS:
            if name == b"traceparent":
                asked.traceparent = value.decode("latin-1").strip()
            elif name == b"tracestate":
                asked.tracestate = value.decode("latin-1").strip()[:512]
        elif name not in dropped:
            asked.forward.append((name.decode("latin-1"), value.decode("latin-1")))
    if size > LARGEST_HEAD:
        raise Refusal(431, "headers-too-large", "The headers of the request are longer than 64 KiB.")
    asked.token = asked.said.get("key") or asked.token
    if len(dropped) > len(_HOP):
        asked.forward = [pair for pair in asked.forward if pair[0].encode("latin-1") not in dropped]


def _read_credential(asked: Asked, name: bytes, value: bytes) -> None:
    text = value.decode("latin-1").strip()
    bare = text[7:].lstrip() if text[:7].lower() == "bearer " else text
    if bare.startswith("al_"):
        asked.token = bare
    else:
        asked.credentials.append((name.decode(), text))


async def read_body(receive: Receive, limit: int) -> bytes | None:
    """None when the caller left before it had sent everything. Raises Refusal 413."""
    first = await receive()
    if first["type"] == "http.disconnect":
        return None
    body: bytes = first.get("body", b"")
    if not first.get("more_body"):
        if len(body) > limit:
            raise _too_large(limit)
        return body
    parts, size = [body], len(body)
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return None
        parts.append(message.get("body", b""))
        size += len(parts[-1])
        if size > limit:
            raise _too_large(limit)
        if not message.get("more_body"):
            return b"".join(parts)


def _too_large(limit: int) -> Refusal:
    return Refusal(413, "request-too-large", f"The request is longer than {limit >> 20} MiB.")


def trace_of(asked: Asked) -> tuple[bytes, bytes, str] | None:
    """Trace id, parent span id, tracestate of a valid W3C traceparent; None starts a new trace."""
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


@dataclass(frozen=True)
class Assignment:
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


def credential_headers(asked: Asked, provider: str, passthrough: bool, secret: str | None) -> list[tuple[str, str]]:
    """The caller's own on passthrough, else the upstream's, in the header that its protocol expects."""
    if passthrough:
        return asked.credentials
    if provider.startswith("azure"):
        return [("api-key", secret or "")]
    if asked.protocol.family == "anthropic" or (asked.protocol is OPAQUE and provider == "anthropic"):
        return [("x-api-key", secret or "")]
    return [("authorization", f"Bearer {secret}")]


def response_headers(headers: list[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    """Of the provider, without hop-by-hop ones; names are in lower case already."""
    dropped = _HOP
    for name, value in headers:
        if name == b"connection":
            dropped = dropped | {part.strip().lower() for part in value.split(b",")}
    return [pair for pair in headers if pair[0] not in dropped]
