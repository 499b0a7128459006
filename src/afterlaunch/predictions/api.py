from __future__ import annotations

from typing import Any

from ninja import Router

from afterlaunch.estate.actions import system_by_id
from afterlaunch.look.requests import Request
from afterlaunch.predictions import views

router = Router(tags=["drift"])


@router.get("/systems/{system_id}/drift")
def drift(request: Request, system_id: int, environment: str | None = None, hours: int = 24) -> dict[str, Any]:
    """The references in force and the last judged hours of every model version, feature by feature. `not_assessed` is
    an answer of its own, never ok."""
    system = system_by_id(request.actor, system_id)
    return views.document(system, environment, max(1, min(hours, 168)))
