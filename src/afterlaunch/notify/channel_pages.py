"""A client's channels as a page, and what became of every message."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.contrib import messages
from django.core.paginator import Paginator
from django.db.models import Count
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from afterlaunch.accounts.actions import client_by_slug
from afterlaunch.accounts.models import Client
from afterlaunch.ground import clock
from afterlaunch.ground.actors import Actor, Role
from afterlaunch.ground.settings import settings
from afterlaunch.look.requests import Request
from afterlaunch.notify import channel_actions as actions
from afterlaunch.notify.audit import health
from afterlaunch.notify.channels import names
from afterlaunch.notify.deliveries import filtered, messages_seen_by
from afterlaunch.notify.kinds import kind_named, kinds
from afterlaunch.notify.models import STATES, Channel, Page
from afterlaunch.notify.types import SEVERITIES, TYPES

HERE = "/settings/channels"
PER_PAGE = 50


def administered(actor: Actor) -> list[Client]:
    return [row for row in Client.objects.all() if actor.may(Role.ADMIN, row.slug)]


@require_http_methods(["GET", "HEAD", "POST"])
def channels(request: Request) -> HttpResponse:
    """`edit`: the form holds what that one is. `kind`: the form is for that kind."""
    if request.method == "POST":
        return _save(request)
    rows = list(actions.channels_seen_by(request.actor))
    edit = request.GET.get("edit", "")
    chosen = actions.channel_by_id(request.actor, int(edit)) if edit.isdigit() else None
    if chosen is not None and not request.actor.may(Role.ADMIN, chosen.client.slug):
        chosen = None
    offered = [kind for kind in kinds().values() if kind.for_channels]
    known = {kind.name for kind in offered}
    asked = chosen.kind if chosen else request.GET.get("kind", "")
    kind = kind_named(asked) if asked in known else None
    context = {
        "rows": [_row(request.actor, one, _newest(rows)) for one in rows],
        "clients": administered(request.actor),
        "kinds": offered,
        "kind": kind,
        "chosen": chosen,
        "entries": [(entry, chosen.config.get(entry.name, "") if chosen else entry.default) for entry in kind.entries]
        if kind
        else [],
        "types": [(name, words, chosen is not None and names(chosen, name)) for name, words in TYPES.items()],
        "severities": [(name, chosen is not None and name in chosen.severities) for name in SEVERITIES],
        "base": settings().public_url,
    }
    return render(request, "notify/channels.html", context)


def _newest(rows: list[Channel]) -> dict[int, Page]:
    """The newest message of each channel, with one question."""
    found = Page.objects.filter(channel__in=rows).order_by("channel_id", "-pk")
    newest: dict[int, Page] = {}
    for page in found.only("pk", "channel_id", "state", "error", "created_at", "accepted_at")[:2000]:
        newest.setdefault(page.channel_id or 0, page)
    return newest


def _row(actor: Actor, one: Channel, newest: dict[int, Page]) -> dict[str, Any]:
    label = kinds()[one.kind].label if one.kind in kinds() else one.kind
    may = actor.may(Role.ADMIN, one.client.slug)
    secret = actions.secret_of(actor, one) if may and one.kind == "webhook" else ""
    return {"channel": one, "label": label, "last": newest.get(one.pk), "may": may, "secret": secret}


def _save(request: Request) -> HttpResponse:
    given = request.POST
    kind = kind_named(given.get("kind", ""))
    wanted = actions.Wanted(
        kind=kind.name,
        address=given.get("address", ""),
        values={entry.name: given.get(f"field-{entry.name}", "") for entry in kind.entries},
        types=given.getlist("type"),
        severities=given.getlist("severity"),
        system=given.get("system", ""),
    )
    made = actions.put_channel(
        request.actor, client_by_slug(request.actor, given.get("client", "")), given.get("name", ""), wanted
    )
    messages.success(request, f"{made.name} is saved. Send a test message to see that it arrives.")
    return redirect(HERE)


@require_POST
def test(request: Request, pk: int) -> HttpResponse:
    row = actions.channel_by_id(request.actor, pk)
    actions.try_channel(request.actor, row)
    messages.success(request, f"A test message to {row.name} is on its way; its state is shown below in seconds.")
    return redirect(HERE)


@require_POST
def remove(request: Request, pk: int) -> HttpResponse:
    row = actions.channel_by_id(request.actor, pk)
    actions.remove_channel(request.actor, row)
    messages.success(request, f"{row.name} is removed.")
    return redirect(HERE)


@require_GET
def deliveries(request: Request) -> HttpResponse:
    """What became of every message, the newest first."""
    asked = {name: request.GET.get(name, "") for name in ("state", "topic", "kind")}
    seen = messages_seen_by(request.actor)
    rows = filtered(seen, asked["state"], asked["topic"], asked["kind"]).order_by("-pk")
    day = seen.filter(created_at__gte=clock.now() - timedelta(days=1)).order_by()
    counts = dict(day.values_list("state").annotate(number=Count("pk")))
    waiting = seen.filter(state__in=("pending", "leased")).order_by("created_at")
    context = {
        "page": Paginator(rows, PER_PAGE).get_page(request.GET.get("page")),
        "asked": asked,
        "kinds": kinds().values(),
        "states": [("waiting", "Waiting or being sent"), *STATES[2:]],
        "arrived": sum(counts.get(state, 0) for state in ("accepted", "delivered", "read")),
        "failed": counts.get("failed", 0),
        "waiting": waiting.count(),
        "oldest": waiting.values_list("created_at", flat=True).first(),
        "filtered": any(asked.values()),
        "health": health(clock.now()),
        "house": request.actor.may(Role.VIEWER, None),
    }
    return render(request, "notify/deliveries.html", context)
