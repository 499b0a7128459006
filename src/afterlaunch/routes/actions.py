"""Deeds on the gateway's configuration. Each publishes a new epoch in its own transaction."""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

import orjson
from django.db import transaction
from django.db.models import QuerySet

from afterlaunch.accounts.models import Client
from afterlaunch.contracts.handling import Handling, Limits
from afterlaunch.contracts.labels import PROBE_AGENT
from afterlaunch.contracts.plain import made, sparse
from afterlaunch.contracts.snapshot import key_digest
from afterlaunch.estate.models import System
from afterlaunch.evidence.log import record
from afterlaunch.ground import clock
from afterlaunch.ground.actors import Actor, Role
from afterlaunch.ground.errors import Conflict, Invalid, NotFound
from afterlaunch.routes.models import Arm, CallerKey, Route, Upstream
from afterlaunch.routes.snapshot import publish, shared_key

CREDENTIAL = re.compile(r"passthrough|env:[A-Za-z_][A-Za-z0-9_]*|file:/.+")


@dataclass(frozen=True)
class ArmValues:
    """What an arm is made of. `model` empty: the caller's model is kept."""

    upstream: str
    model: str = ""
    prompt_version: str = ""


def routes_seen_by(actor: Actor) -> QuerySet[Route]:
    seen = actor.sees()
    rows = Route.objects.select_related("system__client").prefetch_related("arms__upstream")
    return rows if seen is None else rows.filter(system__client__slug__in=seen)


def route_by_name(actor: Actor, name: str) -> Route:
    route = routes_seen_by(actor).filter(name=name).first()
    if route is None:
        raise NotFound(f"There is no route {name!r}.")
    return route


@transaction.atomic
def put_upstream(
    actor: Actor,
    name: str,
    base_url: str,
    provider: str,
    credential: str = "passthrough",
    timeout_seconds: float = 600.0,
) -> Upstream:
    """Make or alter an upstream. Only an administrator of the house: it decides where requests go."""
    actor.require(Role.ADMIN, None)
    parts = urlsplit(base_url)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.username:
        raise Invalid(f"{base_url!r} is no base URL.", "For example: https://api.openai.com")
    if not CREDENTIAL.fullmatch(credential):
        raise Invalid("A credential is a reference, never the secret.", "Use env:NAME, file:/path or passthrough.")
    values = {
        "base_url": base_url.rstrip("/"),
        "provider": provider,
        "credential": credential,
        "timeout_seconds": timeout_seconds,
    }
    upstream, _ = Upstream.objects.update_or_create(name=name, defaults=values)
    record(actor, "upstream.put", f"upstream/{name}", None, {**values, "timeout_seconds": str(timeout_seconds)})
    publish(f"upstream {name}")
    return upstream


@transaction.atomic
def put_route(
    actor: Actor,
    name: str,
    system: System,
    baseline: ArmValues,
    environment: str = "prod",
    unit: Sequence[str] = ("session", "user", "tenant", "key"),
    agent: str = "",
    handling: Mapping[str, Any] | None = None,
) -> Route:
    """Make a route, or alter where its baseline goes. The candidate arm is left alone, and without `handling` how its
    calls are handled."""
    actor.require(Role.OPERATOR, system.client.slug)
    if not re.fullmatch(r"[a-zA-Z0-9][a-zA-Z0-9_-]{0,59}", name):
        raise Invalid(f"{name!r} is no name for a route.", "Letters, digits, - and _, at most 60.")
    existing = Route.objects.select_related("system__client").filter(name=name).first()
    if existing and existing.system_id != system.pk:
        raise Conflict(f"The route {name!r} belongs to another system.", "Choose another name.")
    route, _ = Route.objects.update_or_create(
        name=name, defaults={"system": system, "environment": environment, "unit": list(unit), "agent": agent}
    )
    _put_arm(route, "baseline", baseline, None)
    details: dict[str, Any] = {"baseline": _words(baseline), "environment": environment}
    if handling is not None:
        route.handling = checked_handling(handling)
        route.save(update_fields=["handling"])
        details["handling"] = _as_text(route.handling)
    record(actor, "route.put", f"route/{name}", system.client.slug, details)
    publish(f"route {name}")
    return route


