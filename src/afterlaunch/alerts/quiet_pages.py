"""What keeps alerts from paging, as pages: silences, maintenance windows, inhibition rules."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from afterlaunch.accounts.actions import client_by_slug
from afterlaunch.accounts.models import Client
from afterlaunch.alerts import actions, inhibit_rules, maintenance
from afterlaunch.alerts import silences as deeds
from afterlaunch.alerts.matchers import Matcher, all_match, from_rows, parse, written
from afterlaunch.alerts.models import Alert
from afterlaunch.alerts.pages import SEARCHED, SHOWN, TABS
from afterlaunch.alerts.suppression import labels_of
from afterlaunch.calendars.wall import zone_named
from afterlaunch.estate.actions import system_by_id, systems_seen_by
from afterlaunch.ground import clock
from afterlaunch.ground.actors import Actor, Role
from afterlaunch.ground.errors import Invalid
from afterlaunch.look.requests import Request
from afterlaunch.verdicts.models import Verdict

HOURS = {
    "1": "1 hour", "4": "4 hours", "12": "12 hours", "24": "1 day", "72": "3 days", "168": "7 days", "720": "30 days",
}  # fmt: skip
PREVIEWED = 20
AHEAD = timedelta(days=28)
WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")


def clients_of(actor: Actor, role: Role) -> list[Client]:
    seen = actor.sees()
    rows = Client.objects.all() if seen is None else Client.objects.filter(slug__in=seen)
    return [one for one in rows.order_by("name") if actor.may(role, one.slug)]


def _place(actor: Actor, form: Mapping[str, str]) -> tuple[str, list[Matcher]]:
    """Client and matchers of a form: `system` is a system's id, or "client:SLUG" for all of a client's. Raises
    Invalid, NotFound."""
    chosen = form.get("system", "")
    narrowing = {name: form.get(name, "") for name in deeds.NARROWING}
    if chosen.isdigit():
        system = system_by_id(actor, int(chosen))
        client, wanted = system.client.slug, deeds.narrowed(system.key, **narrowing)
    elif chosen.startswith("client:"):
        client, wanted = client_by_slug(actor, chosen.removeprefix("client:")).slug, deeds.narrowed("", **narrowing)
    else:
        raise Invalid("Choose a system.")
    text = form.get("matchers", "").strip()
    return client, [*wanted, *(parse(text) if text else [])]


def _choices(actor: Actor) -> dict[str, Any]:
    systems = [one for one in systems_seen_by(actor) if actor.may(Role.RESPONDER, one.client.slug)]
    return {"systems": systems, "clients": clients_of(actor, Role.RESPONDER), "tabs": TABS}


@require_http_methods(["GET", "HEAD", "POST"])
def silences(request: Request) -> HttpResponse:
    """Those in force first; a form for another."""
    if request.method == "POST":
        hours = request.POST.get("hours", "")
        if hours not in HOURS:
            raise Invalid("Choose how long.")
        client, wanted = _place(request.actor, request.POST)
        until = clock.now() + timedelta(hours=int(hours))
        deeds.silence_matching(request.actor, client, wanted, until, request.POST.get("reason", ""))
        return redirect("/silences")
    now, rows = clock.now(), deeds.silences_seen_by(request.actor)
    seen = request.actor.sees()
    verdicts = Verdict.objects.all() if seen is None else Verdict.objects.filter(client__in=seen)
    context = {
        "active": [
            (row, written(from_rows(row.matchers)), deeds.state_of(row, now),
             request.actor.may(Role.RESPONDER, row.client))
            for row in rows.filter(ends_at__gt=now)
        ],
        "ended": [(row, written(from_rows(row.matchers))) for row in rows.filter(ends_at__lte=now)[:SHOWN]],
        "hours": HOURS,
        "chosen": request.GET.get("system", ""),
        "matchers": request.GET.get("matchers", ""),
        "judges": sorted(set(verdicts.order_by().values_list("judge", flat=True).distinct())),
        "judge": request.GET.get("judge", ""),
        "arms": [arm for arm in deeds.ARMS if arm],
        **_choices(request.actor),
    }  # fmt: skip
    return render(request, "alerts/silences.html", context)


@require_safe
def preview(request: Request) -> HttpResponse:
    """Part of a page: which firing alerts the form's matchers match now."""
    found: list[Alert] = []
    wanted: list[Matcher] = []
    problem = ""
    try:
        client, wanted = _place(request.actor, request.GET)
        rows = actions.alerts_seen_by(request.actor).filter(system__client__slug=client, resolved_at=None)
        found = [row for row in rows[:SEARCHED] if all_match(wanted, labels_of(row))]
    except Invalid as error:
        problem = error.message
    context = {
        "found": found[:PREVIEWED], "count": len(found), "more": max(0, len(found) - PREVIEWED), "problem": problem,
        "what": written(wanted),
    }  # fmt: skip
    return render(request, "alerts/_preview.html", context)


@require_POST
def end_silence(request: Request, pk: int) -> HttpResponse:
    deeds.end_silence(request.actor, deeds.silence_by_id(request.actor, pk))
    return redirect("/silences")


