"""The counts of all routes as verdicts: a fixed number of questions, however many policies there are."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.db.models import Count as Rows
from django.db.models import Q

from afterlaunch.contracts.guard_counts import Counts
from afterlaunch.guard.actions import policies_seen_by_all
from afterlaunch.guard.counting import sums
from afterlaunch.guard.models import Hold
from afterlaunch.guard.rules import JUDGES, Recent, of_route
from afterlaunch.verdicts import watch
from afterlaunch.verdicts.words import Finding, Named, Scope

HOUR, DAY, WEEK = timedelta(hours=1), timedelta(days=1), timedelta(days=7)
NONE = Counts()


def judge(now: datetime) -> None:
    """What is let through is counted where a person's approval was used."""
    policies = list(policies_seen_by_all().filter(ended_at=None))
    ids, end = [one.pk for one in policies], now + timedelta(seconds=1)
    hour, week = sums(ids, now - HOUR, end), sums(ids, now - HOUR - WEEK, now - HOUR)
    day, past = sums(ids, now - DAY, end), sums(ids, now - DAY - WEEK, now - DAY)
    used = _used(ids, now)
    routes: dict[Scope, dict[str, Recent]] = {}
    for one in policies:
        system = one.route.system
        scope = Scope(system.client.slug, system.key, one.route.environment, route=one.route.name)
        today, before = used.get(one.pk, (0, 0))
        last, old = day.get(one.pk, NONE), past.get(one.pk, NONE)
        routes.setdefault(scope, {})[one.name] = Recent(
            hour.get(one.pk, NONE), week.get(one.pk, NONE), last, old, last.bypassed + today, old.bypassed + before
        )
    findings: list[tuple[Scope, Named, Finding]] = [
        (scope, one, of_route(one, seen)) for scope, seen in routes.items() for one in JUDGES
    ]
    watch.write(findings, now, JUDGES)


def _used(ids: list[int], now: datetime) -> dict[int, tuple[int, int]]:
    """Approvals that were used, in the last day and the week before it."""
    rows = Hold.objects.filter(policy__in=ids, state="approved", taken_at__gt=now - DAY - WEEK)
    found = rows.values_list("policy").annotate(
        today=Rows("pk", filter=Q(taken_at__gt=now - DAY)), before=Rows("pk", filter=Q(taken_at__lte=now - DAY))
    )
    return {policy: (today, before) for policy, today, before in found.order_by("policy")}