def checked_handling(given: Mapping[str, Any]) -> dict[str, Any]:
    """What of it is not as by default. Raises Invalid."""
    try:
        made_of = made(Handling, dict(given))
    except ValueError as problem:
        raise Invalid(f"This is no way to handle calls: {problem}.") from problem
    if wrong := made_of.check(set(Upstream.objects.values_list("name", flat=True))):
        raise Invalid(f"This is no way to handle calls: {wrong}.")
    return sparse(made_of)


def checked_limits(given: Mapping[str, Any]) -> dict[str, Any]:
    """Raises Invalid."""
    try:
        limits = made(Limits, dict(given))
    except ValueError as problem:
        raise Invalid(f"These are no limits: {problem}.") from problem
    if min(limits.requests, limits.tokens) < 0:
        raise Invalid("A limit is a whole number in a minute; 0 is none.")
    return sparse(limits)


@transaction.atomic
def set_handling(actor: Actor, route: Route, handling: Mapping[str, Any], expected: str | None = None) -> Route:
    """How the gateways handle the route's calls from now on: retries, fallbacks, limits, sizes, remembered answers.
    `expected`: the version that the whole was made from. Raises Conflict where another one is in force by now."""
    route = _locked(actor, route)
    return _handled(actor, route, handling, expected)


@transaction.atomic
def alter_handling(actor: Actor, route: Route, members: Mapping[str, Any], expected: str | None = None) -> Route:
    """Only these members of it, the others as they are by now; None: as by default. Raises Conflict, Invalid."""
    route = _locked(actor, route)
    whole = {**route.handling, **members}
    return _handled(actor, route, {name: value for name, value in whole.items() if value is not None}, expected)


def handling_version(route: Route) -> str:
    """The same for the same handling, whoever set it."""
    return hashlib.sha256(orjson.dumps(route.handling, option=orjson.OPT_SORT_KEYS)).hexdigest()[:16]


def _handled(actor: Actor, route: Route, handling: Mapping[str, Any], expected: str | None) -> Route:
    """Of a locked route."""
    if expected is not None and expected != (version := handling_version(route)):
        raise Conflict(
            f"The handling of {route.name} is not what you altered: somebody has set it meanwhile (now {version}).",
            "Read the route again, put your change into what is in force, and send it with that version; or send only"
            " the members that you alter, to …/handling/members.",
        )
    route.handling = checked_handling(handling)
    route.save(update_fields=["handling"])
    _tell(actor, route, "route.handling_set", {"handling": _as_text(route.handling)})
    return route


@transaction.atomic
def set_limits(actor: Actor, key: CallerKey, limits: Mapping[str, Any]) -> CallerKey:
    """How many requests and tokens a minute the key may use."""
    actor.require(Role.ADMIN, key.client.slug)
    key.limits = checked_limits(limits)
    key.save(update_fields=["limits"])
    record(actor, "caller_key.limited", f"caller_key/{key.key_id}", key.client.slug, {"limits": key.limits})
    publish(f"key {key.name} limited")
    return key


@transaction.atomic
def set_candidate(actor: Actor, route: Route, candidate: ArmValues, change: int | None) -> Route:
    """Put a candidate beside the baseline, at share 0 and with a fresh salt. Refused while one is being rolled out."""
    route = _locked(actor, route)
    if route.share:
        raise Conflict(f"Route {route} is rolling out another candidate.", "Roll it back or complete it first.")
    _put_arm(route, "candidate", candidate, change)
    route.salt = secrets.token_hex(8)
    route.save(update_fields=["salt"])
    _tell(actor, route, "route.candidate_set", {"candidate": _words(candidate), "change": change})
    return route


