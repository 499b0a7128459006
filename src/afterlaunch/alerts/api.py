from __future__ import annotations

from datetime import datetime
from typing import Any

from ninja import Router, Schema, Status

from afterlaunch.accounts.actions import client_by_slug
from afterlaunch.alerts import silences
from afterlaunch.alerts.actions import SCOPE, alert_by_id, alerts_seen_by, end_alert
from afterlaunch.alerts.matchers import equals, from_rows, parse, written
from afterlaunch.alerts.models import Alert, Silence
from afterlaunch.estate.actions import systems_seen_by
from afterlaunch.ground import clock
from afterlaunch.ground.errors import Conflict, NotFound
from afterlaunch.look.requests import Request

router = Router(tags=["alerts"])


class SilenceIn(Schema):
    """`system` is the key that telemetry names; `client` tells two systems of one key apart. Empty means any.
    `matchers` narrows further, or stands alone with the client: `{alertname="Down", instance=~"db-.*"}`."""

    until: datetime
    reason: str
    system: str = ""
    client: str = ""
    matchers: str = ""
    environment: str = ""
    judge: str = ""
    route: str = ""
    arm: str = ""


class EndIn(Schema):
    reason: str


def _silence(row: Silence) -> dict[str, Any]:
    wanted = from_rows(row.matchers)
    return {
        "id": row.pk,
        "client": row.client,
        "system": equals(wanted, "system") or None,
        **{name: equals(wanted, label) or None for name, label in silences.NARROWING.items()},
        "matchers": written(wanted),
        "from": row.starts_at,
        "until": row.ends_at,
        "active": silences.state_of(row, clock.now()) == "active",
        "by": row.author,
        "reason": row.comment,
        "ended_by": row.ended_by or None,
    }


def as_document(row: Alert) -> dict[str, Any]:
    verdict = row.verdict
    scope = {name: (getattr(verdict, name) or None) if verdict else None for name in SCOPE}
    return {
        "id": row.pk,
        "name": row.name,
        "source": row.source,
        "integration": row.integration.name if row.integration else None,
        "judge": verdict.judge if verdict else None,
        "client": row.system.client.slug,
        "system": row.system.key,
        "environment": row.environment or None,
        **scope,
        "labels": row.labels,
        "annotations": row.annotations,
        "fingerprint": row.fingerprint,
        "severity": row.severity or None,
        "explanation": row.explanation,
        "url": row.url or None,
        "started_at": row.started_at,
        "fired_at": row.fired_at,
        "told": row.told,
        "told_at": row.told_at,
        "expires_at": row.expires_at,
        "ended_at": row.resolved_at,
        "ended_because": row.ended_because or None,
        "flapping_since": row.flapping_since,
        "no_data_since": row.silent_since,
        "suppressed_as": row.suppressed_as or None,
        "silenced_by": row.suppressed_by or None,
        "incident": row.incident_id,
    }


@router.get("/silences")
def list_silences(request: Request, active: bool | None = None, limit: int = 100, cursor: int | None = None) -> Any:
    """Silences, the newest first; `active` narrows to those in force, or to those that have ended."""
    limit, now = max(1, min(limit, 500)), clock.now()
    rows = silences.silences_seen_by(request.actor).order_by("-pk")
    if active is not None:
        rows = rows.filter(ends_at__gt=now) if active else rows.filter(ends_at__lte=now)
    found = list((rows.filter(pk__lt=cursor) if cursor is not None else rows)[: limit + 1])
    more = found[limit - 1].pk if len(found) > limit else None
    return {"silences": [_silence(row) for row in found[:limit]], "cursor": more}


@router.post("/silences", response={201: Any})
def make_silence(request: Request, body: SilenceIn) -> Any:
    """Nobody is paged for what it names, until then. The alerts are recorded all the same."""
    actor = request.actor
    narrowing = {"environment": body.environment, "judge": body.judge, "route": body.route, "arm": body.arm}
    wanted = [*silences.narrowed(body.system, **narrowing), *(parse(body.matchers) if body.matchers else [])]
    client = _system_client(request, body) if body.system else client_by_slug(actor, body.client).slug
    return Status(201, _silence(silences.silence_matching(actor, client, wanted, body.until, body.reason)))


def _system_client(request: Request, body: SilenceIn) -> str:
    rows = systems_seen_by(request.actor).filter(key=body.system)
    found = list((rows.filter(client__slug=body.client) if body.client else rows)[:2])
    if not found:
        raise NotFound(f"There is no system {body.system!r}.")
    if len(found) > 1:
        raise Conflict(f"Several clients have a system {body.system!r}.", "Name the client.")
    return found[0].client.slug


@router.post("/silences/{silence_id}/end")
def end_silence(request: Request, silence_id: int) -> Any:
    """From now on it is loud again."""
    return _silence(silences.end_silence(request.actor, silences.silence_by_id(request.actor, silence_id)))


@router.get("/alerts")
def list_alerts(request: Request, firing: bool | None = None, limit: int = 100, cursor: int | None = None) -> Any:
    """Alerts, the newest first. `no_data_since`: its scope went silent, so nobody knows whether it is well again."""
    limit = max(1, min(limit, 500))
    rows = alerts_seen_by(request.actor).order_by("-pk")
    if firing is not None:
        rows = rows.filter(resolved_at__isnull=firing)
    found = list((rows.filter(pk__lt=cursor) if cursor is not None else rows)[: limit + 1])
    more = found[limit - 1].pk if len(found) > limit else None
    return {"alerts": [as_document(row) for row in found[:limit]], "cursor": more}


@router.post("/alerts/{alert_id}/end")
def end_one_alert(request: Request, alert_id: int, body: EndIn) -> Any:
    """A person ends an alert whose scope tells nothing any more. Not while it is in breach."""
    return as_document(end_alert(request.actor, alert_by_id(request.actor, alert_id), body.reason))
