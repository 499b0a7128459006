"""What ends by itself: alerts that were not told again in time, and those held open that have been quiet."""

from __future__ import annotations

from datetime import datetime

from django.db import transaction

from afterlaunch.alerts.models import Alert, Occurrence
from afterlaunch.alerts.occurring import due, happens
from afterlaunch.alerts.told import FLAP_WINDOW


def expire(now: datetime) -> None:
    """Firing alerts that were not told again in time end, named so: nobody said that they recovered."""
    late = Alert.objects.filter(resolved_at=None, expires_at__lte=now).order_by("pk")
    for alert in list(late[:2000]):
        with transaction.atomic():
            won = Alert.objects.filter(pk=alert.pk, resolved_at=None, expires_at=alert.expires_at).update(
                resolved_at=now, ended_because="expired"
            )
            if won:
                text = "It was not told again in time; nobody said that it recovered."
                happens([alert], "expired", text, now)
                due(alert.group_id, now)


def calm(now: datetime) -> None:
    """What was held open because it flapped is let go after a quiet while."""
    since = now - FLAP_WINDOW
    for alert in list(Alert.objects.filter(resolved_at=None, flapping_since__lte=since).order_by("pk")[:2000]):
        moves = Occurrence.objects.filter(fingerprint=alert.fingerprint, kind__in=("firing", "resolved"), at__gt=since)
        if moves.exists():
            continue
        with transaction.atomic():
            over = alert.told_resolved_at is not None
            values = {"resolved_at": now, "ended_because": "resolved"} if over else {}
            rows = Alert.objects.filter(pk=alert.pk, resolved_at=None, flapping_since=alert.flapping_since)
            if rows.update(flapping_since=None, told_resolved_at=None, **values):
                happens([alert], "calm", "Quiet for 15 min: it is over." if over else "Quiet for 15 min.", now)
                due(alert.group_id, now)
