"""What pages and a client's channels are told of an incident, in the transaction of the deed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from afterlaunch.ground import clock
from afterlaunch.ground.actors import Actor
from afterlaunch.incidents.models import Incident
from afterlaunch.notify.channels import announce
from afterlaunch.notify.outbox import Notice

TYPES = {
    "incident.opened": "incident.opened",
    "incident.acknowledged": "incident.acknowledged",
    "incident.severity_changed": "incident.severity_changed",
    "incident.contained": "incident.contained",
    "incident.resolved": "incident.resolved",
    "incident.false_alarm": "incident.resolved",
    "incident.reopened": "incident.reopened",
    "incident.closed": "incident.closed",
    "clock.breached": "clock.breached",
}
OPENING = ("incident.opened", "incident.reopened")
WORDS = {
    "incident.acknowledged": "Acknowledged by {who}.",
    "incident.severity_changed": "Severity {before} → {after}, by {who}.",
    "incident.contained": "Contained: the measurements confirm it.",
    "incident.resolved": "Resolved by {who}.",
    "incident.false_alarm": "Closed as a false alarm by {who}.",
    "incident.reopened": "Reopened: {reason}",
    "incident.closed": "Closed.",
    "clock.breached": "The first response is late.",
}


def page_facts(incident: Incident) -> dict[str, Any]:
    """What a page says: identity, no evidence and no customer data."""
    return {
        "type": "incident.opened",
        "incident": incident.pk,
        "title": incident.title,
        "severity": incident.severity,
        "system": str(incident.system),
        "environment": incident.environment,
        "summary": incident.summary,
        "lines": [
            *([incident.summary] if incident.summary else []),
            f"System {incident.system}, {incident.environment or 'all environments'}",
            f"Detected {incident.detected_at:%Y-%m-%d %H:%M} UTC",
        ],
        "path": f"/incidents/{incident.pk}",
        "detected_at": incident.detected_at.isoformat(),
    }


def tell(
    actor: Actor,
    incident: Incident,
    deed: str,
    number: int,
    details: Mapping[str, Any],
) -> None:
    """`number` tells deeds apart (their evidence's index)."""
    if deed not in TYPES:
        return
    said = WORDS.get(deed, "").format_map({"before": "", "after": "", "reason": "", **details, "who": actor.name})
    told = {
        **page_facts(incident),
        "type": TYPES[deed],
        "said": said,
        "system_key": incident.system.key,
        "data": {
            "incident": incident.pk,
            "system": incident.system.key,
            "environment": incident.environment,
            "status": incident.status,
            "phase": incident.phase,
            "outcome": incident.outcome,
            "actor": actor.name,
            "actor_kind": actor.kind,
            "acknowledged_by": incident.acknowledged_by,
            "contained": incident.contained_at is not None,
        },
    }
    purpose = "page" if deed in OPENING else "status"
    client = incident.system.client.slug
    announce(client, Notice(incident.topic, f"n{number}", client, told, purpose), clock.now())
