"""The escalation tier takes what the internal team has not resolved inside its window: once, in one transaction."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import QuerySet

from afterlaunch.calendars.business import NeverOpen, add
from afterlaunch.calendars.documents import frozen
from afterlaunch.estate.models import System
from afterlaunch.ground import clock
from afterlaunch.ground.actors import Actor, Role, automation
from afterlaunch.ground.errors import Conflict, Invalid, NotAllowed, NotFound
from afterlaunch.oncall import escalation
from afterlaunch.oncall.models import Escalation, EscalationPolicy
from afterlaunch.sla import clocks, policies
from afterlaunch.sla.events import Event, lock, tell
from afterlaunch.sla.models import Clock, Handover, Support
from afterlaunch.sla.postures import document, support_of
from afterlaunch.sla.spans import at_words, words

ENGINE = automation("engine")
BATCH = 200


def begin(actor: Actor, topic: str, system: System, started_at: datetime, now: datetime) -> Handover | None:
    """The window of the internal team begins with the detection, in the opener's transaction. None: the primary team
    owns it to the end."""
    support = support_of(system)
    if support.posture != "escalation":
        return None
    due, steps, calendar = _window(system, support, started_at)
    row, made = Handover.objects.get_or_create(
        topic=topic,
        defaults={
            "system": system,
            "started_at": started_at,
            "due_at": due,
            "rule": document(support),
            "calendar": calendar,
            "steps": steps,
        },
    )
    if made:
        _tell(actor, row, "handover.waiting", f"The internal team is first. {steps[-1]}", now)
    return row


def _window(system: System, support: Support, started_at: datetime) -> tuple[datetime, list[str], dict[str, object]]:
    """(its end, the count in words, the calendar as it was)."""
    hours, after = policies.hours_of(system, support.calendar or "business-hours"), support.after or 0
    steps = [f"The tier takes what is not {support.unless} {words(after)} after the detection."]
    if support.counting == "business":
        try:
            due = add(hours, started_at, after)
            steps.append(f"Only business time of the calendar {hours.name} counts.")
        except NeverOpen:
            due = started_at + timedelta(seconds=after)
            steps.append(f"The calendar {hours.name} never opens, so elapsed time counts.")
    else:
        due = started_at + timedelta(seconds=after)
    steps.append(f"The window ends {at_words(due, hours.zone_info)} ({hours.zone}).")
    return due, steps, frozen(hours)


def hand_over_due(now: datetime) -> None:
    """Every window that has ended. One that fails stops nobody else and stays due."""
    problems: list[Exception] = []
    due = Handover.objects.filter(state="waiting", due_at__lte=now).order_by("due_at", "pk")
    for pk in due.values_list("pk", flat=True)[:BATCH]:
        try:
            take_over(ENGINE, pk, now, "the internal team's window has ended")
        except Exception as problem:  # noqa: BLE001 - raised below, after the others had their turn
            problems.append(problem)
    if problems:
        raise ExceptionGroup("handovers that could not be done", problems)


@transaction.atomic
def take_over(actor: Actor, pk: int, now: datetime, why: str) -> bool:
    """One transaction: the tier is assigned, its clock starts at this instant, its page is enqueued. False: somebody
    was quicker, or it is not needed any more."""
    row = Handover.objects.select_related("system__client", "system__owner").get(pk=pk)
    lock(row.topic)
    won = Handover.objects.filter(pk=pk, state="waiting").update(
        state="done", done_at=now, by=actor.name, reason=why[:200], due_at=None
    )
    if not won:
        return False
    severity = _severity(row)
    made = clocks.start(actor, row.topic, row.system, "response", severity, now, now, party="tier")
    due = f"; the first response is due {clocks.words_of(made)}" if made is not None else ""
    said = f"The escalation tier takes over: {why}{due}. The internal team stays on it."
    _tell(actor, row, "handover.done", said, now, urgent=True)
    _page(row, now, policy_of(row), said, "handover.done")
    return True


def _severity(row: Handover) -> str:
    newest = Clock.objects.filter(topic=row.topic, kind="response").order_by("-pk").first()
    return newest.severity if newest is not None else "P2"


def policy_of(row: Handover) -> EscalationPolicy | None:
    """The tier's escalation policy; None: the system's own."""
    name = row.rule.get("policy") or ""
    rows = EscalationPolicy.objects.filter(client=row.system.client, removed_at=None)
    return rows.filter(name=name).first() if name else None


def _page(row: Handover, now: datetime, policy: EscalationPolicy | None, said: str, kind: str) -> None:
    """The paging begins again, with whom the new owner's policy names."""
    before = Escalation.objects.filter(topic=row.topic).first()
    facts = dict(before.facts) if before is not None else {"title": f"About {row.topic}", "severity": _severity(row)}
    facts |= {"type": kind, "lines": [said, *facts.get("lines", [])]}
    escalation.stop(row.topic, "stopped", kind, now)
    escalation.start(row.topic, row.system, facts, now, policy)


