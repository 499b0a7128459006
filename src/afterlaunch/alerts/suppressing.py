"""Ask the rules of alerts that fire, and write what altered."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from afterlaunch.alerts.models import Alert
from afterlaunch.alerts.occurring import ALERTS, happens
from afterlaunch.alerts.suppression import Rules, Suppression, mark
from afterlaunch.incidents.actions import timeline


def suppress(rules: Rules, firing: Sequence[Alert], now: datetime) -> list[Suppression]:
    """Ask the rules of every firing alert; write what altered. Returns what suppresses, one for each alert that is."""
    found, altered = [], []
    for alert in firing:
        by = rules.of(alert)
        if by is not None:
            found.append(by)
            _list_inhibited(alert, by, now)
        if mark(alert, by, now):
            altered.append(alert)
    Alert.objects.bulk_update(altered, ("suppressed_as", "suppressed_by", "loud_at"), batch_size=400)
    quiet = [one for one in altered if one.suppressed_as]
    for by_text in dict.fromkeys(one.suppressed_by for one in quiet):
        happens([one for one in quiet if one.suppressed_by == by_text], "suppressed", f"By {by_text}.", now)
    happens([one for one in altered if not one.suppressed_as], "loud", "Nothing suppresses it any more.", now)
    return found


def _list_inhibited(alert: Alert, by: Suppression, now: datetime) -> None:
    """A P1 that is kept quiet is listed, once, on the incident of what keeps it so."""
    incident = by.source.incident if by.source is not None else None
    if alert.severity != "P1" or incident is None or incident.status != "open":
        return
    if not alert.occurrences.filter(kind="listed", text=f"On incident {incident.pk}.").exists():
        text = f"This keeps a P1 quiet: {alert.name} of {alert.system}, {alert.environment}. {alert.explanation}"
        timeline(ALERTS, incident, "alert.inhibited", text, {"alert": alert.pk})
        happens([alert], "listed", f"On incident {incident.pk}.", now)
