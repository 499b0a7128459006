"""The guard as pages: policies by route with what they did, one policy, approval queues, one held request."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any
from urllib.parse import quote

import orjson
from django.contrib import messages
from django.db.models import Count, F, Min, Q
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.dateparse import parse_datetime
from django.utils.timezone import get_current_timezone
from django.views.decorators.http import require_http_methods, require_POST

from afterlaunch.accounts.actions import client_by_slug
from afterlaunch.accounts.models import Client, User
from afterlaunch.contracts.guard import ACTIONS, BYPASSED, FAIL, FALLBACKS, MODES, STREAMS, WHERE
from afterlaunch.contracts.guard_checks import CHECKS, PII
from afterlaunch.contracts.guard_counts import Counts
from afterlaunch.evidence.models import Entry
from afterlaunch.ground import clock
from afterlaunch.ground.actors import Actor, Role
from afterlaunch.ground.errors import Invalid, Unavailable
from afterlaunch.guard import forms, holding
from afterlaunch.guard.actions import (
    end_bypass,
    end_policy,
    grant_bypass,
    hold_by_id,
    holds_seen_by,
    policies_seen_by,
    policy_by_id,
    put_policy,
    put_queue,
    queues_seen_by,
)
from afterlaunch.guard.counting import by_hour, sums
from afterlaunch.guard.models import Hold, Queue
from afterlaunch.guard.rules import JUDGES
from afterlaunch.look import charts
from afterlaunch.look.requests import Request
from afterlaunch.routes.actions import route_by_name, routes_seen_by
from afterlaunch.routes.models import GuardBypass, GuardPolicy
from afterlaunch.telemetry.views.finding import find
from afterlaunch.telemetry.views.search import Search, Term
from afterlaunch.verdicts.models import Verdict

DAY, SECOND = timedelta(days=1), timedelta(seconds=1)
RECENTLY, NEWEST = 50, 20
SERVER_KIND = 2  # of spans
CHOICES = {
    "wheres": WHERE, "kinds": CHECKS, "actions": ACTIONS, "fails": FAIL, "modes": MODES, "fallbacks": FALLBACKS,
    "streams": [("", "passes unchecked, counted"), *((one, one) for one in STREAMS if one)], "pii": ", ".join(PII),
    "bypassed": BYPASSED,
}  # fmt: skip


def _may(actor: Actor, role: Role, slug: str) -> bool:
    return actor.may(role, slug)


def _picture(ids: list[int], now: datetime) -> str:
    hours = by_hour(ids, now - DAY, now + SECOND)
    points: list[tuple[datetime, dict[str, float | None]]] = [
        (at, {"matched": found["matched"], "could not be checked": found["exceptions"]}) for at, found in hours.items()
    ]
    return charts.lines(points, "in an hour", kind="bar", width=900, height=150)


def _line(row: GuardPolicy, found: Counts, passed: int) -> dict[str, Any]:
    policy = row.contract()
    return {
        "row": row, "policy": policy, "summary": forms.summary(policy), "sums": found,
        "stopped": found.denied + found.held, "passed": found.bypassed + passed,
    }  # fmt: skip


def _passed(ids: list[int], now: datetime) -> dict[int, int]:
    """Approvals that were used in the last day, by policy."""
    used = Hold.objects.filter(policy__in=ids, state="approved", taken_at__gt=now - DAY)
    return dict(used.values_list("policy").annotate(Count("pk")).order_by("policy"))


@require_http_methods(["GET", "HEAD", "POST"])
def guard(request: Request) -> HttpResponse:
    if request.method == "POST":
        given = request.POST.dict()
        row = put_policy(
            request.actor, route_by_name(request.actor, given.get("route", "")), given.get("name", ""),
            forms.read(given),
        )  # fmt: skip
        messages.success(request, f"The policy {row.name} is in force.")
        return redirect(row)
    now = clock.now()
    rows = list(policies_seen_by(request.actor).filter(ended_at=None).order_by("route__name", "position", "pk"))
    ids = [row.pk for row in rows]
    found, passed = sums(ids, now - DAY, now + SECOND), _passed(ids, now)
    lines = [_line(row, found.get(row.pk, Counts()), passed.get(row.pk, 0)) for row in rows]
    routes: dict[str, dict[str, Any]] = {}
    for line in lines:
        of = line["row"].route
        routes.setdefault(of.name, {"route": of, "lines": [], "verdicts": []})["lines"].append(line)
    for verdict in _verdicts(request.actor):
        if verdict.route in routes and verdict.status in ("warning", "breach"):
            routes[verdict.route]["verdicts"].append(verdict)
    mine = [one for one in routes_seen_by(request.actor) if _may(request.actor, Role.OPERATOR, one.system.client.slug)]
    waiting = holds_seen_by(request.actor).filter(state="waiting", until__gt=now)
    context: dict[str, Any] = {
        "routes": routes.values(),
        "policies": len(rows),
        "matched": sum(one.matched for one in found.values()),
        "evaluated": sum(one.evaluated for one in found.values()),
        "exceptions": sum(one.exceptions for one in found.values()),
        "passed": sum(line["passed"] for line in lines),
        "waiting": waiting.count(),
        "picture": _picture(ids, now) if found else None,
        "mine": mine,
        "form": forms.filled(None),
        "queues": _queue_names(request.actor),
        **CHOICES,
    }
    return render(request, "guard/guard.html", context)


def _verdicts(actor: Actor) -> list[Verdict]:
    seen = actor.sees()
    rows = Verdict.objects.filter(judge__in=[one.name for one in JUDGES])
    return list(rows if seen is None else rows.filter(client__in=seen))


def _queue_names(actor: Actor, client: Client | None = None) -> list[str]:
    rows = queues_seen_by(actor)
    rows = rows.filter(client=client) if client else rows
    return sorted({one.name for one in rows})


@require_http_methods(["GET", "HEAD", "POST"])
def policy(request: Request, pk: int) -> HttpResponse:
    row = policy_by_id(request.actor, pk)
    if request.method == "POST":
        given = request.POST.dict()
        position = given.get("position", "").strip()
        if position and not (position.isascii() and position.isdigit() and len(position) < 6):
            raise Invalid("A place is a whole number; smaller ones are asked first.")
        put_policy(request.actor, row.route, row.name, forms.read(given), int(position) if position else None)
        messages.success(request, f"{row.name} is altered; gateways hold to it within a second.")
        return redirect(row)
    now, slug = clock.now(), row.route.system.client.slug
    found = sums([row.pk], now - DAY, now + SECOND).get(row.pk, Counts())
    contract = row.contract()
    waiting = Hold.objects.filter(policy=row, state="waiting", until__gt=now).count()
    asked = quote(f'attribute:"afterlaunch.guard.policy={row.name}"', safe="")
    context: dict[str, Any] = {
        "row": row,
        "line": _line(row, found, _passed([row.pk], now).get(row.pk, 0)),
        "picture": _picture([row.pk], now) if found.evaluated else None,
        "waiting": waiting,
        "calls": f"/calls?q={asked}&range=24h",
        **_seen(row, now),
        "bypasses": row.bypasses.all()[:RECENTLY],
        "now": now,
        "deeds": _deeds(f"guard_policy/{row.pk}"),
        "may": _may(request.actor, Role.OPERATOR, slug) and row.ended_at is None,
        "may_bypass": _may(request.actor, Role.ADMIN, slug) and row.ended_at is None,
        "form": forms.filled(contract),
        "queues": _queue_names(request.actor, row.route.system.client),
        **CHOICES,
    }
    return render(request, "guard/policy.html", context)


def _seen(row: GuardPolicy, now: datetime) -> dict[str, Any]:
    """Policies hold, and are altered, without telemetry too."""
    try:
        return {"matches": _matches(row, now)}
    except Unavailable as problem:
        return {"unseen": problem.message}


def _matches(row: GuardPolicy, now: datetime) -> list[dict[str, Any]]:
    """The newest calls in which it decided or matched first, those that were refused included: as the gateway's own
    spans tell them, of the route's client."""
    asked = Search(
        (Term("attribute", ":", (row.name,), "afterlaunch.guard.policy"), Term("route", ":", (row.route.name,)))
    )
    client = frozenset((row.route.system.client.slug,))
    found = find(asked, now - DAY, now + SECOND, client, 2 * NEWEST, table="spans", seconds=0.5).rows
    return [
        {
            "at": datetime.fromisoformat(str(one["start"])), "trace": one["trace_id"], "tenant": one["tenant"],
            "agent": one["agent"], "outcome": one["attributes"].get("afterlaunch.guard.outcome", ""),
            "what": _listed(one["attributes"].get("afterlaunch.guard.matched", "")),
            "failed": _listed(one["attributes"].get("afterlaunch.guard.exceptions", "")),
        }
        for one in found
        if one["kind"] == SERVER_KIND
    ][:NEWEST]  # fmt: skip


