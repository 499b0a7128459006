"""Deeds on incidents. Row, timeline, evidence, clock and pages of one deed are one transaction."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from django.db import transaction
from django.db.models import QuerySet

from afterlaunch.accounts.models import User
from afterlaunch.estate.models import System
from afterlaunch.ground import clock
from afterlaunch.ground.actors import Actor, Role
from afterlaunch.ground.errors import Conflict, Invalid, NotAllowed, NotFound
from afterlaunch.incidents import clocks, roles
from afterlaunch.incidents.containment import rows as measures
from afterlaunch.incidents.deeds import locked, require_open, tell
from afterlaunch.incidents.kinds import BY_NAME, kind_named, severity_for
from afterlaunch.incidents.lifecycle import EARLY, may_move, needs_review
from afterlaunch.incidents.models import Incident, TimelineEntry
from afterlaunch.incidents.news import page_facts
from afterlaunch.incidents.reviews import rows as reviews
from afterlaunch.incidents.rules import RANK, STABILITY, higher
from afterlaunch.incidents.runbooks import versions
from afterlaunch.incidents.timeline import Told, append, append_all, head
from afterlaunch.incidents.updates import promises, sending
from afterlaunch.oncall import escalation


def incidents_seen_by(actor: Actor) -> QuerySet[Incident]:
    """Only those of clients that the actor may see."""
    seen = actor.sees()
    rows = Incident.objects.select_related("system__client", "system__owner", "responder", "survivor")
    return rows if seen is None else rows.filter(system__client__slug__in=seen)


def incident_by_id(actor: Actor, pk: int) -> Incident:
    incident = incidents_seen_by(actor).filter(pk=pk).first()
    if incident is None:
        raise NotFound(f"There is no incident {pk}.")
    return incident


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
    kind: str = "",
) -> Incident:
    """The open incident of this fingerprint: found, reopened inside the stability window, or made with its clock and
    its first pages. A graver severity raises the one that is open; a milder one leaves it. `quietly`: reopening one
    that somebody had acknowledged pages nobody; whoever asks so pages once more when it stays. An empty `severity` is
    unknown: P2 or graver, and a person has to look. A `kind` nobody knows is `other`. Raises Invalid."""
    actor.require(Role.RESPONDER, system.client.slug)
    if severity and severity not in RANK:
        raise Invalid(f"{severity!r} is no severity.", "Use P1, P2 or P3.")
    severity, why = severity_for(kind_named(kind), severity)
    # Two openers of one fingerprint take turns. The lock is one that rows which point at the system do not wait for: an
    # engine that writes such a row holds the head of the evidence log, for which this deed waits in its turn.
    System.objects.select_for_update(of=("self",), no_key=True).get(pk=system.pk)
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
        severity_unsure=why == "unknown",
        kind=kind_named(kind).name,
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
    triaged = {"severity": incident.severity, "kind": incident.kind}
    detected = ("detection", incident.summary or incident.title, seen)
    append_all(actor, incident, [detected, ("triage", _triage_text(incident), triaged)])
    promise = clocks.start(actor, incident, clock.now())
    tell(
        actor,
        incident,
        "incident.opened",
        {
            "severity": incident.severity,
            "kind": incident.kind,
            "fingerprint": incident.fingerprint,
            "deadline": clocks.due_text(promise),
        },
    )
    versions.begin(incident, clock.now())
    promises.by_cadence(incident, clock.now())
    escalation.start(incident.topic, incident.system, page_facts(incident), clock.now())
    clocks.grave(actor, incident, clock.now())


def _triage_text(incident: Incident) -> str:
    said = f"{kind_named(incident.kind).title}, severity {incident.severity}."
    return said + (" Nobody has said how grave it is; a person has to." if incident.severity_unsure else "")


@transaction.atomic
def timeline(
    actor: Actor, incident: Incident, kind: str, text: str, details: Mapping[str, Any] | None = None
) -> TimelineEntry:
    """Append an entry; for the rooms above that did something about it."""
    return timelines(actor, incident, [(kind, text, details)])[0]


@transaction.atomic
def timelines(actor: Actor, incident: Incident, entries: Iterable[Told]) -> list[TimelineEntry]:
    """Several entries of one moment."""
    return append_all(actor, locked(actor, incident), entries)


@transaction.atomic
def add_note(actor: Actor, incident: Incident, text: str) -> TimelineEntry:
    """A person's note."""
    if not text.strip():
        raise Invalid("A note needs words.")
    fresh = locked(actor, incident)
    entry = append(actor, fresh, "note", text.strip()[:5000])
    tell(actor, fresh, "incident.noted", {"entry": entry.sequence, "hash": entry.hash})
    return entry


