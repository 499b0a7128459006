"""What is down becomes an alert, in the transaction that decided it; what is up again ends it. The room of alerts makes
the incident and its pages of that row, so that a crash in between loses nothing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from afterlaunch.alerts.fingerprints import fingerprint
from afterlaunch.alerts.intake import Incoming, take
from afterlaunch.alerts.models import Alert
from afterlaunch.estate.models import System
from afterlaunch.ground.actors import automation
from afterlaunch.incidents.actions import page_once_more
from afterlaunch.incidents.models import Incident

PROBING = automation("probes")
SOURCE = "probes"


@dataclass(frozen=True)
class Trouble:
    """What an alert is about. `key` is its identity in its system and environment: "heartbeat/3"; `since`: when it
    began, as far as we know."""

    system: System
    environment: str
    key: str
    name: str
    severity: str = "P2"
    summary: str = ""
    since: datetime | None = None
    labels: Mapping[str, str] = field(default_factory=dict)
    url: str = ""


def tell(trouble: Trouble, now: datetime) -> None:
    take(PROBING, [_incoming(trouble)], now)


def over(trouble: Trouble, now: datetime) -> None:
    """It is well again, or watched no more. Whoever works on the incident resolves it."""
    if _firing(trouble) is not None:
        take(PROBING, [_incoming(trouble, now)], now)


def again(trouble: Trouble, reason: str) -> None:
    """Where somebody acknowledged it and it is still down, whoever is on call is paged once more."""
    incident = incident_of(trouble)
    if incident is not None:
        page_once_more(PROBING, incident, reason)


def incident_of(trouble: Trouble) -> Incident | None:
    """Its open incident."""
    alert = _firing(trouble)
    found = alert.incident if alert is not None else None
    return found if found is not None and found.status == "open" else None


def _firing(trouble: Trouble) -> Alert | None:
    one = _incoming(trouble)
    mark = fingerprint(one.scope, one.labels, one.key)
    rows = Alert.objects.select_related("incident").filter(resolved_at=None, fingerprint=mark)
    return rows.first()


def _incoming(trouble: Trouble, ended: datetime | None = None) -> Incoming:
    return Incoming(
        system=trouble.system,
        environment=trouble.environment,
        name=trouble.name,
        source=SOURCE,
        status="firing" if ended is None else "resolved",
        severity=trouble.severity,
        labels=trouble.labels,
        summary=trouble.summary,
        starts_at=trouble.since,
        ends_at=ended,
        restarts=True,
        key=trouble.key,
        url=trouble.url,
    )
