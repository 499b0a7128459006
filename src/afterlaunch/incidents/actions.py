"""Deeds on incidents. Row, timeline, evidence, clock and pages of one deed are one transaction."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from django.db import transaction
from django.db.models import QuerySet

from afterlaunch.estate.models import System
from afterlaunch.evidence.log import record
from afterlaunch.ground import clock
from afterlaunch.ground.actors import Actor, Role
from afterlaunch.ground.errors import Conflict, Invalid, NotAllowed, NotFound
from afterlaunch.incidents import clocks
from afterlaunch.incidents.models import Incident, TimelineEntry
from afterlaunch.incidents.rules import RANK, STABILITY, higher, needs_review
from afterlaunch.incidents.timeline import append
from afterlaunch.oncall import escalation


def incidents_seen_by(actor: Actor) -> QuerySet[Incident]:
    """Only those of clients that the actor may see."""
    seen = actor.sees()
    rows = Incident.objects.select_related("system__client", "system__owner", "responder")
    return rows if seen is None else rows.filter(system__client__slug__in=seen)


def incident_by_id(actor: Actor, pk: int) -> Incident:
    incident = incidents_seen_by(actor).filter(pk=pk).first()
    if incident is None:
        raise NotFound(f"There is no incident {pk}.")
    return incident


def page_facts(incident: Incident) -> dict[str, Any]:
    """What a page says: identity, no evidence and no customer data."""
    return {
        "type": "incident.opened",
        "incident": incident.pk,
        "title": incident.title,
        "severity": incident.severity,
        "system": str(incident.system),
        "environment": incident.environment,
        "summary": incident.summary,
        "lines": [
            *([incident.summary] if incident.summary else []),
            f"System {incident.system}, {incident.environment or 'all environments'}",
            f"Detected {incident.detected_at:%Y-%m-%d %H:%M} UTC",
        ],
        "path": f"/incidents/{incident.pk}",
        "detected_at": incident.detected_at.isoformat(),
    }


@transaction.atomic
def open_incident(
    actor: Actor,
    *,
    system: System,
    environment: str,
    title: str,
    severity: str,
    summary: str,
    fingerprint: str,
    detected_at: datetime,
    occurred_at: datetime | None,
    route: str | None = None,
    arm: str | None = None,
    quietly: bool = False,
) -> Incident:
    """The open incident of this fingerprint: found, reopened inside the stability window, or made with its clock and
    its first pages. A graver severity raises the one that is open; a milder one leaves it. `quietly`: reopening one
    that somebody had acknowledged pages nobody; whoever asks so pages once more when it stays. Raises Invalid."""
    actor.require(Role.RESPONDER, system.client.slug)
    if severity not in RANK:
        raise Invalid(f"{severity!r} is no severity.", "Use P1, P2 or P3.")
    System.objects.select_for_update(of=("self",)).get(pk=system.pk)  # two openers of one fingerprint take turns
    known = Incident.objects.filter(fingerprint=fingerprint).order_by("-pk").first()
    if known is not None and known.status == "open":
        if RANK[severity] > RANK[known.severity]:
            change_severity(actor, known, severity, "the alert became graver")
            known.refresh_from_db()
        return known
    if known is not None and _inside_stability(known, detected_at):
        return reopen(actor, known, "It fired again inside the stability window.", quietly)
    incident = Incident.objects.create(
        system=system,
        environment=environment,
        route=route or "",
        arm=arm or "",
        title=title[:300],
        summary=summary,
        severity=severity,
        peak_severity=severity,
        phase="triage",
        fingerprint=fingerprint,
        recurrence_of=known,
        occurred_at=occurred_at,
        detected_at=detected_at,
    )
    _announce(actor, incident)
    return incident


def _inside_stability(incident: Incident, at: datetime) -> bool:
    resolved = incident.resolved_at
    return resolved is not None and incident.outcome == "" and at - resolved <= STABILITY


def _announce(actor: Actor, incident: Incident) -> None:
    """Timeline, clock, evidence and first pages, all in the opener's transaction."""
    seen = {"detected_at": incident.detected_at.isoformat()}
    if incident.occurred_at:
        seen["occurred_at"] = incident.occurred_at.isoformat()
    append(actor, incident, "detection", incident.summary or incident.title, seen)
    append(actor, incident, "triage", f"Severity {incident.severity}.", {"severity": incident.severity})
    promise = clocks.start(incident)
    _tell(
        actor,
        incident,
        "incident.opened",
        {"severity": incident.severity, "fingerprint": incident.fingerprint, "deadline": promise.deadline.isoformat()},
    )
    escalation.start(incident.topic, incident.system, page_facts(incident), clock.now())


def _tell(actor: Actor, incident: Incident, deed: str, details: Mapping[str, Any] | None = None) -> None:
    record(actor, deed, incident.topic, incident.system.client.slug, details)


