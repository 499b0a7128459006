"""What changed before it went wrong, and how much of it each change explains."""

from __future__ import annotations

from typing import Any

from ninja import Router

from afterlaunch.diagnosis import actions
from afterlaunch.diagnosis.models import Diagnosis
from afterlaunch.incidents.actions import incident_by_id
from afterlaunch.look.requests import Request

router = Router(tags=["incidents"])


@router.get("/incidents/{int:pk}/diagnosis")
def show_diagnoses(request: Request, pk: int) -> dict[str, Any]:
    """All diagnoses of an incident, oldest first. Each is frozen: `sha256` is that of its document's canonical bytes,
    and stands in the timeline and the evidence log. `holds`: whether the bytes still have it. Empty until the first is
    made, within seconds of the opening."""
    return {"items": [_shown(row) for row in actions.diagnoses_of(request.actor, pk)]}


@router.post("/incidents/{int:pk}/diagnosis")
def look_again(request: Request, pk: int) -> dict[str, Any]:
    """Look now, and freeze what is seen beside what was seen before."""
    return _shown(actions.freeze(request.actor, incident_by_id(request.actor, pk), "asked"))


def _shown(row: Diagnosis) -> dict[str, Any]:
    return {
        "number": row.number,
        "trigger": row.trigger,
        "made_at": row.made_at,
        "made_by": row.made_by,
        "sha256": row.sha256,
        "holds": actions.holds(row),
        "document": actions.content(row),
    }
