"""Silences as a page, and the alerts of an incident as a part of its page."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.http import require_http_methods, require_POST

from afterlaunch.alerts import actions
from afterlaunch.alerts import silences as deeds
from afterlaunch.alerts.matchers import from_rows, written
from afterlaunch.estate.actions import system_by_id, systems_seen_by
from afterlaunch.ground import clock
from afterlaunch.ground.actors import Actor, Role
from afterlaunch.ground.errors import Invalid
from afterlaunch.incidents.models import Incident
from afterlaunch.look.requests import Request
from afterlaunch.verdicts.models import Verdict

HOURS = {"1": "1 hour", "4": "4 hours", "12": "12 hours", "24": "1 day", "72": "3 days", "168": "7 days"}
SHOWN = 100


@require_http_methods(["GET", "HEAD", "POST"])
def silences(request: Request) -> HttpResponse:
    """Those in force first; a form for another."""
    if request.method == "POST":
        _make(request)
        return redirect("/silences")
    now, rows = clock.now(), deeds.silences_seen_by(request.actor)
    active = rows.filter(ends_at__gt=now)
    systems = [one for one in systems_seen_by(request.actor) if request.actor.may(Role.RESPONDER, one.client.slug)]
    seen = request.actor.sees()
    verdicts = Verdict.objects.all() if seen is None else Verdict.objects.filter(client__in=seen)
    context = {
        "active": [
            (
                row,
                written(from_rows(row.matchers)),
                deeds.state_of(row, now),
                request.actor.may(Role.RESPONDER, row.client),
            )
            for row in active
        ],
        "ended": [(row, written(from_rows(row.matchers))) for row in rows.filter(ends_at__lte=now)[:SHOWN]],
        "systems": systems,
        "hours": HOURS,
        "chosen": request.GET.get("system", ""),
        "judges": sorted(set(verdicts.order_by().values_list("judge", flat=True).distinct())),
        "judge": request.GET.get("judge", ""),
        "arms": [arm for arm in deeds.ARMS if arm],
    }
    return render(request, "alerts/silences.html", context)


def _make(request: Request) -> None:
    form = request.POST
    if form.get("hours") not in HOURS or not form.get("system", "").isdigit():
        raise Invalid("Choose a system and how long.")
    system = system_by_id(request.actor, int(form["system"]))
    until = clock.now() + timedelta(hours=int(form["hours"]))
    narrowing = {name: form.get(name, "") for name in deeds.NARROWING}
    deeds.silence(request.actor, system, until, form.get("reason", ""), **narrowing)


@require_POST
def end_silence(request: Request, pk: int) -> HttpResponse:
    deeds.end_silence(request.actor, deeds.silence_by_id(request.actor, pk))
    return redirect("/silences")


@require_POST
def end_alert(request: Request, pk: int) -> HttpResponse:
    alert = actions.end_alert(request.actor, actions.alert_by_id(request.actor, pk), request.POST.get("reason", ""))
    back = f"/incidents/{alert.incident_id}#panel-alerts" if alert.incident_id else "/silences"
    return redirect(back if url_has_allowed_host_and_scheme(back, None) else "/")


def panel(actor: Actor, incident: Incident) -> dict[str, Any] | None:
    """The alerts of an incident, those that fire first."""
    rows = list(incident.alerts.select_related("verdict").order_by("resolved_at", "-fired_at")[:SHOWN])
    if not rows:
        return None
    firing = [row for row in rows if row.resolved_at is None]
    may = actor.may(Role.RESPONDER, incident.system.client.slug)
    ended = [row for row in rows if row.resolved_at is not None]
    return {"firing": firing, "ended": ended, "may": may, "system": incident.system}
