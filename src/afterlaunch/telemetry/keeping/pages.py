"""What is kept and for how long, the disk, dead letters, erasures, as pages."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from afterlaunch.accounts.actions import client_by_slug
from afterlaunch.accounts.models import Client
from afterlaunch.ground.actors import Actor, Role
from afterlaunch.ground.errors import Invalid, NotFound
from afterlaunch.look.requests import Request
from afterlaunch.telemetry.keeping import actions, dead_letters, erasures, storage
from afterlaunch.telemetry.keeping.content import CAPTURES, Pattern
from afterlaunch.telemetry.keeping.erasing import KEYS
from afterlaunch.telemetry.keeping.retention import KINDS

PAGE = 50
ROWS = 20
SHOWN = 100_000


def _clients(actor: Actor, role: Role = Role.VIEWER) -> list[Client]:
    return [one for one in Client.objects.order_by("slug") if actor.may(role, one.slug)]


@require_http_methods(["GET", "HEAD", "POST"])
def keeping(request: Request) -> HttpResponse:
    if request.method == "POST":
        _decide(request)
        return redirect("/settings/keeping")
    actor, known = request.actor, actions.rules()
    whole_house = actor.sees() is None
    places = [("The house", "", None), *((one.name, one.slug, one.slug) for one in _clients(actor))]
    rows: list[dict[str, Any]] = [
        {
            "name": name,
            "slug": slug,
            "capture": known.of(client or "", None).capture,
            "days": known.days_of(client),
            "sampled": known.share_of(client, None),
        }
        for name, slug, client in places
    ]
    room, told = storage.seen() if whole_house else (None, None)
    context = {
        "kinds": KINDS,
        "rows": [{**row, "cells": [row["days"][kind.name] for kind in KINDS]} for row in rows],
        "decided": [row for row in actions.decisions_seen_by(actor) if row.system or row.patterns or row.sampled],
        "sampling": known.sampling,
        "captures": CAPTURES,
        "admin_of": _clients(actor, Role.ADMIN),
        "house_admin": actor.may(Role.ADMIN, None),
        "room": room,
        "told": told,
        "tables": storage.tables() if whole_house else {},
        "letters": dead_letters.count(actor),
    }
    return render(request, "keeping/keeping.html", context)


def _decide(request: Request) -> None:
    asked = {name: request.POST.get(name, "").strip() for name in ("client", "system", "capture", "patterns")}
    days: dict[str, int] = {}
    for kind in KINDS:
        text = request.POST.get(f"days-{kind.name}", "").strip()
        if text and not text.isdigit():
            raise Invalid(f"{text!r} is no number of days.")
        if text:
            days[kind.name] = int(text)
    patterns = None
    if asked["patterns"]:
        patterns = [Pattern(*_halves(line)) for line in asked["patterns"].splitlines() if line.strip()]
    client = client_by_slug(request.actor, asked["client"]) if asked["client"] else None
    known = {} if asked["system"] else actions.decided_days(client)
    whole = {**known, **days} if days else None
    share = _share(request.POST.get("sampled", "").strip())
    actions.decide(request.actor, client, asked["system"], asked["capture"] or None, patterns, whole, share)
    messages.success(request, "Decided. Servers take it within two seconds.")


def _share(text: str) -> float | None:
    """Percent, as somebody writes it; empty leaves it as it is."""
    if not text:
        return None
    try:
        return float(text.rstrip("% ").replace(",", ".")) / 100
    except ValueError:
        raise Invalid(f"{text!r} is no share.", "For example 10 %; 0: inherited.") from None


def _halves(line: str) -> tuple[str, str]:
    name, found, pattern = line.partition("=")
    if not found:
        raise Invalid(f"{line!r} is no pattern.", "One a line: name = pattern")
    return name.strip(), pattern.strip()


@require_safe
def letters(request: Request) -> HttpResponse:
    found = dead_letters.letters(request.actor, PAGE + 1, request.GET.get("before") or None)
    more = found[PAGE - 1].id if len(found) > PAGE else None
    context = {
        "rows": found[:PAGE],
        "more": more,
        "count": dead_letters.count(request.actor),
        "may_replay": any(request.actor.may(Role.OPERATOR, one.client) for one in found),
    }
    return render(request, "keeping/letters.html", context)


@require_safe
def letter(request: Request, letter_id: str) -> HttpResponse:
    one = dead_letters.letter(request.actor, letter_id)
    rows = [] if one.rows is None or one.sent else one.rows.slice(0, ROWS).to_pylist()
    context = {
        "one": one,
        "count": one.items,
        "request_sent": dead_letters.as_json(one)[:SHOWN] if one.sent else "",
        "rows": [[(name, _shown(value)) for name, value in row.items() if value is not None] for row in rows],
        "may_replay": request.actor.may(Role.OPERATOR, one.client),
        "may_discard": request.actor.may(Role.ADMIN, one.client),
    }
    return render(request, "keeping/letter.html", context)


def _shown(value: Any) -> str:
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, list) and value and isinstance(value[0], tuple):
        return "; ".join(f"{key}: {told}" for key, told in value)
    return str(value)


@require_POST
def replay(request: Request, letter_id: str) -> HttpResponse:
    done = dead_letters.replay(request.actor, letter_id)
    said = f"{done.stored} rows stored, {done.duplicates} were stored already"
    messages.success(request, said + (f", {done.left} still cannot be." if done.left else "."))
    return redirect("/settings/dead-letters")


@require_POST
def discard(request: Request, letter_id: str) -> HttpResponse:
    dead_letters.discard(request.actor, letter_id)
    messages.success(request, "Discarded.")
    return redirect("/settings/dead-letters")


@require_http_methods(["GET", "HEAD", "POST"])
def erasing(request: Request) -> HttpResponse:
    """A form; then what would go, and the name once more; then it is asked for."""
    shown: dict[str, Any] = {}
    if request.method == "POST":
        client = client_by_slug(request.actor, request.POST.get("client", ""))
        kind, value, confirm = (request.POST.get(name, "") for name in ("kind", "value", "confirm"))
        if confirm:
            erasures.ask(request.actor, client, kind, value, confirm)
            messages.success(request, "It is being erased. The record below tells when it is done.")
            return redirect("/settings/erasures")
        counts = erasures.preview(request.actor, client, kind, value)
        shown = {"asked": {"client": client, "kind": kind, "value": value}, "counts": counts}
    context = {
        "rows": erasures.erasures_seen_by(request.actor),
        "clients": _clients(request.actor, Role.ADMIN),
        "kinds": list(KEYS),
        **shown,
    }
    response = render(request, "keeping/erasures.html", context)
    response["Cache-Control"] = "no-store"
    return response


@require_POST
def check(request: Request, erasure_id: int) -> HttpResponse:
    proof = erasures.check(request.actor, erasure_id, request.POST.get("value", ""))
    if not proof["subject_matches"]:
        raise NotFound("That erasure was about somebody else.", "Name them exactly as the telemetry does.")
    if proof["nothing_left"]:
        messages.success(request, f"Erasure {erasure_id} is done, and nothing that names them is in the store.")
    else:
        left = sum(proof["left"].values())
        messages.warning(request, f"{left} rows name them now: it is not done yet, or somebody sent more since.")
    return redirect("/settings/erasures")


@require_POST
def replay_all(request: Request) -> HttpResponse:
    """Of `client`; without it, of all that the actor may."""
    slug = request.POST.get("client", "")
    done = dead_letters.replay_all(request.actor, client_by_slug(request.actor, slug).slug if slug else None)
    said = f"{done.letters} letters replayed: {done.stored} rows stored, {done.duplicates} were stored already"
    said += f", {done.left} still cannot be" if done.left else ""
    said += f"; {done.unreadable} letters cannot be read" if done.unreadable else ""
    messages.success(request, said + ("; there are more." if done.more else "."))
    return redirect("/settings/dead-letters")
