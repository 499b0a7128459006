"""Targets as a page: what is scraped, how it went, and a form for another."""

from __future__ import annotations

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods, require_POST

from afterlaunch.accounts.actions import client_by_slug
from afterlaunch.accounts.models import Client
from afterlaunch.estate.actions import systems_seen_by
from afterlaunch.ground.actors import Actor, Role
from afterlaunch.ground.errors import Invalid
from afterlaunch.look.requests import Request
from afterlaunch.scraping import rules
from afterlaunch.scraping.actions import Values, put_target, remove_target, target_by_id, targets_seen_by

WORST_FIRST = ("down", "waiting", "up", "paused")


def _editable(actor: Actor) -> list[Client]:
    seen = actor.sees()
    rows = Client.objects.all() if seen is None else Client.objects.filter(slug__in=seen)
    return [row for row in rows if actor.may(Role.OPERATOR, row.slug)]


@require_http_methods(["GET", "HEAD", "POST"])
def targets(request: Request) -> HttpResponse:
    """Those that are down first. `edit`: the form holds what that one is."""
    if request.method == "POST":
        client = client_by_slug(request.actor, request.POST.get("client", ""))
        made = put_target(request.actor, client, request.POST.get("name", "").strip(), _values(request))
        messages.success(request, f"{made.name} is scraped every {made.interval} s from now on.")
        return redirect("/targets")
    rows = sorted(targets_seen_by(request.actor), key=lambda row: WORST_FIRST.index(row.state))
    edit = request.GET.get("edit", "")
    chosen = target_by_id(request.actor, int(edit)) if edit.isdigit() else None
    if chosen is not None and not request.actor.may(Role.OPERATOR, chosen.client.slug):
        chosen = None
    context = {
        "rows": [(row, request.actor.may(Role.OPERATOR, row.client.slug)) for row in rows],
        "counts": {state: sum(row.state == state for row in rows) for state in WORST_FIRST},
        "samples": sum(row.samples or 0 for row in rows),
        "clients": _editable(request.actor),
        "systems": sorted({row.key for row in systems_seen_by(request.actor)}),
        "chosen": chosen,
        "labels": ", ".join(f"{name}={value}" for name, value in chosen.labels.items()) if chosen else "",
        "trusted": request.actor.may(Role.ADMIN, None),
        "interval": rules.INTERVAL,
        "sample_limit": rules.SAMPLES,
        "least": rules.LEAST_INTERVAL,
        "most": rules.MOST_INTERVAL,
        "most_samples": rules.MOST_SAMPLES,
    }
    return render(request, "scraping/targets.html", context)


def _whole(text: str, otherwise: int, what: str) -> int:
    if text.strip() and not text.strip().isdigit():
        raise Invalid(f"{what} must be a whole number.")
    return int(text) if text.strip() else otherwise


def _labels(text: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for part in text.split(","):
        name, sign, value = part.partition("=")
        if part.strip() and not (sign and value.strip()):
            raise Invalid(f"{part.strip()!r} is no label.", "Write them so: rack=r1, zone=b")
        if part.strip():
            found[name.strip()] = value.strip()
    return found


def _values(request: Request) -> Values:
    given = request.POST
    return Values(
        system=given.get("system", "").strip(),
        url=given.get("url", "").strip(),
        environment=given.get("environment", "").strip() or "prod",
        interval=_whole(given.get("interval", ""), rules.INTERVAL, "The interval"),
        sample_limit=_whole(given.get("sample_limit", ""), rules.SAMPLES, "The limit of samples"),
        labels=_labels(given.get("labels", "")),
        bearer=given.get("bearer", "").strip(),
        username=given.get("username", "").strip(),
        password=given.get("password", "").strip(),
        paused=bool(given.get("paused")),
    )


@require_POST
def remove(request: Request, pk: int) -> HttpResponse:
    row = target_by_id(request.actor, pk)
    remove_target(request.actor, row)
    messages.success(request, f"{row.name} is scraped no more.")
    return redirect("/targets")
