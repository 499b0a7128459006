"""The containment menu of an incident as a part of its page, and the page of a dry run."""

from __future__ import annotations

from typing import Any

from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods, require_POST

from afterlaunch.accounts.actions import client_by_slug
from afterlaunch.ground.actors import Actor, Role
from afterlaunch.ground.errors import Invalid
from afterlaunch.incidents.actions import incident_by_id
from afterlaunch.incidents.containment import actions
from afterlaunch.incidents.kinds import kind_named
from afterlaunch.incidents.models import Incident
from afterlaunch.look.requests import Request


def panel(actor: Actor, incident: Incident) -> dict[str, Any]:
    """The menu, with what the product can do found out already; and the measures so far."""
    menu = []
    if incident.status == "open":
        menu = [actions.dry_run(actor, incident, item.key) for item in kind_named(incident.kind).containment]
    return {"menu": menu, "measures": list(incident.measures.all())}


@require_http_methods(["GET", "HEAD", "POST"])
def dry_run(request: Request, pk: int, key: str) -> HttpResponse:
    """GET shows what would happen; POST does it, if that still holds."""
    found = incident_by_id(request.actor, pk)
    item = actions.item_of(found, key)
    if request.method == "POST":
        form = request.POST
        if item.run:
            actions.act(request.actor, found, key, form.get("plan", ""), form.get("reason", ""))
        else:
            reach = percent(form.get("reach", ""))
            actions.by_hand(request.actor, found, key, form.get("text", ""), reach, form.get("undo", ""))
        return redirect(f"/incidents/{pk}#containment")
    look = actions.dry_run(request.actor, found, key)
    context = {
        "incident": found,
        "look": look,
        "reach": None if look.plan.reach is None else look.plan.reach / 100,
        "cap": look.cap / 100,
        "may_respond": request.actor.may(Role.RESPONDER, found.system.client.slug),
    }
    return render(request, "incidents/dry_run.html", context)


def percent(text: str) -> int | None:
    """A share that a person typed, in basis points; empty is unknown."""
    bare = text.strip().rstrip("%").strip().replace(",", ".")
    if not bare:
        return None
    try:
        return round(float(bare) * 100)
    except (ValueError, OverflowError):
        raise Invalid(f"{text!r} is no share of the traffic.", "For example 20") from None


@require_POST
def undo(request: Request, pk: int, measure: int) -> HttpResponse:
    found = incident_by_id(request.actor, pk)
    done = actions.undo(request.actor, found, measure, request.POST.get("reason", ""))
    return redirect(done.address or f"/incidents/{pk}#containment")


@require_POST
def policy(request: Request, client: str) -> HttpResponse:
    found, form = client_by_slug(request.actor, client), request.POST
    cap = percent(form.get("cap", ""))
    if cap is None or not form.get("minutes", "").isdigit():
        raise Invalid("Say the cap in percent and the time in minutes.")
    actions.put_policy(request.actor, found, cap, int(form["minutes"]))
    return redirect(f"/incidents/runbooks?client={found.slug}")
