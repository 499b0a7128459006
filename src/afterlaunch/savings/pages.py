"""The board of recommendations, one of them, and the terms of routes."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.utils.http import urlencode
from django.views.decorators.http import require_POST, require_safe

from afterlaunch.accounts.actions import client_by_slug
from afterlaunch.accounts.models import Client
from afterlaunch.ground import clock
from afterlaunch.ground.actors import Actor, Role
from afterlaunch.ground.errors import AfterlaunchError, Invalid
from afterlaunch.look.formats import money
from afterlaunch.look.requests import Request
from afterlaunch.savings import shadows, watching, words
from afterlaunch.savings.actions import RUNNING, TRIED, by_id, decide, find, go_live, say_terms, seen_by, terms_of
from afterlaunch.savings.facts import Terms
from afterlaunch.savings.gathering import routes_of
from afterlaunch.savings.models import Recommendation

BOARD = (
    ("To decide", ("projected",), "What the telemetry shows could be saved. The sums of one place overlap."),
    ("On trial", ("accepted", "in_shadow"), "Accepted; a trial or the ledger will tell what they really save."),
    ("Shown", ("verified", "realised"), "What a trial showed, or the ledger since they are live."),
    ("Refuted", ("refuted",), "They cost more than they save."),
    ("Rejected", ("rejected",), "Would save, but must not be done as it stands."),
    ("Declined", ("declined",), ""),
)
SHOWN = 200


def _clients(actor: Actor) -> list[Client]:
    seen = actor.sees()
    return list(Client.objects.all() if seen is None else Client.objects.filter(slug__in=seen))


@require_safe
def board(request: Request) -> HttpResponse:
    slug = request.GET.get("client", "")
    client = client_by_slug(request.actor, slug) if slug else None
    rows = seen_by(request.actor).exclude(state="gone").order_by("-middle_nano", "kind", "pk")
    several = len(_clients(request.actor)) > 1
    rows = rows.filter(client=client) if client else rows
    found = [_shown(row) for row in rows[: SHOWN * 5]]
    looked = max((one["row"].seen_at for one in found), default=None)
    context = {
        "groups": [
            _group(title, what, [one for one in found if one["row"].state in states]) for title, states, what in BOARD
        ],
        "open": _missing([one for one in found if one["row"].state == "not_assessed"]),
        "unknown": sum(one["row"].state == "not_assessed" for one in found),
        "several": several and client is None,
        "any": bool(found),
        "looked": looked,
        "clients": _clients(request.actor),
        "client": slug,
        "may_look": [one for one in _clients(request.actor) if request.actor.may(Role.OPERATOR, one.slug)],
    }
    return render(request, "savings/board.html", context)


LAST = {"To decide": "Risk", "Rejected": "Risk", "Declined": "Why not"}


def _group(title: str, what: str, rows: list[dict[str, Any]]) -> dict[str, Any]:
    """`last`: what the last column tells; `counted`: whether a tile leads to it."""
    return {
        "title": title,
        "what": what,
        "anchor": title.lower().replace(" ", "-"),
        "last": LAST.get(title, "Shown"),
        "counted": title in ("To decide", "On trial", "Shown"),
        "rows": rows[:SHOWN],
    }


def _missing(found: list[dict[str, Any]]) -> list[tuple[str, str, list[dict[str, Any]]]]:
    """Kind, what is missing to assess it, and where; the most frequent first."""
    by: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for one in found:
        by.setdefault((one["kind"], words.shape(one["row"].missing)), []).append(one)
    groups = sorted(by.items(), key=lambda item: (-len(item[1]), item[0]))
    return [(kind, words.alike([one["row"].missing for one in rows]), rows) for (kind, _), rows in groups]


def _shown(row: Recommendation) -> dict[str, Any]:
    """`badge`: whose tone its state has: what is only accepted has shown nothing yet."""
    return {
        "row": row,
        "middle": "" if row.middle_nano is None else money(row.middle_nano),
        "bounds": words.bounds(row),
        "badge": "on_trial" if row.state == "accepted" else row.state,
        "kind": words.KINDS[row.kind],
        "saving": words.saving(row),
        "state": words.STATES[row.state],
        "measured": words.measured(row),
    }


@require_POST
def look_again(request: Request) -> HttpResponse:
    """Find savings now, of one client."""
    client = client_by_slug(request.actor, request.POST.get("client", ""))
    request.actor.require(Role.OPERATOR, client.slug)
    count = find(client, clock.now())
    messages.success(request, f"{count} found in the telemetry of {client.name}.")
    return redirect(f"/spend/savings?{urlencode({'client': client.slug})}")


@require_safe
def recommendation(request: Request, pk: int) -> HttpResponse:
    row = by_id(request.actor, pk)
    told = {name: value for name, value in row.place.items() if value is not None}
    trial, watch = shadows.trial_of(row), watching.watch_of(row)
    context = {
        **_shown(row),
        "place": told,
        "shown": words.shown(row),
        "tone": "ok" if row.state in ("verified", "realised") else "",
        "calls": "/calls?" + urlencode({**told, "range": "30d"}),
        "figures": {k: v for k, v in row.figures.items() if k != "month_nano"},
        "month": row.figures.get("month_nano"),
        "running": row.state in RUNNING,
        "may": request.actor.may(Role.OPERATOR, row.client.slug),
        "may_accept": row.state in ("projected", "declined") or (row.state == "not_assessed" and row.kind in TRIED),
        "may_decline": row.state in ("projected", "accepted", "in_shadow", "not_assessed"),
        "tried": row.kind in TRIED,
        "trial": trial,
        "watch": watch,
        "may_watch": watch is not None and not watch.why_not and row.state in watching.OPEN,
        "answers": row.measured.get("answers", []),
        "may_shadow": trial is not None and row.state in shadows.OPEN,
        "percent": shadows.SHARE,
    }
    return render(request, "savings/recommendation.html", context)


@require_POST
def deed(request: Request, pk: int, deed: str) -> HttpResponse:
    row = by_id(request.actor, pk)
    try:
        if deed == "live":
            go_live(request.actor, row)
        else:
            decide(request.actor, row, deed == "accept", request.POST.get("reason", ""))
    except AfterlaunchError as problem:
        if problem.status not in (400, 409):
            raise
        messages.error(request, f"{problem.message} {problem.hint}")
    return redirect(row.path)


@require_POST
def start_shadow(request: Request, pk: int) -> HttpResponse:
    row, given = by_id(request.actor, pk), request.POST
    try:
        if watching.watch_of(row) is not None:
            watching.start(request.actor, row)
            messages.success(request, "The trial runs. Callers notice nothing.")
            return redirect(row.path)
        percent, usd = _number(given.get("percent", ""), "share"), _number(given.get("usd_a_day", ""), "budget")
        shadows.start(request.actor, row, given.get("upstream", ""), percent or 0.0, usd or 0.0)
        messages.success(request, "The shadow runs. Its callers get the same answers as before.")
    except AfterlaunchError as problem:
        if problem.status not in (400, 409):
            raise
        messages.error(request, f"{problem.message} {problem.hint}")
    return redirect(row.path)


@require_POST
def stop_shadow(request: Request, pk: int) -> HttpResponse:
    row = by_id(request.actor, pk)
    try:
        (watching if watching.watch_of(row) is not None else shadows).stop(request.actor, row)
    except AfterlaunchError as problem:
        if problem.status != 409:
            raise
        messages.error(request, f"{problem.message} {problem.hint}")
    return redirect(row.path)


# -- terms ----------------------------------------------------------------------------------------------------------


@require_safe
def terms(request: Request, slug: str) -> HttpResponse:
    client = client_by_slug(request.actor, slug)
    known = {(row.system, row.route): row for row in terms_of(client)}
    places = {(system or "", route or "") for system, route in routes_of(client.slug)}
    context = {
        "client": client,
        "rows": [(system, route, known.get((system, route))) for system, route in sorted({*places, *known})],
        "may": request.actor.may(Role.OPERATOR, client.slug),
    }
    return render(request, "savings/terms.html", context)


@require_POST
def save_terms(request: Request, slug: str) -> HttpResponse:
    client, given = client_by_slug(request.actor, slug), request.POST
    try:
        say_terms(
            request.actor,
            client,
            given.get("system", ""),
            given.get("route", ""),
            Terms(
                given.get("metric", "").strip(),
                _number(given.get("minimum", ""), "minimum"),
                _number(given.get("margin", ""), "margin") or 0.0,
                _number(given.get("patience_hours", ""), "hours"),
                _whole(given.get("freshness_minutes", "")),
                candidates(given.get("candidates", "")),
            ),
        )
    except AfterlaunchError as problem:
        if problem.status != 400:
            raise
        messages.error(request, f"{problem.message} {problem.hint}")
        return redirect(f"/spend/savings/terms/{client.slug}")
    find(client, clock.now())
    messages.success(request, "Kept, and looked at everything again.")
    return redirect(f"/spend/savings/terms/{client.slug}")


def candidates(text: str) -> tuple[tuple[str, str], ...]:
    """`openai/gpt-4o-mini, anthropic/claude-haiku-4-5`. Raises Invalid."""
    out = []
    for part in (one.strip() for one in text.replace("\n", ",").split(",")):
        provider, sign, model = part.partition("/")
        if part and not (sign and provider and model):
            raise Invalid(f"{part!r} is no provider/model.", "For example openai/gpt-4o-mini")
        if part:
            out.append((provider, model))
    return tuple(out)


def _number(text: str, what: str) -> float | None:
    if not text.strip():
        return None
    try:
        found = float(text)
    except ValueError:
        found = float("nan")
    if not abs(found) < 1e12:
        raise Invalid(f"{text!r} is no number.", f"The {what} is a plain number, or empty.")
    return found


def _whole(text: str) -> int | None:
    found = _number(text, "minutes")
    if found is not None and (found < 0 or found != int(found) or found > 1_000_000):
        raise Invalid(f"{text!r} is no whole number of minutes.", "0 means: never from a cache.")
    return None if found is None else int(found)
