from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

from django.db.models import QuerySet
from ninja import Query, Router

from afterlaunch.ground.actors import Actor
from afterlaunch.ground.errors import Invalid
from afterlaunch.look.requests import Request
from afterlaunch.verdicts.models import Verdict, VerdictChange

router = Router(tags=["verdicts"])


def verdicts_seen_by(actor: Actor) -> QuerySet[Verdict]:
    seen = actor.sees()
    return Verdict.objects.all() if seen is None else Verdict.objects.filter(client__in=seen)


def as_document(verdict: Verdict) -> dict[str, Any]:
    scope = {name: getattr(verdict, name) or None for name in ("route", "arm", "provider", "host")}
    return {
        "id": verdict.pk,
        "judge": verdict.judge,
        "client": verdict.client,
        "system": verdict.system,
        "environment": verdict.environment,
        **scope,
        "status": verdict.status,
        "reason": verdict.reason,
        "explanation": verdict.explanation,
        "value": verdict.value,
        "threshold": verdict.threshold,
        "unit": verdict.unit,
        "count": verdict.count,
        "evidence": verdict.evidence,
        "since": verdict.since,
        "assessed_at": verdict.assessed_at,
    }


@router.get("/verdicts")
def list_verdicts(
    request: Request,
    system: str | None = None,
    environment: str | None = None,
    status: str | None = None,
    limit: int = 200,
    cursor: int = 0,
) -> dict[str, Any]:
    """The latest verdict of each judge on each scope. `not_assessed` is an answer of its own, never ok."""
    limit = max(1, min(limit, 1000))
    wanted = {"system": system, "environment": environment, "status": status}
    rows = verdicts_seen_by(request.actor).filter(pk__gt=cursor, **{k: v for k, v in wanted.items() if v})
    found = list(rows.order_by("pk")[: limit + 1])
    more = found[limit - 1].pk if len(found) > limit else None
    return {"verdicts": [as_document(row) for row in found[:limit]], "cursor": more}


@router.get("/verdicts/history")
def verdict_history(
    request: Request,
    client: str | None = None,
    system: str | None = None,
    environment: str | None = None,
    judge: str | None = None,
    start: Annotated[datetime | None, Query(alias="from")] = None,
    end: Annotated[datetime | None, Query(alias="to")] = None,
    limit: int = 200,
    cursor: int = 0,
) -> dict[str, Any]:
    """Every change of a verdict's status, oldest first; a status holds until the next change of the same verdict."""
    if any(instant is not None and instant.tzinfo is None for instant in (start, end)):
        raise Invalid("Times need a zone.", "For example 2026-03-01T00:00:00Z")
    limit = max(1, min(limit, 1000))
    wanted = {"client": client, "system": system, "environment": environment, "judge": judge}
    verdicts = verdicts_seen_by(request.actor).filter(**{k: v for k, v in wanted.items() if v})
    rows = VerdictChange.objects.filter(verdict__in=verdicts, pk__gt=cursor).select_related("verdict")
    rows = rows.filter(at__gte=start) if start else rows
    rows = rows.filter(at__lt=end) if end else rows
    found = list(rows.order_by("pk")[: limit + 1])
    more = found[limit - 1].pk if len(found) > limit else None
    names = ("judge", "client", "system", "environment", "route", "arm", "provider", "host")
    return {
        "changes": [
            {name: getattr(row.verdict, name) or None for name in names}
            | {"at": row.at, "before": row.before or None, "after": row.after, "explanation": row.explanation}
            for row in found[:limit]
        ],
        "cursor": more,
    }
