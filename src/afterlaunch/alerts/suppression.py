"""Which rule keeps a firing alert from paging now. Asked again at every telling, so that nothing stays quiet longer
than its rule lasts. In order: maintenance, inhibition, silence; the first that applies is named."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property

from afterlaunch.alerts import matchers
from afterlaunch.alerts.inhibition import Inhibitor, Rule
from afterlaunch.alerts.models import Alert, InhibitRule, MaintenanceWindow, Silence
from afterlaunch.alerts.rules import GRAVEST
from afterlaunch.estate.dependencies import edges_of, reached


@dataclass(frozen=True)
class Suppression:
    """`kind`: maintenance, inhibited or silence. `ends_at` None: nobody knows when it ends. `source`: the alert that
    inhibits."""

    kind: str
    by: str
    ends_at: datetime | None = None
    source: Alert | None = None


def labels_of(alert: Alert) -> dict[str, str]:
    """What rules are matched against: the labels as told, what we know beside them under names that they left, and
    `priority`: P1 to P3, whatever words the sender has for it."""
    system = alert.system
    known = {
        "alertname": alert.name,
        "client": system.client.slug,
        "system": system.key,
        "environment": alert.environment,
        "source": alert.source,
        "severity": alert.severity,
    }
    return {**known, **alert.labels, "priority": alert.severity}


class Rules:
    """What is in force at `now` for a client: read once, asked for any number of alerts."""

    def __init__(self, client: str, now: datetime) -> None:
        self._client, self._now = client, now

    @cached_property
    def _silences(self) -> list[tuple[Silence, list[matchers.Matcher]]]:
        rows = Silence.objects.filter(client=self._client, starts_at__lte=self._now, ends_at__gt=self._now)
        return [(row, matchers.from_rows(row.matchers)) for row in rows.order_by("pk")]

    @cached_property
    def silence_begins_at(self) -> datetime | None:
        """When the next silence that waits will be in force."""
        waiting = Silence.objects.filter(client=self._client, starts_at__gt=self._now, ends_at__gt=self._now)
        return waiting.order_by("starts_at").values_list("starts_at", flat=True).first()

    @cached_property
    def _windows(self) -> list[tuple[MaintenanceWindow, list[matchers.Matcher]]]:
        rows = MaintenanceWindow.objects.filter(
            client__slug=self._client, removed_at=None, running_since__lte=self._now, running_until__gt=self._now
        )
        return [(row, matchers.from_rows(row.matchers)) for row in rows.order_by("pk")]

    @cached_property
    def _firing(self) -> dict[int, Alert]:
        rows = Alert.objects.filter(system__client__slug=self._client, resolved_at=None)
        return {row.pk: row for row in rows.select_related("system__client", "incident").order_by("pk")}

    @cached_property
    def _inhibitors(self) -> list[Inhibitor]:
        rows = InhibitRule.objects.filter(client__slug=self._client).order_by("pk")
        rules = [
            Rule(row.name, matchers.from_rows(row.source), matchers.from_rows(row.target), row.equal) for row in rows
        ]
        firing = [(pk, labels_of(one)) for pk, one in self._firing.items()] if rules else []
        return [Inhibitor(rule, firing) for rule in rules]

    @cached_property
    def _needs(self) -> dict[int, set[int]]:
        edges = edges_of(self._client, inhibiting=True)
        return {system: reached(system, edges) for system in edges}

    @cached_property
    def _by_place(self) -> dict[tuple[int, str], list[Alert]]:
        found: dict[tuple[int, str], list[Alert]] = {}
        for one in self._firing.values() if self._needs else ():
            if one.severity in ("P1", "P2"):
                found.setdefault((one.system_id, one.environment), []).append(one)
        return found

    def of(self, alert: Alert) -> Suppression | None:
        """Why this firing alert pages nobody now."""
        labels = labels_of(alert)
        return self._maintained(labels) or self._inhibited(alert, labels) or self._silenced(alert, labels)

    def _maintained(self, labels: dict[str, str]) -> Suppression | None:
        for row, wanted in self._windows:
            if matchers.all_match(wanted, labels):
                return Suppression("maintenance", f"maintenance window {row.name}", row.running_until)
        return None

    def _inhibited(self, alert: Alert, labels: dict[str, str]) -> Suppression | None:
        for one in self._inhibitors:
            found = one.source_of(alert.pk, labels)
            if found is not None:
                source = self._firing[found]
                return Suppression("inhibited", f"rule {one.rule.name}: alert {found} {source.name}", source=source)
        return self._inhibited_by_need(alert)

    def _inhibited_by_need(self, alert: Alert) -> Suppression | None:
        """A system that this one needs fires, at least as gravely."""
        for system in sorted(self._needs.get(alert.system_id, ())):
            for source in self._by_place.get((system, alert.environment), ()):
                if GRAVEST.index(source.severity) <= GRAVEST.index(alert.severity):
                    by = f"{alert.system} needs {source.system}: alert {source.pk} {source.name}"
                    return Suppression("inhibited", by, source=source)
        return None

    def _silenced(self, alert: Alert, labels: dict[str, str]) -> Suppression | None:
        for row, wanted in self._silences:
            if silences(wanted, labels, alert.severity):
                return Suppression("silence", f"silence {row.pk} of {row.author}", row.ends_at)
        return None


class AllRules:
    """Of every client that is asked for, in one pass."""

    def __init__(self, now: datetime) -> None:
        self._now, self._known = now, dict[str, Rules]()

    def of(self, client: str) -> Rules:
        return self._known.setdefault(client, Rules(client, self._now))


def silences(wanted: list[matchers.Matcher], labels: dict[str, str], severity: str) -> bool:
    """A security alert of P1 is silenced only by a matcher that names it."""
    if not matchers.all_match(wanted, labels):
        return False
    return not (severity == "P1" and is_security(labels)) or matchers.equals(wanted, "alertname") != ""


def is_security(labels: dict[str, str]) -> bool:
    named = (labels.get(name, "").lower() for name in ("category", "type", "kind"))
    return "security" in named or labels.get("security", "").lower() in ("true", "yes", "1")


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
