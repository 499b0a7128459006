"""What every deed on an incident begins and ends with."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from afterlaunch.evidence.log import record
from afterlaunch.ground.actors import Actor, Role
from afterlaunch.ground.errors import Conflict
from afterlaunch.incidents import news
from afterlaunch.incidents.models import Incident


def locked(actor: Actor, incident: Incident, role: Role = Role.RESPONDER) -> Incident:
    """The incident's row, held until the deed is done; permission asked."""
    rows = Incident.objects.select_for_update(of=("self",), no_key=True).select_related(
        "system__client", "system__owner"
    )
    fresh = rows.get(pk=incident.pk)
    actor.require(role, fresh.system.client.slug)
    return fresh


def require_open(incident: Incident) -> None:
    if incident.status != "open":
        raise Conflict(f"Incident {incident.pk} is resolved.", "Read it again.")


def tell(actor: Actor, incident: Incident, deed: str, details: Mapping[str, Any] | None = None) -> None:
    """Evidence of the deed, and news to the client's channels, in its transaction."""
    entry = record(actor, deed, incident.topic, incident.system.client.slug, details)
    news.tell(actor, incident, deed, entry.index, details or {})
