"""Updates of an incident as a part of its page, the page on which one is written, and who is told."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods, require_POST

from afterlaunch.accounts.actions import client_by_slug
from afterlaunch.ground import clock
from afterlaunch.ground.actors import Actor, Role
from afterlaunch.ground.errors import Invalid
from afterlaunch.incidents.actions import incident_by_id
from afterlaunch.incidents.models import Incident
from afterlaunch.incidents.roles import readers
from afterlaunch.incidents.updates import actions, promises
from afterlaunch.incidents.updates.models import AUDIENCES
from afterlaunch.incidents.updates.rules import needs_approval
from afterlaunch.incidents.updates.sending import audiences_waiting_for_the_end, people_of
from afterlaunch.look.requests import Request

IN = (
    ("15", "15 min"),
    ("30", "30 min"),
    ("60", "1 h"),
    ("120", "2 h"),
    ("240", "4 h"),
    ("480", "8 h"),
    ("1440", "1 day"),
)
SHOWN = 10


def panel(actor: Actor, incident: Incident) -> dict[str, Any]:
    """The newest updates, the promise, and what a form needs."""
    now, promise = clock.now(), promises.standing(incident)
    return {
        "updates": list(incident.updates.prefetch_related("texts")[:SHOWN]),
        "promise": promise,
        "overdue": promise is not None and now > promise.due_at,
        "audiences": AUDIENCES,
        "waiting_for_the_end": audiences_waiting_for_the_end(incident) if incident.status != "open" else [],
        "may_approve": actor.may(Role.OPERATOR, incident.system.client.slug),
        "next": IN,
        "usual": _usual(incident, now),
    }


def _usual(incident: Incident, now: datetime) -> str:
    """The choice that comes nearest to the cadence."""
    at = promises.due(incident, now)
    if at is None:
        return "240"
    return min(IN, key=lambda one: abs(float(one[0]) * 60 - (at - now).total_seconds()))[0]


def _asked(form: Any, now: datetime) -> dict[str, Any]:
    minutes = form.get("next", "")
    if minutes and minutes not in dict(IN):
        raise Invalid("Choose when the next update comes.")
    return {
        "affected": form.get("affected", ""),
        "doing": form.get("doing", ""),
        "no_change": bool(form.get("no_change")),
        "next_at": now + timedelta(minutes=int(minutes)) if minutes else None,
    }


@require_http_methods(["GET", "HEAD", "POST"])
def update(request: Request, pk: int) -> HttpResponse:
    """GET: the text for each audience, to be altered. POST: send."""
    found, now = incident_by_id(request.actor, pk), clock.now()
    form = request.POST if request.method == "POST" else request.GET
    asked, audiences = _asked(form, now), form.getlist("audience")
    if request.method == "POST":
        texts = {name: form.get(f"text-{name}", "") for name in audiences}
        actions.write(request.actor, found, audiences, texts=texts, **asked)
        return redirect(f"/incidents/{pk}#updates")
    request.actor.require(Role.RESPONDER, found.system.client.slug)
    drafts = actions.draft(found, asked["affected"], asked["doing"], asked["next_at"] or promises.due(found, now),
                           asked["no_change"])  # fmt: skip
    rows = [
        {
            "name": name,
            "title": title,
            "text": drafts[name],
            "people": people_of(found, name),
            "approval": needs_approval(name, found.severity, found.peak_severity),
            "chosen": name in audiences or (not audiences and name in ("responders", "internal")),
        }
        for name, title in AUDIENCES
    ]
    context = {
        "incident": found,
        "rows": rows,
        "form": form,
        "next": IN,
        "usual": form.get("next") or _usual(found, now),
    }
    return render(request, "incidents/update.html", context)


@require_POST
def decide(request: Request, pk: int, number: int, audience: str) -> HttpResponse:
    found, form = incident_by_id(request.actor, pk), request.POST
    if form.get("deed") == "withdraw":
        actions.withdraw(request.actor, found, number, audience, form.get("reason", ""))
    else:
        actions.approve(request.actor, found, number, audience, form.get("text", ""))
    return redirect(f"/incidents/{pk}#updates")


@require_POST
def stakeholder(request: Request, client: str) -> HttpResponse:
    found, form = client_by_slug(request.actor, client), request.POST
    request.actor.require(Role.OPERATOR, found.slug)
    asked = form.get("person", "")
    person = readers(found).filter(pk=int(asked)).first() if asked.isdigit() else None
    if person is None:
        raise Invalid("Choose a person who may see this client.")
    actions.put_stakeholder(request.actor, found, form.get("audience", ""), person, not form.get("remove"))
    return redirect(f"/incidents/runbooks?client={found.slug}#stakeholders")
