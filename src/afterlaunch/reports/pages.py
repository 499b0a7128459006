"""The months there are, and one month's report inside the product."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from django.http import HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.utils.http import urlencode
from django.views.decorators.http import require_safe

from afterlaunch.accounts.actions import client_by_slug
from afterlaunch.ground import clock
from afterlaunch.look.requests import Request
from afterlaunch.reports.blocks import Story
from afterlaunch.reports.contents import Report
from afterlaunch.reports.facts import Asked, clients_seen_by, monthly, zone_for
from afterlaunch.reports.periods import following, month_of, period
from afterlaunch.reports.sections import story
from afterlaunch.reports.tokens.sealing import token_report as tokens
from afterlaunch.reports.tokens.story import story as token_story
from afterlaunch.telemetry import queries, served
from afterlaunch.telemetry.windows import Window

Clients = frozenset[str] | None


@dataclass(frozen=True)
class MonthRow:
    """`window` None: no call in it."""

    month: str
    label: str
    over: bool
    window: Window | None
    query: str


@require_safe
def reports(request: Request) -> HttpResponse:
    """The months that hold calls, the newest first, for one client or for all that the reader sees."""
    slug = request.GET.get("client", "")
    client = client_by_slug(request.actor, slug) if slug else None
    zone = zone_for(client, request.actor, timezone.get_current_timezone_name())
    clients = frozenset({client.slug}) if client else request.actor.sees()
    context = {
        "rows": _months(clients, zone, clock.now(), slug),
        "clients": clients_seen_by(request.actor),
        "client": slug,
        "zone": zone,
    }
    return render(request, "reports/reports.html", context)


def _months(clients: Clients, zone: str, now: datetime, slug: str) -> list[MonthRow]:
    """One question for any number of months."""
    extent = served.extent(clients)
    if extent is None:
        return []
    months = [month_of(extent[0], zone)]
    while months[-1] < month_of(min(extent[1], now), zone):
        months.append(following(months[-1]))
    periods = [period(month, zone, now) for month in months]
    bounds = [*(one.start for one in periods), periods[-1].end]
    found = {row.start: row for row in queries.stretches(bounds, [], clients)}
    rows = [
        MonthRow(one.month, one.label, one.over, found.get(one.start), urlencode({"client": slug} if slug else {}))
        for one in periods
    ]
    return rows[::-1]


@require_safe
def monthly_report(request: Request, month: str) -> HttpResponse:
    report = monthly(request.actor, _asked(request, month), timezone.get_current_timezone_name())
    return _page(request, report, story(report), "monthly", ("HTML", "PDF", "Markdown", "JSON"))


@require_safe
def token_report(request: Request, month: str) -> HttpResponse:
    report = tokens(request.actor, _asked(request, month), timezone.get_current_timezone_name())
    return _page(request, report.base, token_story(report), "tokens", ("HTML", "PDF", "Markdown", "CSV", "JSON"))


def _asked(request: Request, month: str) -> Asked:
    given = (request.GET.get(name) or None for name in ("client", "system", "time_zone"))
    return Asked(month, *given)


def _page(request: Request, report: Report, told: Story, kind: str, forms: tuple[str, ...]) -> HttpResponse:
    query = {"month": report.period.month, **report.scope.filters, "time_zone": report.period.zone}
    others = {**report.scope.filters, "time_zone": report.period.zone}
    context = {
        "story": told,
        "base": "",
        "label": report.period.label,
        "client": report.scope.client or "",
        "files": [(form, f"/api/v1/reports/{kind}?{_query(query, form)}") for form in forms],
        "kinds": [
            (title, f"/reports/{name}/{report.period.month}?{urlencode(others)}", name == kind)
            for name, title in (("monthly", "The month"), ("tokens", "Tokens"))
        ],
    }
    return render(request, "reports/monthly.html", context)


def _query(query: dict[str, str], form: str) -> str:
    short = {"Markdown": "md"}.get(form, form.lower())
    return urlencode({**query, "format": short, "download": "false" if short == "json" else "true"})
