"""The gateway's configuration: one immutable, signed snapshot. Made by `routes`, read by `gateway`.

Wire form: JSON `{"payload": <base64 of the canonical payload bytes>, "signature": <hex>}` where the signature is
HMAC-SHA256 over the payload bytes with the shared key of server and gateway.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from dataclasses import dataclass, field, fields
from functools import cache, cached_property
from typing import Any

import orjson

from afterlaunch.contracts.budgets import Budget
from afterlaunch.contracts.guard import Policy
from afterlaunch.contracts.guard import wrong as wrong_with
from afterlaunch.contracts.handling import Handling, Limits
from afterlaunch.contracts.plain import made


class BadSnapshot(Exception):
    """It does not verify, does not parse, or names what it does not hold."""


@dataclass(frozen=True)
class Upstream:
    """`credential`: "env:NAME", "file:/path", or "passthrough" (the caller's own is forwarded).
    `provider`: the price identity, e.g. "openai", "anthropic"."""

    name: str
    base_url: str
    provider: str
    credential: str = "passthrough"
    timeout_seconds: float = 600.0


@dataclass(frozen=True)
class Arm:
    """What a cohort gets. `model` None leaves the caller's model alone. `change` is the id of the change record."""

    name: str  # "baseline" or "candidate"
    upstream: str
    model: str | None = None
    prompt_version: str | None = None
    change: int | None = None


@dataclass(frozen=True)
class Route:
    """`share` is the candidate's part in 1/10,000; `salt` is fixed within a rollout; `unit` names what sticks,
    first present wins: session, user, tenant, transaction, key. No unit: baseline, counted."""

    name: str
    client: str
    system: str
    environment: str
    arms: tuple[Arm, ...]
    share: int = 0
    salt: str = ""
    unit: tuple[str, ...] = ("session", "user", "tenant", "key")
    inject_usage: bool = True
    agent: str | None = None
    handling: Handling = field(default_factory=Handling)
    guard: tuple[Policy, ...] = ()

    @cached_property
    def _arm_by_name(self) -> dict[str, Arm]:
        return {arm.name: arm for arm in reversed(self.arms)}

    def arm(self, name: str) -> Arm | None:
        return self._arm_by_name.get(name)


@dataclass(frozen=True)
class Key:
    """A caller key `al_<id>_<secret>`; `digest` = hex HMAC-SHA256(shared key, secret). `routes[0]` is the default.
    `expires_at`: seconds since 1970 from which it is refused; None: it does not expire."""

    id: str
    digest: str
    client: str
    routes: tuple[str, ...]
    tenant: str | None = None
    agent: str | None = None
    revoked: bool = False
    expires_at: float | None = None
    limits: Limits = field(default_factory=Limits)


@dataclass(frozen=True)
class Snapshot:
    epoch: int
    created_at: str
    upstreams: tuple[Upstream, ...] = ()
    routes: tuple[Route, ...] = ()
    keys: tuple[Key, ...] = ()
    budgets: tuple[Budget, ...] = ()

    def check(self) -> None:
        """Self-test: every name resolves. Raises BadSnapshot."""
        upstreams, routes = {u.name for u in self.upstreams}, {r.name for r in self.routes}
        for route in self.routes:
            if route.arm("baseline") is None:
                raise BadSnapshot(f"route {route.name} has no baseline arm")
            for arm in route.arms:
                if arm.upstream not in upstreams:
                    raise BadSnapshot(f"route {route.name}: upstream {arm.upstream} is not in the snapshot")
            if not 0 <= route.share <= 10_000:
                raise BadSnapshot(f"route {route.name}: share {route.share} is not in 0…10000")
            if problem := route.handling.check(upstreams):
                raise BadSnapshot(f"route {route.name}: {problem}")
            if route.guard and (problem := wrong_with(route.guard)):
                raise BadSnapshot(f"route {route.name}: {problem}")
        for budget in self.budgets:
            if problem := budget.check():
                raise BadSnapshot(f"budget {budget.id}: {problem}")
        for key in self.keys:
            if missing := set(key.routes) - routes:
                raise BadSnapshot(f"key {key.id}: route {sorted(missing)[0]} is not in the snapshot")


def seal(snapshot: Snapshot, shared_key: bytes) -> bytes:
    payload = orjson.dumps(snapshot, _members, orjson.OPT_SORT_KEYS | orjson.OPT_PASSTHROUGH_DATACLASS)
    signature = hmac.new(shared_key, payload, hashlib.sha256).hexdigest()
    return orjson.dumps({"payload": base64.b64encode(payload).decode(), "signature": signature})


def _members(one: object) -> dict[str, Any]:
    """Of a dataclass, its fields alone: what it remembers beside them is not told. Raises TypeError."""
    kind: Any = type(one)
    return {name: getattr(one, name) for name in _names(kind)}


@cache
def _names(kind: Any) -> tuple[str, ...]:
    return tuple(one.name for one in fields(kind))


def unseal(data: bytes, shared_key: bytes) -> Snapshot:
    """Verify, parse and self-test. Raises BadSnapshot."""
    try:
        envelope = orjson.loads(data)
        payload = base64.b64decode(envelope["payload"], validate=True)
        signature = str(envelope["signature"])
    except (ValueError, KeyError, TypeError) as problem:
        raise BadSnapshot(f"the envelope does not parse: {problem}") from problem
    if not hmac.compare_digest(signature, hmac.new(shared_key, payload, hashlib.sha256).hexdigest()):
        raise BadSnapshot("the signature does not verify")
    try:
        snapshot = made(Snapshot, orjson.loads(payload))
    except ValueError as problem:
        raise BadSnapshot(f"the payload does not parse: {problem}") from problem
    snapshot.check()
    return snapshot


def key_digest(secret: str, shared_key: bytes) -> str:
    """Of the secret half of a caller key."""
    return hmac.digest(shared_key, secret.encode(), "sha256").hex()