def _locked(actor: Actor, incident: Incident) -> Incident:
    """The incident's row, held until the deed is done; permission asked."""
    rows = Incident.objects.select_for_update(of=("self",)).select_related("system__client", "system__owner")
    fresh = rows.get(pk=incident.pk)
    actor.require(Role.RESPONDER, fresh.system.client.slug)
    return fresh


def _require_open(incident: Incident) -> None:
    if incident.status != "open":
        raise Conflict(f"Incident {incident.pk} is resolved.", "Read it again.")


@transaction.atomic
def timeline(
    actor: Actor, incident: Incident, kind: str, text: str, details: Mapping[str, Any] | None = None
) -> TimelineEntry:
    """Append an entry; for the rooms above that did something about it."""
    fresh = _locked(actor, incident)
    return append(actor, fresh, kind, text, details)


@transaction.atomic
def add_note(actor: Actor, incident: Incident, text: str) -> TimelineEntry:
    """A person's note."""
    if not text.strip():
        raise Invalid("A note needs words.")
    fresh = _locked(actor, incident)
    entry = append(actor, fresh, "note", text.strip()[:5000])
    _tell(actor, fresh, "incident.noted", {"entry": entry.sequence, "hash": entry.hash})
    return entry


@transaction.atomic
def acknowledge(actor: Actor, incident: Incident, how: str = "") -> Incident:
    """Somebody able to act has taken it: paging stops, the clock is met. An automation can't. A second time changes
    nothing."""
    fresh = _locked(actor, incident)
    if actor.kind == "automation":
        raise NotAllowed("An automation can't acknowledge an incident.", "A first response is a person's.")
    if fresh.acknowledged_at is not None:
        return fresh
    _require_open(fresh)
    now = clock.now()
    fresh.acknowledged_at, fresh.acknowledged_by, fresh.responder_id = now, actor.name, actor.user_id
    if fresh.phase in ("detection", "triage"):
        fresh.phase = "diagnosis"
    fresh.save(update_fields=["acknowledged_at", "acknowledged_by", "responder", "phase"])
    clocks.meet(fresh, now)
    escalation.stop(fresh.topic, "acknowledged", "acknowledged", now)
    append(actor, fresh, "acknowledged", f"{actor.name} acknowledged{how}.")
    _tell(actor, fresh, "incident.acknowledged", {"how": how.strip() or "direct"})
    return fresh


@transaction.atomic
def start_containment(
    actor: Actor, incident: Incident, action: str, details: Mapping[str, Any] | None = None
) -> Incident:
    """An action meant to stop harm begins. `action` says it in words; `details` hold approval, undo and reach."""
    fresh = _locked(actor, incident)
    _require_open(fresh)
    skipped = fresh.phase in ("detection", "triage")
    fresh.phase = "containment"
    fresh.containment_started_at = fresh.containment_started_at or clock.now()
    fresh.save(update_fields=["phase", "containment_started_at"])
    append(actor, fresh, "containment.started", action, {**(details or {}), "diagnosis_skipped": skipped})
    _tell(actor, fresh, "incident.containment_started", {"action": action[:200]})
    return fresh


@transaction.atomic
def contained(actor: Actor, incident: Incident, text: str, details: Mapping[str, Any] | None = None) -> Incident:
    """Harm has stopped and the measurements confirm it. A second time changes nothing."""
    fresh = _locked(actor, incident)
    if fresh.contained_at is not None:
        return fresh
    _require_open(fresh)
    fresh.contained_at, fresh.phase = clock.now(), "resolution"
    fresh.save(update_fields=["contained_at", "phase"])
    append(actor, fresh, "contained", text, details)
    _tell(actor, fresh, "incident.contained", {"text": text[:200]})
    return fresh


@transaction.atomic
def recovered(actor: Actor, incident: Incident, at: datetime) -> Incident:
    """The measurements are healthy since `at`. The incident stays open until it is resolved."""
    fresh = _locked(actor, incident)
    if fresh.status != "open" or fresh.recovered_at is not None:
        return fresh
    fresh.recovered_at = at
    fresh.save(update_fields=["recovered_at"])
    append(actor, fresh, "recovered", f"Healthy since {at:%Y-%m-%d %H:%M} UTC.", {"at": at.isoformat()})
    _tell(actor, fresh, "incident.recovered", {"at": at.isoformat()})
    return fresh


@transaction.atomic
def relapsed(actor: Actor, incident: Incident, text: str) -> Incident:
    """What had recovered is broken again, while the incident is still open."""
    fresh = _locked(actor, incident)
    if fresh.status != "open" or fresh.recovered_at is None:
        return fresh
    fresh.recovered_at = None
    fresh.save(update_fields=["recovered_at"])
    append(actor, fresh, "relapsed", text)
    _tell(actor, fresh, "incident.relapsed")
    return fresh


