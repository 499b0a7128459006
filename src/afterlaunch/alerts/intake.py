"""The door through which alerts come that no judge of ours raised: of receivers, probes and heartbeats.

1. Normalise: labels without empty values, severity, fingerprint. 2. Compare with what is known of each fingerprint,
one question for all (`told`): opens, repeats, ends, comes too late. 3. Hold what flaps. 4. Put what opened into its
group and say when that is looked at (`grouping`). Nothing is paged here: `raising` does that from the rows, so that a
crash loses nothing and a burst of thousands costs few questions.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal, TypeVar

from django.db import IntegrityError, OperationalError, connection, transaction
from django.db.models import F, Q

from afterlaunch.alerts import told
from afterlaunch.alerts.fingerprints import cleaned, fingerprint, group_key, group_labels
from afterlaunch.alerts.grouping import next_look
from afterlaunch.alerts.models import Alert, Group, Integration, Occurrence
from afterlaunch.alerts.rules import GRAVEST
from afterlaunch.estate.models import System
from afterlaunch.ground.actors import Actor, Role
from afterlaunch.ground.errors import Invalid

CHUNK = 400
TRIES = 4
UNKNOWN_SEVERITY = "P2"
Item = TypeVar("Item")


@dataclass(frozen=True)
class Incoming:
    """One telling of one alert.

    `name`: what it is called. `severity`: P1 to P3, "" to keep it without an incident, None unknown: then it is P2
    and asks for triage. `starts_at`, `ends_at`: the teller's times, where it tells them; `restarts`: its start does
    not tell one firing from the next. `expires_at`: a firing alert ends then unless it is told again. `key`: the
    teller's own identity of it; else all labels are. `source`: the room or kind that tells. `event`: the id of the
    raw event. `kind`: a type of AI incident.
    """

    system: System
    environment: str
    name: str
    source: str
    status: Literal["firing", "resolved"] = "firing"
    severity: str | None = None
    labels: Mapping[str, str] = field(default_factory=dict)
    annotations: Mapping[str, str] = field(default_factory=dict)
    summary: str = ""
    starts_at: datetime | None = None
    ends_at: datetime | None = None
    expires_at: datetime | None = None
    restarts: bool = False
    key: str = ""
    url: str = ""
    kind: str = ""
    integration: Integration | None = None
    event: int | None = None

    @property
    def scope(self) -> str:
        if self.integration is not None:
            return f"integration/{self.integration.pk}"
        return f"{self.source}/{self.system.pk}/{self.environment}"


@dataclass(frozen=True)
class Taken:
    """What became of one telling: the alert that it is about, None where it is about none, and the named reason:
    opens, repeat, resolved, held, late_repeat, nothing_fires, older_than_firing."""

    alert: int | None
    reason: str


def take(actor: Actor, alerts: Sequence[Incoming], now: datetime) -> list[Taken]:
    """Store what is told, in one transaction, and let it be looked at when its group is due. Returns what became of
    each, in order. Raises Invalid, NotAllowed: then nothing is stored."""
    for client in {one.system.client.slug for one in alerts}:
        actor.require(Role.INGEST, client)
    for one in alerts:
        if one.severity not in (None, "", *GRAVEST):
            raise Invalid(f"{one.severity!r} is no severity.", "Use P1, P2 or P3.")
        if not one.name.strip():
            raise Invalid("An alert needs a name.")
    for left in reversed(range(TRIES)):
        try:
            with transaction.atomic():
                return _Batch(alerts, now).take()
        except (IntegrityError, OperationalError):
            # another process opened one of them, or looks at its group, at the same moment
            if not left or connection.vendor == "sqlite":
                raise
    raise AssertionError("unreachable")


class _Batch:
    """The tellings of one transaction, and what is known of their fingerprints."""

    def __init__(self, alerts: Sequence[Incoming], now: datetime) -> None:
        self.now = now
        self.pairs = [(fingerprint(one.scope, one.labels, one.key), one) for one in alerts]
        self.open: dict[str, Alert] = {}
        self.last: dict[str, Alert] = {}
        self.made: list[Alert] = []
        self.changed: dict[int, Alert] = {}
        self.repeats: Counter[int] = Counter()
        self.expiry: dict[int, datetime | None] = {}
        self.happened: list[tuple[Alert, Occurrence]] = []
        self.transitions: Counter[str] = Counter()

    def take(self) -> list[Taken]:
        self._look_up()
        found = [self._one(mark, one) for mark, one in self.pairs]
        self._group()
        Alert.objects.bulk_create(self.made, batch_size=CHUNK)
        self._write_changes()
        for alert, row in self.happened:
            row.alert = alert
        Occurrence.objects.bulk_create([row for _, row in self.happened], batch_size=CHUNK)
        return [Taken(alert.pk if alert else None, reason) for alert, reason in found]

    def _look_up(self) -> None:
        marks = list(dict.fromkeys(mark for mark, _ in self.pairs))
        for some in chunks(marks):
            rows = Alert.objects.filter(fingerprint__in=some)
            held = rows.filter(resolved_at=None).order_by("pk")
            if connection.features.has_select_for_update:
                held = held.select_for_update(of=("self",))
            self.open |= {row.fingerprint: row for row in held}
            over = rows.filter(resolved_at__gt=self.now - told.REMEMBERED).order_by("fired_at", "pk")
            self.last |= {row.fingerprint: row for row in over}
            lately = Occurrence.objects.filter(
                fingerprint__in=some, kind__in=("firing", "resolved"), at__gt=self.now - told.FLAP_WINDOW
            )
            self.transitions.update(lately.values_list("fingerprint", flat=True))

    def _one(self, mark: str, one: Incoming) -> tuple[Alert | None, str]:
        return self._firing(mark, one) if one.status == "firing" else self._resolved(mark, one)

    def _firing(self, mark: str, one: Incoming) -> tuple[Alert | None, str]:
        known = self.open.get(mark)
        before = known or self.last.get(mark)
        reason = told.firing(
            known is not None,
            before.started_at if before else None,
            before.ended_because if before else "",
            one.starts_at,
            one.restarts,
        )
        if known is not None:
            return known, self._again(known, one)
        if reason == "opens":
            return self._opens(mark, one), reason
        return before, reason

    def _opens(self, mark: str, one: Incoming) -> Alert:
        unknown = one.severity is None
        alert = Alert(
            system=one.system,
            environment=one.environment[:60],
            integration=one.integration,
            source=one.source,
            fingerprint=mark,
            name=one.name[:200],
            labels=cleaned(one.labels),
            annotations=dict(one.annotations),
            explanation=one.summary or one.name,
            severity=UNKNOWN_SEVERITY if one.severity is None else one.severity,
            severity_unknown=unknown,
            kind=one.kind[:60],
            url=one.url[:2000],
            started_at=one.starts_at or self.now,
            fired_at=self.now,
            told_at=self.now,
            expires_at=one.expires_at,
        )
        self.open[mark] = alert
        self.made.append(alert)
        self._happens(alert, "firing", one, one.summary)
        if told.flaps(self.transitions[mark]):
            self._hold(alert, one)
        return alert

    def _again(self, alert: Alert, one: Incoming) -> str:
        """It fires already: counted, its end moved; what it says now replaces what it said."""
        if alert.flapping_since is not None and alert.told_resolved_at is not None:
            alert.told_resolved_at = None
            self._happens(alert, "firing", one, "It came back while it is held open.")
            self._touch(alert)
        severity = alert.severity if one.severity is None else one.severity
        said = one.summary or alert.explanation
        if (severity, said) != (alert.severity, alert.explanation) or dict(one.annotations) != alert.annotations:
            if severity != alert.severity:
                text = f"{alert.severity or 'no severity'} → {severity or 'no severity'}"
                self._happens(alert, "severity", one, text)
                alert.severity, alert.severity_unknown = severity, False
            alert.explanation, alert.annotations = said, dict(one.annotations)
            self._touch(alert)
        alert.told += 1
        alert.expires_at = one.expires_at
        if alert.pk is not None:
            self.repeats[alert.pk] += 1
            self.expiry[alert.pk] = one.expires_at
        return "repeat"

    def _resolved(self, mark: str, one: Incoming) -> tuple[Alert | None, str]:
        alert = self.open.get(mark)
        reason = told.resolved(alert is not None, alert.started_at if alert else None, one.ends_at)
        if alert is None or reason != "resolved":
            return alert or self.last.get(mark), reason
        if alert.told_resolved_at is not None:
            return alert, "held"
        self._happens(alert, "resolved", one, one.summary)
        self._touch(alert)
        if alert.flapping_since is not None or told.flaps(self.transitions[mark]):
            alert.told_resolved_at = self.now
            self._hold(alert, one)
            return alert, "held"
        alert.resolved_at, alert.ended_because = self.now, "resolved"
        self.last[mark] = self.open.pop(mark)
        return alert, reason

    def _hold(self, alert: Alert, one: Incoming) -> None:
        if alert.flapping_since is None:
            alert.flapping_since = self.now
            minutes = int(told.FLAP_WINDOW.total_seconds() // 60)
            self._happens(alert, "flapping", one, f"It came and went more than {told.FLAPS} times in {minutes} min.")

    def _happens(self, alert: Alert, kind: str, one: Incoming, text: str) -> None:
        row = Occurrence(fingerprint=alert.fingerprint, at=self.now, kind=kind, text=text[:500], event_id=one.event)
        self.happened.append((alert, row))
        if kind in ("firing", "resolved"):
            self.transitions[alert.fingerprint] += 1

    def _touch(self, alert: Alert) -> None:
        if alert.pk is not None:
            self.changed[alert.pk] = alert

    def _group(self) -> None:
        """Put what opened into its group; say when each group with something new is looked at."""
        by_mark = dict(self.pairs)
        keys: dict[str, list[Alert]] = {}
        fresh: dict[str, Group] = {}
        for alert in self.made:
            one = by_mark[alert.fingerprint]
            key, row = _group_of(one, self.now)
            keys.setdefault(key, []).append(alert)
            fresh.setdefault(key, row)
        Group.objects.bulk_create(fresh.values(), batch_size=CHUNK, ignore_conflicts=True)
        groups = {
            row.key: row
            for some in chunks(list(fresh))
            for row in Group.objects.filter(key__in=some).select_related("integration")
        }
        anew = [row.pk for row in groups.values() if not row.sent_firing and row.created_at < self.now]
        for some in chunks(anew):
            Group.objects.filter(pk__in=some).update(created_at=self.now)
        due: dict[datetime, set[int]] = {}
        for key, alerts in keys.items():
            for alert in alerts:
                alert.group = groups[key]
            due.setdefault(self._look(groups[key], alerts), set()).add(groups[key].pk)
        for group, alerts in self._groups_changed():
            due.setdefault(self._look(group, alerts), set()).add(group.pk)
        for at, pks in due.items():
            for some in chunks(sorted(pks)):
                rows = Group.objects.filter(Q(next_at=None) | Q(next_at__gt=at), pk__in=some)
                rows.update(next_at=at)

    def _groups_changed(self) -> Iterable[tuple[Group, list[Alert]]]:
        of: dict[int, list[Alert]] = {}
        for alert in self.changed.values():
            if alert.group_id is not None:
                of.setdefault(alert.group_id, []).append(alert)
        for some in chunks(list(of)):
            for group in Group.objects.filter(pk__in=some).select_related("integration"):
                yield group, of[group.pk]

    def _look(self, group: Group, alerts: Sequence[Alert]) -> datetime:
        firing = [one.severity for one in alerts if one.severity and one.resolved_at is None]
        gravest = min(firing, key=GRAVEST.index, default="")
        wait, interval = WAITS if group.integration is None else waits_of(group.integration)
        return next_look(group.sent_at if group.sent_firing else None, gravest, wait, interval, self.now)

    def _write_changes(self) -> None:
        counted: dict[tuple[int, datetime | None], list[int]] = {}
        for pk, times in self.repeats.items():
            counted.setdefault((times, self.expiry[pk]), []).append(pk)
        for (times, expires_at), pks in counted.items():
            for some in chunks(pks):
                Alert.objects.filter(pk__in=some).update(
                    told=F("told") + times, told_at=self.now, expires_at=expires_at
                )
        fields = (
            "severity", "severity_unknown", "explanation", "annotations", "resolved_at", "ended_because",
            "flapping_since", "told_resolved_at",
        )  # fmt: skip
        Alert.objects.bulk_update(self.changed.values(), fields, batch_size=CHUNK)


WAITS = (0, 0)  # of alerts of our own: (group_wait, group_interval) in seconds


def waits_of(integration: Integration) -> tuple[int, int]:
    return integration.group_wait, integration.group_interval


def _group_of(one: Incoming, now: datetime) -> tuple[str, Group]:
    by = one.integration.group_by if one.integration is not None else ["alertname"]
    labels = {"alertname": one.name, **one.labels}
    place = (one.system.client.slug, one.system.key, one.environment)
    scope = f"integration/{one.integration.pk}" if one.integration is not None else one.source
    key = group_key(scope, place, labels, by)
    shown = group_labels(labels, by)
    row = Group(
        integration=one.integration,
        system=one.system,
        environment=one.environment[:60],
        source=one.source,
        key=key,
        labels=shown,
        created_at=now,
    )
    return key, row


def chunks(items: Sequence[Item]) -> Iterable[Sequence[Item]]:
    """At most CHUNK at a time: databases limit the variables of one statement."""
    return (items[at : at + CHUNK] for at in range(0, len(items), CHUNK))
