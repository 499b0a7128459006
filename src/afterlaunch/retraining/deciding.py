"""Occasions are noticed, and decided again until they fire or are over: each fires at most once."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from django.db import transaction
from django.db.models import Count, Max, Sum

from afterlaunch.calendars.cron import runs as due_instants
from afterlaunch.evidence.log import record
from afterlaunch.ground import clock
from afterlaunch.ground.actors import Actor, Role
from afterlaunch.ground.errors import Conflict, Invalid
from afterlaunch.labels.models import Batch as Labels
from afterlaunch.predictions.models import Batch as Predictions
from afterlaunch.retraining.actions import ENGINE, identity, in_flight, note, settle
from afterlaunch.retraining.models import IN_FLIGHT, STARTED, Policy, Run
from afterlaunch.retraining.rules import Decision, Facts, History, Occasion, decide, occasion, worst
from afterlaunch.verdicts.models import Verdict

KEY = 200  # characters
MISSED = 1_000  # instants of a schedule that are looked through after a stop


def decide_all(now: datetime) -> None:
    """The duty. What fails of one policy is raised after the others had their turn."""
    failed = list[Exception]()
    for pk in Policy.objects.filter(ended_at=None).order_by("pk").values_list("pk", flat=True):
        try:
            with transaction.atomic():
                policy = _locked(pk)
                if policy.ended_at is None:
                    _look(policy, now)
        except Exception as problem:  # noqa: BLE001 - raised below
            failed.append(problem)
    if failed:
        raise failed[0]


def _locked(pk: int) -> Policy:
    return Policy.objects.select_for_update(of=("self",)).select_related("system__client").get(pk=pk)


def _look(policy: Policy, now: datetime) -> None:
    values, facts = policy.values, facts_of(policy)
    found = [one for trigger in values.triggers if (one := occasion(trigger, facts)) is not None]
    if (due := _scheduled(policy, now)) is not None:
        found.append(Occasion(f"schedule:{due.isoformat()}", "schedule", f"It was due at {due:%Y-%m-%d %H:%M} UTC."))
    standing = {
        run.occasion: run
        for run in Run.objects.filter(policy=policy, state="held").select_related("policy__system__client")
    }
    known = set(
        Run.objects.filter(policy=policy, occasion__in=[one.key for one in found]).values_list("occasion", flat=True)
    )
    _lapse(standing, {one.key for one in found}, due is not None)
    for one in found:
        if one.key not in known:
            decision = decide(values, policy.system.posture, facts, history(policy, now), now)
            note(policy, one.key, one.trigger, one.why, ENGINE, decision)
    for run in standing.values():
        if run.state == "held":
            asked = run.trigger == "person"
            settle(ENGINE, run, decide(values, policy.system.posture, facts, history(policy, now), now, asked))


def _lapse(standing: Mapping[str, Run], found: set[str], newer: bool) -> None:
    """An occasion that did not fire is over when its conditions hold no more, or its schedule is due anew."""
    for key, run in standing.items():
        scheduled = run.trigger == "schedule"
        if (scheduled and newer and key not in found) or (
            not scheduled and run.trigger != "person" and key not in found
        ):
            settle(ENGINE, run, Decision("lapsed", run.reason, f"It did not fire and is over. {run.reason_why}"))


def _scheduled(policy: Policy, now: datetime) -> datetime | None:
    """The newest instant that came due since the last look; those that were missed before it are not made up for."""
    values = policy.values
    if not values.cron:
        return None
    newest = None
    for at, instant in enumerate(due_instants(values.cron, ZoneInfo(values.zone), policy.scheduled_at)):
        if instant > now or at >= MISSED:
            break
        newest = instant
    if newest is not None:
        Policy.objects.filter(pk=policy.pk).update(scheduled_at=newest)
    return newest


def facts_of(policy: Policy) -> Facts:
    system, environment = policy.system, policy.values.environment
    rows = Verdict.objects.filter(client=system.client.slug, system=system.key, environment=environment)
    verdicts = worst(list(rows.values_list("judge", "status", "since", "explanation", "reason")))
    last = Run.objects.filter(policy=policy, state__in=STARTED).order_by("-started_at", "-pk").first()
    since = last.cut_off if last else policy.made_at
    labels = Labels.objects.filter(place__system=system, place__environment=environment)
    predictions = Predictions.objects.filter(system=system, environment=environment)
    return Facts(verdicts, _came(labels, since), _came(predictions, since), last.number if last else 0)


def _came(rows: Any, since: datetime) -> int | None:
    """None: none ever came, so nothing is known."""
    if not rows.exists():
        return None
    return int(rows.filter(received_at__gt=since).aggregate(all=Sum("rows"))["all"] or 0)


def history(policy: Policy, now: datetime) -> History:
    """Months are of UTC. A run that was ordered counts, however it ended."""
    month = now.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    rows = Run.objects.filter(policy=policy, state__in=(*IN_FLIGHT, *STARTED))
    this = rows.filter(decided_at__gte=month).aggregate(runs=Count("pk"), cost=Sum("cost"))
    last = Run.objects.filter(policy=policy, state__in=STARTED).aggregate(at=Max("started_at"))["at"]
    return History(in_flight(policy), last, this["runs"], this["cost"] or Decimal(0))


@transaction.atomic
def ask_for(actor: Actor, policy: Policy, why: str, key: str = "") -> Run:
    """A person's own occasion. `key`: the same one again is the same run."""
    slug = policy.system.client.slug
    actor.require(Role.OPERATOR, slug)
    if "\x00" in why + key or len(key) > KEY:
        raise Invalid(f"A key has at most {KEY} characters; it and the reason are texts.")
    policy, now = _locked(policy.pk), clock.now()
    if policy.ended_at is not None:
        raise Conflict("The policy has ended.")
    name = f"person:{key or now.isoformat()}:{identity(actor)}"[:400]
    known = Run.objects.filter(policy=policy, occasion=name).first()
    if known is not None:
        return known
    record(actor, "retraining.asked", f"retraining_policy/{policy.pk}", slug, {"policy": policy.name})
    decision = decide(policy.values, policy.system.posture, facts_of(policy), history(policy, now), now, True)
    if decision.state == "held":
        decision = Decision("lapsed", decision.reason, decision.why)  # a person asks again; nothing waits for them
    return note(policy, name, "person", why.strip()[:2_000] or f"{actor.name} asked for it.", actor, decision)
