"""From rows to the gateway's sealed configuration."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path

from django.db import transaction
from django.db.models import Max, Prefetch

from afterlaunch.contracts import snapshot as contract
from afterlaunch.contracts.guard import Policy
from afterlaunch.contracts.handling import Handling, Limits
from afterlaunch.contracts.plain import made
from afterlaunch.ground import clock
from afterlaunch.ground.errors import Invalid
from afterlaunch.ground.settings import settings
from afterlaunch.routes.models import Arm, Budget, CallerKey, GuardBypass, GuardPolicy, Published, Route, Upstream

KEEP = 50  # published snapshots


def shared_key() -> bytes:
    """The key that server and gateway share: from the setting, or made and kept in the data folder."""
    given = settings().text("GATEWAY_KEY")
    return given.encode() if given else _kept(settings().data / "gateway" / "key").encode()


def _kept(file: Path) -> str:
    if not file.exists():
        file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        temporary = file.with_name(f"{file.name}.{secrets.token_hex(4)}")
        temporary.touch(mode=0o600)
        temporary.write_text(secrets.token_urlsafe(48))
        temporary.rename(file)
    return file.read_text().strip()


_TOGETHER: ContextVar[list[str] | None] = ContextVar("together", default=None)


class Contradiction(Invalid):
    """The rows do not hold together: nothing is published."""


@contextmanager
def together() -> Iterator[None]:
    """Deeds of one transaction are published once, at its end: building what all gateways hold takes longer than most
    deeds. Raises Contradiction there."""
    if _TOGETHER.get() is not None:
        yield
        return
    reasons: list[str] = []
    token = _TOGETHER.set(reasons)
    try:
        yield
    finally:
        _TOGETHER.reset(token)
    if reasons:
        publish(reasons[0] if len(reasons) == 1 else f"{len(reasons)} deeds together: {', '.join(reasons[:5])}")


def publish(why: str) -> int:
    """Seal the present rows under a new epoch, in the deed's own transaction, or at the end of those that are done
    `together`. Returns the epoch. Gateways take it within a second.

    Raises Contradiction.
    """
    if not transaction.get_connection().in_atomic_block:
        raise RuntimeError("a snapshot is published in the deed's own transaction")
    newest = Published.objects.select_for_update().defer("sealed").order_by("-epoch").first()
    epoch = newest.epoch + 1 if newest else 1
    if (reasons := _TOGETHER.get()) is not None:
        reasons.append(why)
        return epoch
    fresh = build(epoch)
    try:
        fresh.check()
    except contract.BadSnapshot as problem:
        raise Contradiction(f"The gateway's configuration would not hold together: {problem}") from problem
    Published.objects.create(
        epoch=epoch, created_at=clock.now(), sealed=contract.seal(fresh, shared_key()), why=why[:300]
    )
    Published.objects.filter(epoch__lte=epoch - KEEP).delete()
    return epoch


def current() -> tuple[int, bytes] | None:
    """Epoch and sealed bytes in force; None before the first publication."""
    newest = Published.objects.order_by("-epoch").first()
    return (newest.epoch, bytes(newest.sealed)) if newest else None


def current_epoch() -> int:
    return Published.objects.aggregate(newest=Max("epoch"))["newest"] or 0


def build(epoch: int) -> contract.Snapshot:
    """Eight queries, however many routes there are."""
    guards = _guards()
    routes = Route.objects.select_related("system__client").prefetch_related("arms__upstream")
    keys = CallerKey.objects.select_related("client", "default_route").prefetch_related("routes")
    return contract.Snapshot(
        epoch=epoch,
        created_at=clock.now().isoformat(),
        upstreams=tuple(
            contract.Upstream(u.name, u.base_url, u.provider, u.credential, u.timeout_seconds)
            for u in Upstream.objects.all()
        ),
        routes=tuple(_route(route, guards.get(route.pk, ())) for route in routes),
        keys=tuple(_key(key) for key in keys),
        budgets=tuple(
            row.contract()
            for row in Budget.objects.select_related("client").filter(ended_at=None).exclude(fed="telemetry")
        ),
    )


def _arm(arm: Arm) -> contract.Arm:
    return contract.Arm(arm.name, arm.upstream.name, arm.model or None, arm.prompt_version or None, arm.change)


def _guards() -> dict[int, tuple[Policy, ...]]:
    """By route, in the order in which they are asked."""
    bypasses = GuardBypass.objects.filter(ended_at=None, until__gt=clock.now())
    rows = GuardPolicy.objects.filter(ended_at=None).prefetch_related(Prefetch("bypasses", bypasses))
    found: dict[int, tuple[Policy, ...]] = {}
    for row in rows.order_by("position", "pk"):
        found[row.route_id] = (*found.get(row.route_id, ()), row.contract(row.bypasses.all()))
    return found


def _route(route: Route, guard: tuple[Policy, ...]) -> contract.Route:
    return contract.Route(
        name=route.name,
        client=route.system.client.slug,
        system=route.system.key,
        environment=route.environment,
        arms=tuple(_arm(arm) for arm in route.arms.all()),
        share=route.share,
        salt=route.salt,
        unit=tuple(route.unit) or contract.Route.unit,
        inject_usage=route.inject_usage,
        agent=route.agent or None,
        handling=made(Handling, route.handling),
        guard=guard,
    )


def _key(key: CallerKey) -> contract.Key:
    others = [route.name for route in key.routes.all() if route.pk != key.default_route_id]
    return contract.Key(
        id=key.key_id,
        digest=key.digest,
        client=key.client.slug,
        routes=(key.default_route.name, *others),
        tenant=key.tenant or None,
        agent=key.agent or None,
        revoked=key.revoked_at is not None,
        expires_at=key.expires_at.timestamp() if key.expires_at else None,
        limits=made(Limits, key.limits),
    )
