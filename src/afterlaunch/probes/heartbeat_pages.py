"""Heartbeats as pages."""

from __future__ import annotations

from dataclasses import replace

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods, require_POST

from afterlaunch.estate.actions import system_by_id, systems_seen_by
from afterlaunch.estate.models import System
from afterlaunch.ground.actors import Actor, Role
from afterlaunch.ground.errors import Invalid, NotFound
from afterlaunch.ground.settings import settings
from afterlaunch.look.requests import Request
from afterlaunch.probes import heartbeats as deeds
from afterlaunch.probes import presence
from afterlaunch.probes.beats import State
from afterlaunch.probes.heartbeats import TEMPLATES, Values, heartbeat_by_id, heartbeats_seen_by, put_heartbeat
from afterlaunch.probes.models import Heartbeat
from afterlaunch.probes.telling import incident_of

TABS = [("Probes", "/probes"), ("Heartbeats", "/probes/heartbeats"), ("Uptime", "/probes/uptime")]
WORST_FIRST = (State.DOWN, State.LATE, State.NEW, State.UP, State.PAUSED)
DEEDS = {
    "pause": (deeds.pause_heartbeat, "is not watched until you resume it."),
    "resume": (deeds.resume_heartbeat, "is watched again."),
    "address": (deeds.new_address, "has another ping address; the old one opens nothing."),
    "remove": (deeds.remove_heartbeat, "is removed."),
}


def systems_to_edit(actor: Actor) -> list[System]:
    return [row for row in systems_seen_by(actor) if actor.may(Role.OPERATOR, row.client.slug)]


def address_of(row: Heartbeat) -> str:
    return f"{settings().public_url}/ping/{row.secret}"


def whole(text: str, otherwise: int, what: str) -> int:
    if text.strip() and not text.strip().isdigit():
        raise Invalid(f"{what} must be a whole number.")
    return int(text) if text.strip() else otherwise


def _values(request: Request) -> Values:
    given = request.POST
    cron = given.get("cron", "").strip() if given.get("by") != "period" else ""
    return Values(
        period=0 if cron else 60 * whole(given.get("period_minutes", ""), 0, "The period"),
        cron=cron,
        zone=given.get("zone", "").strip() or "UTC",
        grace=60 * whole(given.get("grace_minutes", ""), 5, "The grace"),
        longest=60 * whole(given.get("longest_minutes", ""), 0, "The longest run"),
        severity=given.get("severity", "P2"),
        environment=given.get("environment", "").strip() or "prod",
        purpose=given.get("purpose", ""),
        again_minutes=whole(given.get("again_minutes", ""), 0, "The minutes"),
    )


@require_http_methods(["GET", "HEAD", "POST"])
def heartbeats(request: Request) -> HttpResponse:
    """Those that are down first. `template`: the form begins with what that job usually is."""
    if request.method == "POST":
        system = system_by_id(request.actor, whole(request.POST.get("system", ""), 0, "The system"))
        made = put_heartbeat(request.actor, system, request.POST.get("name", "").strip(), _values(request))
        messages.success(request, f"{made.name} is watched from its first ping on.")
        return redirect(f"/probes/heartbeats/{made.pk}")
    rows = sorted(heartbeats_seen_by(request.actor), key=lambda row: WORST_FIRST.index(State(row.state)))
    chosen = next((one for one in TEMPLATES if one.name == request.GET.get("template")), None)
    return render(
        request,
        "probes/heartbeats.html",
        {
            "tabs": TABS,
            "rows": rows,
            "counts": {state.value: sum(row.state == state.value for row in rows) for state in State},
            "systems": systems_to_edit(request.actor),
            "templates": TEMPLATES,
            "name": chosen.name.replace("_", "-") if chosen else "",
            "value": chosen.values if chosen else Values(period=3_600),
            "absence": presence.newest_absence(),
        },
    )


@require_http_methods(["GET", "HEAD", "POST"])
def heartbeat(request: Request, pk: int) -> HttpResponse:
    row = heartbeat_by_id(request.actor, pk)
    if request.method == "POST":
        put_heartbeat(request.actor, row.system, row.name, replace(_values(request), purpose=row.purpose))
        messages.success(request, f"{row.name} is altered.")
        return redirect(f"/probes/heartbeats/{pk}")
    may = request.actor.may(Role.OPERATOR, row.system.client.slug)
    address = address_of(row)
    return render(
        request,
        "probes/heartbeat.html",
        {
            "row": row,
            "may": may,
            "pings": row.pings.all()[:50],
            "incident": incident_of(deeds.trouble_of(row)),
            "absence": presence.newest_absence(),
            "address": address if may else "",
            "examples": _examples(row, address) if may else [],
            "value": row,
        },
    )


def _examples(row: Heartbeat, address: str) -> list[tuple[str, str]]:
    begin = row.cron or "0 * * * *"
    return [
        ("curl", f"curl -fsS -m 10 --retry 5 -o /dev/null {address}"),
        ("a cron line", f"{begin} your-job; curl -fsS -m 10 --retry 5 -o /dev/null {address}/$?"),
        (
            "start, end and output",
            f'RID=$(uuidgen); curl -fsS -m 10 -o /dev/null "{address}/start?rid=$RID"; your-job > out.txt 2>&1; '
            f'curl -fsS -m 10 --retry 5 -o /dev/null --data-binary @out.txt "{address}/$??rid=$RID"',
        ),
        ("Python", f'import urllib.request\nurllib.request.urlopen("{address}", timeout=10)'),
    ]


@require_POST
def alter(request: Request, pk: int, deed: str) -> HttpResponse:
    if deed not in DEEDS:
        raise NotFound(f"A heartbeat has no {deed!r}.")
    row = heartbeat_by_id(request.actor, pk)
    do, said = DEEDS[deed]
    do(request.actor, row)
    messages.success(request, f"{row.name} {said}")
    return redirect("/probes/heartbeats" if deed == "remove" else f"/probes/heartbeats/{pk}")
