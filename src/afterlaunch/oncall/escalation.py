"""The state of paging about one thing. Pages and state move in one transaction; the update on `turn` is the fence."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction

from afterlaunch.accounts.models import Client, User
from afterlaunch.estate.models import System
from afterlaunch.evidence.log import record
from afterlaunch.ground.actors import automation
from afterlaunch.notify.outbox import Notice, contacts_of, enqueue, withdraw
from afterlaunch.oncall.models import Escalation, EscalationStep
from afterlaunch.oncall.rules import DEFAULT_STEPS, REPEAT, Step, move_on
from afterlaunch.oncall.schedule import administrators, who_is_on_call

ENGINE = automation("engine")


def steps_of(client: Client) -> list[Step]:
    """The client's policy, or the default: whoever is on call, after 5 minutes the owner, else the administrators."""
    rows = EscalationStep.objects.filter(client=client).order_by("position")
    return [Step(row.target, row.delay, row.person_id) for row in rows] or list(DEFAULT_STEPS)


def catch_all(system: System) -> list[User]:
    """The system's owner when they can be reached, else every administrator who can."""
    owner = system.owner
    if owner is not None and owner.is_active and contacts_of(owner).exists():
        return [owner]
    return [user for user in administrators(system.client) if contacts_of(user).exists()]


def people_of(step: Step, system: System, now: datetime) -> list[User]:
    """Whom a step reaches at `now`; may be nobody."""
    if step.target == "catch_all":
        return catch_all(system)
    if step.target == "person":
        person = User.objects.filter(pk=step.person, is_active=True).first() if step.person else None
    else:
        person = who_is_on_call(system.client, now).person
    return [person] if person is not None and person.is_active and contacts_of(person).exists() else []


def start(topic: str, system: System, facts: Mapping[str, Any], now: datetime) -> Escalation:
    """Begin paging, in the transaction of the deed that decided it. A topic that was stopped begins afresh; one that
    is live is left alone."""
    if not transaction.get_connection().in_atomic_block:
        raise RuntimeError("an escalation starts in the transaction of the deed")
    row, made = Escalation.objects.get_or_create(
        topic=topic, defaults={"system": system, "facts": dict(facts), "started_at": now, "next_at": now}
    )
    if not made and row.state != "live":
        row.state, row.reason, row.facts = "live", "", dict(facts)
        row.step, row.loop, row.paged, row.started_at, row.next_at, row.ended_at = 0, 0, 0, now, now, None
        row.save()
    advance(row, now)
    return row


def update_facts(topic: str, facts: Mapping[str, Any]) -> None:
    """What later pages will say."""
    Escalation.objects.filter(topic=topic).update(facts=dict(facts))


def stop(topic: str, state: str, reason: str, now: datetime) -> None:
    """An acknowledgement or an end stops the policy. Stopping twice changes nothing."""
    Escalation.objects.filter(topic=topic, state__in=("live", "exhausted")).update(
        state=state, reason=reason, next_at=None, ended_at=now
    )
    withdraw(topic, now)


@transaction.atomic
def advance(row: Escalation, now: datetime) -> bool:
    """Perform what is due of one escalation. False: another engine was quicker, or it was acknowledged."""
    taken = Escalation.objects.filter(pk=row.pk, turn=row.turn, state="live").update(turn=row.turn + 1)
    if not taken:
        return False
    row.refresh_from_db()
    if row.loop >= REPEAT:
        _exhaust(row, "nobody_acknowledged", now)
        row.save()
        return True
    _perform(row, now)
    row.save()
    return True


def _perform(row: Escalation, now: datetime) -> None:
    """Page the step that is due; one that reaches nobody falls through to the next at once."""
    steps = steps_of(row.system.client)
    row.step = row.step if row.step < len(steps) else 0
    while True:
        people = people_of(steps[row.step], row.system, now)
        _page(row, people, now)
        going = move_on(steps, row.step, row.loop, bool(people), row.paged > 0)
        if going.do == "exhausted":
            _exhaust(row, going.reason, now)
            break
        row.step, row.loop = going.step, going.loop
        if people:
            row.next_at = now + timedelta(seconds=going.delay)
            break
        if going.reason == "begins_again":  # the last step reached nobody now: wait before the next round
            row.next_at = now + timedelta(seconds=steps[-1].delay)
            break


def _page(row: Escalation, people: list[User], now: datetime) -> None:
    client = row.system.client.slug
    for person in people:
        occurrence = f"e{row.turn}-s{row.step}-u{person.pk}"
        if enqueue(person, Notice(row.topic, occurrence, client, row.facts), now):
            row.paged += 1


def _exhaust(row: Escalation, reason: str, now: datetime) -> None:
    """Nobody reachable: the owner or the administrators are the last resort, also where the policy forgot them."""
    if reason == "nobody_reachable":
        last = catch_all(row.system)
        _page(row, last, now)
        reason = "catch_all_paged" if last else reason
    row.state, row.reason, row.next_at, row.ended_at = "exhausted", reason, None, now
    record(ENGINE, "escalation.exhausted", row.topic, row.system.client.slug, {"reason": reason, "pages": row.paged})


def page_now(topic: str, now: datetime) -> None:
    """It became graver: begin the policy again at once instead of waiting for the step's delay."""
    row = Escalation.objects.filter(topic=topic, state__in=("live", "exhausted")).first()
    if row is not None:
        Escalation.objects.filter(pk=row.pk, turn=row.turn).update(
            state="live", reason="", step=0, loop=0, next_at=now, ended_at=None
        )
        row.refresh_from_db()
        advance(row, now)
