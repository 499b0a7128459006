"""The auditor of paging: what should have been sent and was not. A duty of its own with a thread and a lock of its own.

1. Every open, unacknowledged incident has an escalation that moves, or one that ended with a reason and paged somebody.
2. No step is more than two minutes late. 3. No page is more than two minutes late, no lease older than two lease times.
4. Every page that was decided has a row. 5. Every open incident has a clock, and every clock a timer.
What lacks is mended by sending, counted, evidence, and an incident about Afterlaunch itself. Only an audit that found
nothing tells the watch outside.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from django.db import transaction

from afterlaunch.accounts.models import User
from afterlaunch.evidence.log import record
from afterlaunch.ground.actors import automation
from afterlaunch.incidents import clocks
from afterlaunch.incidents.actions import open_incident, timeline
from afterlaunch.incidents.models import Incident
from afterlaunch.incidents.news import page_facts
from afterlaunch.incidents.platform import platform_system
from afterlaunch.notify.audit import (
    Finding,
    audit_outbox,
    decided_without_row,
    note_run,
    ping_outside,
    summary,
)
from afterlaunch.notify.models import LIVE, Page
from afterlaunch.notify.outbox import Notice, enqueue
from afterlaunch.oncall import escalation
from afterlaunch.oncall.models import Escalation
from afterlaunch.sla.watch import without_timer

ENGINE = automation("engine")
LATE = timedelta(minutes=2)
ITSELF = "afterlaunch/paging"


def audit_paging(now: datetime) -> None:
    """Look, mend, write down; then tell whoever should know."""
    looked_at = Incident.objects.filter(status="open").count() + Page.objects.filter(state__in=LIVE).count()
    found = [*_escalations(now), *_late_steps(now), *audit_outbox(now), *_decided(now), *_clocks(now)]
    with transaction.atomic():
        run = note_run(found, looked_at, now)
        for one in found:
            details = {"reason": one.what, "mended": one.mended}
            record(ENGINE, "paging.repaired", one.subject, one.client or None, details)
        if found:
            _tell_of_itself(found, now)
    ping_outside(run)


def _escalations(now: datetime) -> list[Finding]:
    waiting = list(Incident.objects.filter(status="open", acknowledged_at=None).select_related("system__client"))
    states = {row.topic: row for row in Escalation.objects.filter(topic__in=[one.topic for one in waiting])}
    found = []
    for incident in waiting:
        reason = _what_lacks(states.get(incident.topic), incident)
        if reason is not None:
            with transaction.atomic():
                escalation.start(incident.topic, incident.system, page_facts(incident), now, clocks.owners(incident))
                if reason == "no_next_step":
                    escalation.page_now(incident.topic, now)
            found.append(Finding(reason, incident.topic, incident.system.client.slug, "paging started"))
    return found


def _what_lacks(row: Escalation | None, incident: Incident) -> str | None:
    if row is None:
        return "no_escalation"
    if row.state in ("acknowledged", "stopped"):
        return "stopped_while_unacknowledged"
    if row.state == "exhausted" and row.paged == 0 and escalation.catch_all(incident.system):
        return "somebody_became_reachable"
    if row.state == "exhausted" and not row.reason:
        return "ended_without_a_reason"
    if row.state == "live" and row.next_at is None:
        return "no_next_step"
    return None


def _late_steps(now: datetime) -> list[Finding]:
    rows = Escalation.objects.filter(state__in=("live", "acknowledged"), next_at__lt=now - LATE).select_related(
        "system__client"
    )
    return [
        Finding("step_late", row.topic, row.system.client.slug, "step taken")
        for row in rows.order_by("next_at", "pk")
        if escalation.advance(row, now)
    ]


def _decided(now: datetime) -> list[Finding]:
    """A page that is still wanted is decided again."""
    lost = [one for one in decided_without_row(now) if one["topic"].startswith("incident/")]
    numbers = {int(one["topic"].partition("/")[2]) for one in lost}
    waiting = Incident.objects.filter(pk__in=numbers, status="open", acknowledged_at=None)
    incidents = {one.topic: one for one in waiting.select_related("system__client")}
    people = {one.pk: one for one in User.objects.filter(pk__in=[one["person"] for one in lost])}
    found = []
    for one in lost:
        incident, person = incidents.get(one["topic"]), people.get(one["person"])
        if incident is None or person is None:
            continue
        notice = Notice(one["topic"], one["occurrence"], one["client"], page_facts(incident))
        with transaction.atomic():
            if enqueue(person, notice, now) is not None:
                found.append(Finding("decided_without_a_row", one["topic"], one["client"], "decided again"))
    return found


def _clocks(now: datetime) -> list[Finding]:
    """Every open incident has a clock of its first response, and every clock that runs has a timer."""
    found = []
    for incident in clocks.without(Incident.objects.filter(status="open")).select_related("system__client"):
        with transaction.atomic():
            clocks.start(ENGINE, incident, now)
        found.append(Finding("no_clock", incident.topic, incident.system.client.slug, "clock started"))
    for topic, client in without_timer(now):
        found.append(Finding("clock_without_timer", topic, client, "timer set"))
    return found


def _tell_of_itself(found: Sequence[Finding], now: datetime) -> None:
    """One incident about Afterlaunch itself, at the house; later findings join it while it is open."""
    said = f"Mended {len(found)}: {summary(found)}."
    known = Incident.objects.filter(fingerprint=ITSELF, status="open").first()
    if known is not None:
        timeline(ENGINE, known, "note", said)
        return
    open_incident(
        ENGINE,
        system=platform_system(),
        environment="",
        title="Paging did not work by itself and was mended",
        severity="P2",
        summary=f"{said} See Settings, Deliveries.",
        fingerprint=ITSELF,
        detected_at=now,
        occurred_at=None,
        kind="infrastructure",
    )
