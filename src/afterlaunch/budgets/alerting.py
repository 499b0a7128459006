"""Counters near their limit become alerts; they end when the window renews, the limit is raised, or the budget ends."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.db import transaction

from afterlaunch.alerts.intake import Incoming, take
from afterlaunch.budgets import rules
from afterlaunch.budgets.models import Count, Mark, Pot, Share, Told
from afterlaunch.budgets.standing import Standing, standings, window_now
from afterlaunch.budgets.units import bare, shown
from afterlaunch.budgets.words import when
from afterlaunch.contracts.budgets import EACH
from afterlaunch.estate.models import System
from afterlaunch.ground.actors import automation
from afterlaunch.ground.settings import settings
from afterlaunch.routes import shadow_use
from afterlaunch.routes.models import Budget

WATCH = automation("budgets")
MOST_TOLD = 20  # counters of one budget, the nearest to their limits: more would tell nobody more
KEPT = timedelta(days=400)  # of counts
KEPT_MARKS = timedelta(days=100)


def judge(now: datetime) -> None:
    """Every budget by itself: one that cannot be told holds up no other. Raises the first failure, after all."""
    told = set(Told.objects.values_list("budget", flat=True).distinct())
    failures: list[Exception] = []
    for row in Budget.objects.select_related("client", "system__client").order_by("pk"):
        if row.ended_at is None or row.pk in told:
            try:
                _judge(row, now)
            except Exception as problem:  # noqa: BLE001 - raised below, when the others are judged
                failures.append(problem)
    if failures:
        raise failures[0]


def _judge(row: Budget, now: datetime) -> None:
    with transaction.atomic():
        known = {one.counter: one for one in Told.objects.select_for_update().filter(budget=row)}
        start = int(window_now(row, now).start.timestamp())
        wanted = _wanted(row, now) if row.ended_at is None and row.system is not None else {}
        over = [one for one in known.values() if one.counter not in wanted or one.window_start != start]
        tellings, fresh = [], []
        for counter, (standing, level) in wanted.items():
            before = known.get(counter)
            if before is None or before.window_start != start or before.what != level.what:
                tellings.append(_incoming(row, counter, now, standing, level))
                fresh.append(Told(budget=row, counter=counter, what=level.what, window_start=start, told_at=now))
        if over:  # first: one of the window before may begin anew
            take(WATCH, [_incoming(row, one.counter, now, ended=True) for one in over], now)
        if tellings:
            take(WATCH, tellings, now)
        Told.objects.filter(pk__in=[one.pk for one in over]).delete()
        Told.objects.bulk_create(
            fresh,
            update_conflicts=True,
            unique_fields=["budget", "counter"],
            update_fields=["what", "window_start", "told_at"],
        )


def _wanted(row: Budget, now: datetime) -> dict[str, tuple[Standing, rules.Level]]:
    found: dict[str, tuple[Standing, rules.Level]] = {}
    for one in standings(row, now):
        foreseen = one.forecast if row.forecast else None
        level = rules.level(one.used, row.limit, row.thresholds, foreseen, row.mode)
        if level is not None and len(found) < MOST_TOLD:
            found[one.counter] = one, level
    return found


def _incoming(
    row: Budget,
    counter: str,
    now: datetime,
    standing: Standing | None = None,
    level: rules.Level | None = None,
    ended: bool = False,
) -> Incoming:
    system: System | None = row.system
    assert system is not None, "a budget that alerts has a system"
    environment = row.scope.get("environment", EACH)
    return Incoming(
        system=system,
        environment="prod" if environment == EACH else environment,
        name=f"Budget {row.name}",
        source="budgets",
        status="resolved" if ended else "firing",
        severity=level.severity if level else None,
        labels={"budget": row.name, "counter": counter, "mode": row.mode, "unit": row.unit},
        summary=said(row, standing, level, now) if standing and level else "",
        starts_at=None if ended else now,
        ends_at=now if ended else None,
        restarts=True,
        key=f"budget/{row.pk}/{counter}",
        url=f"{settings().public_url}/budgets/{row.pk}",
        kind="cost_runaway",
    )


def said(row: Budget, standing: Standing, level: rules.Level, now: datetime) -> str:
    """The alert in words."""
    whose = f"{standing.counter}: " if standing.counter else ""
    amount = f"{bare(row.unit, standing.used)} of {shown(row.unit, row.limit)}"
    window = window_now(row, now)
    renews = f" It renews {when(window.end, row.zone)}." if window.end else " It does not renew."
    if level.what == "forecast" and standing.forecast.at is not None:
        return f"{whose}{amount} used; spent {when(standing.forecast.at, row.zone)} at this rate.{renews}"
    consequence = ""
    if standing.used >= row.limit:
        consequence = {
            "hard": " Calls are refused.",
            "throttle": " Calls wait up to 5 seconds.",
            "downgrade": f" Calls get {row.cheaper}.",
            "observe": f" {standing.refused:,} calls would have been refused.",
        }.get(row.mode, " Calls go on.")
    source = " Observed from telemetry." if row.fed == "telemetry" else ""
    return f"{whose}{amount} used, {level.what} % reached.{consequence}{renews}{source}"


def tidy(now: datetime) -> None:
    """Forget the counts and marks of long ago."""
    Count.objects.filter(window_start__gt=0, window_start__lt=int((now - KEPT).timestamp())).delete()
    shadow_use.forget(int((now - KEPT).timestamp()))
    for rows in (Pot, Share):
        rows.objects.filter(window_start__gt=0, window_start__lt=int((now - KEPT).timestamp())).delete()
    Mark.objects.filter(window_start__gt=0, window_start__lt=int((now - KEPT_MARKS).timestamp())).delete()
