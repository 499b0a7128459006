"""What happens to alerts, written down; and which groups are looked at because of it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from afterlaunch.alerts.models import Alert, Group, Occurrence
from afterlaunch.ground.actors import automation

ALERTS = automation("alerts")


def happens(alerts: Sequence[Alert], kind: str, text: str, now: datetime) -> None:
    Occurrence.objects.bulk_create(
        [Occurrence(alert=one, fingerprint=one.fingerprint, at=now, kind=kind, text=text[:500]) for one in alerts]
    )


def due(group: int | None, now: datetime) -> None:
    """Look at this group in the next pass."""
    if group is not None:
        Group.objects.filter(pk=group).update(next_at=now)
