"""Deeds on overrides and swaps: a few clicks of whoever may respond."""

from __future__ import annotations

from datetime import datetime

from django.db import transaction

from afterlaunch.accounts.models import User
from afterlaunch.evidence.log import record
from afterlaunch.ground import clock
from afterlaunch.ground.actors import Actor, Role
from afterlaunch.ground.errors import Conflict, Invalid, NotAllowed, NotFound
from afterlaunch.notify.outbox import Notice, enqueue
from afterlaunch.oncall.actions import check_able, check_span
from afterlaunch.oncall.documents import check_override
from afterlaunch.oncall.gaps import look_through
from afterlaunch.oncall.handoffs import local_text, zone_of
from afterlaunch.oncall.history import plan, settle
from afterlaunch.oncall.models import Override, Schedule, Swap


@transaction.atomic
def add_override(
    actor: Actor,
    row: Schedule,
    kind: str,
    starts_at: datetime,
    ends_at: datetime,
    person: User | None = None,
    absent: User | None = None,
) -> Override:
    """Add, remove, replace or cover; later ones beat earlier ones. It never changes what was before now."""
    actor.require(Role.RESPONDER, row.client.slug)
    now = clock.now()
    check_span(starts_at, ends_at, now)
    check_override("", kind, person.pk if person else None, absent.pk if absent else None)
    if person is not None and kind != "remove":
        check_able(row.client, [person])
    return _add(actor, row, kind, starts_at, ends_at, person, absent, now)


def _add(
    actor: Actor,
    row: Schedule,
    kind: str,
    starts_at: datetime,
    ends_at: datetime,
    person: User | None,
    absent: User | None,
    now: datetime,
    swap: Swap | None = None,
) -> Override:
    settle([row], now)
    made = Override.objects.create(
        schedule=row,
        kind=kind,
        person=person if kind != "remove" else None,
        absent=absent if kind in ("remove", "replace") else None,
        starts_at=starts_at,
        ends_at=ends_at,
        swap=swap,
        created_at=now,
        created_by=actor.name,
    )
    plan([row], now)
    details = {
        "kind": kind, "person": made.person_id, "absent": made.absent_id, "schedule": row.pk,
        "from": starts_at.isoformat(), "to": ends_at.isoformat(),
    }  # fmt: skip
    record(actor, "override.added", f"override/{made.pk}", row.client.slug, details)
    look_through(row, now)
    return made


@transaction.atomic
def cancel_override(actor: Actor, row: Schedule, pk: int) -> None:
    """From now on it counts for nothing. Cancelling twice changes nothing."""
    actor.require(Role.RESPONDER, row.client.slug)
    now = clock.now()
    rows = Override.objects.filter(pk=pk, schedule=row)
    if not rows.exists():
        raise NotFound(f"There is no override {pk}.")
    settle([row], now)
    if rows.filter(cancelled_at=None).update(cancelled_at=now):
        plan([row], now)
        record(actor, "override.cancelled", f"override/{pk}", row.client.slug)
        look_through(row, now)


@transaction.atomic
def ask_swap(
    actor: Actor,
    row: Schedule,
    asker: User,
    other: User,
    starts_at: datetime,
    ends_at: datetime,
    back: tuple[datetime, datetime] | None = None,
) -> Swap:
    """`asker` asks `other` to take their duty over a span, for the other's own over the span `back`. Somebody asks for
    themselves; an operator may for anybody."""
    actor.require(Role.RESPONDER, row.client.slug)
    if actor.user_id != asker.pk:
        actor.require(Role.OPERATOR, row.client.slug)
    now = clock.now()
    for span in ((starts_at, ends_at), *([back] if back else [])):
        check_span(*span, now)
    if asker.pk == other.pk:
        raise Invalid("A swap takes two.")
    check_able(row.client, [asker, other])
    made = Swap.objects.create(
        schedule=row,
        asker=asker,
        other=other,
        starts_at=starts_at,
        ends_at=ends_at,
        return_starts_at=back[0] if back else None,
        return_ends_at=back[1] if back else None,
        created_at=now,
    )
    record(actor, "swap.asked", f"swap/{made.pk}", row.client.slug, {"asker": asker.pk, "other": other.pk})
    _tell(made, other, f"{asker} asks you to swap duty: {row}", now, "asked")
    return made


@transaction.atomic
def answer_swap(actor: Actor, row: Schedule, pk: int, accept: bool) -> Swap:
    """Only who was asked answers. Accepting makes the overrides."""
    actor.require(Role.RESPONDER, row.client.slug)
    swap = _open_swap(row, pk)
    if actor.user_id != swap.other_id:
        raise NotAllowed(f"Only {swap.other} can answer this.")
    now = clock.now()
    if accept and swap.ends_at <= now:
        raise Conflict("This swap is over.", "Ask for a new one.")
    state = "accepted" if accept else "declined"
    if not Swap.objects.filter(pk=pk, state="asked").update(state=state, answered_at=now):
        raise Conflict("This swap was answered already.")
    swap.refresh_from_db()
    if accept:
        check_able(row.client, [swap.asker, swap.other])
        _add(actor, row, "replace", swap.starts_at, swap.ends_at, swap.other, swap.asker, now, swap)
        if swap.return_starts_at and swap.return_ends_at and swap.return_ends_at > now:
            _add(actor, row, "replace", swap.return_starts_at, swap.return_ends_at, swap.asker, swap.other, now, swap)
    record(actor, f"swap.{state}", f"swap/{pk}", row.client.slug)
    _tell(swap, swap.asker, f"{swap.other} {'accepts' if accept else 'declines'} the swap: {row}", now, state)
    return swap


@transaction.atomic
def withdraw_swap(actor: Actor, row: Schedule, pk: int) -> None:
    """Take back a request that nobody answered."""
    actor.require(Role.RESPONDER, row.client.slug)
    swap = _open_swap(row, pk)
    if actor.user_id != swap.asker_id:
        actor.require(Role.OPERATOR, row.client.slug)
    if Swap.objects.filter(pk=pk, state="asked").update(state="withdrawn", answered_at=clock.now()):
        record(actor, "swap.withdrawn", f"swap/{pk}", row.client.slug)


def _open_swap(row: Schedule, pk: int) -> Swap:
    found = Swap.objects.filter(schedule=row, pk=pk).select_related("asker", "other").first()
    if found is None:
        raise NotFound(f"There is no swap {pk}.")
    if found.state != "asked":
        raise Conflict(f"This swap was {found.get_state_display().lower()} already.")
    return found


def _tell(swap: Swap, person: User, title: str, now: datetime, what: str) -> None:
    row = swap.schedule
    zone = zone_of(person, row)
    lines = [f"{local_text(swap.starts_at, zone)} to {local_text(swap.ends_at, zone)}: {swap.other} for {swap.asker}."]
    if swap.return_starts_at and swap.return_ends_at:
        since, until = local_text(swap.return_starts_at, zone), local_text(swap.return_ends_at, zone)
        lines.append(f"{since} to {until}: {swap.asker} for {swap.other}.")
    facts = {"type": "oncall.swap", "title": title, "lines": lines, "path": row.get_absolute_url()}
    enqueue(person, Notice(f"schedule/{row.pk}", f"swap-{swap.pk}-{what}", row.client.slug, facts, "notice"), now)