def reached(actor: Actor, topic: str, phase: str, now: datetime) -> None:
    """The internal team has contained or resolved it: where that was the condition, no handover follows."""
    row = Handover.objects.filter(topic=topic, state="waiting").select_related("system__client").first()
    if row is None or (phase != "resolved" and row.rule["handover"]["unless"] != phase):
        return
    if Handover.objects.filter(pk=row.pk, state="waiting").update(
        state="off", reason=f"{phase} by the internal team", due_at=None, done_at=now
    ):
        _tell(actor, row, "handover.off", f"The tier is not needed: {phase} inside the window.", now)


def owners(topic: str) -> EscalationPolicy | None:
    """The tier's policy once it took over; None: the system's own."""
    row = Handover.objects.filter(topic=topic, state="done").select_related("system__client").first()
    return policy_of(row) if row is not None else None


def party_of(topic: str) -> str:
    """Whose clock begins now."""
    state = Handover.objects.filter(topic=topic).values_list("state", flat=True).first()
    return "" if state is None else "tier" if state == "done" else "internal"


def reopened(actor: Actor, topic: str, now: datetime) -> EscalationPolicy | None:
    """It goes to the last owner. The internal team gets a new window; for the tier its policy is returned."""
    row = Handover.objects.filter(topic=topic).select_related("system__client").first()
    if row is None or row.state == "waiting":
        return None
    if row.state == "done":
        return policy_of(row)
    due, steps, calendar = _window(row.system, support_of(row.system), now)
    Handover.objects.filter(pk=row.pk).update(
        state="waiting", started_at=now, due_at=due, steps=steps, calendar=calendar, reason="", done_at=None
    )
    return None


def seen_by(actor: Actor) -> QuerySet[Handover]:
    rows, seen = Handover.objects.select_related("system__client", "system__owner"), actor.sees()
    return rows if seen is None else rows.filter(system__client__slug__in=seen)


def handover_by_id(actor: Actor, pk: int) -> Handover:
    row = seen_by(actor).filter(pk=pk).first()
    if row is None:
        raise NotFound(f"There is no handover {pk}.")
    return row


@transaction.atomic
def hand_over_now(actor: Actor, row: Handover, reason: str) -> Handover:
    """Early, by hand, the same way. Raises Invalid, Conflict."""
    actor.require(Role.RESPONDER, row.system.client.slug)
    if not reason.strip():
        raise Invalid("Handing over early needs a reason.")
    if not take_over(actor, row.pk, clock.now(), f"{actor.name} handed it over: {reason.strip()}"):
        raise Conflict("It is not waiting for a handover any more.", "Read it again.")
    row.refresh_from_db()
    return row


@transaction.atomic
def at_once(actor: Actor, topic: str, now: datetime) -> None:
    """A P1 of security does not wait for the window, where the system's rule says so."""
    row = Handover.objects.filter(topic=topic, state="waiting").first()
    if row is not None and row.rule.get("security_at_once", True):
        take_over(actor, row.pk, now, "a P1 of security is handed over at once")


@transaction.atomic
def ask_back(actor: Actor, row: Handover, reason: str) -> Handover:
    """The tier asks the internal team to take it back; somebody else has to accept. Raises Invalid, Conflict."""
    fresh = _held(actor, row)
    if not reason.strip():
        raise Invalid("Handing back needs a reason.")
    if fresh.state != "done" or fresh.back_asked_at is not None:
        raise Conflict("It can't be handed back now.", "Read it again.")
    fresh.back_asked_at, fresh.back_asked_by = clock.now(), actor.name
    fresh.save(update_fields=["back_asked_at", "back_asked_by"])
    said = f"{actor.name} asks the internal team to take it back: {reason.strip()}"
    _tell(actor, fresh, "handover.back_asked", said, clock.now())
    return fresh


@transaction.atomic
def accept_back(actor: Actor, row: Handover) -> Handover:
    """A person of the internal team takes it back. The tier's unmet clock ends. Raises Conflict, NotAllowed."""
    fresh, now = _held(actor, row), clock.now()
    if fresh.state != "done" or fresh.back_asked_at is None:
        raise Conflict("Nobody asked to hand it back.", "Read it again.")
    if actor.user_id is None or actor.name == fresh.back_asked_by:
        raise NotAllowed("Somebody else has to accept it, and it has to be a person.", "Ask the internal team.")
    fresh.state, fresh.reason = "back", f"{actor.name} took it back"
    fresh.back_asked_at, fresh.back_asked_by = None, ""
    fresh.save()
    Clock.objects.filter(topic=fresh.topic, party="tier", superseded_at=None, met_at=None).update(
        superseded_at=now, superseded_why="handed_back", next_at=None
    )
    escalation.stop(fresh.topic, "stopped", "handed_back", now)
    _tell(actor, fresh, "handover.back", f"{actor.name} took it back for the internal team.", now)
    return fresh


def _held(actor: Actor, row: Handover) -> Handover:
    actor.require(Role.RESPONDER, row.system.client.slug)
    lock(row.topic)
    return Handover.objects.select_for_update(of=("self",)).select_related("system__client").get(pk=row.pk)


def _tell(actor: Actor, row: Handover, name: str, text: str, now: datetime, urgent: bool = False) -> None:
    details = {"handover": row.pk, "due_at": row.due_at.isoformat() if row.due_at else None, "by": actor.name}
    tell(actor, Event(name, row.topic, row.system.client.slug, text, "", urgent, details), now)
