"""Series as pages: what is followed, and one of them."""

from __future__ import annotations

from django.contrib import messages
from django.db.models import Exists, OuterRef
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_POST, require_safe

from afterlaunch.anomalies import judging, views
from afterlaunch.anomalies.actions import MOST_DAYS, call_usual, series_by_id, series_seen_by
from afterlaunch.anomalies.measures import MEASURES
from afterlaunch.anomalies.models import Told
from afterlaunch.ground.actors import Role
from afterlaunch.ground.errors import Invalid
from afterlaunch.ground.settings import settings
from afterlaunch.look import charts
from afterlaunch.look.requests import Request

SHOWN = 100
ORDER = ("client", "system", "environment", "dimension", "value", "measure")
STATES = {"": "any state", "unusual": "unusual", "learning": "learning", "usual": "as usual"}


@require_safe
def board(request: Request) -> HttpResponse:
    """Unusual series first."""
    everything = series_seen_by(request.actor)
    lasts = Exists(Told.objects.filter(series=OuterRef("pk"), until=None))
    rows = everything.annotate(lasts=lasts)
    asked = {name: request.GET.get(name, "")[:200] for name in ("system", "measure", "state", "q")}
    if asked["measure"] and asked["measure"] not in MEASURES:
        raise Invalid(f"{asked['measure']!r} is no measure.", f"Measures: {', '.join(MEASURES)}.")
    rows = rows.filter(system=asked["system"]) if asked["system"] else rows
    rows = rows.filter(measure=asked["measure"]) if asked["measure"] else rows
    rows = rows.filter(value__icontains=asked["q"]) if asked["q"] else rows
    match asked["state"]:
        case "unusual":
            rows = rows.filter(lasts=True)
        case "learning":
            rows = rows.filter(lasts=False, learning=True)
        case "usual":
            rows = rows.filter(lasts=False, learning=False)
    found = list(rows.order_by("-lasts", "learning", *ORDER)[: SHOWN + 1])
    totals = everything.annotate(lasts=lasts)
    context = {
        "rows": [views.described(row) for row in found[:SHOWN]],
        "more": len(found) > SHOWN,
        "asked": asked,
        "any": everything.exists(),
        "unusual": totals.filter(lasts=True).count(),
        "learning": totals.filter(lasts=False, learning=True).count(),
        "usual": totals.filter(lasts=False, learning=False).count(),
        "systems": sorted(set(everything.order_by().values_list("system", flat=True).distinct())),
        "measures": [(key, one.word) for key, one in MEASURES.items()],
        "states": list(STATES.items()),
        "budget": f"{settings().number('ANOMALIES_FALSE_ALERTS'):g}",
    }
    return render(request, "anomalies/board.html", context)


@require_safe
def show(request: Request, pk: int) -> HttpResponse:
    row = series_by_id(request.actor, pk)
    episodes = list(row.episodes.all()[:50])
    measure = MEASURES[row.measure]
    lasting = next((one for one in episodes if one.until is None), None)
    state = views.state_of(row, lasting is not None)
    context = {
        "series": row,
        "of": judging.of(row.dimension, row.value),
        "measure": measure,
        "state": state,
        "status": {"unusual": "breach", "learning": "not_assessed", "as usual": "ok"}[state],
        "lasting": lasting,
        "said": views.said_of(row, lasting) if lasting else "",
        "episodes": [(one, views.said_of(row, one)) for one in episodes],
        "picture": charts.lines(views.chart_points(row), measure.unit, width=760, height=220),
        "may": request.actor.may(Role.OPERATOR, row.client),
        "most_days": MOST_DAYS,
        "learned": judging.LEARNING_HOURS,
    }
    return render(request, "anomalies/series.html", context)


@require_POST
def usual(request: Request, pk: int) -> HttpResponse:
    row = series_by_id(request.actor, pk)
    days = request.POST.get("days", "7")
    if not days.isdecimal():
        raise Invalid(f"{days!r} is no number of days.")
    call_usual(request.actor, row, int(days))
    messages.success(request, f"Called usual. One of this size or less is not told for {days} days.")
    return redirect(row.get_absolute_url())
