"""Which rule keeps a firing alert from paging now. Asked again at every telling, so that nothing stays quiet longer
than its rule lasts. In order: maintenance, inhibition, silence; the first that applies is named."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property

from afterlaunch.alerts import matchers
from afterlaunch.alerts.models import Alert, Silence


@dataclass(frozen=True)
class Suppression:
    """`kind`: maintenance, inhibited or silence. `ends_at` None: nobody knows when it ends."""

    kind: str
    by: str
    ends_at: datetime | None


def labels_of(alert: Alert) -> dict[str, str]:
    """What rules are matched against: the labels as told, and what we know beside them under names that they left."""
    system = alert.system
    known = {
        "alertname": alert.name,
        "client": system.client.slug,
        "system": system.key,
        "environment": alert.environment,
        "source": alert.source,
        "severity": alert.severity,
    }
    return {**known, **alert.labels}


class Rules:
    """What is in force at `now` for a client: read once, asked for any number of alerts."""

    def __init__(self, client: str, now: datetime) -> None:
        self._client, self._now = client, now

    @cached_property
    def _silences(self) -> list[tuple[Silence, list[matchers.Matcher]]]:
        rows = Silence.objects.filter(client=self._client, starts_at__lte=self._now, ends_at__gt=self._now)
        return [(row, matchers.from_rows(row.matchers)) for row in rows]

    def of(self, alert: Alert) -> Suppression | None:
        """Why this firing alert pages nobody now."""
        return self._silenced(alert)

    def _silenced(self, alert: Alert) -> Suppression | None:
        labels = labels_of(alert)
        for row, wanted in self._silences:
            if silences(wanted, labels, alert.severity):
                return Suppression("silence", f"silence {row.pk} of {row.author}", row.ends_at)
        return None


def silences(wanted: list[matchers.Matcher], labels: dict[str, str], severity: str) -> bool:
    """A security alert of P1 is silenced only by a matcher that names it."""
    if not matchers.all_match(wanted, labels):
        return False
    return not (severity == "P1" and is_security(labels)) or matchers.equals(wanted, "alertname") != ""


def is_security(labels: dict[str, str]) -> bool:
    named = (labels.get(name, "").lower() for name in ("security", "category", "type", "kind"))
    return any(value in ("security", "true", "yes", "1") for value in named)


def mark(alert: Alert, found: Suppression | None, now: datetime) -> bool:
    """Write on the alert what suppresses it; True when that has altered."""
    kind, by = (found.kind, found.by[:200]) if found else ("", "")
    if (alert.suppressed_as, alert.suppressed_by) == (kind, by):
        return False
    if alert.suppressed_as and not kind:
        alert.loud_at = now
    alert.suppressed_as, alert.suppressed_by = kind, by
    return True


def ends_first(found: Iterable[Suppression]) -> datetime | None:
    return min((one.ends_at for one in found if one.ends_at is not None), default=None)
