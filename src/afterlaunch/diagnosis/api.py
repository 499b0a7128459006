from __future__ import annotations

from typing import Any

from ninja import Router

from afterlaunch.diagnosis.questions import diagnose
from afterlaunch.incidents.actions import incident_by_id
from afterlaunch.look.requests import Request

router = Router(tags=["incidents"])


@router.get("/incidents/{int:pk}/diagnosis")
def show_diagnosis(request: Request, pk: int) -> dict[str, Any]:
    """Where the trouble concentrates and what changed in the day before. `reason` tells why there are no rows."""
    found = diagnose(request.actor, incident_by_id(request.actor, pk))
    names = ("measure", "dimension", "value", "hits", "all_hits", "calls", "all_calls", "chance", "explanation")
    changes = [
        {"id": c.pk, "title": c.title, "kind": c.kind, "state": c.state, "proposed_at": c.proposed_at}
        | {"started_at": c.started_at}
        for c in found.changes
    ]
    return {
        "start": found.start,
        "end": found.end,
        "reason": found.answer.reason,
        "explanation": found.answer.explanation,
        "concentrations": [{name: getattr(row, name) for name in names} for row in found.answer.rows],
        "changes": changes,
    }