@transaction.atomic
def acknowledge(actor: Actor, incident: Incident, how: str = "") -> Incident:
    """Somebody able to act has taken it: paging stops, the clock is met. An automation can't. A second time changes
    nothing."""
    fresh = locked(actor, incident)
    if actor.kind == "automation":
        raise NotAllowed("An automation can't acknowledge an incident.", "A first response is a person's.")
    now = clock.now()
    if fresh.acknowledged_at is not None:  # it may page again, or wait for others, all the same
        if escalation.stop(fresh.topic, "acknowledged", "acknowledged", now, actor.user_id):
            word = "again" if actor.user_id is not None and actor.user_id == fresh.responder_id else "too"
            append(actor, fresh, "acknowledged", f"{actor.name} acknowledged{how}, {word}.")
        return fresh
    require_open(fresh)
    fresh.acknowledged_at, fresh.acknowledged_by, fresh.responder_id = now, actor.name, actor.user_id
    if fresh.phase in EARLY:
        fresh.phase = "diagnosis"
    fresh.save(update_fields=["acknowledged_at", "acknowledged_by", "responder", "phase"])
    clocks.meet(actor, fresh, now)
    escalation.stop(fresh.topic, "acknowledged", "acknowledged", now, actor.user_id)
    append(actor, fresh, "acknowledged", f"{actor.name} acknowledged{how}.")
    _take(actor, fresh)
    tell(actor, fresh, "incident.acknowledged", {"how": how.strip() or "direct"})
    return fresh


def _take(actor: Actor, fresh: Incident) -> None:
    """Whoever acknowledges responds, and commands until somebody else does. A token has no person to name."""
    if actor.user_id is None:
        return
    person = User.objects.get(pk=actor.user_id)
    if roles.who(fresh, "commander") is None:
        roles.give(actor, fresh, "commander", person)
    roles.give(actor, fresh, "responder", person)


@transaction.atomic
def start_containment(
    actor: Actor, incident: Incident, action: str, details: Mapping[str, Any] | None = None
) -> Incident:
    """An action meant to stop harm begins. `action` says it in words; `details` hold approval, undo and reach."""
    fresh = locked(actor, incident)
    require_open(fresh)
    skipped = _enter_containment(fresh, action)
    fresh.containment_started_at = fresh.containment_started_at or clock.now()
    fresh.save(update_fields=["phase", "skipped", "containment_started_at"])
    append(actor, fresh, "containment.started", action, {**(details or {}), "diagnosis_skipped": skipped})
    measures.begin(actor, fresh, action, details or {})
    tell(actor, fresh, "incident.containment_started", {"action": action[:200]})
    return fresh


def _enter_containment(fresh: Incident, action: str) -> bool:
    """To the phase, forward only: another measure while the fix is under way does not take it back. Whether diagnosis
    was passed over."""
    if fresh.phase == "detection":
        fresh.phase = "triage"
    going = may_move(fresh.phase, "containment", action or "service first")
    if not going.yes or going.back:
        return False
    skip(fresh, going.skipped, action)
    fresh.phase = "containment"
    return "diagnosis" in going.skipped


def skip(fresh: Incident, phases: tuple[str, ...], why: str) -> None:
    """Keep that phases were passed over; the caller saves."""
    at = clock.now().isoformat()
    fresh.skipped = [*fresh.skipped, *({"phase": one, "reason": why[:300], "at": at} for one in phases)]


@transaction.atomic
def contained(actor: Actor, incident: Incident, text: str, details: Mapping[str, Any] | None = None) -> Incident:
    """Harm has stopped and the measurements confirm it. A person's word begins the resolution; a machine only tells
    what it measured. A second time changes nothing."""
    fresh = locked(actor, incident)
    if fresh.contained_at is not None:
        return fresh
    require_open(fresh)
    fresh.contained_at = clock.now()
    if actor.kind != "automation" and may_move(fresh.phase, "resolution", text).yes:
        fresh.phase = "resolution"
    fresh.save(update_fields=["contained_at", "phase"])
    measures.settle(fresh, "shown", fresh.contained_at)
    escalation.no_more(fresh.topic)
    append(actor, fresh, "contained", text, details)
    clocks.contained(actor, fresh, clock.now())
    tell(actor, fresh, "incident.contained", {"text": text[:200]})
    return fresh


