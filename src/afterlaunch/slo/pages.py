"""SLOs as pages: how all of them stand, and one with its burn-down, windows, alerts, definition and versions."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.utils.http import urlencode
from django.views.decorators.http import require_POST, require_safe

from afterlaunch.ground import clock
from afterlaunch.ground.actors import Role
from afterlaunch.look.charts import lines
from afterlaunch.look.formats import figure
from afterlaunch.look.requests import Request
from afterlaunch.slo import actions, history, periods
from afterlaunch.slo.api import exported, state_of, versions_of
from afterlaunch.slo.durations import percent
from afterlaunch.slo.measures import AVAILABILITY, FRESHNESS, LATENCY, QUALITY
from afterlaunch.slo.models import Burn, Slo, SloVersion

WORST_FIRST = ("burning", "no_telemetry", "exhausted", "no_data", "unknown", "ok", "paused", "draft")
WORDS = {
    "ok": "Kept",
    "burning": "Burning",
    "exhausted": "Budget spent",
    "no_data": "No data",
    "no_telemetry": "No telemetry",
    "unknown": "Not judged yet",
    "paused": "Paused",
    "draft": "Draft",
}
TONES = {"ok": "ok", "burning": "breach", "exhausted": "warning", "no_telemetry": "warning"}
REASONS = {
    "fires": "fires",
    "burn_within_factor": "within",
    "short_window_recovered": "recovered",
    "guarded": "too few bad",
    "provisional": "provisional labels",
    "no_events": "no events",
    "dead": "can never fire",
    "too_few_bad": "too few bad",
    "share_below": "within",
}
SHOWN = 50


class Row:
    """An SLO and its version, as a line of the list. Templates cannot compute."""

    def __init__(self, slo: Slo, version: SloVersion | None) -> None:
        self.slo, self.version = slo, version
        self.state = state_of(slo)
        self.word, self.tone = WORDS[self.state], TONES.get(self.state, "not_assessed")
        self.standing = getattr(slo, "standing", None)
        self.definition = version.definition if version else None

    @property
    def known(self) -> bool:
        return self.standing is not None and self.standing.left is not None

    @property
    def left(self) -> float | None:
        return self.standing.left if self.standing else None

    @property
    def bar(self) -> float:
        return max(0.0, min(1.0, self.left or 0.0))

    @property
    def overspent(self) -> bool:
        return self.left is not None and self.left < 0

    @property
    def left_percent(self) -> str:
        return "—" if self.left is None else f"{self.left * 100:,.1f}\u00a0%"

    @property
    def burn(self) -> str:
        burn = self.standing.burn if self.standing else None
        return "—" if burn is None else f"{burn:,.2f}"

    @property
    def objective(self) -> str:
        return percent(self.definition.target) if self.definition else "—"

    @property
    def notes(self) -> list[str]:
        """What makes the figures less than they seem."""
        standing = self.standing
        if standing is None:
            return []
        out = ["partial"] if standing.partial else []
        out += ["provisional labels"] if standing.provisional else []
        measure = self.definition.measure if self.definition else None
        return out + ([f"probes: {measure.probes}"] if measure and measure.probes != "separate" else [])


def _rows(request: Request) -> list[Row]:
    found = list(actions.slos_seen_by(request.actor).order_by("client__slug", "name"))
    versions = versions_of(found)
    rows = [Row(slo, versions.get(slo.pk)) for slo in found]
    return sorted(rows, key=lambda row: (WORST_FIRST.index(row.state), row.left if row.known else 2.0, row.slo.name))


@require_safe
def slos(request: Request) -> HttpResponse:
    rows = _rows(request)
    context = {
        "rows": rows,
        "counts": {state: sum(row.state == state for row in rows) for state in WORST_FIRST},
        "unknown": sum(row.state in ("no_data", "unknown", "no_telemetry") for row in rows),
        "may": _may_make(request),
    }
    return render(request, "slo/slos.html", context)


def _may_make(request: Request) -> bool:
    seen = request.actor.sees()
    return request.actor.may(Role.OPERATOR, None) or any(request.actor.may(Role.OPERATOR, one) for one in seen or ())


def _as_csv(name: str, heading: Sequence[str], rows: Iterable[Sequence[Any]]) -> HttpResponse:
    response = HttpResponse(content_type="text/csv; charset=utf-8")
    response["Content-Disposition"] = f'attachment; filename="{name}.csv"'
    writer = csv.writer(response)
    writer.writerow(heading)
    writer.writerows([_safe(one) for one in row] for row in rows)
    return response


def _safe(value: Any) -> Any:
    """No text is a formula for a spreadsheet; unknown is empty."""
    if isinstance(value, str) and value[:1] in ("=", "+", "-", "@", "\t", "\r"):
        return f"'{value}"
    return "" if value is None else value.isoformat() if isinstance(value, datetime) else value


@require_safe
def slos_csv(request: Request) -> HttpResponse:
    heading = (
        *("client", "name", "system", "environment", "objective", "period", "state", "budget_left", "burn_rate"),
        *("total", "bad", "partial", "provisional", "assessed_at"),
    )
    return _as_csv("slos", heading, [_line(row) for row in _rows(request)])


def _line(row: Row) -> list[Any]:
    definition, standing = row.definition, row.standing
    measure = definition.measure if definition else None
    told = [getattr(standing, name, None) for name in ("left", "burn", "total", "bad", "partial", "provisional")]
    return [
        row.slo.client.slug,
        row.slo.name,
        measure.system if measure else None,
        measure.environment if measure else None,
        str(float(definition.target)) if definition else None,
        str(definition.period.duration) if definition else None,
        row.state,
        *told,
        standing.assessed_at if standing else None,
    ]


@require_safe
def slos_yaml(request: Request) -> HttpResponse:
    response = HttpResponse(exported(request.actor, None), content_type="application/yaml; charset=utf-8")
    response["Content-Disposition"] = 'attachment; filename="slos.yaml"'
    return response


@require_safe
def budget_csv(request: Request, pk: int) -> HttpResponse:
    row = actions.slo_by_id(request.actor, pk)
    version = actions.in_force(row)
    points = history.burn_down(version, clock.now()) if version else []
    told = ([one.at, one.total, one.bad, one.left] for one in points)
    return _as_csv(f"budget-{pk}", ("until", "total", "bad", "budget_left"), told)


@require_safe
def slo(request: Request, pk: int) -> HttpResponse:
    found = actions.slo_by_id(request.actor, pk)
    now, row = clock.now(), Row(found, actions.in_force(found))
    points = history.burn_down(row.version, now) if row.version and row.state not in ("draft",) else []
    burns = list(Burn.objects.filter(slo=found).select_related("version")[:SHOWN])
    definition = row.definition
    start, end = periods.bounds(definition.period, now) if definition else (now, now)
    facts = row.standing.facts if row.standing else {}
    context = {
        "row": row,
        "slo": found,
        "may": request.actor.may(Role.OPERATOR, found.client.slug),
        "facts": facts,
        "of": f"of {figure(row.standing.total)}" if row.standing else "",
        "windows": [pair | {"word": REASONS.get(pair["reason"], pair["reason"])} for pair in facts.get("pairs", [])],
        "rules": [rule | {"word": REASONS.get(rule["reason"], rule["reason"])} for rule in facts.get("counts", [])],
        "chart": _chart(points),
        "burns": burns,
        "versions": [(one, percent(one.definition.target)) for one in found.versions.all()[:SHOWN]],
        "lasts": _lasts(row),
        "period": (start, end),
        "rolling": definition.period.rolling if definition else True,
        "unknown": _unknown(found, start, now),
        "failed": _failed(found, definition.measure) if definition else "",
        "several": bool(found.of and found.of != found.name),
    }
    return render(request, "slo/slo.html", context)


def _chart(points: Sequence[history.Point]) -> Any:
    told = [(one.at, {"budget left": one.left * 100}) for one in points if one.left is not None]
    return lines(told, "% of the budget", width=940, limits=(0.0,)) if told else ""


def _lasts(row: Row) -> tuple[float | None, str]:
    """(seconds until nothing is left, or why there are none)."""
    standing = row.standing
    if not row.known or standing is None:
        return None, "not known"
    if row.overspent:
        return None, "nothing is left"
    return standing.exhausted_in, "at this rate" if standing.exhausted_in is not None else "it does not burn"


def _unknown(slo: Slo, start: datetime, now: datetime) -> float:
    """The share of the period in which no telemetry came."""
    rows = Burn.objects.filter(slo=slo, kind="no_telemetry", started_at__lt=now).exclude(ended_at__lt=start)
    lost = sum(
        ((row.ended_at or now) - max(row.started_at, start)).total_seconds()
        for row in rows
        if (row.ended_at or now) > start
    )
    return float(lost / max(1.0, (now - start).total_seconds()))


def _failed(slo: Slo, measure: Any) -> str:
    """The calls that count as bad, where the calls' own page can find them."""
    words = {"system": measure.system, "client": slo.client.slug, "environment": measure.environment, "range": "24h"}
    words |= {"route": measure.route} if measure.route else {}
    words |= {"model": measure.model} if measure.model else {}
    if measure.kind == AVAILABILITY:
        column = {"timeouts": "timeout", "provider_faults": "provider_fault"}.get(measure.outcome, measure.outcome)
        return f"/calls?{urlencode(words | {'q': f'{column}:true'})}"
    if measure.kind == LATENCY:
        field = "duration" if measure.time == "latency" else "ttft"
        return f"/calls?{urlencode(words | {'q': f'{field}>{float(measure.value or 0):g}ms'})}"
    if measure.kind in (QUALITY, FRESHNESS):
        return f"/calls?{urlencode(words)}"
    return ""


@require_POST
def pause(request: Request, pk: int) -> HttpResponse:
    """Pauses, or resumes what is paused."""
    row = actions.slo_by_id(request.actor, pk)
    now = actions.pause(request.actor, row, request.POST.get("paused") == "1")
    messages.success(request, f"{row} is {'paused: it pages nobody' if now.paused else 'judged again'}.")
    return redirect(f"/slos/{pk}")


@require_POST
def remove(request: Request, pk: int) -> HttpResponse:
    row = actions.slo_by_id(request.actor, pk)
    actions.remove(request.actor, row)
    messages.success(request, f"{row} is judged no more.")
    return redirect("/slos")