@transaction.atomic
def set_share(actor: Actor, route: Route, share: int, reason: str) -> Route:
    """Move the candidate's share, in 1/10,000. 0 takes it out of service at once."""
    route = _locked(actor, route)
    if not 0 <= share <= 10_000:
        raise Invalid(f"A share lies between 0 and 10,000, not {share}.")
    if share and route.arm("candidate") is None:
        raise Conflict(f"Route {route} has no candidate.", "Propose a change first.")
    before, route.share = route.share, share
    route.save(update_fields=["share"])
    _tell(actor, route, "route.share_set", {"before": before, "after": share, "reason": reason})
    return route


@transaction.atomic
def promote(actor: Actor, route: Route, reason: str) -> Route:
    """The candidate becomes the baseline; no candidate is left."""
    route = _locked(actor, route)
    candidate = route.arm("candidate")
    if candidate is None:
        raise Conflict(f"Route {route} has no candidate.")
    values = ArmValues(candidate.upstream.name, candidate.model, candidate.prompt_version)
    _put_arm(route, "baseline", values, candidate.change)
    candidate.delete()
    Route.objects.filter(pk=route.pk).update(share=0)
    _tell(actor, route, "route.promoted", {"baseline": _words(values), "reason": reason})
    return Route.objects.get(pk=route.pk)


@transaction.atomic
def create_key(
    actor: Actor,
    name: str,
    route: Route,
    tenant: str = "",
    agent: str = "",
    more: Sequence[Route] = (),
    expires_at: datetime | None = None,
) -> tuple[CallerKey, str]:
    """A caller key `al_<id>_<secret>`; the second value is shown once. From `expires_at` on gateways refuse it by
    themselves, also while the server is down."""
    client = route.system.client
    actor.require(Role.ADMIN, client.slug)
    if expires_at is not None and expires_at <= clock.now():
        raise Invalid("A key that has expired already opens nothing.", "Name a time to come.")
    if any(other.system.client_id != client.pk for other in more):
        raise Invalid("All routes of a key belong to one client.")
    key_id, secret = secrets.token_hex(6), secrets.token_hex(24)
    key = CallerKey.objects.create(
        key_id=key_id,
        name=name,
        digest=key_digest(secret, shared_key()),
        client=client,
        default_route=route,
        tenant=tenant,
        agent=agent,
        created_at=clock.now(),
        expires_at=expires_at,
    )
    key.routes.set([route, *more])
    details = {"name": name, "route": route.name, "expires_at": expires_at.isoformat() if expires_at else None}
    record(actor, "caller_key.created", f"caller_key/{key_id}", client.slug, details)
    publish(f"key {name}")
    return key, f"al_{key_id}_{secret}"


def keys_seen_by(actor: Actor) -> QuerySet[CallerKey]:
    seen = actor.sees()
    rows = CallerKey.objects.select_related("client", "default_route").prefetch_related("routes")
    return rows if seen is None else rows.filter(client__slug__in=seen)


def key_by_id(actor: Actor, key_id: str) -> CallerKey:
    key = keys_seen_by(actor).filter(key_id=key_id).first()
    if key is None:
        raise NotFound(f"There is no caller key {key_id!r}.", "List them: afterlaunch key list")
    return key


@transaction.atomic
def alter_key(
    actor: Actor,
    key: CallerKey,
    route: Route,
    tenant: str = "",
    agent: str = "",
    more: Sequence[Route] = (),
    expires_at: datetime | None = None,
) -> CallerKey:
    """What an existing key opens and tells, and until when; its secret stays."""
    actor.require(Role.ADMIN, key.client.slug)
    if any(one.system.client_id != key.client_id for one in (route, *more)):
        raise Invalid("All routes of a key belong to one client.")
    key.default_route, key.tenant, key.agent, key.expires_at = route, tenant, agent, expires_at
    key.save(update_fields=["default_route", "tenant", "agent", "expires_at"])
    key.routes.set([route, *more])
    told = {"name": key.name, "routes": [route.name, *(one.name for one in more)], "tenant": tenant, "agent": agent}
    record(actor, "caller_key.altered", f"caller_key/{key.key_id}", key.client.slug, told)
    publish(f"key {key.name} altered")
    return key


