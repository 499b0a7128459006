"""What a format told becomes alerts of its integration: system, environment and severity, then through the door.

The raw body and everything that came of it are one transaction, committed before the sender is answered.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from datetime import timedelta

from django.db import transaction
from django.db.models import F

from afterlaunch.alerts.intake import Incoming, Taken, take
from afterlaunch.alerts.models import Integration, RawEvent
from afterlaunch.estate.models import System
from afterlaunch.ground import clock
from afterlaunch.ground.errors import AfterlaunchError, Invalid
from afterlaunch.receivers.formats.severities import severity_of
from afterlaunch.receivers.formats.shape import Parsed, Told
from afterlaunch.receivers.keys import actor_of
from afterlaunch.receivers.models import Tally
from afterlaunch.receivers.wire import Request

NO_TELEMETRY = "P3"  # unless the integration says otherwise


def keep(
    integration: Integration, request: Request, state: str = "taken", error: str = "", alerts: int = 0
) -> RawEvent:
    """The body as it came, and the count of it."""
    now = clock.now()
    row = RawEvent.objects.create(
        integration=integration,
        received_at=now,
        path=request.path.split("/ali_")[0][:100],
        headers=request.kept_headers(),
        body=zlib.compress(request.body, 6),
        size=len(request.body),
        state=state,
        error=error[:5000],
        alerts=alerts,
    )
    fault = {"error": error[:5000], "error_at": now} if error else {}
    tally, _ = Tally.objects.get_or_create(integration=integration)
    Tally.objects.filter(pk=tally.pk).update(bodies=F("bodies") + 1, alerts=F("alerts") + alerts, last_at=now, **fault)
    return row


def body_of(row: RawEvent) -> bytes:
    return zlib.decompress(bytes(row.body))


def kept_unparsed(integration: Integration, request: Request, problem: AfterlaunchError) -> None:
    """It was authentic and could not be read: kept, so that somebody can look at it."""
    with transaction.atomic():
        keep(integration, request, "unparsed", problem.message)


@transaction.atomic
def land(integration: Integration, request: Request, parsed: Parsed) -> list[Taken]:
    """The good are taken even where neighbours are bad."""
    error = "; ".join(parsed.wrong)
    event = keep(integration, request, "unparsed" if error else "taken", error or parsed.note, len(parsed.alerts))
    return told(integration, parsed.alerts, event)


def told(integration: Integration, alerts: Sequence[Told], event: RawEvent | None) -> list[Taken]:
    now = clock.now()
    systems = _systems(integration, alerts)
    return take(actor_of(integration), [_incoming(integration, one, systems, event) for one in alerts], now)


def complaint(parsed: Parsed) -> Invalid | None:
    """What to tell a sender some of whose alerts were bad."""
    if not parsed.wrong:
        return None
    kept = f"{len(parsed.alerts)} alerts were taken" if len(parsed.alerts) != 1 else "1 alert was taken"
    return Invalid("; ".join(parsed.wrong[:20]), f"{kept}; mend the others. Do not send it again as it is.")


def _systems(integration: Integration, alerts: Sequence[Told]) -> dict[str, System]:
    """Systems of the integration's client by the key that a label names: one question for all."""
    label = integration.system_label
    named = {one.labels.get(label, "") for one in alerts} - {""} if label else set()
    if not named:
        return {}
    rows = System.objects.select_related("client", "owner").filter(
        client=integration.client, key__in=sorted(named)[:500]
    )
    return {row.key: row for row in rows}


def _incoming(integration: Integration, one: Told, systems: dict[str, System], event: RawEvent | None) -> Incoming:
    word = one.labels.get(integration.severity_label, one.severity) if integration.severity_label else one.severity
    severity = severity_of(word, integration.severities)
    if one.no_telemetry:
        severity = str(integration.options.get("noTelemetrySeverity", NO_TELEMETRY))
    expires_at = one.expires_at
    if expires_at is None and integration.expires_after and one.status == "firing":
        expires_at = clock.now() + timedelta(seconds=integration.expires_after)
    environment = one.labels.get(integration.environment_label, "") if integration.environment_label else ""
    return Incoming(
        system=systems.get(one.labels.get(integration.system_label, ""), integration.system),
        environment=(environment or integration.environment)[:60],
        name=one.name,
        source=integration.kind,
        status=one.status,
        severity=severity,
        labels=one.labels,
        annotations=one.annotations,
        summary=one.summary,
        starts_at=one.starts_at,
        ends_at=one.ends_at,
        expires_at=expires_at,
        restarts=one.restarts,
        key=one.key,
        url=one.url,
        integration=integration,
        event=event.pk if event else None,
    )
