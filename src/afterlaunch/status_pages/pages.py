"""Status pages from inside: what they show, what waits to be published, work that is planned."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.http import require_http_methods, require_POST

from afterlaunch.accounts.actions import client_by_slug
from afterlaunch.accounts.models import Client
from afterlaunch.estate.actions import systems_seen_by
from afterlaunch.ground import clock
from afterlaunch.ground.actors import Actor, Role
from afterlaunch.ground.errors import Invalid, NotFound
from afterlaunch.ground.settings import settings
from afterlaunch.look.requests import Request
from afterlaunch.status_pages import actions
from afterlaunch.status_pages.actions import Part, page_by_id, pages_seen_by, publication_by_id
from afterlaunch.status_pages.models import POLICIES, STATES, StatusPage
from afterlaunch.status_pages.rules import PHASES
from afterlaunch.status_pages.shown import document
from afterlaunch.status_pages.writing import folder


def _clients(actor: Actor) -> list[Client]:
    seen = actor.sees()
    rows = Client.objects.all() if seen is None else Client.objects.filter(slug__in=seen)
    return [row for row in rows if actor.may(Role.OPERATOR, row.slug)]


def _parts(text: str) -> list[Part]:
    """One a line: name = system, or name = system/environment."""
    found = []
    for line in text.splitlines():
        name, sign, place = (part.strip() for part in line.rpartition("="))
        if not line.strip():
            continue
        if not sign or not name or not place:
            raise Invalid(f"{line.strip()!r} is no component.", "Write: Answers = helpdesk, or Answers = helpdesk/prod")
        system, _, environment = place.partition("/")
        found.append(Part(system.strip(), name, environment.strip()))
    return found


def _lines(row: StatusPage) -> str:
    return "\n".join(
        f"{one.name} = {one.system.key}{f'/{one.environment}' if one.environment else ''}"
        for one in row.components.select_related("system")
    )


def _put(request: Request, client: Client, slug: str) -> StatusPage:
    given = request.POST
    return actions.put_page(
        request.actor,
        client,
        slug,
        given.get("title", ""),
        _parts(given.get("components", "")),
        given.get("about", ""),
        bool(given.get("public")),
        given.get("policy", "draft"),
    )


@require_http_methods(["GET", "HEAD", "POST"])
def status_pages(request: Request) -> HttpResponse:
    if request.method == "POST":
        client = client_by_slug(request.actor, request.POST.get("client", ""))
        made = _put(request, client, request.POST.get("slug", "").strip())
        messages.success(request, f"{made.title} is there.")
        return redirect(f"/status-pages/{made.pk}")
    now = clock.now()
    rows = [(row, document(row, now), _waiting(row)) for row in pages_seen_by(request.actor)]
    context = {
        "rows": rows,
        "clients": _clients(request.actor),
        "systems": sorted({row.key for row in systems_seen_by(request.actor)}),
        "policies": POLICIES,
    }
    return render(request, "status_pages/pages.html", context)


def _waiting(row: StatusPage) -> int:
    return row.publications.filter(state="draft", ends_at=None).count()


@require_http_methods(["GET", "HEAD", "POST"])
def status_page(request: Request, pk: int) -> HttpResponse:
    row = page_by_id(request.actor, pk)
    if request.method == "POST":
        _put(request, row.client, row.slug)
        messages.success(request, f"{row.title} is altered.")
        return redirect(f"/status-pages/{pk}")
    may = request.actor.may(Role.OPERATOR, row.client.slug)
    context: dict[str, Any] = {
        "row": row,
        "told": document(row, clock.now()),
        "components": list(row.components.select_related("system")),
        "publications": list(row.publications.prefetch_related("posts", "components").select_related("incident")[:50]),
        "works": list(row.maintenances.order_by("-starts_at")[:20]),
        "subscribers": row.subscribers.exclude(confirmed_at=None).count(),
        "may": may,
        "may_tell": request.actor.may(Role.RESPONDER, row.client.slug),
        "address": f"{settings().public_url}{row.get_absolute_url()}" if row.public or may else "",
        "folder": folder() / row.key if may else "",
        "lines": _lines(row),
        "policies": POLICIES,
        "states": STATES,
        "phases": PHASES,
    }
    return render(request, "status_pages/page.html", context)


def _chosen(request: Request) -> list[int]:
    return [int(one) for one in request.POST.getlist("component") if one.isdigit()]


def _instant(text: str) -> datetime:
    """Of a form: on the reader's wall."""
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise Invalid(f"{text!r} is no time.") from None
    return found if found.tzinfo else found.replace(tzinfo=timezone.get_current_timezone())


@require_POST
def alter(request: Request, pk: int, deed: str) -> HttpResponse:
    row = page_by_id(request.actor, pk)
    if deed not in DEEDS:
        raise NotFound(f"A status page has no {deed!r}.")
    said = DEEDS[deed](request, row)
    messages.success(request, said)
    return redirect("/status-pages" if deed == "remove" else f"/status-pages/{pk}")


def _number(request: Request, name: str) -> int:
    text = request.POST.get(name, "")
    if not text.isdigit():
        raise Invalid(f"{name} must be a number.")
    return int(text)


def _publish(request: Request, row: StatusPage) -> str:
    made = publication_by_id(request.actor, row, _number(request, "publication"))
    actions.publish(request.actor, made, request.POST.get("title", ""))
    return "It is published."


def _withhold(request: Request, row: StatusPage) -> str:
    actions.withhold(request.actor, publication_by_id(request.actor, row, _number(request, "publication")))
    return "Nobody outside sees it."


def _post(request: Request, row: StatusPage) -> str:
    made = publication_by_id(request.actor, row, _number(request, "publication"))
    actions.post(request.actor, made, request.POST.get("text", ""), request.POST.get("phase", made.phase))
    return "It is told."


def _write(request: Request, row: StatusPage) -> str:
    given = request.POST
    actions.write(request.actor, row, given.get("title", ""), given.get("text", ""), _chosen(request))
    return "It is published."


def _say(request: Request, row: StatusPage) -> str:
    given = request.POST
    actions.say_state(
        request.actor, row, _number(request, "component"), given.get("state", ""), given.get("why", "")
    )  # fmt: skip
    return "The state is said."


def _plan(request: Request, row: StatusPage) -> str:
    given = request.POST
    begins, ends = _instant(given.get("starts_at", "")), _instant(given.get("ends_at", ""))
    actions.plan_work(
        request.actor, row, given.get("title", ""), given.get("about", ""), begins, ends, _chosen(request)
    )
    return "The maintenance is told."


def _end(request: Request, row: StatusPage) -> str:
    actions.end_work(request.actor, row, _number(request, "work"))
    return "The maintenance is over."


def _address(request: Request, row: StatusPage) -> str:
    actions.new_address(request.actor, row)
    return "The page has another secret address; the old one opens nothing."


def _remove(request: Request, row: StatusPage) -> str:
    actions.remove_page(request.actor, row)
    return f"{row.title} is removed."


DEEDS = {
    "publish": _publish,
    "withhold": _withhold,
    "post": _post,
    "write": _write,
    "state": _say,
    "plan": _plan,
    "end": _end,
    "address": _address,
    "remove": _remove,
}
