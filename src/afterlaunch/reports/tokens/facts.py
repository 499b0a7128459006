"""Gathering the token report: the monthly report's facts, and what rooms of money know of the same time."""

from __future__ import annotations

from collections import defaultdict
from datetime import UTC, timedelta
from math import sqrt
from statistics import fmean, stdev

from django.db.models import Q

from afterlaunch.accounts.models import Client
from afterlaunch.alerts.actions import alerts_seen_by
from afterlaunch.alerts.models import Alert
from afterlaunch.budgets.actions import budgets_seen_by
from afterlaunch.budgets.models import Count
from afterlaunch.budgets.units import written
from afterlaunch.ground import clock
from afterlaunch.ground.actors import Actor
from afterlaunch.reports import facts
from afterlaunch.reports.contents import Day
from afterlaunch.reports.periods import following, period, preceding
from afterlaunch.reports.tokens.contents import Anomaly, BillFacts, BudgetFacts, Forecast, Repriced, TokenReport
from afterlaunch.routes.models import Budget
from afterlaunch.savings.actions import seen_by as savings_seen_by
from afterlaunch.savings.words import as_document
from afterlaunch.spend import billing, comparing
from afterlaunch.spend.repricing import seen_by as repricings_seen_by
from afterlaunch.telemetry import attribution
from afterlaunch.verdicts.models import VerdictChange

MORE = ("route", "version", "provider")
JUDGES = ("spend.", "anomalies.")
SOON = timedelta(hours=1)
"""An alert has begun so long after its breach at the latest; a later one is of another breach."""
MOST = 200
ENOUGH_DAYS = 7


def tokens(actor: Actor, asked: facts.Asked, reader_zone: str) -> TokenReport:
    """The month as the actor may see it. Raises Invalid, NotAllowed, NotFound; Unavailable without telemetry."""
    question = facts.question(actor, asked, reader_zone)
    base = facts.gather(question)
    when = question.period
    last = period(preceding(when.month), when.zone, when.start)
    answered, failed = attribution.answered(when.start, when.until, question.clients, **question.narrowed)
    found = comparing.drivers(when.start, when.until, question.clients, question.narrowed, last.start)
    return TokenReport(
        base=base,
        by={name: facts.spend_by(question, name) for name in MORE},
        purposes=tuple(
            attribution.breakdown(when.start, when.until, "purpose", question.clients, MOST, **question.narrowed).rows
        ),
        drivers=found,
        answered=answered,
        failed_nano=failed,
        forecast=forecast(when.month, when.over, base.days),
        anomalies=_anomalies(question),
        savings=_savings(question),
        budgets=_budgets(question),
        bills=_bills(question),
        repriced=_repriced(question),
    )


def forecast(month: str, over: bool, days: tuple[Day, ...]) -> Forecast | None:
    """Of the running month, or, once it is over, of the next one as long as it. None with fewer than seven complete
    days from the first call on."""
    known = [day.window.cost_nano if day.window else 0 for day in days if not day.ahead]
    first = next((place for place, cost in enumerate(known) if cost), len(known))
    whole = known[first:] if over else known[first:-1]  # the running day is not complete
    if len(whole) < ENOUGH_DAYS:
        return None
    rest = len(days) if over else len(days) - len(known) + 1
    so_far = 0 if over else sum(known[:-1])
    middle = so_far + fmean(whole) * rest
    # the days to come, and how well the mean of those looked at is known
    half = 1.96 * stdev(whole) * sqrt(rest + rest * rest / len(whole))
    low = max(so_far, middle - half)
    return Forecast(following(month) if over else month, int(low), int(middle), int(middle + half), len(whole))


def _anomalies(question: facts.Question) -> tuple[Anomaly, ...]:
    """What judges of spend and volume found, and what budgets told, within the month; the earliest first."""
    found = [*_found_by_judges(question), *_told_by_budgets(question)]
    return tuple(sorted(found, key=lambda one: one.at)[:MOST])


def _found_by_judges(question: facts.Question) -> list[Anomaly]:
    """Changes for the worse. An incident is that of the alert which the breach raised."""
    when = question.period
    ours = Q()
    for name in JUDGES:
        ours |= Q(verdict__judge__startswith=name)
    rows = VerdictChange.objects.filter(ours, at__gte=when.start, at__lt=when.until, after__in=("warning", "breach"))
    if question.clients is not None:
        rows = rows.filter(verdict__client__in=question.clients)
    if question.scope.system:
        rows = rows.filter(verdict__system=question.scope.system)
    changes = list(rows.select_related("verdict").order_by("at", "pk")[:MOST])
    titles = facts.titles()
    raised: dict[int | None, list[Alert]] = defaultdict(list)
    for alert in Alert.objects.filter(verdict__in={row.verdict_id for row in changes}).exclude(incident=None):
        raised[alert.verdict_id].append(alert)
    return [
        Anomaly(
            row.at,
            row.verdict.client,
            row.verdict.system,
            row.verdict.judge,
            titles.get(row.verdict.judge, (row.verdict.judge, ""))[0],
            row.after,
            row.explanation,
            next((one.incident_id for one in raised[row.verdict_id] if row.at <= one.started_at < row.at + SOON), None)
            if row.after == "breach"
            else None,
        )
        for row in changes
    ]