@transaction.atomic
def revoke_key(actor: Actor, key: CallerKey) -> None:
    """Within a second no gateway takes it any more. Revoking twice changes nothing."""
    actor.require(Role.ADMIN, key.client.slug)
    if CallerKey.objects.filter(pk=key.pk, revoked_at=None).update(revoked_at=clock.now()):
        record(actor, "caller_key.revoked", f"caller_key/{key.key_id}", key.client.slug, {"name": key.name})
        publish(f"key {key.name} revoked")


def _locked(actor: Actor, route: Route) -> Route:
    fresh = Route.objects.select_for_update(of=("self",)).select_related("system__client").get(pk=route.pk)
    actor.require(Role.OPERATOR, fresh.system.client.slug)
    return fresh


def _put_arm(route: Route, name: str, values: ArmValues, change: int | None) -> None:
    upstream = Upstream.objects.filter(name=values.upstream).first()
    if upstream is None:
        raise Invalid(f"There is no upstream {values.upstream!r}.", "Make it first: Settings, Gateway.")
    Arm.objects.update_or_create(
        route=route,
        name=name,
        defaults={
            "upstream": upstream,
            "model": values.model,
            "prompt_version": values.prompt_version,
            "change": change,
        },
    )


def _words(values: ArmValues) -> dict[str, str]:
    return {"upstream": values.upstream, "model": values.model, "prompt_version": values.prompt_version}


def _as_text(value: Any) -> Any:
    """Fractions as text: evidence holds no floats."""
    if isinstance(value, dict):
        return {name: _as_text(one) for name, one in value.items()}
    if isinstance(value, list):
        return [_as_text(one) for one in value]
    return str(value) if isinstance(value, float) else value


def _tell(actor: Actor, route: Route, deed: str, details: dict[str, object]) -> None:
    epoch = publish(f"{deed} {route.name}")
    record(actor, deed, f"route/{route.name}", route.system.client.slug, {**details, "epoch": epoch})


def probe_token(client: Client) -> str:
    """What opens the gateway to the golden prompts of a client; made again each time, kept nowhere."""
    key_id, secret = _probe_key(client)
    return f"al_{key_id}_{secret}"


def _probe_key(client: Client) -> tuple[str, str]:
    made = hmac.digest(shared_key(), f"probes of {client.slug}".encode(), "sha256").hex()
    return made[:12], made[12:60]


@transaction.atomic
def open_for_probes(actor: Actor, route: Route) -> None:
    """The key of the client's golden prompts opens this route from now on. Its calls are those of the agent
    PROBE_AGENT, so that they are told from users' and seen in every sum."""
    client = route.system.client
    actor.require(Role.OPERATOR, client.slug)
    key_id, secret = _probe_key(client)
    values = {
        "name": "Golden prompts",
        "digest": key_digest(secret, shared_key()),
        "client": client,
        "agent": PROBE_AGENT,
        "created_at": clock.now(),
        "default_route": route,
    }
    key, made = CallerKey.objects.get_or_create(key_id=key_id, defaults=values)
    if key.revoked_at is not None:
        raise Conflict("The key of the golden prompts is revoked.", "Probe the provider directly instead.")
    if made or not key.routes.filter(pk=route.pk).exists():
        key.routes.add(route)
        record(
            actor, "caller_key.altered", f"caller_key/{key_id}", client.slug, {"name": key.name, "opens": route.name}
        )
        publish(f"golden prompts of {route.name}")
