"""The state of paging about one thing. Pages and state move in one transaction; the update on `turn` is the fence."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction

from afterlaunch.accounts.models import User
from afterlaunch.estate.models import System
from afterlaunch.evidence.log import record
from afterlaunch.ground import clock
from afterlaunch.ground.actors import automation
from afterlaunch.notify.channels import live_channels, tell
from afterlaunch.notify.outbox import Notice, enqueue, withdraw
from afterlaunch.oncall.models import Escalation, EscalationPolicy
from afterlaunch.oncall.policies import NOBODY, REACHED, SKIPPED, Policy, Step, walk
from afterlaunch.oncall.reaching import OWN_POLICY, Reach, channels_of, look_at, policy_of, policy_row

ENGINE = automation("engine")


def policy_for(row: Escalation) -> Policy:
    """An edited policy counts from the next step on."""
    if row.policy is not None and row.policy.removed_at is None:
        return policy_of(row.policy)
    return policy_of(policy_row(row.system))


def catch_all(system: System) -> list[User]:
    """Whom nobody has to name: the policy's catch-all, else the owner, else the administrators."""
    reach = Reach()
    return reach.people_of(policy_of(policy_row(system)).catch_all, system, clock.now()) or reach.owners(system)


def start(
    topic: str, system: System, facts: Mapping[str, Any], now: datetime, policy: EscalationPolicy | None = None
) -> Escalation:
    """Begin paging, in the transaction of the deed that decided it. A topic that was stopped begins afresh; one that
    is live is left alone. `policy`: another one than the system's."""
    if not transaction.get_connection().in_atomic_block:
        raise RuntimeError("an escalation starts in the transaction of the deed")
    row, made = Escalation.objects.get_or_create(
        topic=topic,
        defaults={"system": system, "policy": policy, "facts": dict(facts), "started_at": now, "next_at": now},
    )
    if not made and row.state != "live":
        row.state, row.reason, row.facts, row.policy = "live", "", dict(facts), policy
        row.step, row.loop, row.paged, row.started_at, row.next_at, row.ended_at = 0, 0, 0, now, now, None
        row.paged_people, row.acknowledged, row.told_at = [], [], None
        row.save()
    advance(row, now)
    return row


def update_facts(topic: str, facts: Mapping[str, Any]) -> None:
    """What later pages will say."""
    Escalation.objects.filter(topic=topic).update(facts=dict(facts))


@transaction.atomic
def stop(topic: str, state: str, reason: str, now: datetime, by: int | None = None) -> bool:
    """An acknowledgement or an end stops the policy; stopping twice changes nothing. `by` is the person who
    acknowledged: where everyone must, it goes on until the last of them did. An acknowledged one may page again after
    a while. Returns whether it stopped now."""
    rows = Escalation.objects.select_for_update(of=("self",)).select_related("policy", "system__client", OWN_POLICY)
    row = rows.filter(topic=topic).first()
    if row is None or row.state == "stopped" or (row.state == "acknowledged" and state == "acknowledged"):
        return False
    ending, again = Escalation.objects.filter(pk=row.pk), None
    if state == "acknowledged":
        policy = policy_for(row)
        if policy.ack_mode == "all_targets" and by is not None and row.state == "live":
            done = sorted({*row.acknowledged, by})
            ending.update(acknowledged=done)
            if set(row.paged_people) - set(done):
                return False
        minutes = policy.again.get(str(row.facts.get("severity", "")))
        again = now + timedelta(minutes=minutes) if minutes else None
    ending.update(state=state, reason=reason, next_at=again, ended_at=now)
    withdraw(topic, now)
    return True


def is_live(topic: str) -> bool:
    """Whether somebody is still being paged about it."""
    return Escalation.objects.filter(topic=topic, state="live").exists()


def no_more(topic: str) -> None:
    """Harm has stopped: an acknowledged page does not come again."""
    Escalation.objects.filter(topic=topic, state="acknowledged").update(next_at=None)


