from __future__ import annotations

from datetime import datetime
from typing import Any

from django.contrib import messages
from django.core.paginator import Paginator
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from afterlaunch.accounts.actions import client_by_slug
from afterlaunch.accounts.models import Client
from afterlaunch.calendars import holiday_sets
from afterlaunch.calendars.actions import calendar_of, newest, of_row, set_calendar
from afterlaunch.calendars.business import Calendar, next_open
from afterlaunch.calendars.documents import document, read_calendar, require_open
from afterlaunch.calendars.models import DEFAULT_NAME
from afterlaunch.estate.actions import system_by_id
from afterlaunch.estate.models import TIERS
from afterlaunch.ground import clock
from afterlaunch.ground.actors import Role
from afterlaunch.ground.errors import AfterlaunchError, Invalid
from afterlaunch.look.requests import Request
from afterlaunch.sla import actions, clocks, forms, handovers
from afterlaunch.sla.due import NeverOpen, due
from afterlaunch.sla.pauses import REASONS
from afterlaunch.sla.policies import policy_of, set_policy
from afterlaunch.sla.postures import document as document_of
from afterlaunch.sla.postures import lacks, policies_of, set_support, support_of
from afterlaunch.sla.shown import outlook, shown, steps_of
from afterlaunch.sla.spans import read_instant, written
from afterlaunch.sla.targets import CLOCKS, PAUSABLE, SEVERITIES, TITLES, Policy, read_policy

PER_PAGE = 50


@require_GET
def running(request: Request) -> HttpResponse:
    """Running clocks, the nearest due time first; those that have none before them."""
    rows = clocks.seen_by(request.actor).filter(met_at=None, superseded_at=None).order_by("deadline", "pk")
    late = request.GET.get("late") == "1"
    rows = rows.filter(breached_at__isnull=not late) if request.GET.get("late") else rows
    page, now = Paginator(rows, PER_PAGE).get_page(request.GET.get("page")), clock.now()
    seen = request.actor.sees()
    clients = Client.objects.order_by("name")
    context = {
        "page": page,
        "rows": [shown(row, now) for row in page],
        "late": request.GET.get("late", ""),
        "clients": clients if seen is None else clients.filter(slug__in=seen),
    }
    return render(request, "sla/running.html", context)


@require_GET
def one(request: Request, pk: int) -> HttpResponse:
    """A clock, explained step by step."""
    row, now = actions.clock_by_id(request.actor, pk), clock.now()
    others = clocks.seen_by(request.actor).filter(topic=row.topic).exclude(pk=row.pk).order_by("-pk")
    context = {
        "clock": shown(row, now),
        "steps": steps_of(row, now),
        "outlook": outlook(row, now),
        "pauses": row.pauses.all(),
        "others": [shown(other, now) for other in others],
        "runs": row.met_at is None and row.superseded_at is None,
        "pausable": row.kind in PAUSABLE and row.breached_at is None and row.deadline is not None,
        "reasons": REASONS.items(),
        "tiers": [(name, word) for name, word in TIERS if name != row.tier],
        "counted": row.kind in TITLES,
        "may_respond": request.actor.may(Role.RESPONDER, row.client.slug),
        "may_edit": request.actor.may(Role.OPERATOR, row.client.slug),
    }
    return render(request, "sla/clock.html", context)


@require_POST
def act(request: Request, pk: str, deed: str) -> HttpResponse:
    """One of the buttons of a clock's page."""
    row, given = actions.clock_by_id(request.actor, int(pk)), request.POST
    target = row
    if deed == "pause":
        ends = _wall(row.calendar["zone"], given.get("resume_at", ""))
        note = given.get("note", "")
        actions.pause(request.actor, row, given.get("reason", ""), ends, note, by_hand=ends is None)
    elif deed == "resume":
        actions.resume(request.actor, row)
    elif deed == "recalculate":
        target = actions.recalculate(request.actor, row, given.get("reason", ""))
    elif deed == "tier":
        found = actions.change_tier(request.actor, row, given.get("tier", ""), given.get("reason", ""))
        target = next((made for made in found if made.kind == row.kind and made.party == row.party), row)
    return redirect(f"/sla/clocks/{target.pk}")


def _wall(zone: str, text: str) -> datetime | None:
    return read_instant(text, Calendar(zone, ()).zone_info) if text.strip() else None


@require_GET
def client(request: Request, slug: str) -> HttpResponse:
    """Business hours and the SLA matrix of a client, with their editors."""
    found = client_by_slug(request.actor, slug)
    return render(request, "sla/client.html", _context(request, found))


def _context(request: Request, found: Client) -> dict[str, Any]:
    now, kept = clock.now(), newest(found)
    names = list(dict.fromkeys([DEFAULT_NAME, *kept]))
    calendars = [of_row(kept[name]) if name in kept else calendar_of(found, name) for name in names]
    return {
        "client": found,
        "calendars": [
            {
                "calendar": one,
                "row": kept.get(one.name),
                "fields": forms.calendar_fields(document(one)),
                "opens": next_open(one, now),
                "open": next_open(one, now) == now,
            }
            for one in calendars
        ],
        "names": names,
        "policies": [_policy(found, name, word) for name, word in TIERS],
        "countries": sorted(code for code in holiday_sets.supported() if len(code) == 2),
        "severities": SEVERITIES,
        "may_edit": request.actor.may(Role.OPERATOR, found.slug),
        "local_now": timezone.localtime(now, calendars[0].zone_info).strftime("%Y-%m-%dT%H:%M"),
        "days": forms.SHORT,
    }


