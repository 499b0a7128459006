from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.core import signing
from django.core.paginator import Paginator
from django.db.models import Case, IntegerField, Value, When
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from afterlaunch.estate.actions import systems_seen_by
from afterlaunch.ground import clock
from afterlaunch.ground.actors import Actor
from afterlaunch.ground.errors import Conflict, Invalid, NotAllowed
from afterlaunch.incidents import actions, moves, roles
from afterlaunch.incidents.checklist import HELD
from afterlaunch.incidents.clocks import load, response_of
from afterlaunch.incidents.finding import asked_of, counts, narrowed
from afterlaunch.incidents.kinds import CHOICES as KINDS
from afterlaunch.incidents.merging import duplicate_of
from afterlaunch.incidents.models import PHASES, SEVERITIES, Incident
from afterlaunch.incidents.panels import filled
from afterlaunch.incidents.roles import person_of
from afterlaunch.incidents.room import shown as shown_room
from afterlaunch.incidents.signed import acknowledge_by_link, open_link
from afterlaunch.incidents.timeline import first_broken
from afterlaunch.look.requests import Request
from afterlaunch.notify.outbox import pages_about
from afterlaunch.sla.shown import Shown, outlook, shown, steps_of

PER_PAGE = 50
CONFIRM_SECONDS = 1800  # real seconds that a confirm form stays good
CONFIRM_SALT = "acknowledge"
TONES = {  # of a timeline's dots
    "detection": "breach",
    "relapsed": "breach",
    "clock.breached": "breach",
    "clock.breach_predicted": "breach",
    "clock.warned": "quiet",
    "reopened": "breach",
    "containment.failed": "breach",
    "update.overdue": "breach",
    "review.late": "breach",
    "contained": "ok",
    "closed": "ok",
    "role": "quiet",
    "evidence.done": "quiet",
    "runbook.done": "quiet",
    "recovered": "ok",
    "resolved": "ok",
    "alert": "quiet",
    "triage": "quiet",
    "note": "quiet",
}
FIRST, NEWEST = 10, 50  # entries of a long timeline that are not folded


@require_GET
def incidents(request: Request) -> HttpResponse:
    """Open ones first, then the newest."""
    asked = asked_of(request.GET)
    seen = actions.incidents_seen_by(request.actor)
    rows = narrowed(seen, asked, request.actor.user_id).prefetch_related(HELD)
    first = Case(When(status="open", then=Value(0)), default=Value(1), output_field=IntegerField())
    page = Paginator(rows.order_by(first, "-detected_at", "-pk"), PER_PAGE).get_page(request.GET.get("page"))
    load(page.object_list)
    context = {
        "page": page,
        "rows": [{"incident": one, "clock": clock_of(one)} for one in page],
        "counts": counts(seen),
        "asked": asked,
        "filtered": any(asked.values()),
        "severities": [name for name, _ in SEVERITIES],
        "phases": PHASES,
        "kinds": KINDS,
        "systems": systems_seen_by(request.actor),
    }
    return render(request, "incidents/incidents.html", context)


def clock_of(incident: Incident) -> Shown | None:
    """The first response that is promised, as it stands."""
    row = response_of(incident)
    return shown(row, clock.now()) if row is not None else None


@require_GET
def incident(request: Request, pk: int) -> HttpResponse:
    return render(request, "incidents/incident.html", _context(request, pk))


def _context(request: Request, pk: int) -> dict[str, Any]:
    found = actions.incident_by_id(request.actor, pk)
    return {
        **shown_room(request.actor, found),
        "incident": found,
        "clock": clock_of(found),
        **_promises(found),
        **_timeline(found),
        "broken_at": first_broken(found),
        "pages": pages_about(found.topic),
        "panels": filled(request.actor, found),
        "severities": [name for name, _ in SEVERITIES],
        "now": clock.now(),
    }


def _promises(found: Incident) -> dict[str, Any]:
    """Its clocks with the count of the first response, and whether that will be met."""
    now, first = clock.now(), response_of(found)
    rows = [row for row in found.promises if row.superseded_at is None and row != first]
    return {
        "steps": steps_of(first, now) if first is not None else [],
        "outlook": outlook(first, now) if first is not None else None,
        "clocks": [shown(row, now) for row in rows],
        "old_clocks": [shown(row, now) for row in found.promises if row.superseded_at is not None],
    }


