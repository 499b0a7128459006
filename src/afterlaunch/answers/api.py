"""What answers look like, over REST."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from ninja import Router, Schema

from afterlaunch.answers import references, views
from afterlaunch.estate.actions import system_by_id
from afterlaunch.ground.errors import Invalid
from afterlaunch.look.requests import Request

router = Router(tags=["drift"])


class Period(Schema):
    """Whole hours with a zone."""

    start: datetime
    end: datetime


@router.get("/systems/{system_id}/answers")
def answers(request: Request, system_id: int, environment: str | None = None) -> dict[str, Any]:
    """Descriptors of what models answered (length, language, form, refusals, …) against the reference in force: the
    whole and every slice. `not_assessed` is an answer of its own, never ok."""
    return views.document(system_by_id(request.actor, system_id), environment)


@router.post("/systems/{system_id}/answers/reference")
def choose(request: Request, system_id: int, period: Period, environment: str = "prod") -> dict[str, Any]:
    """A period whose answers later ones are compared with."""
    system = system_by_id(request.actor, system_id)
    if period.start.tzinfo is None or period.end.tzinfo is None:
        raise Invalid("A period has a zone.", "For example 2026-03-01T00:00:00Z")
    return views.reference_document(references.choose(request.actor, system, environment, period.start, period.end))
