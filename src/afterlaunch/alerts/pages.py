"""Alerts as pages, and the alerts of an incident as a part of its page."""

from __future__ import annotations

from typing import Any

from django.core.paginator import Paginator
from django.db.models import Q, QuerySet, TextField
from django.db.models.functions import Cast
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.http import require_POST, require_safe

from afterlaunch.alerts import actions
from afterlaunch.alerts.matchers import all_match, matcher, parse, written
from afterlaunch.alerts.models import Alert
from afterlaunch.alerts.rules import GRAVEST
from afterlaunch.alerts.suppression import labels_of
from afterlaunch.estate.actions import systems_seen_by
from afterlaunch.ground.actors import Actor, Role
from afterlaunch.incidents.models import Incident
from afterlaunch.look.requests import Request

SHOWN = 100
SEARCHED = 5000  # rows that matchers are tried on
TABS = (
    ("Alerts", "/alerts"),
    ("Silences", "/silences"),
    ("Maintenance", "/maintenance"),
    ("Inhibition", "/inhibition"),
    ("Integrations", "/integrations"),
)
STATES = {
    "firing": "Firing",
    "suppressed": "Suppressed",
    "flapping": "Flapping",
    "silent": "No data",
    "ended": "Ended",
    "all": "All",
}


def in_state(rows: QuerySet[Alert], state: str) -> QuerySet[Alert]:
    open_ = rows.filter(resolved_at=None)
    return {
        "firing": open_,
        "suppressed": open_.exclude(suppressed_as=""),
        "flapping": open_.filter(flapping_since__isnull=False),
        "silent": open_.filter(silent_since__isnull=False),
        "ended": rows.filter(resolved_at__isnull=False),
    }.get(state, rows)


def searched(rows: QuerySet[Alert], text: str) -> QuerySet[Alert] | list[Alert]:
    """Matchers in braces, or words in the name, the explanation or the labels. Raises Invalid."""
    if text.startswith("{"):
        wanted = parse(text)
        return [row for row in rows[:SEARCHED] if all_match(wanted, labels_of(row))]
    rows = rows.annotate(as_text=Cast("labels", TextField()))
    for word in text.split():
        rows = rows.filter(Q(name__icontains=word) | Q(explanation__icontains=word) | Q(as_text__icontains=word))
    return rows


@require_safe
def alerts(request: Request) -> HttpResponse:
    """Those that fire first; filters in the address."""
    asked = {name: request.GET.get(name, "") for name in ("q", "severity", "system")}
    asked["state"] = request.GET.get("state", "firing")
    seen = actions.alerts_seen_by(request.actor)
    rows = in_state(seen, asked["state"]).order_by("-fired_at", "-pk")
    if asked["severity"] in GRAVEST:
        rows = rows.filter(severity=asked["severity"])
    if asked["system"].isdigit():
        rows = rows.filter(system=int(asked["system"]))
    page = Paginator(searched(rows, asked["q"].strip()), SHOWN).get_page(request.GET.get("page"))
    firing = seen.filter(resolved_at=None)
    counts = {state: in_state(seen, state).count() for state in ("suppressed", "flapping", "silent")}
    context = {
        "tabs": TABS,
        "page": page,
        "asked": asked,
        "states": STATES,
        "severities": GRAVEST,
        "systems": systems_seen_by(request.actor),
        "counts": {**counts, "firing": firing.count()},
        "filtered": any(asked[name] for name in ("q", "severity", "system")) or asked["state"] != "firing",
        "anything": seen.exists(),
    }
    return render(request, "alerts/alerts.html", context)


@require_safe
def alert(request: Request, pk: int) -> HttpResponse:
    """One alert: what it says, what happened to it, what its sender sent."""
    row = actions.alert_by_id(request.actor, pk)
    client = row.system.client.slug
    named = {"alertname": row.name, **{name: row.labels[name] for name in ("instance", "job") if name in row.labels}}
    context = {
        "tabs": TABS,
        "alert": row,
        "history": row.occurrences.select_related("event")[:SHOWN],
        "before": actions.alerts_seen_by(request.actor).filter(fingerprint=row.fingerprint).exclude(pk=row.pk)[:20],
        "may": request.actor.may(Role.RESPONDER, client),
        "matchers": written([matcher(name, "=", value) for name, value in named.items()]),
        "in_breach": row.verdict is not None and row.verdict.status == "breach",
    }
    return render(request, "alerts/alert.html", context)


@require_POST
def end_alert(request: Request, pk: int) -> HttpResponse:
    row = actions.end_alert(request.actor, actions.alert_by_id(request.actor, pk), request.POST.get("reason", ""))
    back = f"/incidents/{row.incident_id}#panel-alerts" if row.incident_id else f"/alerts/{row.pk}"
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