def _timeline(found: Incident) -> dict[str, Any]:
    """Entries with a word and a tone for each; of a long one all but the beginning and the newest are folded."""
    entries = list(found.timeline.all())
    rows = [
        {"entry": entry, "label": entry.kind.replace(".", " ").capitalize(), "tone": TONES.get(entry.kind, "")}
        for entry in entries
    ]
    first, last = (FIRST, len(rows) - NEWEST) if len(rows) > FIRST + 2 * NEWEST else (len(rows), len(rows))
    return {
        "timeline": [("", rows[:first]), ("folded", rows[first:last]), ("", rows[last:])],
        "entries": len(entries),
        "newest": entries[-1].hash if entries else "",
    }


@require_POST
def act(request: Request, pk: str, deed: str) -> HttpResponse:
    """One of the buttons of the page."""
    DEEDS[deed](request.actor, actions.incident_by_id(request.actor, int(pk)), request.POST)
    return redirect(f"/incidents/{pk}{ANCHORS.get(deed, '')}")


def _duplicate(actor: Actor, found: Incident, form: Any) -> None:
    survivor = form.get("survivor", "")
    if not survivor.isdigit():
        raise Invalid("Choose the incident that it repeats.")
    duplicate_of(actor, found, actions.incident_by_id(actor, int(survivor)), form.get("text", ""))


def _role(actor: Actor, found: Incident, form: Any) -> None:
    """Without a person the actor takes it."""
    person, role = form.get("person", ""), form.get("role", "")
    if form.get("end") and person.isdigit():
        roles.release(actor, found, role, int(person))
    else:
        roles.assign(actor, found, role, person_of(found, int(person)) if person.isdigit() else None)


def _story(actor: Actor, found: Incident, form: Any) -> None:
    moves.write_story(actor, found, form.get("cause_key"), **{name: form[name] for name in moves.STORY if name in form})


DEEDS: dict[str, Callable[[Actor, Incident, Any], object]] = {
    "acknowledge": lambda actor, found, form: actions.acknowledge(actor, found),
    "resolve": lambda actor, found, form: actions.resolve(actor, found, form.get("text", "")),
    "reopen": lambda actor, found, form: actions.reopen(actor, found, form.get("text", "")),
    "false-alarm": lambda actor, found, form: actions.false_alarm(actor, found, form.get("text", "")),
    "note": lambda actor, found, form: actions.add_note(actor, found, form.get("text", "")),
    "severity": lambda actor, found, form: actions.change_severity(
        actor, found, form.get("severity", ""), form.get("text", "")
    ),
    "kind": lambda actor, found, form: actions.change_kind(actor, found, form.get("kind", ""), form.get("text", "")),
    "move": lambda actor, found, form: moves.move(actor, found, form.get("to", ""), form.get("text", "")),
    "close": lambda actor, found, form: moves.close(actor, found),
    "duplicate": _duplicate,
    "roles": _role,
    "story": _story,
}
ANCHORS = {"note": "#timeline", "roles": "#roles", "story": "#story", "severity": "#deeds", "kind": "#runbook"}


@csrf_exempt  # the form carries a token of its own: with no-referrer a browser sends no origin that Django accepts
@require_http_methods(["GET", "HEAD", "POST"])
def signed_acknowledge(request: HttpRequest, token: str) -> HttpResponse:
    """GET shows a button and changes nothing, so that a link preview acknowledges nothing. POST acts, once."""
    opened = open_link(token)
    status, done = 200, False
    if request.method == "POST":
        try:
            signing.loads(request.POST.get("confirm", ""), salt=CONFIRM_SALT + token, max_age=CONFIRM_SECONDS)
            acknowledge_by_link(token, request.META.get("REMOTE_ADDR", ""), request.headers.get("User-Agent", ""))
            done = True
        except signing.BadSignature:
            status = 400
        except Conflict:
            status = 409
        except NotAllowed:
            status = 403
        opened = open_link(token)
    context = {
        "incident": opened.incident,
        "usable": opened.usable,
        "done": done,
        "status": status,
        "confirm": signing.dumps(opened.page.pk, salt=CONFIRM_SALT + token),
    }
    response = render(request, "incidents/acknowledge.html", context, status=status)
    response["Cache-Control"] = "no-store"
    response["Referrer-Policy"] = "no-referrer"
    return response
