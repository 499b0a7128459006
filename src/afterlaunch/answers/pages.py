"""A system's answers as a page: every descriptor over the last hours, and one of them then and now."""

from __future__ import annotations

from datetime import UTC, datetime
from urllib.parse import urlencode

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_POST, require_safe

from afterlaunch.answers import embedding, references, views
from afterlaunch.answers.layouts import DESCRIPTORS
from afterlaunch.answers.models import Reference
from afterlaunch.drift.false_alarms import of_document
from afterlaunch.drift.judging import METHODS
from afterlaunch.estate.actions import system_by_id
from afterlaunch.ground.actors import Role
from afterlaunch.ground.errors import Invalid, NotFound
from afterlaunch.look.requests import Request
from afterlaunch.predictions.judging import false_alarms_of
from afterlaunch.predictions.views import SHOWN, count_of
from afterlaunch.verdicts.models import Verdict


@require_safe
def answers(request: Request, pk: int) -> HttpResponse:
    system = system_by_id(request.actor, pk)
    environments = views.environments(system)
    environment = request.GET.get("environment", environments[0] if environments else "prod")
    if "environment" in request.GET and environments and environment not in environments:
        raise NotFound(f"No answers of {system.name} in {environment!r} were described.")
    reference = views.in_force(system, environment) if environments else None
    context = {
        "system": system,
        "environments": environments,
        "environment": environment,
        "reference": reference,
        "may": request.actor.may(Role.OPERATOR, system.client.slug),
        "verdict": Verdict.objects.filter(
            judge="drift.output", client=system.client.slug, system=system.key, environment=environment
        ).first(),
        "shown": SHOWN,
        "no_meaning": embedding.why_not(),
    }
    if reference is not None:
        slices = views.newest_of_slices(reference)
        chosen = request.GET.get("slice", "")
        if chosen not in {one["slice"] for one in slices}:
            raise NotFound(f"The reference has no slice {chosen!r}.")
        context |= {"slices": slices, "slice": chosen} | _descriptors(reference, chosen, request.GET.get("of", ""))
    return render(request, "answers/answers.html", context)


def _descriptors(reference: Reference, chosen: str, name: str) -> dict[str, object]:
    hours = views.hours_of(reference, chosen)
    if not hours:
        return {}
    rows = views.rows_of(hours)
    if name and name not in DESCRIPTORS:
        raise NotFound(f"{name!r} is no descriptor.")
    row = next((one for one in rows if one.name == name), rows[0])
    told = row.newest
    counts = count_of(rows)
    said = f"{DESCRIPTORS[row.name].title}: {told['why']}"
    picture, figures = views.then_and_now(reference, hours[-1], row.name, said)
    return {
        "newest": hours[-1],
        "rows": [views.titled(one) for one in rows],
        "counts": counts,
        "breach_tone": "breach" if counts["breach"] else "",
        "warning_tone": "warning" if counts["warning"] else "",
        "chosen": row.name,
        "title": DESCRIPTORS[row.name].title,
        "meaning": DESCRIPTORS[row.name].meaning,
        "told": told,
        "method": METHODS.get(told.get("method") or "", ""),
        "false_alarms": of_document(told.get("false_alarms_per_month")).told,
        "all_false_alarms": false_alarms_of(hours[-1].features).told,
        "picture": picture,
        "figures": figures,
    }


@require_POST
def choose(request: Request, pk: int) -> HttpResponse:
    system = system_by_id(request.actor, pk)
    environment = request.POST.get("environment", "prod")
    start, end = (_instant(request.POST.get(name, "")) for name in ("start", "end"))
    made = references.choose(request.actor, system, environment, start, end)
    messages.success(request, f"Reference {made.version} is in force: {made.answers:,} answers.")
    return redirect(f"/systems/{system.pk}/answers?{urlencode({'environment': environment})}")


def _instant(text: str) -> datetime:
    """Of a form; in UTC where it has no zone."""
    try:
        at = datetime.fromisoformat(text)
    except ValueError as problem:
        raise Invalid(f"{text[:40]!r} is no time.", "For example 2026-03-01T00:00") from problem
    return at if at.tzinfo else at.replace(tzinfo=UTC)
