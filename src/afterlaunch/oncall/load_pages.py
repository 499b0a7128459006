"""Fairness and load, per client or schedule, past or planned."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import Any

from django.http import HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from afterlaunch.accounts.actions import client_by_slug
from afterlaunch.calendars.wall import date_of
from afterlaunch.ground import clock
from afterlaunch.ground.errors import Invalid
from afterlaunch.look.requests import Request
from afterlaunch.oncall import forms
from afterlaunch.oncall.fairness import shown_balance
from afterlaunch.oncall.load import load_of, period, usual_period
from afterlaunch.oncall.schedule import schedules_of


@require_safe
def load(request: Request, slug: str) -> HttpResponse:
    """`from` and `to` are dates of the reader's zone, `to` not counted; by default the last four weeks."""
    client = client_by_slug(request.actor, slug)
    zone, now = forms.reader_zone(), clock.now()
    today = date_of(now, zone)
    since, until = usual_period(today)
    first, last = _day(request.GET.get("from", ""), since), _day(request.GET.get("to", ""), until)
    start, end = period(first, last, zone)
    schedules = schedules_of(client)
    chosen = [row for row in schedules if str(row.pk) == request.GET.get("schedule", "")] or schedules
    found, people = load_of(client, chosen, start, end)
    context: dict[str, Any] = {
        "client": client,
        "schedules": schedules,
        "chosen": chosen[0].pk if len(chosen) == 1 and len(schedules) > 1 else None,
        "first": first,
        "last": last,
        "presets": _presets(today),
        "balance": found,
        "shown": {name: shown_balance(getattr(found, name)) for name in ("coverage", "hours", "nights", "weekends")},
        "rows": [(people[one.person], one) for one in found.loads],
        "most": max((one.hours for one in found.loads), default=0.0),
        "planned": end > now,
        "zone": zone.key,
    }
    return render(request, "oncall/load.html", context)


def _day(text: str, otherwise: date) -> date:
    if not text:
        return otherwise
    try:
        return datetime.fromisoformat(text).date()
    except ValueError:
        raise Invalid(f"{text!r} is no date.", "For example: 2026-03-01") from None


def _presets(today: date) -> list[tuple[str, date, date]]:
    tomorrow = today + timedelta(days=1)
    return [
        ("last 4 weeks", today - timedelta(weeks=4), tomorrow),
        ("last 12 weeks", today - timedelta(weeks=12), tomorrow),
        ("next 4 weeks", today, today + timedelta(weeks=4)),
    ]