def _listed(text: str) -> list[str]:
    return [str(one) for one in orjson.loads(text)] if text.startswith("[") else [text] if text else []


def _deeds(subject: str) -> list[dict[str, Any]]:
    """Who did what, the newest first."""
    found = []
    for one in Entry.objects.filter(subject=subject).order_by("-index")[:RECENTLY]:
        details = orjson.loads(bytes(one.body))["details"]
        before, after = details.get("before") or {}, details.get("after") or {}
        names = [name for name in {**before, **after} if before and before.get(name) != after.get(name)]
        changed = [(name, before.get(name, "—"), after.get(name, "—")) for name in names]
        who = f"{details['who']} {details['value']}" if "who" in details else ""
        found.append({"at": one.at, "who": one.actor, "deed": one.deed, "changed": changed, "whom": who,
                      "why": details.get("reason")})  # fmt: skip
    return found


@require_POST
def end(request: Request, pk: int) -> HttpResponse:
    row = end_policy(request.actor, policy_by_id(request.actor, pk), request.POST.get("reason", ""))
    messages.success(request, f"The policy {row.name} has ended: it is asked no more.")
    return redirect("/guard")


@require_POST
def bypass(request: Request, pk: int) -> HttpResponse:
    given, row = request.POST, policy_by_id(request.actor, pk)
    try:
        until = parse_datetime(given.get("until", ""))
    except ValueError:
        until = None
    if until is None:
        raise Invalid("A bypass has an end: day and time.")
    if until.tzinfo is None:
        until = until.replace(tzinfo=get_current_timezone())
    grant_bypass(request.actor, row, given.get("who", ""), given.get("value", ""), given.get("reason", ""), until)
    messages.success(request, "The policy does not stop them until then; every match is still counted.")
    return redirect(row)