@transaction.atomic
def recovered(actor: Actor, incident: Incident, at: datetime) -> Incident:
    """The measurements are healthy since `at`. The incident stays open until it is resolved."""
    fresh = locked(actor, incident)
    if fresh.status != "open" or fresh.recovered_at is not None:
        return fresh
    fresh.recovered_at = at
    fresh.save(update_fields=["recovered_at"])
    measures.settle(fresh, "shown", at)
    escalation.no_more(fresh.topic)
    append(actor, fresh, "recovered", f"Healthy since {at:%Y-%m-%d %H:%M} UTC.", {"at": at.isoformat()})
    tell(actor, fresh, "incident.recovered", {"at": at.isoformat()})
    return fresh


@transaction.atomic
def relapsed(actor: Actor, incident: Incident, text: str) -> Incident:
    """What had recovered is broken again, while the incident is still open."""
    fresh = locked(actor, incident)
    if fresh.status != "open" or fresh.recovered_at is None:
        return fresh
    fresh.recovered_at = None
    fresh.save(update_fields=["recovered_at"])
    append(actor, fresh, "relapsed", text)
    tell(actor, fresh, "incident.relapsed")
    return fresh


@transaction.atomic
def resolve(actor: Actor, incident: Incident, text: str = "") -> Incident:
    """The end of the harm is accepted. A P1 is resolved by a person only. P1 and P2 then owe a review. A second time
    changes nothing."""
    fresh = locked(actor, incident)
    if fresh.status == "resolved":
        return fresh
    if actor.kind == "automation" and fresh.severity == "P1":
        raise NotAllowed("Only a person may resolve a P1.", "Resolve it on its page.")
    if text.strip() and not fresh.fix:
        fresh.fix = text.strip()[:5000]
    return _end(actor, fresh, "resolved", text or "Resolved.", _after_the_end(fresh))


def _after_the_end(fresh: Incident) -> str:
    """Where it goes when it is resolved: to its review, to its open tasks, or to rest."""
    if needs_review(fresh.peak_severity):
        return "review"
    open_tasks = fresh.severity_unsure or (
        not fresh.cause and any(one["phase"] == "diagnosis" for one in fresh.skipped)
    )
    return "resolution" if open_tasks else "closed"


@transaction.atomic
def false_alarm(actor: Actor, incident: Incident, reason: str) -> Incident:
    """Nothing was wrong. Legal only in detection and triage."""
    fresh = locked(actor, incident)
    if not reason.strip():
        raise Invalid("A false alarm needs a reason.")
    if fresh.status != "open" or fresh.phase not in EARLY:
        raise Conflict("Only an incident in detection or triage can be a false alarm.", "Resolve it instead.")
    fresh.outcome = "false_alarm"
    return _end(actor, fresh, "false_alarm", reason.strip(), "closed")


def _end(actor: Actor, incident: Incident, kind: str, text: str, phase: str) -> Incident:
    """Paging stops, and so do its clocks."""
    now = clock.now()
    incident.status, incident.resolved_at, incident.phase = "resolved", now, phase
    incident.closed_at = now if phase == "closed" else None
    incident.save(update_fields=["status", "resolved_at", "closed_at", "phase", "outcome", "fix"])
    clocks.ended(actor, incident, now)
    measures.settle(incident, "ended", now)
    promises.end(incident, now)
    escalation.stop(incident.topic, "stopped", kind, now)
    append(actor, incident, kind, text)
    details = {"peak_severity": incident.peak_severity, "timeline_head": head(incident)}
    tell(actor, incident, f"incident.{kind}", details)
    sending.say_it_is_over(actor, incident)
    if phase == "review":
        reviews.begin(incident, now)
    return incident


@transaction.atomic
def reopen(actor: Actor, incident: Incident, reason: str, quietly: bool = False) -> Incident:
    """Back to work with a reason; whoever is on call is paged again, unless `quietly` and somebody had it already.
    The first clock and its result stay."""
    fresh = locked(actor, incident)
    if fresh.status == "open":
        return fresh
    if not reason.strip():
        raise Invalid("Reopening needs a reason.")
    if fresh.survivor_id is not None:
        raise Conflict(f"It is a duplicate of incident {fresh.survivor_id}.", "Work on that one.")
    fresh.status, fresh.phase, fresh.outcome = "open", "triage", ""
    fresh.resolved_at = fresh.recovered_at = fresh.contained_at = fresh.closed_at = None
    quiet = quietly and fresh.acknowledged_at is not None
    if not quiet:
        fresh.acknowledged_at, fresh.acknowledged_by = None, ""
    fresh.save()
    owners = clocks.reopened(actor, fresh, clock.now())
    said = f"{reason.strip()} Nobody is paged again yet." if quiet else reason.strip()
    append(actor, fresh, "reopened", said)
    tell(actor, fresh, "incident.reopened", {"reason": reason.strip()[:200], "quietly": quiet})
    promises.by_cadence(fresh, clock.now())
    if quiet:
        return fresh
    escalation.start(fresh.topic, fresh.system, {**page_facts(fresh), "type": "incident.reopened"}, clock.now(), owners)
    return fresh