def _told_by_budgets(question: facts.Question) -> list[Anomaly]:
    when = question.period
    rows = alerts_seen_by(question.actor).filter(source="budgets", fired_at__gte=when.start, fired_at__lt=when.until)
    if question.clients is not None:
        rows = rows.filter(system__client__slug__in=question.clients)
    if question.scope.system:
        rows = rows.filter(system__key=question.scope.system)
    return [
        Anomaly(
            row.fired_at,
            row.system.client.slug,
            row.system.key,
            "budgets",
            row.name,
            "breach" if row.incident_id else "warning",
            row.explanation,
            row.incident_id,
        )
        for row in rows.select_related("system__client").order_by("fired_at", "pk")[:MOST]
    ]


def _savings(question: facts.Question) -> tuple[dict[str, object], ...]:
    rows = savings_seen_by(question.actor).filter(found_at__lt=question.period.until).exclude(state="gone")
    if question.clients is not None:
        rows = rows.filter(client__slug__in=question.clients)
    if question.scope.system:
        rows = rows.filter(system__key=question.scope.system)
    return tuple(as_document(row) for row in rows.order_by("-middle_nano", "pk")[:MOST])


def _budgets(question: facts.Question) -> tuple[BudgetFacts, ...]:
    """Those in force at some time of the month; use of the windows that began in it."""
    when = question.period
    rows = budgets_seen_by(question.actor).filter(created_at__lt=when.until)
    rows = rows.filter(Q(ended_at=None) | Q(ended_at__gte=when.start))
    if question.scope.client:
        rows = rows.filter(client__slug=question.scope.client)
    bounds = (int(when.start.timestamp()), int(when.until.timestamp()))
    counts = Count.objects.filter(budget__in=rows, window_start__gte=bounds[0], window_start__lt=bounds[1])
    used: dict[int, dict[tuple[str, int], int]] = defaultdict(lambda: defaultdict(int))
    refused: dict[int, int] = defaultdict(int)
    overdraft: dict[int, int] = defaultdict(int)
    for one in counts:
        used[one.budget_id][one.counter, one.window_start] += one.used
        refused[one.budget_id] += one.refused
        overdraft[one.budget_id] += one.overdraft
    return tuple(_budget(row, used.get(row.pk, {}), refused[row.pk], overdraft[row.pk]) for row in rows.order_by("pk"))


def _budget(row: Budget, used: dict[tuple[str, int], int], refused: int, overdraft: int) -> BudgetFacts:
    share = max(used.values()) / row.limit if used and row.limit else None
    limit, over = f"{written(row.unit, row.limit)} {row.unit}", f"{written(row.unit, overdraft)} {row.unit}"
    slug = row.client.slug if row.client else None
    return BudgetFacts(row.pk, slug, row.name, row.mode, limit, row.window, share, refused, over if overdraft else "")


def _bills(question: facts.Question) -> tuple[BillFacts, ...]:
    """Providers cut their months in UTC, and so does this part. A bill is of a client, not of a system."""
    if question.scope.system:
        return ()
    rows = Client.objects.order_by("slug")
    rows = rows if question.clients is None else rows.filter(slug__in=question.clients)
    month = question.period.month
    return tuple(
        BillFacts(
            client.slug,
            one.provider,
            one.outcome.status,
            one.outcome.reason,
            one.outcome.billed_nano,
            one.outcome.settled_nano,
            one.outcome.explained,
            one.outcome.unexplained,
        )
        for client in rows
        for one in billing.month_of(question.actor, client, month)
    )


def _repriced(question: facts.Question) -> tuple[Repriced, ...]:
    when = question.period
    rows = repricings_seen_by(question.actor).filter(finished_at__gte=when.start, finished_at__lt=when.until)
    rows = rows if question.clients is None else rows.filter(client__slug__in=question.clients)
    return tuple(
        Repriced(
            row.pk,
            row.client.slug,
            row.reason,
            row.changed,
            row.difference_nano,
            (row.finished_at or clock.now()).astimezone(UTC),
        )
        for row in rows.order_by("finished_at")
    )
