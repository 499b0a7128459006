"""A system's drift as a page: every feature over the last hours, and one of them then and now."""

from __future__ import annotations

from django.http import HttpResponse
from django.shortcuts import render
from django.utils.safestring import SafeString
from django.views.decorators.http import require_safe

from afterlaunch.drift import slices
from afterlaunch.drift.false_alarms import of_document
from afterlaunch.drift.judging import METHODS
from afterlaunch.drift.slices import Slice
from afterlaunch.estate.actions import system_by_id
from afterlaunch.ground.errors import NotFound
from afterlaunch.ground.settings import settings
from afterlaunch.look.requests import Request
from afterlaunch.predictions import views, weekly

SLICES = 12
SAID = {
    slices.MOVED: ("failing", "moved inside"),
    slices.MORE: ("late", "more of it"),
    slices.LESS: ("late", "less of it"),
    slices.ALIKE: ("ok", "no change found"),
    slices.NOT_ASSESSED: ("no_data", "not assessed"),
}


def _slice(one: Slice) -> dict[str, object]:
    tone, said = SAID[one.verdict]
    shares = f"{100 * one.share_before:.1f} → {100 * one.share_now:.1f} %"
    return {**vars(one), "tone": tone, "said": said, "shares": shares, "part": f"{100 * one.explains:.0f} %"}


@require_safe
def drift(request: Request, pk: int) -> HttpResponse:
    system = system_by_id(request.actor, pk)
    references = views.places(system)
    context = {"system": system, "references": references, "address": settings().public_url}
    environment = request.GET.get("environment") or (references[0].environment if references else "")
    reference = next((one for one in references if one.environment == environment), None)
    if reference is None:
        if request.GET.get("environment") and references:
            raise NotFound(f"{system.name} has no reference in {environment}.")
        return render(request, "predictions/drift.html", context)
    versions = views.versions_of(reference)
    version = request.GET.get("version", versions[0] if versions else "")
    hours = views.hours_of(reference, version)
    rows = views.matrix(hours)
    name = request.GET.get("feature") or (rows[0].name if rows else "")
    chosen = next((row for row in rows if row.name == name), None)
    if name and chosen is None and hours:
        raise NotFound(f"The reference has no feature {name!r}.")
    told = chosen.newest if chosen else {}
    counts = views.count_of(rows)
    picture, figures = SafeString(""), list[views.Beside]()
    if chosen:
        picture, figures = views.then_and_now(reference, hours[-1], name, f"{name}: {told.get('why', '')}")
    context |= {
        "reference": reference,
        "environment": environment,
        "versions": versions,
        "version": version,
        "hours": hours,
        "newest": hours[-1] if hours else None,
        "rows": views.listed(rows, chosen, "all" in request.GET),
        "features": len(rows),
        "counts": counts,
        "breach_tone": "breach" if counts["breach"] else "",
        "warning_tone": "warning" if counts["warning"] else "",
        "chosen": chosen,
        "told": told,
        "method": METHODS.get(told.get("method") or "", ""),
        "false_alarms": of_document(told.get("false_alarms_per_month")).told,
        "all_false_alarms": views.false_alarms_of(hours[-1]).told if hours else "",
        "picture": picture,
        "figures": figures,
        "shown": views.SHOWN,
        "season": weekly.season(weekly.of(reference), name) if chosen else "",
        "sliced": (sliced := views.sliced(reference, version, chosen)),
        "sliced_told": slices.told(sliced.found) if sliced else "",
        "slices": [_slice(one) for one in sliced.found[:SLICES]] if sliced else [],
        "upstream": views.upstream_of(system, environment, chosen),
        "importance": views.importance_of(system, environment),
    }
    return render(request, "predictions/drift.html", context)