def hold(topic: str, until: datetime) -> None:
    """For maintenance: the next step waits until then and is not lost."""
    Escalation.objects.filter(topic=topic, state="live", next_at__lt=until).update(next_at=until)


def release(topic: str, now: datetime) -> None:
    """What was held goes on at once."""
    Escalation.objects.filter(topic=topic, state="live", next_at__gt=now).update(next_at=now)


@transaction.atomic
def advance(row: Escalation, now: datetime) -> bool:
    """Perform what is due of one escalation. False: another engine was quicker, or it was acknowledged."""
    taken = Escalation.objects.filter(pk=row.pk, turn=row.turn, state__in=("live", "acknowledged"))
    if not taken.filter(next_at__isnull=False).update(turn=row.turn + 1):
        return False
    row.refresh_from_db(
        from_queryset=Escalation.objects.select_related("policy", "system__client", "system__owner", OWN_POLICY)
    )
    if row.state == "acknowledged":
        _again(row)
    policy = policy_for(row)
    reach = Reach()
    going = walk(policy, row.step, row.loop, lambda number, _: _perform(row, policy.steps[number], number, now, reach))
    row.step, row.loop = going.step, going.loop
    if going.reason == "waits":
        row.next_at = now + timedelta(seconds=going.delay)
    else:
        _exhaust(row, policy, going.reason, now, reach)
    row.save()
    return True


def _again(row: Escalation) -> None:
    """It was acknowledged, and the harm goes on: the policy begins anew."""
    row.state, row.reason, row.ended_at = "live", "acknowledged_and_still_open", None
    row.step, row.loop, row.acknowledged = 0, 0, []
    record(ENGINE, "escalation.again", row.topic, row.system.client.slug)


def _perform(row: Escalation, step: Step, number: int, now: datetime, reach: Reach) -> str:
    """Page the step that is due."""
    told, people = look_at(row.system, row.facts, step, now, reach)
    if told not in (REACHED, NOBODY):
        return SKIPPED
    row.step = number
    row.paged_people = [person.pk for person in people]
    _page(row, [person for person in people if person.pk not in row.acknowledged], now)
    _post(row, channels_of(step.targets), now)
    return told


def _page(row: Escalation, people: Iterable[User], now: datetime) -> None:
    client = row.system.client.slug
    for person in people:
        occurrence = f"e{row.turn}-s{row.step}-u{person.pk}"
        if enqueue(person, Notice(row.topic, occurrence, client, row.facts), now):
            row.paged += 1


def _post(row: Escalation, channels: Iterable[int], now: datetime) -> None:
    """A channel is told; that nobody was paged by it stays so."""
    client = row.system.client.slug
    for channel in live_channels(client).filter(pk__in=list(channels)):
        tell(channel, Notice(row.topic, f"e{row.turn}-s{row.step}", client, row.facts), now)


def _exhaust(row: Escalation, policy: Policy, reason: str, now: datetime, reach: Reach) -> None:
    """The policy has come to its end: the catch-all is paged, and where it names nobody who can be reached, the owner
    or the administrators."""
    last = reach.people_of(policy.catch_all, row.system, now) or reach.owners(row.system)
    _page(row, last, now)
    if reason == "nobody_reachable" and last:
        reason = "catch_all_paged"
    row.state, row.reason, row.next_at, row.ended_at = "exhausted", reason, None, now
    record(ENGINE, "escalation.exhausted", row.topic, row.system.client.slug, {"reason": reason, "pages": row.paged})


def page_now(topic: str, now: datetime) -> None:
    """It became graver: begin the policy again at once instead of waiting for the step's delay."""
    row = Escalation.objects.filter(topic=topic, state__in=("live", "exhausted")).first()
    if row is not None:
        Escalation.objects.filter(pk=row.pk, turn=row.turn).update(
            state="live", reason="", step=0, loop=0, next_at=now, ended_at=None, told_at=None
        )
        row.refresh_from_db()
        advance(row, now)