@require_POST
def end_a_bypass(request: Request, pk: int, bypass_pk: int) -> HttpResponse:
    row = policy_by_id(request.actor, pk)
    found = GuardBypass.objects.select_related("policy__route__system__client")
    end_bypass(request.actor, get_object_or_404(found, pk=bypass_pk, policy=row))
    messages.success(request, "The bypass has ended.")
    return redirect(row)


# ---- approvals


@require_http_methods(["GET", "HEAD", "POST"])
def approvals(request: Request) -> HttpResponse:
    """Queues with load, age and owner; what waits, the oldest first; what was decided lately."""
    if request.method == "POST":
        return _put_queue(request)
    now = clock.now()
    held = holds_seen_by(request.actor).defer("content")
    waiting = list(held.filter(state="waiting", until__gt=now).order_by("asked_at", "pk")[:500])
    owned = [one for one in _clients(request.actor) if _may(request.actor, Role.OPERATOR, one.slug)]
    context: dict[str, Any] = {
        "queues": [_standing(row, now) for row in _with_loads(request.actor, now)],
        "waiting": waiting,
        "late": {one.pk for one in waiting if one.asked_at + timedelta(seconds=one.queue.tell_after) <= now},
        "oldest": (now - waiting[0].asked_at).total_seconds() if waiting else None,
        "lately": held.exclude(state="waiting").order_by(F("stands_until").desc(nulls_last=True), "-pk")[:RECENTLY],
        "clients": owned,
        "people": _people(owned),
        "now": now,
    }
    return render(request, "guard/approvals.html", context)


