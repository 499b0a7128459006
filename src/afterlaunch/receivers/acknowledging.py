"""An acknowledgement that another tool tells: paging stops. It meets the response clock only where the integration is
marked as relaying a person."""

from __future__ import annotations

from django.db import transaction

from afterlaunch.alerts.models import Alert, Integration, Occurrence
from afterlaunch.ground import clock
from afterlaunch.ground.actors import Actor, Held, Role
from afterlaunch.incidents import actions as incidents
from afterlaunch.oncall import escalation


@transaction.atomic
def acknowledge(integration: Integration, fingerprint: str) -> str:
    """The named reason: unknown, waiting (its group was not told yet), done, relayed."""
    alert = Alert.objects.select_related("incident").filter(fingerprint=fingerprint, resolved_at=None).first()
    if alert is None:
        return "unknown"
    now = clock.now()
    said = f"Acknowledged through {integration.name}."
    Occurrence.objects.create(alert=alert, fingerprint=fingerprint, at=now, kind="acknowledged", text=said)
    incident = alert.incident
    if incident is None or incident.status != "open" or incident.acknowledged_at is not None:
        return "waiting"
    client = integration.client.slug
    actor = Actor("token", integration.name, (Held(Role.RESPONDER, client),))
    if integration.options.get("relaysPerson"):
        incidents.acknowledge(actor, incident, f" through {integration.name}")
        return "relayed"
    # exhausted with a reason: the auditor of paging leaves it so, and a graver severity begins it anew
    escalation.stop(incident.topic, "exhausted", "acknowledged_by_machine", now)
    text = f"{said} Paging stopped; a first response by a person is still awaited."
    incidents.timeline(actor, incident, "acknowledged by a tool", text, {"alert": alert.pk})
    return "done"
