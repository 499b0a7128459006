"""Recommendations over REST. Money is decimal strings of USD in 30 days."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from ninja import Router, Schema
from pydantic import Field

from afterlaunch.accounts.actions import client_by_slug
from afterlaunch.look.requests import Request
from afterlaunch.savings import shadows, watching
from afterlaunch.savings.actions import by_id, decide, go_live, say_terms, seen_by, terms_of
from afterlaunch.savings.facts import Terms
from afterlaunch.savings.models import RouteTerms
from afterlaunch.savings.pages import candidates
from afterlaunch.savings.words import as_document

router = Router(tags=["savings"])


class Decision(Schema):
    reason: str = ""


class ShadowIn(Schema):
    """`percent` of the route's calls; `usd_a_day`: what the shadow may cost. Trials without copies need none of
    it."""

    upstream: str = ""
    usd_a_day: float = 0.0
    percent: float = shadows.SHARE


class Live(Schema):
    at: datetime | None = None


class TermsIn(Schema):
    """Of one route (`system` and `route` as telemetry tells them). `metric` and `minimum`: the accuracy bar; `margin`:
    how much worse than the model in use; `candidates`: models to try, as provider/model."""

    system: str = ""
    route: str = ""
    metric: str = ""
    minimum: float | None = None
    margin: float = 0.0
    patience_hours: float | None = None
    freshness_minutes: int | None = None
    candidates: list[str] = Field(default_factory=list)


@router.get("/savings")
def list_savings(
    request: Request, client: str | None = None, state: str | None = None, limit: int = 100, cursor: int = 0
) -> dict[str, Any]:
    """By id. States: projected, not_assessed, rejected, accepted, in_shadow, verified, realised, refuted, declined,
    gone. Savings of one place overlap; never add them up."""
    limit = max(1, min(limit, 500))
    rows = seen_by(request.actor).filter(pk__gt=cursor)
    rows = rows.filter(client__slug=client) if client else rows
    rows = rows.filter(state=state) if state else rows
    found = list(rows.order_by("pk")[: limit + 1])
    more = found[limit - 1].pk if len(found) > limit else None
    return {"savings": [as_document(row) for row in found[:limit]], "cursor": more}


@router.get("/savings/{pk}")
def show_saving(request: Request, pk: int) -> dict[str, Any]:
    return as_document(by_id(request.actor, pk))


@router.post("/savings/{pk}/accept")
def accept_saving(request: Request, pk: int, body: Decision) -> dict[str, Any]:
    """From now on what it saves is measured."""
    return as_document(decide(request.actor, by_id(request.actor, pk), True, body.reason))


@router.post("/savings/{pk}/shadow")
def shadow_saving(request: Request, pk: int, body: ShadowIn) -> dict[str, Any]:
    """Accept it and try it: on copies of a share of its route's calls, for nobody. Repeated questions, failed attempts
    and batches need no copies and no body: what they would have saved on the calls as they are is added up."""
    row = by_id(request.actor, pk)
    if watching.watch_of(row) is not None:
        return as_document(watching.start(request.actor, row))
    return as_document(shadows.start(request.actor, row, body.upstream, body.percent, body.usd_a_day))


@router.post("/savings/{pk}/shadow/stop")
def end_shadow(request: Request, pk: int) -> dict[str, Any]:
    """What was measured stays."""
    row = by_id(request.actor, pk)
    return as_document((watching if watching.watch_of(row) is not None else shadows).stop(request.actor, row))


@router.post("/savings/{pk}/decline")
def decline_saving(request: Request, pk: int, body: Decision) -> dict[str, Any]:
    """`reason` is needed; the report repeats it."""
    return as_document(decide(request.actor, by_id(request.actor, pk), False, body.reason))


@router.post("/savings/{pk}/live")
def saving_is_live(request: Request, pk: int, body: Live) -> dict[str, Any]:
    """It is in production since `at` (now): the ledger before and after tells what it saved."""
    return as_document(go_live(request.actor, by_id(request.actor, pk), body.at))


@router.get("/clients/{slug}/route-terms")
def list_terms(request: Request, slug: str) -> dict[str, Any]:
    return {"terms": [_terms(row) for row in terms_of(client_by_slug(request.actor, slug))]}


@router.post("/clients/{slug}/route-terms")
def put_terms(request: Request, slug: str, body: TermsIn) -> dict[str, Any]:
    """Say what holds for the answers of one route; the newest saying counts."""
    client = client_by_slug(request.actor, slug)
    terms = Terms(
        body.metric,
        body.minimum,
        body.margin,
        body.patience_hours,
        body.freshness_minutes,
        candidates(",".join(body.candidates)),
    )
    return _terms(say_terms(request.actor, client, body.system, body.route, terms))


def _terms(row: RouteTerms) -> dict[str, Any]:
    return {
        "system": row.system,
        "route": row.route,
        "metric": row.metric,
        "minimum": row.minimum,
        "margin": row.margin,
        "patience_hours": row.patience_hours,
        "freshness_minutes": row.freshness_minutes,
        "candidates": [f"{provider}/{model}" for provider, model in row.candidates],
        "owner": row.owner,
        "said_at": row.said_at,
    }
