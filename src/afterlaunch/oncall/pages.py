from __future__ import annotations

from datetime import datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_GET, require_POST

from afterlaunch.accounts.actions import client_by_slug
from afterlaunch.accounts.models import Client, User
from afterlaunch.calendars.wall import first_instant
from afterlaunch.ground import clock
from afterlaunch.ground.actors import Actor, Role
from afterlaunch.ground.errors import Invalid
from afterlaunch.look.requests import Request
from afterlaunch.notify.outbox import contacts_of
from afterlaunch.oncall.actions import add_override, cancel_override, people_for, set_policy, set_rotation
from afterlaunch.oncall.api import clients_of
from afterlaunch.oncall.escalation import steps_of
from afterlaunch.oncall.models import EscalationStep, Override, Rotation
from afterlaunch.oncall.rules import Step
from afterlaunch.oncall.schedule import administrators, planned, who_is_on_call

WEEKS = 5


def _step_rows(client: Client) -> list[dict[str, Any]]:
    steps = steps_of(client)
    people = User.objects.in_bulk([step.person for step in steps if step.person])
    return [{"step": step, "person": people.get(step.person or 0), "minutes": step.delay // 60} for step in steps]


def _board(actor: Actor, client: Client, now: datetime) -> dict[str, Any]:
    rotation = Rotation.objects.filter(client=client, valid_from__lte=now).order_by("-valid_from", "-pk").first()
    people = people_for(client)
    overrides = Override.objects.filter(client=client, cancelled_at=None, ends_at__gt=now)
    return {
        "client": client,
        "now": who_is_on_call(client, now),
        "shifts": planned(client, now, now + timedelta(weeks=WEEKS)) if rotation else [],
        "rotation": rotation,
        "zone": rotation.zone if rotation else client.time_zone,
        "members": [member.user for member in rotation.members.select_related("user")] if rotation else [],
        "overrides": overrides.select_related("absent", "substitute"),
        "people": people,
        "steps": _step_rows(client),
        "own_policy": EscalationStep.objects.filter(client=client).exists(),
        "reachable": any(contacts_of(person).exists() for person in {*people, *administrators(client)}),
        "may_override": actor.may(Role.RESPONDER, client.slug),
        "may_edit": actor.may(Role.OPERATOR, client.slug),
    }


@require_GET
def oncall(request: Request) -> HttpResponse:
    now = clock.now()
    boards = [_board(request.actor, client, now) for client in clients_of(request.actor)]
    return render(request, "oncall/oncall.html", {"boards": boards, "at": now, "weeks": WEEKS})


def _person(client: Client, text: str) -> User:
    for user in people_for(client):
        if str(user.pk) == text:
            return user
    raise Invalid("Choose a person who can act for this client.")


def _instant(text: str, zone: str) -> datetime:
    try:
        return first_instant(datetime.fromisoformat(text).replace(tzinfo=None), ZoneInfo(zone))
    except ValueError:
        raise Invalid(f"{text!r} is no date and time.", "For example: 2026-03-01T18:00") from None


def _back(client: Client) -> HttpResponse:
    return redirect(f"/oncall#{client.slug}")


@require_POST
def override(request: Request, slug: str) -> HttpResponse:
    """Times in the form are wall times of the rotation's zone, as they are shown."""
    client = client_by_slug(request.actor, slug)
    newest = Rotation.objects.filter(client=client).order_by("-valid_from", "-pk").first()
    zone = newest.zone if newest else client.time_zone
    form = request.POST
    absent = _person(client, form["absent"]) if form.get("absent") else None
    substitute = _person(client, form.get("substitute", ""))
    starts, ends = _instant(form.get("starts_at", ""), zone), _instant(form.get("ends_at", ""), zone)
    row = add_override(request.actor, client, substitute, starts, ends, absent)
    messages.success(request, f"{row}.")
    return _back(client)


@require_POST
def override_cancel(request: Request, slug: str, pk: int) -> HttpResponse:
    client = client_by_slug(request.actor, slug)
    cancel_override(request.actor, client, pk)
    return _back(client)


@require_POST
def rotation(request: Request, slug: str) -> HttpResponse:
    client = client_by_slug(request.actor, slug)
    form = request.POST
    members = [_person(client, text) for text in form.getlist("member") if text]
    try:
        day = datetime.fromisoformat(form.get("anchor_date", "")).date()
        handoff = time.fromisoformat(form.get("handoff", ""))
    except ValueError:
        raise Invalid("The first handoff needs a date and a time.") from None
    set_rotation(request.actor, client, members, form.get("zone", "").strip(), day, handoff)
    messages.success(request, f"New rotation for {client}.")
    return _back(client)


@require_POST
def policy(request: Request, slug: str) -> HttpResponse:
    """Fields target-N, person-N, minutes-N; a step without a target is left out."""
    client = client_by_slug(request.actor, slug)
    form, steps = request.POST, []
    for number in range(10):
        target = form.get(f"target-{number}", "")
        if not target:
            continue
        minutes = form.get(f"minutes-{number}", "")
        if not minutes.isdigit():
            raise Invalid("A step's delay is a whole number of minutes.")
        person = _person(client, form.get(f"person-{number}", "")).pk if target == "person" else None
        steps.append(Step(target, int(minutes) * 60, person))
    set_policy(request.actor, client, steps)
    messages.success(request, f"New escalation policy for {client}.")
    return _back(client)
