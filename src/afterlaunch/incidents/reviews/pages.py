from __future__ import annotations

from datetime import date
from typing import Any

import orjson
from django.core.paginator import Paginator
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from afterlaunch.ground import clock
from afterlaunch.ground.actors import Role
from afterlaunch.ground.errors import Invalid, NotFound
from afterlaunch.incidents.actions import incident_by_id
from afterlaunch.incidents.models import Incident
from afterlaunch.incidents.moves import same_cause
from afterlaunch.incidents.reviews import actions, prompts
from afterlaunch.incidents.reviews.api import perform
from afterlaunch.incidents.reviews.models import PRIORITIES, STATES, TYPES, Review
from afterlaunch.incidents.reviews.rules import SECTIONS, machine
from afterlaunch.incidents.roles import people_of, person_of
from afterlaunch.look.requests import Request

PER_PAGE = 50
REPEATS = 20


@require_safe
def reviews(request: Request) -> HttpResponse:
    """Those that wait first."""
    rows = actions.reviews_seen_by(request.actor)
    state = request.GET.get("state", "")
    rows = rows.filter(state=state) if state else rows
    page = Paginator(rows.order_by("approved_at", "approve_due_at", "-pk"), PER_PAGE).get_page(request.GET.get("page"))
    context = {"page": page, "state": state, "states": STATES, "now": clock.now()}
    return render(request, "incidents/reviews.html", context)


@require_safe
def items(request: Request) -> HttpResponse:
    """Action items of all reviews; open ones, the earliest due first."""
    rows = actions.items_seen_by(request.actor)
    asked = {name: request.GET.get(name, "") for name in ("state", "mine", "overdue")}
    today = clock.now().date()
    rows = rows.filter(state=asked["state"] or "open")
    rows = rows.filter(owner=request.actor.user_id) if asked["mine"] else rows
    rows = rows.filter(state="open", due_on__lt=today) if asked["overdue"] else rows
    page = Paginator(rows.order_by("due_on", "pk"), PER_PAGE).get_page(request.GET.get("page"))
    may = {one.pk for one in page if request.actor.may(Role.RESPONDER, one.review.incident.system.client.slug)}
    return render(request, "incidents/action_items.html", {"page": page, "asked": asked, "today": today, "may": may})


@require_http_methods(["GET", "HEAD", "POST"])
def review(request: Request, pk: int) -> HttpResponse:
    """Read it, write it. Without one: a button that begins it."""
    found = incident_by_id(request.actor, pk)
    if request.method == "POST":
        texts = {key: request.POST[key] for key, _, _ in SECTIONS if key in request.POST}
        actions.write(request.actor, found, texts)
        return redirect(f"/incidents/{pk}/review")
    try:
        row: Review | None = actions.review_of(found)
    except NotFound:
        row = None
    return render(request, "incidents/review.html", {"incident": found, "review": row, **_context(request, found, row)})


def _context(request: Request, found: Incident, row: Review | None) -> dict[str, Any]:
    client, now = found.system.client.slug, clock.now()
    may = request.actor.may(Role.RESPONDER, client)
    if row is None:
        return {"may_respond": may}
    sections = [
        {
            "key": key,
            "title": title,
            "hint": hint,
            "text": row.sections.get(key, {}).get("text", ""),
            "machine": machine(row.sections, key),
            "by": row.sections.get(key, {}).get("by", ""),
        }
        for key, title, hint in SECTIONS
    ]
    return {
        "sections": sections,
        "lacks": actions.lacking(row) if row.state != "approved" else [],
        "items": list(actions.items_seen_by(request.actor).filter(review=row)),
        "comments": row.comments.all(),
        "repeats": list(same_cause(request.actor, found)[:REPEATS]),
        "open_of_cause": list(actions.open_items_of_cause(found)[:REPEATS]),
        "drafts": found.prompt_drafts.all(),
        "people": people_of(client) if may else (),
        "types": TYPES,
        "priorities": PRIORITIES,
        "may_respond": may,
        "may_approve": request.actor.may(Role.OPERATOR, client),
        "draft_late": row.state == "draft" and row.draft_due_at is not None and now > row.draft_due_at,
        "approve_late": row.state != "approved" and row.approve_due_at is not None and now > row.approve_due_at,
    }


@require_POST
def deed(request: Request, pk: int, name: str) -> HttpResponse:
    perform(request, incident_by_id(request.actor, pk), name, request.POST.get("text", ""))
    return redirect(f"/incidents/{pk}/review" + {"comment": "#comments", "no-action": "#items"}.get(name, ""))


@require_POST
def put_item(request: Request, pk: int) -> HttpResponse:
    found, form = incident_by_id(request.actor, pk), request.POST
    try:
        due = date.fromisoformat(form["due_on"]) if form.get("due_on") else None
    except ValueError:
        raise Invalid(f"{form['due_on']!r} is no date.", "For example 2026-03-31") from None
    owner = person_of(found, int(form["owner"])) if form.get("owner", "").isdigit() else None
    item = int(form["item"]) if form.get("item", "").isdigit() else None
    kind, priority = form.get("type") or "prevent", form.get("priority") or "medium"
    actions.put_item(
        request.actor, found, form.get("title", ""), kind, priority, owner, due, form.get("link", ""), item
    )
    return redirect(f"/incidents/{pk}/review#items")


@require_POST
def end_item(request: Request, pk: int) -> HttpResponse:
    item = actions.item_by_id(request.actor, pk)
    actions.end_item(request.actor, item, request.POST.get("evidence", ""), not request.POST.get("drop"))
    back = request.POST.get("back", "")
    fine = back.startswith("/") and url_has_allowed_host_and_scheme(back, None)
    return redirect(back if fine else f"/incidents/{item.review.incident_id}/review#items")


@require_http_methods(["GET", "HEAD", "POST"])
def prompt(request: Request, pk: int) -> HttpResponse:
    """A golden prompt from a failing trace: GET with `trace` fills the form, POST keeps it."""
    found = incident_by_id(request.actor, pk)
    request.actor.require(Role.RESPONDER, found.system.client.slug)
    if request.method == "POST":
        try:
            document = orjson.loads(request.POST.get("document", ""))
        except orjson.JSONDecodeError as problem:
            raise Invalid(f"The document is no JSON: {problem}.") from None
        if not isinstance(document, dict):
            raise Invalid("The document is no JSON object.")
        prompts.keep(request.actor, found, document)
        return redirect(f"/incidents/{pk}/review#prompts")
    trace = request.GET.get("trace", "").strip()
    made = prompts.from_trace(request.actor, found, trace) if trace else None
    answered = made.pop("answered", "") if made else ""
    shown = orjson.dumps(made, option=orjson.OPT_INDENT_2).decode() if made else ""
    context = {"incident": found, "trace": trace, "document": shown, "answered": answered, "kinds": prompts.NEEDS}
    return render(request, "incidents/prompt.html", context)