def _with_loads(actor: Actor, now: datetime) -> list[Queue]:
    mine = Q(holds__state="waiting", holds__until__gt=now)
    lately = Q(holds__decided_at__gt=now - DAY)
    return list(
        queues_seen_by(actor).annotate(
            load=Count("holds", filter=mine, distinct=True),
            oldest=Min("holds__asked_at", filter=mine),
            decided=Count("holds", filter=lately, distinct=True),
            approved=Count("holds", filter=lately & Q(holds__state="approved"), distinct=True),
            expired=Count("holds", filter=Q(holds__state="expired", holds__until__gt=now - DAY), distinct=True),
        )
    )


def _standing(row: Any, now: datetime) -> dict[str, Any]:
    age = (now - row.oldest).total_seconds() if row.oldest else None
    return {"row": row, "age": age, "late": age is not None and age >= row.tell_after}


def _clients(actor: Actor) -> list[Client]:
    seen = actor.sees()
    return list(Client.objects.all() if seen is None else Client.objects.filter(slug__in=seen))


def _people(clients: list[Client]) -> list[User]:
    """Who may own a queue of one of them."""
    roles = [role.value for role in (Role.RESPONDER, Role.OPERATOR, Role.ADMIN)]
    able = Q(grants__role__in=roles) & (Q(grants__client=None) | Q(grants__client__in=clients))
    return list(User.objects.filter(able, is_active=True).distinct().order_by("name", "email")) if clients else []


def _put_queue(request: Request) -> HttpResponse:
    given = request.POST
    client = client_by_slug(request.actor, given.get("client", ""))
    owner = None
    if email := given.get("owner", "").strip().lower():
        owner = User.objects.filter(email=email, is_active=True).first()
        if owner is None:
            raise Invalid(f"There is no person {email!r}.")
    minutes = given.get("minutes", "15").strip()
    if not (minutes.isascii() and minutes.isdigit() and len(minutes) < 6):
        raise Invalid("An owner is told after a whole number of minutes.")
    row = put_queue(request.actor, client, given.get("name", ""), owner, int(minutes) * 60)
    messages.success(request, f"The queue {row.name} is there.")
    return redirect("/guard/approvals")


@require_http_methods(["GET", "HEAD", "POST"])
def approval(request: Request, pk: int) -> HttpResponse:
    row = hold_by_id(request.actor, pk)
    if request.method == "POST":
        approve = request.POST.get("decision") == "approve"
        row = holding.decide(request.actor, row, approve, request.POST.get("reason", ""))
        messages.success(request, f"The request is {row.state}; the gateway learns it within seconds.")
        return redirect("/guard/approvals")
    now = clock.now()
    sees = holding.may_see(request.actor, row)
    context: dict[str, Any] = {
        "hold": row,
        "sees": sees,
        "open": row.state == "waiting" and row.until > now,
        "state": "expired" if row.state == "waiting" and row.until <= now else row.state,
        "waited": (min(row.decided_at or now, row.until) - row.asked_at).total_seconds(),
        "content": _pretty(row) if sees else "",
        "may": sees and request.actor.kind == "person",
        "asked_again": Hold.objects.filter(digest=row.digest).exclude(pk=row.pk).count(),
        "deeds": _deeds(f"held_request/{row.pk}"),
    }
    return render(request, "guard/approval.html", context)


def _pretty(row: Hold) -> str:
    """The kept request, laid out where it is JSON."""
    try:
        return orjson.dumps(orjson.loads(row.content), option=orjson.OPT_INDENT_2).decode()
    except orjson.JSONDecodeError:
        return row.content