def _policy(found: Client, tier: str, word: str) -> dict[str, Any]:
    held = policy_of(found, tier)
    cells = {name: [held.policy.target(name, one) for one in SEVERITIES] for name in CLOCKS}
    return {
        "tier": tier,
        "word": word,
        "row": held.row,
        "policy": held.policy,
        "matrix": [(TITLES[name], row) for name, row in cells.items() if any(row)],
        "fields": [{**row, "title": TITLES[row["clock"]]} for row in forms.matrix_fields(held.policy)],
        "warn_at": ", ".join(str(percent) for percent in held.policy.warn_at),
        "pause_one": written(held.policy.pause_one),
        "pause_total": written(held.policy.pause_total),
    }


@require_POST
def save_calendar(request: Request, slug: str) -> HttpResponse:
    found = client_by_slug(request.actor, slug)
    request.actor.require(Role.OPERATOR, found.slug)
    name = request.POST.get("name", "").strip() or DEFAULT_NAME
    row = set_calendar(request.actor, found, name, forms.calendar_document(_posted(request)))
    messages.success(request, f"{row.name} is version {row.version}, for clocks that start from now on.")
    return redirect(f"/sla/{slug}#calendars")


@require_POST
def save_policy(request: Request, slug: str, tier: str) -> HttpResponse:
    found = client_by_slug(request.actor, slug)
    request.actor.require(Role.OPERATOR, found.slug)
    row = set_policy(request.actor, found, tier, forms.policy_document(_posted(request)))
    messages.success(request, f"{row.tier} is version {row.version}, for clocks that start from now on.")
    return redirect(f"/sla/{slug}#matrix")


@require_POST
def preview(request: Request, slug: str) -> HttpResponse:
    """What would fall due when, by the fields as they stand in a form, saved or not. Changes nothing."""
    found = client_by_slug(request.actor, slug)
    context: dict[str, Any] = {"client": found}
    try:
        context |= _previewed(request, found)
    except AfterlaunchError as problem:
        context["problem"] = problem
    part = "sla/_preview.html" if request.headers.get("HX-Request") else "sla/preview.html"
    return render(request, part, context)


def _previewed(request: Request, found: Client) -> dict[str, Any]:
    given = _posted(request)
    tier, severity = given.get("tier", "standard"), given.get("severity", "P1")
    if tier not in dict(TIERS) or severity not in SEVERITIES:
        raise Invalid("Choose a tier and a severity.")
    edited = _edited(given)
    has_policy = any(name.startswith("response-") for name in given)
    policy = read_policy(forms.policy_document(given), "as edited") if has_policy else policy_of(found, tier).policy
    usual = edited or calendar_of(found)
    opened = read_instant(given.get("opened", ""), usual.zone_info)
    answers = [_answer(found, policy, name, severity, opened, edited) for name in CLOCKS]
    return {
        "severity": severity,
        "tier": tier,
        "opened": opened,
        "answers": [one for one in answers if one is not None],
    }


def _edited(given: dict[str, str]) -> Calendar | None:
    """The calendar that is being edited; None: the form is the matrix's."""
    if "zone" not in given:
        return None
    found = read_calendar(forms.calendar_document(given), given.get("name") or DEFAULT_NAME)
    require_open(found, clock.now())
    return found


def _answer(
    found: Client, policy: Policy, name: str, severity: str, opened: datetime, edited: Calendar | None
) -> dict[str, Any] | None:
    target = policy.target(name, severity)
    if target is None:
        return None
    calendar = edited if edited is not None and edited.name == target.calendar else calendar_of(found, target.calendar)
    try:
        answer = due(target, calendar, opened)
    except NeverOpen:
        raise Invalid(f"The calendar {calendar.name} never opens, so nothing falls due.") from None
    return {"title": TITLES[name], "at": answer.at, "steps": answer.steps}


def _posted(request: Request) -> dict[str, str]:
    return {name: str(value) for name, value in request.POST.items()}


@require_http_methods(["GET", "HEAD", "POST"])
def support(request: Request, pk: int) -> HttpResponse:
    """Who is in front for a system: posture, handover, contacts, owner and the address to page."""
    system = system_by_id(request.actor, pk)
    if request.method == "POST":
        request.actor.require(Role.OPERATOR, system.client.slug)
        set_support(request.actor, system, _support_document(_posted(request)))
        messages.success(request, "Saved. It holds for incidents that open from now on.")
        return redirect(f"/systems/{pk}/support")
    row = support_of(system)
    context = {
        "system": system,
        "support": row,
        "told": document_of(row),
        "lacks": lacks(system, row),
        "policies": policies_of(system),
        "calendars": list(dict.fromkeys([DEFAULT_NAME, *newest(system.client)])),
        "may_edit": request.actor.may(Role.OPERATOR, system.client.slug),
    }
    return render(request, "sla/support.html", context)


def _support_document(given: dict[str, str]) -> dict[str, Any]:
    told: dict[str, Any] = {name: given.get(name, "") for name in ("posture", "policy", "contacts", "address")}
    if told["posture"] == "escalation":
        told["handover"] = {name: given.get(name, "") for name in ("after", "counting", "calendar", "unless")}
    return {**told, "security_at_once": bool(given.get("security_at_once"))}


@require_POST
def handover(request: Request, pk: str, deed: str) -> HttpResponse:
    """One of the buttons of a handover on an incident's page."""
    row = handovers.handover_by_id(request.actor, int(pk))
    reason = request.POST.get("reason", "")
    if deed == "now":
        handovers.hand_over_now(request.actor, row, reason)
    elif deed == "ask-back":
        handovers.ask_back(request.actor, row, reason)
    else:
        handovers.accept_back(request.actor, row)
    return redirect(f"/{row.topic.replace('incident/', 'incidents/')}#panel-handover")
