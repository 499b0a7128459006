"""Deeds on the schedule and the policy."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime, time

from django.db import transaction

from afterlaunch.accounts.models import Client, User
from afterlaunch.accounts.people import check_zone
from afterlaunch.evidence.log import record
from afterlaunch.ground import clock
from afterlaunch.ground.actors import Actor, Role
from afterlaunch.ground.errors import Invalid, NotFound
from afterlaunch.oncall.models import EscalationStep, Override, Rotation, RotationMember
from afterlaunch.oncall.rules import Step

SHORTEST_DELAY = 60


def people_for(client: Client) -> list[User]:
    """Who may be put on call: everyone who can acknowledge for the client."""
    able = (Role.RESPONDER, Role.OPERATOR, Role.ADMIN)
    of_client = User.objects.filter(is_active=True, grants__role__in=able, grants__client=client)
    of_all = User.objects.filter(is_active=True, grants__role__in=able, grants__client=None)
    return list((of_client | of_all).distinct().order_by("name", "email"))


def _check_able(client: Client, users: Sequence[User]) -> None:
    able = {user.pk for user in people_for(client)}
    for user in users:
        if user.pk not in able:
            raise Invalid(f"{user} can't act for {client}.", "Give the role responder for this client first.")


@transaction.atomic
def set_rotation(
    actor: Actor, client: Client, members: Sequence[User], zone: str, anchor_date: date, handoff: time, weeks: int = 1
) -> Rotation:
    """A new version of the weekly rotation, in force from now on; the past stays as it was."""
    actor.require(Role.OPERATOR, client.slug)
    if not members:
        raise Invalid("A rotation needs somebody.")
    if not 1 <= weeks <= 52:
        raise Invalid("A turn lasts 1 to 52 weeks.")
    _check_able(client, members)
    row = Rotation.objects.create(
        client=client,
        valid_from=clock.now(),
        zone=check_zone(zone),
        anchor_date=anchor_date,
        handoff=handoff,
        weeks=weeks,
        created_by=actor.name,
    )
    RotationMember.objects.bulk_create(
        RotationMember(rotation=row, user=user, position=number) for number, user in enumerate(members)
    )
    details = {
        "members": [user.pk for user in members],
        "zone": zone,
        "anchor": f"{anchor_date.isoformat()}T{handoff.isoformat()}",
        "weeks": weeks,
    }
    record(actor, "rotation.set", f"rotation/{row.pk}", client.slug, details)
    return row


@transaction.atomic
def add_override(
    actor: Actor, client: Client, substitute: User, starts_at: datetime, ends_at: datetime, absent: User | None = None
) -> Override:
    """`substitute` stands in for `absent`, or for whoever is on call when that is None."""
    actor.require(Role.RESPONDER, client.slug)
    if starts_at.tzinfo is None or ends_at.tzinfo is None or ends_at <= starts_at:
        raise Invalid("An override needs a start and a later end, both with a zone.")
    if ends_at <= clock.now():
        raise Invalid("This override lies in the past.")
    if absent is not None and absent.pk == substitute.pk:
        raise Invalid("Nobody can stand in for themselves.")
    _check_able(client, [substitute])
    row = Override.objects.create(
        client=client,
        absent=absent,
        substitute=substitute,
        starts_at=starts_at,
        ends_at=ends_at,
        created_at=clock.now(),
        created_by=actor.name,
    )
    details = {
        "absent": absent.pk if absent else None,
        "substitute": substitute.pk,
        "from": starts_at.isoformat(),
        "to": ends_at.isoformat(),
    }
    record(actor, "override.added", f"override/{row.pk}", client.slug, details)
    return row


@transaction.atomic
def cancel_override(actor: Actor, client: Client, pk: int) -> None:
    """From now on it counts for nothing. Cancelling twice changes nothing."""
    actor.require(Role.RESPONDER, client.slug)
    rows = Override.objects.filter(pk=pk, client=client)
    if not rows.exists():
        raise NotFound(f"There is no override {pk}.")
    if rows.filter(cancelled_at=None).update(cancelled_at=clock.now()):
        record(actor, "override.cancelled", f"override/{pk}", client.slug)


@transaction.atomic
def set_policy(actor: Actor, client: Client, steps: Sequence[Step]) -> list[EscalationStep]:
    """Replace the escalation policy; it counts from every escalation's next step on. The owner or the administrators
    are always the last resort, whatever the steps say."""
    actor.require(Role.OPERATOR, client.slug)
    if not 1 <= len(steps) <= 10:
        raise Invalid("A policy has 1 to 10 steps.")
    for step in steps:
        _check_step(client, step)
    EscalationStep.objects.filter(client=client).delete()
    rows = EscalationStep.objects.bulk_create(
        EscalationStep(client=client, position=n, delay=one.delay, target=one.target, person_id=one.person)
        for n, one in enumerate(steps)
    )
    told = [{"target": step.target, "delay": step.delay, "person": step.person} for step in steps]
    record(actor, "escalation.set", f"client/{client.slug}", client.slug, {"steps": told})
    return rows


def _check_step(client: Client, step: Step) -> None:
    if step.target not in ("schedule", "person", "catch_all"):
        raise Invalid(f"{step.target!r} is no target.", "Use schedule, person or catch_all.")
    if step.delay < SHORTEST_DELAY:
        raise Invalid("A step waits at least a minute.")
    if step.target == "person":
        user = User.objects.filter(pk=step.person).first() if step.person else None
        if user is None:
            raise Invalid("This step needs a person.")
        _check_able(client, [user])