@require_http_methods(["GET", "HEAD", "POST"])
def windows(request: Request) -> HttpResponse:
    """What runs, what comes in the next four weeks, and a form for another."""
    if request.method == "POST":
        client, wanted = _place(request.actor, request.POST)
        row = maintenance.put_window(
            request.actor, client_by_slug(request.actor, client), request.POST.get("name", "").strip(), wanted,
            comment=request.POST.get("comment", ""), **_times(request),
        )  # fmt: skip
        messages.success(request, f"{row.name} is planned.")
        return redirect("/maintenance")
    now = clock.now()
    rows = [
        {
            "row": row,
            "what": written(from_rows(row.matchers)),
            "may": request.actor.may(Role.RESPONDER, row.client.slug),
            "runs": row.running_until is not None and row.running_until > now,
            "turns": maintenance.turns(row, now, 3),
        }
        for row in maintenance.windows_seen_by(request.actor)
    ]
    coming = sorted(
        (begin, end, row)
        for row in maintenance.windows_seen_by(request.actor)
        for begin, end in maintenance.turns(row, now, 40)
        if begin < now + AHEAD
    ) if len(rows) <= SHOWN else []  # fmt: skip
    days: dict[Any, list[tuple[datetime, datetime, Any]]] = {}
    for begin, end, row in coming:
        days.setdefault(timezone.localtime(max(begin, now)).date(), []).append((begin, end, row))
    context = {
        "rows": [one for one in rows if one["turns"] or one["runs"]],
        "days": list(days.items()),
        "weekdays": WEEKDAYS,
        "zone": timezone.get_current_timezone_name(),
        **_choices(request.actor),
    }
    return render(request, "alerts/maintenance.html", context)


def _times(request: Request) -> dict[str, Any]:
    """Of the form: a start and an end, or weekdays with times of a day, on the wall clock of its zone."""
    form = request.POST
    zone = zone_named(form.get("zone", "") or timezone.get_current_timezone_name())
    if form.get("again"):
        shape: dict[str, Any] = {"location": zone.key}
        if form.get("from") or form.get("to"):
            begin, end = form.get("from") or "00:00", form.get("to") or "24:00"
            shape["times"] = [{"start_time": begin, "end_time": "24:00" if end == "00:00" else end}]
        if days := [day for day in form.getlist("weekday") if day in WEEKDAYS]:
            shape["weekdays"] = days
        if form.get("days_of_month"):
            shape["days_of_month"] = [part.strip() for part in form["days_of_month"].split(",") if part.strip()]
        return {"recurrence": shape}
    return {"starts_at": _wall(form.get("starts_at", ""), zone), "ends_at": _wall(form.get("ends_at", ""), zone)}


def _wall(text: str, zone: ZoneInfo) -> datetime:
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        raise Invalid("Say when it begins and ends.") from None
    return at if at.tzinfo else at.replace(tzinfo=zone)


@require_POST
def window_deed(request: Request, pk: int, deed: str) -> HttpResponse:
    """Extend, end or remove."""
    row = maintenance.window_by_id(request.actor, pk)
    if deed == "extend":
        minutes = request.POST.get("minutes", "")
        if not minutes.isdigit() or not row.running_until:
            raise Invalid("Say for how many minutes more.")
        maintenance.extend(request.actor, row, row.running_until + timedelta(minutes=int(minutes[:6])))
    elif deed == "end":
        maintenance.end_now(request.actor, row)
    else:
        maintenance.remove_window(request.actor, row)
    return redirect("/maintenance")


@require_http_methods(["GET", "HEAD", "POST"])
def inhibition(request: Request) -> HttpResponse:
    """Rules, which systems need which, and a form for another rule."""
    if request.method == "POST":
        form = request.POST
        client = client_by_slug(request.actor, form.get("client", ""))
        equal = [part.strip() for part in form.get("equal", "").split(",") if part.strip()]
        source, target = parse(form.get("source", "")), parse(form.get("target", ""))
        inhibit_rules.put_inhibit_rule(request.actor, client, form.get("name", "").strip(), source, target, equal)
        return redirect("/inhibition")
    rows = [
        {
            "row": row,
            "source": written(from_rows(row.source)),
            "target": written(from_rows(row.target)),
            "may": request.actor.may(Role.OPERATOR, row.client.slug),
        }
        for row in inhibit_rules.inhibit_rules_seen_by(request.actor)
    ]
    needs = [
        one for system in systems_seen_by(request.actor).prefetch_related("dependencies__needs")
        for one in system.dependencies.all()
    ]  # fmt: skip
    context = {"rows": rows, "needs": needs, "clients": clients_of(request.actor, Role.OPERATOR), "tabs": TABS}
    return render(request, "alerts/inhibition.html", context)


@require_POST
def remove_rule(request: Request, pk: int) -> HttpResponse:
    inhibit_rules.remove_inhibit_rule(request.actor, inhibit_rules.inhibit_rule_by_id(request.actor, pk))
    return redirect("/inhibition")
