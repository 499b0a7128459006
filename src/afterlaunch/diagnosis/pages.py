"""The diagnosis as a part of the incident's page, looking again, and the frozen document as a file."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from django.http import HttpResponse
from django.shortcuts import redirect
from django.views.decorators.http import require_POST, require_safe

from afterlaunch.diagnosis import actions
from afterlaunch.diagnosis.models import Diagnosis
from afterlaunch.ground.actors import Actor, Role
from afterlaunch.incidents.actions import incident_by_id
from afterlaunch.incidents.models import Incident
from afterlaunch.look.requests import Request

SHOWN = 6
KINDS = {"change": "Change", "new_value": "New", "slice": "Slice", "traffic_mix": "Traffic mix"}
NOT_ASSESSED = ("too_few_calls", "telemetry_unavailable")


def panel(actor: Actor, incident: Incident) -> dict[str, Any]:
    """The newest diagnosis, and how to look again; until the first is made, that it comes."""
    rows = list(Diagnosis.objects.filter(incident=incident).order_by("-number"))
    may = actor.may(Role.RESPONDER, incident.system.client.slug)
    return {"incident": incident, "rows": rows, "may": may, "newest": _shown(rows[0]) if rows else None}


def _shown(row: Diagnosis) -> dict[str, Any]:
    told = actions.content(row)
    causes = [
        one | {"word": KINDS[one["kind"]], "when": _instant(one["at"]), "percent": _percent(one["explained"])}
        for one in told["causes"]
    ]
    likely = [one for one in causes if one["score"] > 0]
    return {
        "row": row,
        "holds": actions.holds(row),
        "assessed": row.reason not in NOT_ASSESSED,
        "explanation": told["explanation"],
        "onset": datetime.fromisoformat(told["onset"]),
        "measured": told["measure"] is not None,
        "causes": likely[:SHOWN],
        "more": likely[SHOWN:],
        "later": [one for one in causes if not one["score"]],
        "steps": [one | {"percent": _percent(one["share"])} for one in told["steps"][:5]],
        "unit": told["unit"],
    }


def _instant(at: float | None) -> datetime | None:
    return None if at is None else datetime.fromtimestamp(at, UTC)


def _percent(share: float | None) -> int | None:
    return None if share is None else max(0, min(100, round(share * 100)))


@require_POST
def again(request: Request, pk: int) -> HttpResponse:
    """Look now and freeze what is seen beside what was seen before."""
    actions.freeze(request.actor, incident_by_id(request.actor, pk), "asked")
    return redirect(f"/incidents/{pk}#panel-diagnosis")


@require_safe
def frozen(request: Request, pk: int, number: int) -> HttpResponse:
    """The very bytes that were hashed."""
    row = actions.diagnosis_by_number(request.actor, pk, number)
    answer = HttpResponse(bytes(row.body), content_type="application/json")
    answer["Content-Disposition"] = f'attachment; filename="diagnosis-{pk}-{number}.json"'
    return answer
