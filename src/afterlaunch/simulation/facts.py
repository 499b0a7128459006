"""What the product's database holds in the end."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property

from afterlaunch.alerts.models import Alert, Group, Occurrence
from afterlaunch.evidence.models import Entry
from afterlaunch.incidents.models import Incident, TimelineEntry
from afterlaunch.notify.models import Page
from afterlaunch.simulation.plan import Plan
from afterlaunch.simulation.providers import Delivery, Providers
from afterlaunch.simulation.world import Record
from afterlaunch.sla.models import Clock

BEGINS = ("detection", "reopened", "paged again", "severity")
ENDS = ("acknowledged", "resolved", "false_alarm", "duplicate")
QUIETLY = "Nobody is paged again yet."
GRAVER = {"P1": 3, "P2": 2, "P3": 1}


@dataclass(frozen=True)
class Segment:
    """Nobody has acknowledged over [start, end): the policy ran from its first step."""

    start: datetime
    end: datetime


@dataclass
class Facts:
    """`record` and `providers` are the world's own; all else is read from the product's rows."""

    plan: Plan
    record: Record
    providers: Providers

    @cached_property
    def incidents(self) -> dict[int, Incident]:
        return {row.pk: row for row in Incident.objects.select_related("system__client").order_by("pk")}

    @cached_property
    def timelines(self) -> dict[int, list[TimelineEntry]]:
        found: dict[int, list[TimelineEntry]] = defaultdict(list)
        for row in TimelineEntry.objects.order_by("incident_id", "sequence"):
            found[row.incident_id].append(row)
        return found

    @cached_property
    def clocks(self) -> list[Clock]:
        """Those of the first response."""
        return list(Clock.objects.filter(topic__startswith="incident/", kind="response").order_by("pk"))

    @cached_property
    def pages(self) -> list[Page]:
        """Those that page a person, in the order in which they were decided."""
        rows = Page.objects.filter(topic__startswith="incident/", purpose="page", person__isnull=False)
        return list(rows.select_related("person", "contact", "carrier").order_by("pk"))

    @cached_property
    def alerts(self) -> dict[int, Alert]:
        return {row.pk: row for row in Alert.objects.order_by("pk")}

    @cached_property
    def incidents_of_group(self) -> dict[int | None, list[int]]:
        """An alert that fires on after its incident ended moves to the next one of its group."""
        of: dict[str, list[int]] = defaultdict(list)
        for row in self.incidents.values():
            of[row.fingerprint].append(row.pk)
        return {pk: of[f"group/{key}"] for pk, key in Group.objects.values_list("pk", "key")}

    @cached_property
    def suppressed(self) -> set[int]:
        """Alerts of which it is recorded that a rule suppressed them."""
        rows = Occurrence.objects.filter(kind="suppressed").values_list("alert_id", flat=True)
        return set(rows) | {row.pk for row in self.alerts.values() if row.suppressed_as}

    @cached_property
    def deeds_in_evidence(self) -> set[tuple[str, str]]:
        return set(Entry.objects.values_list("deed", "subject"))

    def deliveries(self, page: Page) -> list[Delivery]:
        """Attempts to hand out the message in which this page is told."""
        keys = [page.key, *([page.carrier.key] if page.carrier else [])]
        number = page.topic.partition("/")[2]
        return [one for key in keys for one in self.providers.by_key.get(key, ()) if number in one.topics]

    def segments(self, incident: int) -> list[Segment]:
        """From the incident's timeline: when it wanted a response and had none. An acknowledged P1 of some clients
        wants another one after a while, unless it has recovered or ended by then."""
        client = self.plan.of(self.incidents[incident].system.client.slug)
        again = timedelta(minutes=client.again)
        found: list[Segment] = []
        begun: datetime | None = None
        later: datetime | None = None
        severity, answered, open_ = "", False, False
        for row in self.timelines[incident]:
            if later is not None and row.at > later:
                begun, later = later, None
            before = severity
            severity = str(row.details.get("after" if row.kind == "severity" else "severity") or severity)
            graver = GRAVER.get(severity, 0) > GRAVER.get(before, 9)
            starts = row.kind in BEGINS and (row.kind != "severity" or (graver and open_ and not answered))
            if starts and row.kind == "reopened" and row.text.endswith(QUIETLY):
                open_, answered, starts = True, True, False
            if (starts or row.kind in ENDS) and begun is not None:
                found.append(Segment(begun, row.at))
                begun = None
            if starts:
                begun, open_, answered, later = row.at, True, False, None
            if row.kind in ENDS:
                answered, open_ = True, row.kind == "acknowledged"
                later = row.at + again if open_ and again and severity == "P1" else None
            if row.kind in ("recovered", "contained"):
                later = None
        begun = begun or later
        if begun is not None and begun < self.ended_at:
            found.append(Segment(begun, self.ended_at))
        return found

    @property
    def ended_at(self) -> datetime:
        assert self.record.ended_at is not None
        return self.record.ended_at
