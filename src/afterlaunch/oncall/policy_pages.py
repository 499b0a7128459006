"""Escalation policies: the editor with what would happen, by name, before anything is saved."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.contrib import messages
from django.http import HttpResponse, QueryDict
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods, require_POST

from afterlaunch.accounts.actions import client_by_slug
from afterlaunch.accounts.models import Client
from afterlaunch.estate.models import System
from afterlaunch.ground import clock
from afterlaunch.ground.actors import Role
from afterlaunch.ground.errors import Invalid
from afterlaunch.look.requests import Request
from afterlaunch.notify.channels import live_channels
from afterlaunch.oncall import forms
from afterlaunch.oncall.actions import people_for
from afterlaunch.oncall.forecast import simulated
from afterlaunch.oncall.models import ACK_MODES, EscalationPolicy, SystemPolicy, Team
from afterlaunch.oncall.policies import BUILT_IN, policy_of_document
from afterlaunch.oncall.policy_actions import (
    OWNER,
    assign_policy,
    checked_policy,
    policy_by_id,
    remove_policy,
    save_policy,
)
from afterlaunch.oncall.schedule import schedules_of

WHY = {
    "other_severity": "not for this severity",
    "other_type": "not for this type of incident",
    "calendar_closed": "only while business hours are open",
    "calendar_open": "only while business hours are closed",
    "other_weekday": "not on this weekday",
    "no_holiday": "only on holidays",
    "holiday": "not on holidays",
    "nobody": "nobody who can be reached: falls through at once",
    "reached": "",
    "nobody_acknowledged": "the end of the policy: the catch-all is paged",
    "nobody_reachable": "the whole policy reaches nobody: the catch-all is paged at once",
    "no_step_holds": "no step holds: the catch-all is paged at once",
}


@require_http_methods(["GET", "HEAD", "POST"])
def new(request: Request, slug: str) -> HttpResponse:
    client = client_by_slug(request.actor, slug)
    request.actor.require(Role.OPERATOR, slug)
    return _page(request, client, None)


@require_http_methods(["GET", "HEAD", "POST"])
def policy(request: Request, slug: str, pk: int) -> HttpResponse:
    """Everybody who sees the client reads and simulates; saving needs the role operator."""
    row = policy_by_id(request.actor, slug, pk)
    return _page(request, row.client, row)


def _given(form: QueryDict) -> dict[str, Any]:
    return {
        "steps": forms.steps(form),
        "repeat": -1 if form.get("forever") else forms.whole(form.get("repeat") or "1", "How often it repeats"),
        "ack_mode": form.get("ack_mode", "one"),
        "again": forms.again(form),
        "catch_all": forms.catch_all(form),
    }


def _stored(row: EscalationPolicy | None) -> dict[str, Any]:
    if row is not None:
        return {name: getattr(row, name) for name in ("steps", "repeat", "ack_mode", "again", "catch_all")}
    steps = [
        {"delay": one.delay, "targets": [{"kind": target.kind} for target in one.targets], "conditions": {}}
        for one in BUILT_IN.steps
    ]
    return {"steps": steps, "repeat": 1, "ack_mode": "one", "again": {"P1": 30}, "catch_all": OWNER}


def _page(request: Request, client: Client, row: EscalationPolicy | None) -> HttpResponse:
    problem: Invalid | None = None
    given, do = _stored(row), request.POST.get("do", "")
    if request.method == "POST":
        try:
            given = _given(request.POST)
            if do == "save":
                return _saved(request, client, row, given)
            checked_policy(client, **given)
        except Invalid as caught:
            problem = caught
    system = _system(client, request.POST.get("system", ""))
    severity = request.POST.get("severity", "P1")
    at, problem = _at(request.POST.get("at", ""), problem)
    context = {
        "client": client,
        "policy": row,
        "name": request.POST.get("name", row.name if row else ""),
        "default": bool(request.POST.get("default")) if request.POST else bool(row and row.default),
        "given": given,
        "forever": given["repeat"] < 0,
        "steps": forms.shown_steps(given["steps"], 2 if do == "step" else 1),
        "catch_all": [*(forms.target_code(one) for one in given["catch_all"]), ""],
        "again": [(name, given["again"].get(name, "")) for name in ("P1", "P2", "P3")],
        "targets": _options(client),
        "modes": ACK_MODES,
        "systems": _systems(client, row),
        "system": system,
        "severity": severity,
        "at": at.astimezone(forms.reader_zone()).strftime("%Y-%m-%dT%H:%M"),
        "zone": forms.reader_zone().key,
        "timeline": _timeline(client, system, given, severity, at) if system and not problem else [],
        "problem": problem,
        "may_edit": request.actor.may(Role.OPERATOR, client.slug),
    }
    return render(request, "oncall/policy.html", context, status=400 if problem else 200)


def _at(text: str, problem: Invalid | None) -> tuple[datetime, Invalid | None]:
    try:
        return (forms.instant(text) if text else clock.now()), problem
    except Invalid as caught:
        return clock.now(), problem or caught


def _system(client: Client, text: str) -> System | None:
    rows = System.objects.filter(client=client).select_related("client", "owner").order_by("pk")
    return (rows.filter(pk=text).first() if text.isdigit() else None) or rows.first()


def _systems(client: Client, row: EscalationPolicy | None) -> list[dict[str, Any]]:
    own = dict(SystemPolicy.objects.filter(system__client=client).values_list("system_id", "policy_id"))
    return [
        {"system": one, "here": row is not None and own.get(one.pk) == row.pk}
        for one in System.objects.filter(client=client).order_by("name")
    ]


def _options(client: Client) -> list[tuple[str, str]]:
    """Every target that a step may have, as (code, words)."""
    found = [("owner:", "The system's owner, else administrators"), ("schedule:", "The first schedule")]
    found += [(f"schedule:{one.pk}", f"On call: {one}") for one in schedules_of(client)]
    found += [(f"team:{one.pk}", f"Team {one}") for one in Team.objects.filter(client=client)]
    found += [(f"person:{one.pk}", str(one)) for one in people_for(client)]
    found += [(f"channel:{one.pk}", f"Channel {one}") for one in live_channels(client.slug)]
    return found


def _timeline(
    client: Client, system: System, given: dict[str, Any], severity: str, at: datetime
) -> list[dict[str, Any]]:
    """What happens if an incident of that severity opens at `at` and nobody acknowledges."""
    rules = policy_of_document(**checked_policy(client, **given))
    return [
        {
            "at": one.at,
            "after": (one.at - at).total_seconds(),
            "step": one.number + 1 if one.number is not None else None,
            "round": one.loop + 1,
            "people": one.people,
            "why": WHY.get(one.told, one.told),
            "quiet": one.told not in ("reached", "nobody_acknowledged", "nobody_reachable"),
        }
        for one in simulated(rules, system, {"severity": severity}, at)
    ]


def _saved(request: Request, client: Client, row: EscalationPolicy | None, given: dict[str, Any]) -> HttpResponse:
    form = request.POST
    rest = {name: value for name, value in given.items() if name != "steps"}
    named, default = form.get("name", ""), bool(form.get("default"))
    made = save_policy(request.actor, client, named, given["steps"], default=default, row=row, **rest)
    wanted = {int(text) for text in form.getlist("assigned") if text.isdigit()}
    for one in _systems(client, made):
        if (one["system"].pk in wanted) != one["here"]:
            assign_policy(request.actor, one["system"], made if one["system"].pk in wanted else None)
    messages.success(request, f"The policy {made} is saved; it counts from the next step on.")
    return redirect(f"/oncall/{client.slug}/policies/{made.pk}")


@require_POST
def remove(request: Request, slug: str, pk: int) -> HttpResponse:
    row = policy_by_id(request.actor, slug, pk)
    remove_policy(request.actor, row)
    messages.success(request, f"The policy {row} is removed.")
    return redirect("/oncall")
