"""The runbook and evidence of an incident as parts of its page; and the editor."""

from __future__ import annotations

from typing import Any

from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from afterlaunch.accounts.actions import client_by_slug
from afterlaunch.accounts.models import Client
from afterlaunch.ground import clock
from afterlaunch.ground.actors import Actor, Role
from afterlaunch.ground.errors import Invalid
from afterlaunch.incidents.actions import incident_by_id
from afterlaunch.incidents.containment.rows import policy_of
from afterlaunch.incidents.kinds import KINDS, kind_named
from afterlaunch.incidents.models import Incident
from afterlaunch.incidents.places import LABELS, places
from afterlaunch.incidents.roles import readers
from afterlaunch.incidents.runbooks import actions, versions
from afterlaunch.incidents.runbooks.models import RunbookVersion
from afterlaunch.incidents.runbooks.rules import Step, parse, parts
from afterlaunch.incidents.runs import runs
from afterlaunch.incidents.updates.models import AUDIENCES, Stakeholder
from afterlaunch.look.requests import Request


def addresses(incident: Incident) -> dict[str, str]:
    system = incident.system
    return places(incident, system.client.slug, system.key, system.pk, clock.now())


def steps_of(book: RunbookVersion | None, incident: Incident, links: dict[str, str]) -> list[dict[str, Any]]:
    """Rows for the page: a step, the parts of its text, who did it and what its button says."""
    if book is None:
        return []
    ticks = {tick.key: tick for tick in incident.ticks.all() if tick.list == "runbook"}
    rows: list[dict[str, Any]] = []
    for step in parse(book.text).steps:
        tick = ticks.get(f"{book.pk}/{step.number}")
        taken = step.run == "acknowledge" and incident.acknowledged_at is not None
        rows.append(
            {
                "step": step,
                "parts": parts(step.text, links),
                "tick": tick,
                "done": tick is not None or taken,
                "button": _button(step),
                "new_section": not rows or rows[-1]["step"].section != step.section,
            }
        )
    return rows


def _button(step: Step) -> str:
    if step.run.startswith("open "):
        return f"Open: {LABELS.get(step.run.removeprefix('open '), step.run)}"
    return runs()[step.run].title if step.run in runs() else ""


def panel(incident: Incident) -> dict[str, Any]:
    """The runbook that the incident follows and its evidence, with what is done."""
    links, book, kind = addresses(incident), versions.followed(incident), kind_named(incident.kind)
    ticks = {tick.key: tick for tick in incident.ticks.all() if tick.list == "evidence"}
    steps = steps_of(book, incident, links)
    evidence = [
        {"item": item, "tick": ticks.get(f"{kind.name}/{item.key}"), "address": links.get(item.place, "")}
        for item in kind.evidence
    ]
    return {
        "book": book,
        "intro": parse(book.text).intro if book else "",
        "steps": steps,
        "steps_done": sum(row["done"] for row in steps),
        "evidence": evidence,
        "evidence_done": sum(row["tick"] is not None for row in evidence),
        "kind": kind,
    }


@require_POST
def step(request: Request, pk: int, number: int) -> HttpResponse:
    found, deed = incident_by_id(request.actor, pk), request.POST.get("deed", "tick")
    here = f"/incidents/{pk}#step-{number}"
    if deed == "run":
        address = actions.run_step(request.actor, found, number).address
        if address.startswith("place:"):
            address = addresses(found).get(address.removeprefix("place:"), "")
        return redirect(address or here)
    if deed == "untick":
        book = versions.followed(found)
        actions.untick(request.actor, found, "runbook", f"{book.pk if book else 0}/{number}")
    else:
        actions.tick_step(request.actor, found, number, request.POST.get("note", ""))
    return redirect(here)


@require_POST
def evidence(request: Request, pk: int, key: str) -> HttpResponse:
    found = incident_by_id(request.actor, pk)
    if request.POST.get("deed") == "untick":
        actions.untick(request.actor, found, "evidence", f"{found.kind}/{key}")
    else:
        actions.tick_evidence(request.actor, found, key, request.POST.get("note", ""))
    return redirect(f"/incidents/{pk}#evidence")


def clients_of(actor: Actor) -> list[Client]:
    seen = actor.sees()
    rows = Client.objects.order_by("name")
    return list(rows if seen is None else rows.filter(slug__in=seen))


@require_safe
def front(request: Request) -> HttpResponse:
    """Runbooks of one client, and what its responders may do and whom they tell."""
    clients = clients_of(request.actor)
    asked = request.GET.get("client", "")
    chosen = client_by_slug(request.actor, asked) if asked else (clients[0] if clients else None)
    return render(
        request, "incidents/runbooks.html", {"clients": clients, "chosen": chosen, **_client(request, chosen)}
    )


def _client(request: Request, client: Client | None) -> dict[str, Any]:
    if client is None:
        return {}
    own = {row.kind: row for row in RunbookVersion.objects.filter(client=client).order_by("version")}
    cap, within = policy_of(client.pk)
    return {
        "rows": [{"kind": kind, "own": own.get(kind.name)} for kind in KINDS],
        "cap": cap / 100,
        "minutes": round(within.total_seconds() / 60),
        "may_edit": request.actor.may(Role.OPERATOR, client.slug),
        "may_set": request.actor.may(Role.ADMIN, client.slug),
        "stakeholders": Stakeholder.objects.filter(client=client).select_related("person"),
        "audiences": [one for one in AUDIENCES if one[0] != "responders"],
        "readers": readers(client) if request.actor.may(Role.OPERATOR, client.slug) else (),
    }


@require_http_methods(["GET", "HEAD", "POST"])
def editor(request: Request, client: str, kind: str) -> HttpResponse:
    """The text that counts, its versions, and what one may write in it. `version` shows an older one."""
    found = client_by_slug(request.actor, client)
    rows = list(actions.versions_seen_by(request.actor, found, kind))
    book = versions.current(found.pk, kind, clock.now())
    text, problem, status = book.text, None, 200
    if request.method == "POST":
        form = request.POST
        after = int(form["after"]) if form.get("after", "").isdigit() else None
        try:
            actions.save(request.actor, found, kind, form.get("text", ""), form.get("note", ""), after)
        except Invalid as wrong:
            text, problem, status = form.get("text", ""), wrong, 400
        else:
            return redirect(f"/incidents/runbooks/{client}/{kind}")
    elif request.GET.get("version", "").isdigit():
        older = next((row for row in rows if row.version == int(request.GET["version"])), None)
        text = older.text if older else text
    elif request.GET.get("version") == "shipped":
        text = versions.shipped_now(kind, clock.now()).text
    context = {
        "client": found,
        "kind": kind_named(kind),
        "book": book,
        "text": text,
        "problem": problem,
        "versions": rows,
        "after": rows[0].version if rows else 0,
        "may_edit": request.actor.may(Role.OPERATOR, found.slug),
        "places": LABELS,
        "runs": runs().values(),
    }
    return render(request, "incidents/runbook_editor.html", context, status=status)
