from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.core.paginator import Paginator
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_GET, require_POST

from afterlaunch.changes import actions
from afterlaunch.changes.models import STATES, Change
from afterlaunch.changes.rules import next_share
from afterlaunch.ground import clock
from afterlaunch.ground.actors import Actor, Role
from afterlaunch.ground.errors import NotFound
from afterlaunch.incidents.actions import incident_by_id
from afterlaunch.incidents.models import Incident
from afterlaunch.look.requests import Request
from afterlaunch.routes.actions import route_by_name, routes_seen_by
from afterlaunch.routes.shadow_use import standing
from afterlaunch.telemetry.queries import windows

PER_PAGE = 50
DEEDS = {"approve": actions.approve, "advance": actions.advance}


@require_GET
def changes(request: Request) -> HttpResponse:
    """Newest first; `incident` narrows to what changed in the day before it was detected."""
    rows = actions.changes_seen_by(request.actor)
    state, asked = request.GET.get("state", ""), request.GET.get("incident", "")
    incident = incident_by_id(request.actor, int(asked)) if asked.isdigit() else None
    if state:
        rows = rows.filter(state=state)
    if incident:
        start = incident.detected_at - timedelta(days=1)
        rows = rows.filter(system=incident.system, proposed_at__gte=start, proposed_at__lte=incident.detected_at)
    page = Paginator(rows, PER_PAGE).get_page(request.GET.get("page"))
    routes = routes_seen_by(request.actor).select_related("system__client")
    context = {
        "page": page,
        "states": STATES,
        "state": state,
        "incident": incident,
        "routes": [one for one in routes if request.actor.may(Role.OPERATOR, one.system.client.slug)],
    }
    return render(request, "changes/changes.html", context)


@require_GET
def change(request: Request, pk: int) -> HttpResponse:
    """One change: before and after, its share, both arms over the last hour, and what happened."""
    row = actions.change_by_id(request.actor, pk)
    following = next_share(row.share)
    context = {
        "change": row,
        "differences": _differences(row),
        "events": row.events.all(),
        "arms": _arms(row),
        "shadow": standing(row.route, clock.now()) if row.finished_at is None else None,
        "rollback": row.rollbacks.first(),
        "next": f"{following / 100:g} %" if following else "complete",
        "can_advance": row.route is not None and row.state in ("approved", "rolling_out") and row.kind != "rollback",
        "can_roll_back": row.route is not None and row.state in ("approved", "rolling_out") and row.kind != "rollback",
    }
    return render(request, "changes/change.html", context)


def _differences(row: Change) -> list[dict[str, Any]]:
    names = list(dict.fromkeys([*row.before, *row.after]))
    return [
        {
            "name": name.replace("_", " "),
            "before": row.before.get(name, ""),
            "after": row.after.get(name, ""),
            "changed": row.before.get(name) != row.after.get(name),
        }
        for name in names
    ]


def _arms(row: Change) -> list[dict[str, Any]]:
    """Both arms side by side, from the rollout's begin to its end; before it begins, over the last hour."""
    if row.route is None:
        return []
    end = (row.finished_at or clock.now()) + timedelta(minutes=1)
    start = row.started_at or end - timedelta(hours=1)
    found = windows(
        start, end, ["arm"], frozenset({row.system.client.slug}), system=row.system.key, route=row.route.name
    )
    return [{"arm": w.key["arm"], "window": w} for w in found if w.key["arm"]]


@require_POST
def propose(request: Request) -> HttpResponse:
    """Other values for a route; an empty field keeps the baseline's."""
    form = request.POST
    route = route_by_name(request.actor, form.get("route", ""))
    given = {name: form.get(name, "").strip() or None for name in ("upstream", "model", "prompt_version")}
    values = actions.altered(route, **given)
    change = actions.propose(request.actor, route, form.get("title", ""), values, form.get("description", "").strip())
    return redirect(change.get_absolute_url())


@require_POST
def deed(request: Request, pk: int, name: str) -> HttpResponse:
    """Approve or advance."""
    if name not in DEEDS:
        raise NotFound(f"There is no deed {name!r}.")
    DEEDS[name](request.actor, actions.change_by_id(request.actor, pk))
    return redirect(f"/changes/{pk}")


def rollbacks(actor: Actor, incident: Incident) -> dict[str, Any] | None:
    """For an incident's page: what rolls out where it is, and what was taken back there already, with its proof."""
    since = incident.occurred_at or incident.detected_at
    place = {"system": incident.system, "environment": incident.environment}
    done = Change.objects.filter(**place, kind="rollback", proposed_at__gte=since).select_related("route", "parent")
    if incident.resolved_at:
        done = done.filter(proposed_at__lte=incident.resolved_at)
    change = actions.containable(incident) if incident.status == "open" else None
    rows = list(done.order_by("-proposed_at")[:5])
    if change is None and not rows and incident.status != "open":
        return None
    return {"incident": incident, "change": change, "rollbacks": rows}


@require_POST
def rollback(request: Request, pk: int) -> HttpResponse:
    """The button; leads to the rollback's own page."""
    reason = request.POST.get("reason", "").strip() or "By hand, from the change's page."
    back = actions.rollback(request.actor, actions.change_by_id(request.actor, pk), reason)
    return redirect(back.get_absolute_url())