@transaction.atomic
def resolve(actor: Actor, incident: Incident, text: str = "") -> Incident:
    """The end of the harm is accepted. A P1 is resolved by a person only. P1 and P2 then owe a review. A second time
    changes nothing."""
    fresh = _locked(actor, incident)
    if fresh.status == "resolved":
        return fresh
    if actor.kind == "automation" and fresh.severity == "P1":
        raise NotAllowed("Only a person may resolve a P1.", "Resolve it on its page.")
    return _end(
        actor, fresh, "resolved", text or "Resolved.", "review" if needs_review(fresh.peak_severity) else "closed"
    )


@transaction.atomic
def false_alarm(actor: Actor, incident: Incident, reason: str) -> Incident:
    """Nothing was wrong. Legal only in detection and triage."""
    fresh = _locked(actor, incident)
    if not reason.strip():
        raise Invalid("A false alarm needs a reason.")
    if fresh.status != "open" or fresh.phase not in ("detection", "triage"):
        raise Conflict("Only an incident in detection or triage can be a false alarm.", "Resolve it instead.")
    fresh.outcome = "false_alarm"
    return _end(actor, fresh, "false_alarm", reason.strip(), "closed")


def _end(actor: Actor, incident: Incident, kind: str, text: str, phase: str) -> Incident:
    """Paging stops. Ending it is a response too, when somebody able to act did it."""
    now = clock.now()
    incident.status, incident.resolved_at, incident.phase = "resolved", now, phase
    incident.save(update_fields=["status", "resolved_at", "phase", "outcome"])
    if actor.kind != "automation":
        clocks.meet(incident, incident.acknowledged_at or now)
    escalation.stop(incident.topic, "stopped", kind, now)
    append(actor, incident, kind, text)
    _tell(actor, incident, f"incident.{kind}", {"peak_severity": incident.peak_severity})
    return incident


@transaction.atomic
def reopen(actor: Actor, incident: Incident, reason: str, quietly: bool = False) -> Incident:
    """Back to work with a reason; whoever is on call is paged again, unless `quietly` and somebody had it already.
    The first clock and its result stay."""
    fresh = _locked(actor, incident)
    if fresh.status == "open":
        return fresh
    if not reason.strip():
        raise Invalid("Reopening needs a reason.")
    fresh.status, fresh.phase, fresh.outcome = "open", "triage", ""
    fresh.resolved_at = fresh.recovered_at = fresh.contained_at = None
    quiet = quietly and fresh.acknowledged_at is not None
    if not quiet:
        fresh.acknowledged_at, fresh.acknowledged_by = None, ""
    fresh.save()
    said = f"{reason.strip()} Nobody is paged again yet." if quiet else reason.strip()
    append(actor, fresh, "reopened", said)
    _tell(actor, fresh, "incident.reopened", {"reason": reason.strip()[:200], "quietly": quiet})
    if quiet:
        return fresh
    escalation.start(fresh.topic, fresh.system, {**page_facts(fresh), "type": "incident.reopened"}, clock.now())
    return fresh


@transaction.atomic
def page_once_more(actor: Actor, incident: Incident, reason: str) -> Incident:
    """What was reopened quietly did not go away: whoever is on call is paged, and it wants a response again."""
    fresh = _locked(actor, incident)
    if fresh.status != "open" or fresh.acknowledged_at is None:
        return fresh
    fresh.acknowledged_at, fresh.acknowledged_by = None, ""
    fresh.save(update_fields=["acknowledged_at", "acknowledged_by"])
    append(actor, fresh, "paged again", reason)
    _tell(actor, fresh, "incident.paged_again", {"reason": reason[:200]})
    escalation.start(fresh.topic, fresh.system, {**page_facts(fresh), "type": "incident.reopened"}, clock.now())
    return fresh


@transaction.atomic
def change_severity(actor: Actor, incident: Incident, severity: str, reason: str) -> Incident:
    """The target is computed anew from the original start; raising an unacknowledged incident pages at once."""
    fresh = _locked(actor, incident)
    _require_open(fresh)
    if severity not in RANK:
        raise Invalid(f"{severity!r} is no severity.", "Use P1, P2 or P3.")
    if not reason.strip():
        raise Invalid("A change of severity needs a reason.")
    if severity == fresh.severity:
        return fresh
    before, fresh.severity = fresh.severity, severity
    fresh.peak_severity = higher(fresh.peak_severity, severity)
    fresh.save(update_fields=["severity", "peak_severity"])
    append(actor, fresh, "severity", f"{before} → {severity}: {reason.strip()}", {"before": before, "after": severity})
    promise = clocks.replace(actor, fresh, clock.now())
    details = {"before": before, "after": severity, "deadline": promise.deadline.isoformat(), "reason": reason[:200]}
    _tell(actor, fresh, "incident.severity_changed", details)
    escalation.update_facts(fresh.topic, page_facts(fresh))
    if RANK[severity] > RANK[before] and fresh.acknowledged_at is None:
        escalation.page_now(fresh.topic, clock.now())
    return fresh