@transaction.atomic
def page_once_more(actor: Actor, incident: Incident, reason: str) -> Incident:
    """What was reopened quietly did not go away: whoever is on call is paged, and it wants a response again."""
    fresh = locked(actor, incident)
    if fresh.status != "open" or fresh.acknowledged_at is None:
        return fresh
    fresh.acknowledged_at, fresh.acknowledged_by = None, ""
    fresh.save(update_fields=["acknowledged_at", "acknowledged_by"])
    append(actor, fresh, "paged again", reason)
    tell(actor, fresh, "incident.paged_again", {"reason": reason[:200]})
    owners = clocks.owners(fresh)
    escalation.start(fresh.topic, fresh.system, {**page_facts(fresh), "type": "incident.reopened"}, clock.now(), owners)
    return fresh


@transaction.atomic
def change_severity(actor: Actor, incident: Incident, severity: str, reason: str) -> Incident:
    """The target is computed anew from the original start; raising an unacknowledged incident pages at once."""
    fresh = locked(actor, incident)
    require_open(fresh)
    if severity not in RANK:
        raise Invalid(f"{severity!r} is no severity.", "Use P1, P2 or P3.")
    if not reason.strip():
        raise Invalid("A change of severity needs a reason.")
    _may_lower(actor, fresh, severity)
    unsure = fresh.severity_unsure and actor.kind != "automation"
    if unsure:
        fresh.severity_unsure = False
        fresh.save(update_fields=["severity_unsure"])
    if severity == fresh.severity:
        if unsure:
            append(actor, fresh, "severity", f"{severity} it is: {reason.strip()}", {"after": severity})
        return fresh
    before, fresh.severity = fresh.severity, severity
    fresh.peak_severity = higher(fresh.peak_severity, severity)
    fresh.save(update_fields=["severity", "peak_severity"])
    append(actor, fresh, "severity", f"{before} → {severity}: {reason.strip()}", {"before": before, "after": severity})
    promise = clocks.replace(actor, fresh, clock.now())
    details = {"before": before, "after": severity, "deadline": clocks.due_text(promise), "reason": reason[:200]}
    tell(actor, fresh, "incident.severity_changed", details)
    promises.by_cadence(fresh, clock.now())
    escalation.update_facts(fresh.topic, page_facts(fresh))
    if RANK[severity] > RANK[before] and fresh.acknowledged_at is None:
        escalation.page_now(fresh.topic, clock.now())
    clocks.grave(actor, fresh, clock.now())
    return fresh


def _may_lower(actor: Actor, fresh: Incident, severity: str) -> None:
    """An incident of security is P1 until an administrator says otherwise."""
    if not BY_NAME[fresh.kind].severity.security or severity == "P1":
        return
    if actor.kind == "automation" or not actor.may(Role.ADMIN, fresh.system.client.slug):
        raise NotAllowed("An incident of security stays P1 until an administrator lowers it.", "Ask an administrator.")


@transaction.atomic
def change_kind(actor: Actor, incident: Incident, kind: str, reason: str = "") -> Incident:
    """Another kind: its checklist and runbook come with it, and its mildest severity. Raises Invalid."""
    fresh = locked(actor, incident)
    require_open(fresh)
    if kind not in BY_NAME:
        raise Invalid(f"There is no kind {kind!r}.", "Kinds: " + ", ".join(BY_NAME))
    if kind == fresh.kind:
        return fresh
    before, fresh.kind = fresh.kind, kind
    _may_leave(actor, fresh, before)
    fresh.save(update_fields=["kind"])
    versions.begin(fresh, clock.now())
    said = f"{BY_NAME[before].title} → {BY_NAME[kind].title}" + (f": {reason.strip()}" if reason.strip() else ".")
    append(actor, fresh, "kind", said, {"before": before, "after": kind})
    tell(actor, fresh, "incident.kind_changed", {"before": before, "after": kind})
    least, why = severity_for(BY_NAME[kind], fresh.severity)
    if why == "raised_by_kind":
        return change_severity(actor, fresh, least, f"{BY_NAME[kind].title} is at least {least}.")
    clocks.grave(actor, fresh, clock.now())
    return fresh


def _may_leave(actor: Actor, fresh: Incident, before: str) -> None:
    if BY_NAME[before].severity.security and not actor.may(Role.ADMIN, fresh.system.client.slug):
        raise NotAllowed("Only an administrator says that it is not about security.", "Ask an administrator.")
