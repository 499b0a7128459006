"""Deeds on policies, bypasses and queues. Each is evidence, and publishes a new epoch where gateways hold to it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from django.db import IntegrityError, transaction
from django.db.models import Max, QuerySet

from afterlaunch.accounts.models import Client, User
from afterlaunch.contracts.guard import BYPASSED, MOST_POLICIES, Policy
from afterlaunch.contracts.plain import made, sparse
from afterlaunch.evidence.log import record
from afterlaunch.ground import clock
from afterlaunch.ground.actors import Actor, Role
from afterlaunch.ground.errors import Conflict, Invalid, NotFound
from afterlaunch.guard.models import Hold, Queue
from afterlaunch.routes.models import GuardBypass, GuardPolicy, Route
from afterlaunch.routes.snapshot import publish

OURS = ("id", "name", "bypasses")  # of a policy, told beside its spec
SHORTEST, LONGEST = 10, 7 * 86_400  # seconds until an owner is told


def policies_seen_by(actor: Actor) -> QuerySet[GuardPolicy]:
    seen = actor.sees()
    rows = GuardPolicy.objects.select_related("route__system__client")
    return rows if seen is None else rows.filter(route__system__client__slug__in=seen)


def policy_by_id(actor: Actor, pk: int) -> GuardPolicy:
    row = policies_seen_by(actor).filter(pk=pk).first()
    if row is None:
        raise NotFound(f"There is no guard policy {pk}.")
    return row


def policy_by_name(route: Route, name: str) -> GuardPolicy | None:
    """The one in force."""
    return policies_seen_by_all().filter(route=route, name=name, ended_at=None).first()


def policies_seen_by_all() -> QuerySet[GuardPolicy]:
    return GuardPolicy.objects.select_related("route__system__client")


def _slug(row: GuardPolicy) -> str:
    return row.route.system.client.slug


def checked(name: str, given: Mapping[str, Any]) -> Policy:
    """Raises Invalid."""
    if ours := sorted(set(given) & set(OURS)):
        raise Invalid(f"{ours[0]!r} is not told with a policy's values.", "Bypasses are granted one by one.")
    try:
        policy = made(Policy, {"id": "new", "name": name, **given})
    except ValueError as problem:
        raise Invalid(f"This is no guard policy: {problem}.", "docs/guard.md tells what it consists of.") from problem
    if wrong := policy.wrong():
        raise Invalid(f"This is no guard policy: {wrong}.", "docs/guard.md tells what it consists of.")
    return policy


@transaction.atomic
def put_policy(
    actor: Actor, route: Route, name: str, given: Mapping[str, Any], position: int | None = None
) -> GuardPolicy:
    """Make a policy, or alter the route's of this name; gateways hold to it within a second. One that asks a service
    takes an administrator, since it decides where texts go; one that names a credential an administrator of the
    house."""
    client = route.system.client
    actor.require(Role.OPERATOR, client.slug)
    name = name.strip()
    if not 0 < len(name) <= 80 or not name.isprintable():
        raise Invalid("A policy has a name of at most 80 characters.")
    policy = checked(name, given)
    if policy.check.kind == "http":
        actor.require(Role.ADMIN, None if policy.check.credential else client.slug)
    if policy.approval is not None and queue_by_name(client, policy.approval.queue) is None:
        raise Invalid(f"{client.slug} has no approval queue {policy.approval.queue!r}.", "Make it first.")
    Route.objects.select_for_update().get(pk=route.pk)
    mine = GuardPolicy.objects.filter(route=route, ended_at=None)
    row = mine.filter(name=name).first()
    before = _told(row) if row else None
    if row is None:
        if mine.count() >= MOST_POLICIES:
            raise Invalid(f"A route has at most {MOST_POLICIES} policies.")
        last = mine.aggregate(last=Max("position"))["last"]
        row = GuardPolicy(route=route, name=name, created_at=clock.now(), position=0 if last is None else last + 1)
    row.spec = {key: value for key, value in sparse(policy).items() if key not in OURS}
    row.position = row.position if position is None else position
    if before == _told(row):
        return row
    try:
        with transaction.atomic():
            row.save()
    except IntegrityError as problem:
        raise Conflict(f"Somebody made a policy {name} at the same moment.", "Look at it, then alter it.") from problem
    deed = "guard_policy.altered" if before else "guard_policy.made"
    details = {"name": name, "route": route.name, "before": before, "after": _told(row)}
    record(actor, deed, f"guard_policy/{row.pk}", client.slug, details)
    publish(f"guard policy {name} of {route.name}")
    return row


@transaction.atomic
def end_policy(actor: Actor, row: GuardPolicy, reason: str = "") -> GuardPolicy:
    """It is asked no more; what was counted stays. A request that it held passes when it is sent again."""
    actor.require(Role.OPERATOR, _slug(row))
    if not GuardPolicy.objects.filter(pk=row.pk, ended_at=None).update(ended_at=clock.now()):
        raise Conflict(f"The policy {row.name} has ended already.")
    details = {"name": row.name, "route": row.route.name, "reason": reason[:500]}
    record(actor, "guard_policy.ended", f"guard_policy/{row.pk}", _slug(row), details)
    publish(f"guard policy {row.name} of {row.route.name} ended")
    row.refresh_from_db()
    return row


def _told(row: GuardPolicy) -> dict[str, Any]:
    return {"position": row.position, **_as_text(row.spec)}


def _as_text(value: Any) -> Any:
    """Fractions as text: evidence holds no floats."""
    if isinstance(value, dict):
        return {str(name): _as_text(one) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [_as_text(one) for one in value]
    return str(value) if isinstance(value, float) else value


# ---- bypasses


@transaction.atomic
def grant_bypass(actor: Actor, row: GuardPolicy, who: str, value: str, reason: str, until: datetime) -> GuardBypass:
    """Whom the policy does not stop until then. Administrators of the client approve it, with a reason."""
    actor.require(Role.ADMIN, _slug(row))
    now = clock.now()
    if who not in BYPASSED or not 0 < len(value.strip()) <= 200:
        raise Invalid(f"A bypass is of a {', '.join(BYPASSED)}, named.")
    if not reason.strip():
        raise Invalid("A bypass has a reason.")
    if until <= now:
        raise Invalid("A bypass ends in the future.")
    if row.ended_at is not None:
        raise Conflict(f"The policy {row.name} has ended.")
    made_one = GuardBypass.objects.create(
        policy=row, who=who, value=value.strip(), reason=reason.strip()[:500], approved_by=actor.name, created_at=now,
        until=until,
    )  # fmt: skip
    details = {"policy": row.name, "who": who, "value": value.strip(), "reason": reason, "until": until.isoformat()}
    record(actor, "guard_bypass.granted", f"guard_policy/{row.pk}", _slug(row), details)
    publish(f"bypass of {row.name} of {row.route.name}")
    return made_one


@transaction.atomic
def end_bypass(actor: Actor, bypass: GuardBypass) -> None:
    row = bypass.policy
    actor.require(Role.OPERATOR, _slug(row))
    if not GuardBypass.objects.filter(pk=bypass.pk, ended_at=None).update(ended_at=clock.now()):
        raise Conflict("This bypass has ended already.")
    details = {"policy": row.name, "who": bypass.who, "value": bypass.value}
    record(actor, "guard_bypass.ended", f"guard_policy/{row.pk}", _slug(row), details)
    publish(f"bypass of {row.name} of {row.route.name} ended")


# ---- queues


def queues_seen_by(actor: Actor) -> QuerySet[Queue]:
    seen = actor.sees()
    rows = Queue.objects.select_related("client", "owner")
    return rows if seen is None else rows.filter(client__slug__in=seen)


def queue_by_name(client: Client, name: str) -> Queue | None:
    return Queue.objects.select_related("client", "owner").filter(client=client, name=name).first()


def holds_seen_by(actor: Actor) -> QuerySet[Hold]:
    seen = actor.sees()
    rows = Hold.objects.select_related("queue__client", "queue__owner", "policy__route__system")
    return rows if seen is None else rows.filter(queue__client__slug__in=seen)


def hold_by_id(actor: Actor, pk: int) -> Hold:
    row = holds_seen_by(actor).filter(pk=pk).first()
    if row is None:
        raise NotFound(f"There is no held request {pk}.")
    return row


@transaction.atomic
def put_queue(actor: Actor, client: Client, name: str, owner: User | None, tell_after: int = 900) -> Queue:
    """Make a queue, or alter the client's of this name. `tell_after`: seconds that a request may wait before the owner
    is told, and told again."""
    actor.require(Role.OPERATOR, client.slug)
    name = name.strip()
    if not 0 < len(name) <= 80 or not name.isprintable():
        raise Invalid("A queue has a name of at most 80 characters.")
    if not SHORTEST <= tell_after <= LONGEST:
        raise Invalid(f"An owner is told after {SHORTEST} to {LONGEST:,} seconds.")
    if owner is not None and not _may_decide(owner, client):
        raise Invalid(f"{owner} may not decide for {client}.", "The owner is a responder of the client, or more.")
    row = Queue.objects.select_for_update(of=("self",)).filter(client=client, name=name).first()
    after = {"owner": owner.email if owner else "", "tell_after": tell_after}
    before = {"owner": row.owner.email if row.owner else "", "tell_after": row.tell_after} if row else None
    if row is not None and before == after:
        return row
    row = row or Queue(client=client, name=name, created_at=clock.now())
    row.owner, row.tell_after = owner, tell_after
    row.save()
    deed = "approval_queue.altered" if before else "approval_queue.made"
    record(actor, deed, f"approval_queue/{row.pk}", client.slug, {"name": name, "before": before, "after": after})
    return row


def _may_decide(person: User, client: Client) -> bool:
    from afterlaunch.accounts.actions import actor_of_user

    return actor_of_user(person).may(Role.RESPONDER, client.slug)
